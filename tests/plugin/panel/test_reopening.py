"""Saved results come back as the same layers, and the panel goes on from them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_fastnet.plugin.layers.info import info_of
from napari_fastnet.plugin.reader import read_layers

pytestmark = pytest.mark.gui

NAMES = [
    "tissue: RGB",
    "tissue: HSV",
    "tissue: threshold",
    "tissue ROI",
    "tumor probability",
    "quality flags",
    "tumor regions",
]


def read_all(work):
    """Return whether all files are read that the user chose."""
    return not any(job.running for job in work.imports.values())


def add_all(viewer, path):
    return [
        layer
        for data in read_layers(path)
        for layer in viewer._add_layer_from_data(*data)
    ]


@pytest.fixture
def saved(qtbot, viewer, panel, detect, tmp_path):
    """Return a viewer whose run was edited by hand, and the folder that it is in."""
    panel.detect.stride.value = 2
    work = detect(panel)
    panel.tissue.green.value -= 10
    roi = viewer.layers["tissue ROI"]
    roi.brush_size = 15
    roi.paint((75, 60), 0)
    mask = work.masks.tissue().masks.roi
    qtbot.waitUntil(lambda: work.detection._roi is mask, timeout=20_000)
    qtbot.waitUntil(lambda: not work.detection.job.running, timeout=60_000)
    panel.detect.threshold.value = 0.45
    qtbot.waitUntil(lambda: bool(work.regions), timeout=20_000)
    return viewer, tmp_path / "out" / "square"


@pytest.mark.parametrize("what", ["", "run.zarr", "export"])
def test_they_are_the_same_layers(qtbot, saved, panel, what) -> None:
    from napari.components import ViewerModel

    viewer, folder = saved
    panel.export.folder.value = folder.parent / "export"
    if what != "export":  # as the run left it, whose threshold is the model's
        panel.detect.threshold.value = 0.5
        panel.slide.work.region_finder.find()
    else:
        panel.export.save.native.click()
        qtbot.waitUntil(lambda: panel.export.save.enabled, timeout=30_000)
        folder = folder.parent
    again = add_all(ViewerModel(), folder / what)

    assert [layer.name for layer in again] == NAMES
    # outlines are shown a moment later
    qtbot.waitUntil(
        lambda: np.allclose(
            viewer.layers["tumor regions"].extent.world, again[-1].extent.world
        ),
        timeout=20_000,
    )
    for new in again:
        old = viewer.layers[new.name]
        np.testing.assert_allclose(new.extent.world, old.extent.world, atol=1e-3)
        assert info_of(new).fingerprint == info_of(old).fingerprint
        if new.name != "tumor regions":
            np.testing.assert_array_equal(new.data, old.data)
            assert new.data.dtype == old.data.dtype
    regions, old = again[-1], viewer.layers["tumor regions"]
    assert regions.features["class"].tolist() == old.features["class"].tolist()
    colours = [
        layer.colormap.map([0.47])[0] for layer in (again[4], viewer.layers[NAMES[4]])
    ]
    np.testing.assert_allclose(*colours, atol=0.01)


@pytest.fixture
def reopened(qtbot, saved, add_slide, make_panel, square_svs, dark_bundle, qapp):
    """Return a new viewer with slide and saved run, and its panel."""
    from napari.components import ViewerModel

    old, folder = saved
    viewer = ViewerModel()
    viewer.canvas.size = (400, 400)
    add_slide(viewer, square_svs)
    panel = make_panel(viewer)
    panel.detect.model_folder.value = dark_bundle
    panel.detect.results.value = folder.parent
    panel.detect.stride.value = 2
    add_all(viewer, folder)
    work = panel.slide.work
    qtbot.waitUntil(lambda: work.editor is not None, timeout=20_000)
    return old, viewer, panel


def test_the_panel_goes_on_from_saved_results(qtbot, reopened) -> None:
    old, viewer, panel = reopened
    work = panel.slide.work
    names = [layer.name for layer in viewer.layers]
    assert names[: len(NAMES) + 1] == ["square", *NAMES]  # and marks above
    for name in NAMES[:4]:
        np.testing.assert_array_equal(viewer.layers[name].data, old.layers[name].data)
    assert panel.tissue.green.value == pytest.approx(
        work.editor.automatic["green"] - 10, abs=0.5
    )
    assert 0 < work.editor.edited_px < 400

    panel.detect.threshold.value = 0.45
    qtbot.waitUntil(lambda: bool(work.regions), timeout=20_000)
    assert len(viewer.layers["tumor regions"].data) > 0
    assert panel.export.save.enabled
    viewer.layers["tissue ROI"].brush_size = 15
    viewer.layers["tissue ROI"].paint((75, 100), 0)
    qtbot.waitUntil(lambda: work.editor.edited_px > 200, timeout=20_000)


def test_the_next_start_computes_nothing_anew(
    reopened, detect, before_inference
) -> None:
    old, viewer, panel = reopened
    used = []
    before_inference(used.append)
    work = detect(panel)
    assert work.detection.result is not None
    assert used == []
    name = "tumor probability"
    np.testing.assert_array_equal(viewer.layers[name].data, old.layers[name].data)


def test_results_of_another_spacing_are_left_alone(
    viewer, add_slide, make_panel, saved, square_svs
) -> None:
    from napari.components import ViewerModel

    _, folder = saved
    other = ViewerModel()
    add_slide(other, square_svs)
    panel = make_panel(other)
    panel.slide.mpp.value = 0.5
    panel.slide.use.native.click()
    add_all(other, folder)
    assert panel.slide.work.heatmap is None


def test_a_slide_that_is_opened_later_takes_its_results(
    qtbot, saved, add_slide, make_panel, square_svs
) -> None:
    from napari.components import ViewerModel

    _, folder = saved
    viewer = ViewerModel()
    panel = make_panel(viewer)
    add_all(viewer, folder)
    assert panel.slide.work is None
    add_slide(viewer, square_svs)
    work = panel.slide.work
    assert work.heatmap is not None
    qtbot.waitUntil(lambda: work.editor is not None, timeout=20_000)
    assert work.layers.get("roi") is viewer.layers["tissue ROI"]


def test_masks_lie_over_the_slide_also_where_the_heatmap_does_not(
    qtbot, saved, add_slide, make_panel, square_svs, compute
) -> None:
    from napari.components import ViewerModel

    _, folder = saved
    viewer = ViewerModel()
    panel = make_panel(viewer)
    add_all(viewer, folder / "heatmap.ome.tif")
    add_slide(viewer, square_svs)
    assert viewer.layers[0].name == "square"
    viewer.layers.move(0, 2)  # by hand
    compute(panel)
    names = [layer.name for layer in viewer.layers]
    assert names[:2] == ["tumor probability", "square"]
    assert [name for name in names[2:] if name in NAMES[:4]] == NAMES[:4]


def test_corrected_regions_stay_when_they_are_opened_again(
    qtbot, panel, detect, add_slide, make_panel, square_svs, tmp_path
) -> None:
    from napari.components import ViewerModel

    corners = [[400, 240], [800, 240], [800, 640], [400, 640], [400, 240]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [corners]},
        "properties": {"classification": {"name": "Tumor"}},
    }
    drawn = tmp_path / "drawn.geojson"
    drawn.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    work = detect(panel)
    panel.regions.load_regions(drawn)
    qtbot.waitUntil(lambda: read_all(work), timeout=20_000)
    panel.export.folder.value = tmp_path / "files"
    panel.export.save.native.click()
    qtbot.waitUntil(lambda: panel.export.save.enabled, timeout=30_000)

    other = ViewerModel()
    add_slide(other, square_svs)
    again = make_panel(other)
    add_all(other, tmp_path / "files")
    work = again.slide.work
    qtbot.waitUntil(lambda: bool(work.regions), timeout=20_000)
    qtbot.wait(300)
    assert [region.area_mm2 for region in work.regions] == [pytest.approx(0.16)]
    wanted = "drawn.geojson: 1 lesion, 0.16 mm²; you: none of 1 decided"
    assert again.regions.totals.value == wanted
    assert sum(layer.name == "tumor regions" for layer in other.layers) == 1


@pytest.mark.parametrize("threshold", [7, -1, float("nan"), None])
def test_a_threshold_that_cannot_be_is_not_taken(
    viewer, panel, heatmap, threshold
) -> None:
    from napari_fastnet.plugin.layers.data import heatmap_layer_data
    from napari_fastnet.plugin.work.adopting import take_heatmap
    from napari_fastnet.results.record import RunRecord, SlideFacts

    work = panel.slide.work
    data = heatmap_layer_data(
        heatmap(mpp=work.slide.mpp), "square", fingerprint=work.fingerprint
    )
    viewer._add_layer_from_data(*data)
    assert work.heatmap is not None
    record = RunRecord(slide=SlideFacts("a.svs", "f"), threshold=threshold)
    take_heatmap(work, work.heatmap, record, opacity=0.5)
    assert work.threshold == 0.5
    assert panel.detect.threshold.box.text() == "0.50"
