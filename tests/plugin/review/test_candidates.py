"""The order in which candidates are shown and decided."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("qtpy")

from qtpy.QtCore import Qt

from napari_fastnet.core.lesions.regions import Region
from napari_fastnet.plugin.review.candidates import (
    COLUMNS,
    Candidate,
    CandidateModel,
    CandidateView,
)
from napari_fastnet.plugin.review.review import next_undecided
from napari_fastnet.results.decision_events import Decision
from napari_fastnet.results.reviewed import Reviewed

SQUARE = np.array([(0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.0)])


def candidate(label, longest_mm, verdict=None, note="", evidence=1.0):
    region = Region(
        label=label,
        area_mm2=0.1,
        longest_axis_mm=longest_mm,
        max_probability=0.9,
        mean_probability=0.8,
        centroid=(0.5, 0.5),
        polygons=((SQUARE,),),
        evidence=evidence,
    )
    decision = None
    if verdict or note:
        decision = Decision(polygons=region.polygons, verdict=verdict, note=note)
    return Candidate(Reviewed(region, decision), lesion=label < 3)


@pytest.fixture
def view(qapp):
    model = CandidateModel()
    model.show(
        [
            candidate(1, 0.3, "tumor", evidence=9.0),
            candidate(2, 2.5, evidence=4.0),
            candidate(3, 0.1, "not tumor", note="Germinal centre", evidence=2.0),
            candidate(4, 1.0, evidence=float("nan")),
        ]
    )
    return CandidateView(model)


def labels(view):
    return [shown.region.label for shown in view.shown()]


@pytest.mark.parametrize(
    ("order", "decided", "wanted"),
    [
        ([(1, False), (2, False), (3, False)], [1], 2),
        ([(1, False), (2, True), (3, False)], [1], 3),
        ([(1, False), (2, True), (3, False)], [3], 1),  # from the top again
        ([(1, False), (2, False), (3, False)], [1, 2], 3),
        ([(1, True), (2, True)], [2], None),
        ([(1, False)], [1], None),
        ([(1, True), (2, False)], [], 2),  # nothing is chosen yet
        ([], [], None),
    ],
)
def test_the_next_undecided_is_behind_what_is_decided(order, decided, wanted) -> None:
    assert next_undecided(order, decided) == wanted


@pytest.mark.parametrize(
    ("verdict", "size", "text", "wanted"),
    [
        ("all", "all sizes", "", [1, 2, 3, 4]),
        ("undecided", "all sizes", "", [2, 4]),
        ("tumor", "all sizes", "", [1]),
        ("all", "micro", "", [1, 4]),
        ("all", "macro", "", [2]),
        ("undecided", "ITC", "", []),
        ("all", "all sizes", " germinal ", [3]),
    ],
)
def test_filters_by_verdict_size_and_note(view, verdict, size, text, wanted) -> None:
    view.ask(verdict, size, text)
    assert labels(view) == wanted


def test_sorting_is_by_value_not_by_words(view) -> None:
    titles = [column.title for column in COLUMNS]
    view.sort(titles.index("longest mm"), Qt.SortOrder.AscendingOrder)
    assert labels(view) == [2, 4, 1, 3]  # the largest first
    view.sort(titles.index("evidence"), Qt.SortOrder.AscendingOrder)
    assert labels(view) == [1, 2, 3, 4]  # what has none comes last


def test_machine_s_lesions_and_possible_ones_are_told_apart(view) -> None:
    sources = [shown.source for shown in view.shown()]
    assert sources == ["lesion", "lesion", "possible", "possible"]
    model = view.model
    faint = model.data(model.index(3, 0), Qt.ItemDataRole.ForegroundRole)
    assert faint is not None
    assert model.data(model.index(1, 0), Qt.ItemDataRole.ForegroundRole) is None
