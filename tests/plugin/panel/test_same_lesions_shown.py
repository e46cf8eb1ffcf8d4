"""The panel shows the lesions that Python, command line and tables have.

Those are compared with each other in ``tests/test_same_lesions.py``.
"""

from __future__ import annotations

import csv

import numpy as np
import pytest

from napari_fastnet import Options
from napari_fastnet import detect as detect_slide
from napari_fastnet.plugin.review.candidates import COLUMNS
from napari_fastnet.results.loading import load

pytestmark = pytest.mark.gui


def numbers(region):
    """Return what tables say of a lesion, as in regions.csv."""
    return (
        region.label,
        region.size_class,
        round(region.evidence, 3),
        round(region.area_mm2, 6),
        round(region.longest_axis_mm, 4),
        region.piece,
    )


def listed(panel):
    """Return no., kind, size and evidence of each row of the table."""
    titles = [column.title for column in COLUMNS]
    wanted = [titles.index(name) for name in ("no.", "FastNet", "size", "evidence")]
    model = panel.review.table.model()
    return [
        tuple(model.data(model.index(row, column)) for column in wanted)
        for row in range(model.rowCount())
    ]


def assert_shown(panel, viewer, found):
    work = panel.slide.work
    assert list(map(numbers, work.candidates)) == list(map(numbers, found.candidates))
    assert list(map(numbers, work.regions)) == list(map(numbers, found.lesions))

    # the list: all candidates in their order, and which are lesions
    kept = len(found.lesions)
    assert listed(panel) == [
        (
            str(region.label),
            "lesion" if region.label <= kept else "possible",
            region.size_class,
            f"{region.evidence:.1f}",
        )
        for region in found.candidates
    ]

    # the slide: outlines of the lesions, and a mark on each candidate
    shown = viewer.layers["tumor regions"].features.drop_duplicates("region")
    assert shown["region"].tolist() == [region.label for region in found.lesions]
    assert shown["evidence"].tolist() == pytest.approx(
        [region.evidence for region in found.lesions]
    )
    assert shown["area_mm2"].tolist() == pytest.approx(
        [region.area_mm2 for region in found.lesions]
    )
    marks = viewer.layers["lesion markers"]
    centres = np.array([region.centroid for region in found.candidates]) * found.mpp
    np.testing.assert_allclose(marks.data, centres)
    assert (marks.face_color[:, 3] > 0).tolist() == [
        region.label <= kept for region in found.candidates
    ]
    totals = panel.regions.totals.value
    area = sum(region.area_mm2 for region in found.lesions)
    words = f"FastNet: {kept} lesion{'s' * (kept != 1)}, {area:.2f} mm²"
    assert totals.startswith(words)


def test_the_panel_shows_the_same_lesions(
    qtbot, viewer, add_slide, make_panel, detect, drawn_slide, tmp_path
) -> None:
    path, _ = drawn_slide
    add_slide(viewer, path)
    panel = make_panel(viewer)
    panel.detect.results.value = tmp_path / "out"
    viewer.scene.camera.zoom = 0.001  # so far away that each lesion has its mark
    work = detect(panel)
    found = detect_slide(path)
    qtbot.waitUntil(
        lambda: len(work.candidates) == len(found.candidates), timeout=20_000
    )
    assert_shown(panel, viewer, found)

    # another lesion threshold, by name and by the slider
    high, low = (region.evidence for region in found.candidates[:2])
    for widget, value, options in (
        (panel.detect.alarms, "more", Options(alarms="more")),
        (
            panel.detect.evidence,
            least := round((high + low) / 2, 2),
            Options(lesion_threshold=least),
        ),
    ):
        widget.value = value
        again = detect_slide(path, options=options)
        kept = len(again.lesions)
        qtbot.waitUntil(lambda kept=kept: len(work.regions) == kept)
        qtbot.wait(400)  # outlines and marks follow after the last change
        assert_shown(panel, viewer, again)
    assert len(again.lesions) == 1 < len(found.candidates)

    # what is exported, and what the run's folder says of itself
    panel.export.folder.value = tmp_path / "files"
    panel.export.save.native.click()
    qtbot.waitUntil(lambda: panel.export.save.enabled, timeout=30_000)
    with (tmp_path / "files" / "regions.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    label, size_class, evidence, *_ = numbers(again.lesions[0])
    assert (row["label"], row["size_class"]) == (str(label), size_class)
    assert float(row["evidence"]) == evidence
    exported = load(tmp_path / "files")
    assert exported.record.lesion_threshold == least
    assert list(map(numbers, exported.candidates)) == list(
        map(numbers, found.candidates)
    )
    assert list(map(numbers, exported.lesions)) == list(map(numbers, again.lesions))
