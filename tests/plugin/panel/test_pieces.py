"""Pieces of tissue on the slide, joined to nodes in the panel, and the report."""

from __future__ import annotations

import re

import numpy as np
import pytest

from napari_fastnet.plugin.panel.nodes import NodesDialog
from napari_fastnet.results.decisions import Decisions

pytestmark = pytest.mark.gui


@pytest.fixture(scope="session")
def two_svs(tmp_path_factory, write_svs):
    """Return a slide of two pink squares, 0.64 mm wide and 0.3 mm apart; 1 µm/px."""
    image = np.full((1200, 1600, 3), 244, np.uint8)
    for left in (100, 1000):
        image[200:1000, left : left + 500] = (170, 90, 150)
    noise = np.random.default_rng(0).integers(-6, 7, image.shape)
    image = np.clip(image + noise, 0, 255).astype(np.uint8)
    folder = tmp_path_factory.mktemp("slides")
    return write_svs(folder / "two.svs", image, factors=(1, 4), mpp=1.0)


@pytest.fixture
def panel(viewer, add_slide, two_svs, make_panel):
    add_slide(viewer, two_svs)
    return make_panel(viewer)


def labels(viewer):
    return viewer.layers["tissue pieces"].features["piece"].tolist()


def dialog_of(panel):
    panel.export.nodes.native.click()
    return panel.export.native.findChildren(NodesDialog)[-1]


def test_pieces_are_numbered_on_the_slide_and_joined_by_a_person(
    qtbot, viewer, panel, compute
):
    work = compute(panel)
    qtbot.waitUntil(lambda: "tissue pieces" in viewer.layers, timeout=20_000)
    assert labels(viewer) == ["1", "2"]
    points = viewer.layers["tissue pieces"].data
    # at the top left of each square, with its rim of 75 µm
    assert np.abs(points - [(150, 75), (150, 975)]).max() < 60

    dialog = dialog_of(panel)
    assert dialog.nodes == {1: (1, 1), 2: (2, 1)}
    dialog.node[2].setValue(1)
    dialog.section[2].setValue(2)
    dialog.accept()
    assert labels(viewer) == ["1", "2: node 1,\nsection 2"]
    kept = Decisions.open(work.review.decisions.path, work.slide.fingerprint).pieces
    assert [(one.node, one.section) for one in kept] == [(1, 1), (1, 2)]

    dialog = dialog_of(panel)
    assert dialog.nodes == {1: (1, 1), 2: (1, 2)}
    dialog.apart.click()
    dialog.reject()
    assert labels(viewer) == ["1", "2: node 1,\nsection 2"]


def test_painting_tissue_between_them_makes_one_piece(qtbot, viewer, panel, compute):
    compute(panel)
    qtbot.waitUntil(lambda: "tissue pieces" in viewer.layers, timeout=20_000)
    layer = viewer.layers["tissue ROI"]
    painted = np.array(layer.data)
    painted[50:60, 60:140] = 1
    layer.data = painted
    qtbot.waitUntil(lambda: not labels(viewer), timeout=20_000)


def test_the_report_is_of_what_was_decided(
    qtbot, panel, compute, show_candidates, tmp_path, told
):
    assert not panel.export.report.enabled
    work = compute(panel)
    qtbot.waitUntil(lambda: work.pieces.pieces is not None, timeout=20_000)
    show_candidates(panel, 6)
    first, second, *_ = work.review.reviewed
    assert {one.region.piece for one in work.review.reviewed} == {1, 2}
    work.review.decide([first.region], "tumor")
    work.review.decide([second.region], "not tumor")

    panel.export.folder.value = tmp_path
    panel.export.report.native.click()
    qtbot.waitUntil(lambda: panel.export.report.enabled, timeout=30_000)
    page = tmp_path / "two-report.html"
    assert told[-1] == f"{page}\nreport written"
    text = re.sub(r"<[^>]*>", " ", page.read_text(encoding="utf-8"))
    assert "2 of 6 candidates decided" in " ".join(text.split())
    assert "two, piece 1" in text
    labels = {region.label for region in work.regions} - {second.region.label}
    pictures = 1 + len(labels | {first.region.label})
    assert page.read_text(encoding="utf-8").count("data:image/jpeg") == pictures
