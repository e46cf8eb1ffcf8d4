"""Painted labels and their teaching, in the panel of a viewer without a window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.regions import find_regions
from napari_fastnet.model.bundle import available, load_bundle, shipped
from napari_fastnet.plugin.layers.corrections import CORRECTIONS_NAME
from napari_fastnet.plugin.teach.changes import changes
from napari_fastnet.results.corrections import Corrections
from napari_fastnet.training.adapt.options import AdaptOptions

pytestmark = pytest.mark.gui


def paint(layer, rows, columns, value) -> None:
    layer.data_setitem(tuple(a.ravel() for a in np.mgrid[rows, columns]), value)


def read(work):
    return Corrections.open(
        work.corrections.store.path, work.fingerprint, work.slide.shape, work.slide.mpp
    )


def until_kept(qtbot, work, cells) -> None:
    qtbot.waitUntil(lambda: np.array_equal(read(work).cells, cells), timeout=20_000)


def test_strokes_are_kept_and_taken_back(qtbot, viewer, panel, press) -> None:
    work, teach = panel.slide.work, panel.teach
    assert CORRECTIONS_NAME not in viewer.layers
    press(viewer, "Shift+J")
    layer = viewer.layers[CORRECTIONS_NAME]
    assert viewer.layers.selection.active is layer
    assert (layer.mode, layer.selected_label) == ("paint", 1)
    assert teach.paint_tumor.native.isChecked()

    # a cell is 15.552 µm, wherever the slide begins and ends; the brush is in µm
    assert layer.data.shape == (77, 103)
    np.testing.assert_allclose(layer.scale, 15.552)
    np.testing.assert_allclose(layer.translate, 15.552 / 2)
    teach.brush.value = 311
    assert layer.brush_size == 20
    layer.brush_size = 4  # by napari's own control
    assert teach.brush.value == pytest.approx(62.2, abs=0.1)

    paint(layer, slice(2, 5), slice(2, 6), 1)
    first = layer.data.copy()
    until_kept(qtbot, work, first)
    press(viewer, "Shift+K")
    assert layer.selected_label == 2
    assert [b.native.isChecked() for b in teach.brushes.values()] == [0, 1, 0]
    paint(layer, slice(4, 9), slice(2, 6), 2)
    until_kept(qtbot, work, layer.data)
    qtbot.waitUntil(
        lambda: teach.painted.value == "painted: 8 tumor, 20 normal cells",
        timeout=20_000,
    )
    press(viewer, "Shift+X")
    until_kept(qtbot, work, first)
    qtbot.waitUntil(lambda: np.array_equal(layer.data, first), timeout=20_000)
    assert layer.mode == "paint"

    # what is none of the three is dropped
    paint(layer, slice(10, 12), slice(2, 6), 7)
    until_kept(qtbot, work, first)
    qtbot.waitUntil(lambda: np.array_equal(layer.data, first), timeout=20_000)
    press(viewer, "Shift+K")  # once more: put away
    assert layer.mode == "pan_zoom"

    # the layer is removed, the labels are not
    viewer.layers.remove(layer)
    press(viewer, "Shift+J")
    np.testing.assert_array_equal(viewer.layers[CORRECTIONS_NAME].data, first)


def test_what_is_taken_back_is_so_before_teaching_begins(
    qtbot, viewer, panel, press
) -> None:
    work = panel.slide.work
    press(viewer, "Shift+J")
    layer = viewer.layers[CORRECTIONS_NAME]
    states = [layer.data.copy()]
    for at in (2, 10, 20):
        paint(layer, slice(at, at + 5), slice(2, 6), 1)
        states.append(layer.data.copy())
        until_kept(qtbot, work, layer.data)
    for _ in range(2):
        panel.teach.take_back()
    work.corrections.settle()
    np.testing.assert_array_equal(read(work).cells, states[1])
    qtbot.waitUntil(lambda: np.array_equal(layer.data, states[1]), timeout=20_000)


def test_strokes_move_with_the_run_and_are_written_at_the_end(
    qtbot, viewer, panel, detect, tmp_path
) -> None:
    work = panel.slide.work
    panel.teach.paint_normal.native.click()
    layer = viewer.layers[CORRECTIONS_NAME]
    paint(layer, slice(20, 30), slice(20, 30), 2)
    before = work.corrections.store.path
    detect(panel)
    run = tmp_path / "out" / "square"
    assert work.corrections.store.path == run / "corrections.geojson" != before
    np.testing.assert_array_equal(read(work).cells, layer.data)
    order = [one.name for one in viewer.layers]
    assert order.index("tumor probability") < order.index(CORRECTIONS_NAME)
    assert order.index(CORRECTIONS_NAME) < order.index("lesion markers")
    paint(layer, slice(40, 42), slice(20, 30), 1)
    viewer.layers.remove(work.layer)  # the slide is closed at once
    np.testing.assert_array_equal(read(work).cells, layer.data)


def test_a_stroke_that_cannot_be_written_stays_and_is_said(
    qtbot, viewer, panel, press, errors
) -> None:
    work = panel.slide.work
    press(viewer, "Shift+J")
    layer = viewer.layers[CORRECTIONS_NAME]
    folder = work.corrections.store.path.parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("in the way")
    paint(layer, slice(2, 5), slice(2, 6), 1)
    qtbot.waitUntil(lambda: bool(errors), timeout=20_000)
    assert "stays in the window" in errors[0]
    assert (layer.data == 1).sum() == 12
    folder.unlink()
    paint(layer, slice(2, 5), slice(8, 9), 2)
    until_kept(qtbot, work, layer.data)


def test_too_few_labels_are_said(qtbot, viewer, panel, press, errors) -> None:
    press(viewer, "Shift+T")
    teaching = panel.teach.teaching
    qtbot.waitUntil(lambda: not teaching.running, timeout=60_000)
    assert len(errors) == 1
    assert panel.teach.words.value == errors[0]
    assert not panel.teach.keep.enabled
    panel.teach.drop.native.click()
    assert panel.teach.teaching is None
    assert panel.teach.words.value == ""


@pytest.fixture
def lab(viewer, add_slide, lab_svs, make_panel, tmp_path, monkeypatch):
    """Return a panel with a slide of a laboratory, detected and painted on."""
    monkeypatch.setenv("NAPARI_FASTNET_MODELS", str(tmp_path / "models"))
    add_slide(viewer, lab_svs[0])
    panel = make_panel(viewer)
    panel.teach.adapt_options = AdaptOptions(part="head")  # in seconds
    return panel


def files_below(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def paint_places(qtbot, viewer, panel, press):
    press(viewer, "Shift+J")
    layer = viewer.layers[CORRECTIONS_NAME]
    for row in (15, 40):
        for column in (15, 40):
            paint(layer, slice(row, row + 3), slice(column, column + 3), 1)
            paint(layer, slice(row, row + 3), slice(column + 50, column + 53), 2)
    until_kept(qtbot, panel.slide.work, layer.data)
    return layer


def taught(qtbot, viewer, panel, press):
    press(viewer, "Shift+T")
    assert not panel.teach.start.enabled
    teaching = panel.teach.teaching
    qtbot.waitUntil(lambda: not teaching.running, timeout=300_000)
    assert panel.teach.keep.enabled
    return teaching


def keep(qtbot, teach) -> None:
    teach.keep.native.click()
    if teach.teaching.adapted.gate.refusal is not None:
        teach._question.anyway.click()
    qtbot.waitUntil(
        lambda: not teach.teaching or not teach.teaching.keeping, timeout=60_000
    )


@pytest.mark.slow
def test_what_is_dropped_leaves_nothing_and_what_is_kept_replaces_nothing(
    qtbot, viewer, lab, detect, press, tmp_path, errors
) -> None:
    work, teach = detect(lab), lab.teach
    layer = paint_places(qtbot, viewer, lab, press)
    before, lesions = files_below(tmp_path), list(work.regions)
    taught(qtbot, viewer, lab, press)
    assert "tumor probability (taught)" in viewer.layers
    teach.drop.native.click()
    assert "tumor probability (taught)" not in viewer.layers
    assert viewer.layers["tumor probability"].visible
    assert files_below(tmp_path) == before
    assert work.regions == lesions
    assert not work.appeared | work.gone

    taught(qtbot, viewer, lab, press)
    teach.name.value = "st mary"  # no name
    keep(qtbot, teach)
    assert "name is 'st mary'" in errors[0]
    teach.name.value = "st-mary"
    keep(qtbot, teach)
    assert teach.teaching is None
    assert lab.detect.model.value == "fastnet-pcam@st-mary"

    # taught again, from the base that is chosen, and kept beside the first
    lab.detect.model.value = "fastnet-pcam"
    first = load_bundle("fastnet-pcam@st-mary")
    paint(layer, slice(28, 31), slice(15, 18), 1)
    taught(qtbot, viewer, lab, press)
    keep(qtbot, teach)
    assert available()[len(shipped()) :] == [
        "fastnet-pcam@st-mary",
        "fastnet-pcam@st-mary-2",
    ]
    assert load_bundle("fastnet-pcam@st-mary").files == first.files
    assert load_bundle("fastnet-pcam@st-mary-2").adapted.parent.name == "fastnet-pcam"


def test_the_most_doubtful_are_to_be_taught_first(panel, show_candidates) -> None:
    work = show_candidates(panel, 6)
    # in a line, 256 µm from each other: two of three are of one neighbourhood
    evidences = (5.0, 4.0, 3.0, 0.5, -0.2, -2.0)
    for row, evidence in zip(panel.review._model.rows, evidences, strict=True):
        object.__setattr__(row.region, "evidence", evidence)
    panel.review.order.value = "to teach"

    def shown():
        return [row.region.label for row in panel.review._view.shown()]

    assert shown() == [5, 3, 1, 4, 6, 2]
    work.review.decide([panel.review._model.rows[0].region], "not tumor")
    assert shown() == [4, 6, 2, 3, 1, 5]
    panel.review.order.value = "suspicious first"
    assert shown() == [1, 2, 3, 4, 5, 6]


def region_at(row, column, label, shape=(20, 20)):
    values = np.zeros(shape, np.float32)
    values[row : row + 3, column : column + 3] = 1
    heatmap = Heatmap(values, Grid((0.0, 0.0), (16.0, 16.0), shape), (1.0, 1.0))
    (region,) = find_regions(heatmap, 0.5)
    return replace(region, label=label)


def test_lesions_that_appeared_or_went() -> None:
    values = np.full((20, 20), 0.1, np.float32)
    values[10:, :10] = np.nan  # not computed yet
    heatmap = Heatmap(values, Grid((0.0, 0.0), (16.0, 16.0), (20, 20)), (1.0, 1.0))
    stays, goes, unknown = (
        region_at(2, 2, 1),
        region_at(2, 12, 2),
        region_at(14, 2, 3),
    )
    moved, new = region_at(3, 3, 1), region_at(14, 14, 2)
    appeared, gone = changes([stays, goes, unknown], [moved, new], heatmap)
    assert appeared == [new]
    assert gone == {goes.label}
    assert changes([], [new], heatmap) == ([new], set())
    assert changes([stays], [], heatmap) == ([], {1})
