"""Detection from the panel: as from the command line, but seen, paused and stopped."""

from __future__ import annotations

import shlex
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QTimer

from napari_fastnet.annotations.roi import read_roi
from napari_fastnet.cli.app import main
from napari_fastnet.cohort import detect as whole_slide
from napari_fastnet.core.colour import HEATMAP_COLOURS
from napari_fastnet.core.geometry import Box
from napari_fastnet.detection.tissue import find_tissue
from napari_fastnet.detection.tissue_editor import TissueEditor
from napari_fastnet.errors import DetectionError
from napari_fastnet.plugin.detection.live_heatmap import LiveHeatmap
from napari_fastnet.plugin.detection.viewport import nearest_to_view
from napari_fastnet.plugin.settings import PLUGIN, Settings
from napari_fastnet.plugin.work.command_line import detect_command
from napari_fastnet.results.record import parse_record
from napari_fastnet.store.cache import cached_runs
from napari_fastnet.store.format import chunk_path
from napari_fastnet.store.store import read_store

pytestmark = pytest.mark.gui


@pytest.fixture
def slow(before_inference):
    """Make the network wait for a signal before each batch."""
    gate = threading.Semaphore(0)
    before_inference(lambda _: gate.acquire(timeout=10))
    yield gate
    gate.release(10_000)


def shown(viewer):
    return np.asarray(viewer.layers["tumor probability"].data)


def test_the_panel_finds_what_the_command_line_finds_bit_for_bit(
    viewer, panel, detect, square_svs, dark_bundle, tmp_path
) -> None:
    detect(panel)
    wanted = whole_slide.detect(square_svs, tmp_path / "cli", model=dark_bundle)
    found = shown(viewer)
    assert found.tobytes() == wanted.heatmap.probabilities.tobytes()
    assert np.nanmax(found) > 0.55 > 0.5 > np.nanmin(found)
    store, record = read_store(tmp_path / "out" / "square" / "run.zarr")
    assert store.read().tobytes() == found.tobytes()
    assert parse_record(record).counts.computed == np.isfinite(found).sum()


def test_masks_come_with_the_heatmap(viewer, panel, detect) -> None:
    detect(panel)
    assert "tissue ROI" in viewer.layers
    assert panel.detect.status.value.startswith("done:")
    assert panel.detect.progress.value == 100


def test_edited_masks_say_where_to_look(viewer, panel, compute, detect) -> None:
    work = compute(panel)
    roi = viewer.layers["tissue ROI"]
    roi.data[:, 80:] = 0
    roi.refresh()
    detect(panel)
    heatmap = work.heatmap
    columns = np.flatnonzero(heatmap.computed.any(axis=0))
    assert heatmap.grid.cell_centre(0, int(columns[-1]))[1] < 80 * 8 + 64
    assert work.record.tissue.edited_px > 0


def test_start_becomes_pause_and_resume_and_cancel_keeps_what_was_computed(
    qtbot, viewer, panel, slow, compute
) -> None:
    work = compute(panel)
    panel.detect.stride.value = 8
    panel.detect.start.native.click()
    assert panel.detect.start.text == "Pause"
    assert panel.detect.cancel.enabled
    qtbot.waitUntil(lambda: "tumor probability" in viewer.layers, timeout=20_000)
    assert np.isnan(shown(viewer)).all()
    slow.release(30)
    qtbot.waitUntil(lambda: np.isfinite(shown(viewer)).any(), timeout=20_000)
    assert "patches/s" in panel.detect.status.value

    panel.detect.start.native.click()
    assert panel.detect.start.text == "Resume"
    slow.release(200)
    qtbot.wait(400)
    held = np.isfinite(shown(viewer)).sum()
    qtbot.wait(300)
    assert np.isfinite(shown(viewer)).sum() == held
    panel.detect.start.native.click()
    assert panel.detect.start.text == "Pause"

    panel.detect.cancel.native.click()
    qtbot.waitUntil(lambda: not work.detection.job.running, timeout=15_000)
    assert panel.detect.start.text == "Detect tumors"
    assert not panel.detect.cancel.enabled
    assert np.isfinite(shown(viewer)).sum() >= held
    assert "start to continue" in panel.detect.status.value
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith("fastnet-read")]


def test_what_is_in_view_comes_first_and_panning_changes_the_order(
    qtbot, viewer, panel, slow, compute, monkeypatch
) -> None:
    work = compute(panel)
    order = []
    fill = LiveHeatmap.fill
    monkeypatch.setattr(
        LiveHeatmap,
        "fill",
        lambda self, block, values: (order.append(block), fill(self, block, values))[1],
    )
    monkeypatch.setattr("napari_fastnet.detection.plan.BLOCK_CELLS", 4)
    panel.detect.stride.value = 1
    camera = viewer.scene.camera
    camera.zoom, camera.center = 4, (0, 950, 1150)  # 100 µm around the lower right
    panel.detect.start.native.click()
    qtbot.waitUntil(lambda: "tumor probability" in viewer.layers, timeout=20_000)
    slow.release(1)
    qtbot.waitUntil(lambda: len(order) == 1, timeout=20_000)
    camera.center = (0, 250, 250)  # the upper left
    qtbot.wait(300)
    slow.release(10_000)
    qtbot.waitUntil(lambda: not work.detection.job.running, timeout=20_000)
    grid = work.heatmap.grid
    upper_left, lower_right = (
        nearest_to_view(
            grid, lambda at=at: Box(at[0] - 50, at[1] - 50, *np.add(at, 50))
        )
        for at in ((250, 250), (950, 1150))
    )
    assert order[0] == min(order, key=lower_right)
    # the second was at hand
    assert len(order) > 5
    assert order[2:] == sorted(order[2:], key=upper_left)


def test_threshold_and_opacity_compute_nothing(qtbot, viewer, panel, detect) -> None:
    work = detect(panel)
    layer = viewer.layers["tumor probability"]
    before = shown(viewer).tobytes()
    panel.detect.threshold.value = 0.2
    panel.detect.opacity.value = 0.8
    assert layer.opacity == pytest.approx(0.8)
    layer.opacity = 0.3  # by napari's own slider
    assert panel.detect.opacity.value == 0.3
    assert panel.slide.work.opacity == 0.3
    red = layer.colormap.map([0.21])[0]
    assert red[0] > red[1]  # what reaches the threshold is on the red side
    assert shown(viewer).tobytes() == before
    assert work.threshold == 0.2


def test_a_second_run_computes_nothing_anew(panel, detect, before_inference) -> None:
    first = detect(panel).heatmap.probabilities.copy()
    used = []
    before_inference(used.append)
    work = detect(panel)
    assert work.heatmap.probabilities.tobytes() == first.tobytes()
    assert used == []


def test_a_model_that_is_missing_is_told_and_start_can_be_pressed_again(
    panel, detect, errors, tmp_path
) -> None:
    panel.detect.model_folder.value = tmp_path / "nothing"
    detect(panel)
    assert len(errors) == 1
    assert "nothing" in errors[0]
    assert panel.detect.start.enabled
    assert panel.detect.start.text == "Detect tumors"


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA lost"), DetectionError("bad; use x")]
)
def test_a_network_that_fails_is_told_and_start_can_be_pressed_again(
    panel, detect, errors, before_inference, error
) -> None:
    def fail(_):
        raise error

    before_inference(fail)
    detect(panel)
    assert len(errors) == 1
    assert str(error) in errors[0]
    assert panel.detect.start.text == "Detect tumors"
    assert panel.detect.start.enabled


def test_a_slide_without_tissue_is_a_run_without_patches(
    viewer, make_panel, add_slide, tmp_path, write_svs, detect, dark_bundle
) -> None:
    glass = np.full((256, 256, 3), 244, np.uint8)
    add_slide(viewer, write_svs(tmp_path / "glass.svs", glass, mpp=1.0))
    panel = make_panel(viewer)
    panel.detect.model_folder.value = dark_bundle
    panel.detect.results.value = tmp_path / "out"
    detect(panel)
    assert panel.detect.status.value == "no tissue, nothing to compute"


@pytest.fixture
def colours(with_settings, settings):
    """Return the setting, put back on its default afterwards."""
    from napari.settings import get_plugin_settings

    display = get_plugin_settings(PLUGIN).display
    yield display
    display.colours = "red-green"


def test_other_colours_show_at_once_on_layer_and_legend_and_in_files(
    viewer, panel, detect, colours, tmp_path
) -> None:
    work = detect(panel)
    layer = viewer.layers["tumor probability"]
    red = layer.colormap.map([1.0])[0]
    overview = tmp_path / "out" / "square" / "overview.png"
    before = overview.read_bytes()

    colours.colours = "blue-orange"
    orange = layer.colormap.map([1.0])[0]
    for shown, name in ((red, "red-green"), (orange, "blue-orange")):
        np.testing.assert_allclose(
            shown[:3] * 255, HEATMAP_COLOURS[name][-1][1:], atol=1
        )
    assert "rgb(205,60,0)" in panel.detect._look.legend.value
    assert "rgb(190,10,26)" not in panel.detect._look.legend.value

    detect(panel)
    assert overview.read_bytes() != before
    assert "--colours blue-orange" in detect_command(work.detection)


def test_masks_that_no_option_describes_go_with_the_command(
    viewer, panel, compute, detect
) -> None:
    work = compute(panel)
    automatic = detect_command(detect(panel).detection)
    assert "--mask" not in automatic
    parameters = replace(work.editor.tissue().parameters, channels="any")
    work.set_editor(TissueEditor(find_tissue(work.slide, parameters)))
    words = detect_command(detect(panel).detection).split()
    mask = read_roi(Path(words[words.index("--mask") + 1]), work.slide.shape)
    roi = work.masks.tissue().masks.roi
    np.testing.assert_array_equal(mask.mask(roi.shape), roi)


def test_a_cache_that_grew_too_large_loses_the_oldest_but_not_this_run(
    panel, detect, tmp_path, monkeypatch
) -> None:
    from napari_fastnet.plugin.panel import detect as section

    chosen = Settings(cache_folder=tmp_path / "cache", cache_limit_gb=1e-9)
    monkeypatch.setattr(section, "read_settings", lambda: chosen)
    panel.detect.results.value = None
    detect(panel)
    panel.detect.stride.value = 2
    detect(panel)
    (left,) = cached_runs(tmp_path / "cache")
    assert left.folder.parent.name.endswith("-2")


def test_damage_that_was_set_aside_is_told_once(panel, detect, tmp_path) -> None:
    detect(panel)
    store = tmp_path / "out" / "square" / "run.zarr"
    chunk_path(store, 0, 0).write_bytes(b"\xff" * 10)
    told = []
    notification_manager.notification_ready.connect(told.append)
    detect(panel)
    notification_manager.notification_ready.disconnect(told.append)
    assert len(told) == 1
    assert "damaged" in told[0].message


@pytest.mark.parametrize("edit", [False, True], ids=["as found", "edited"])
def test_the_command_that_is_copied_does_the_same(
    viewer, panel, compute, detect, tmp_path, edit, monkeypatch
) -> None:
    work = compute(panel)
    panel.tissue.low.value = 30
    if edit:
        viewer.layers["tissue ROI"].data[:, 100:] = 0
        viewer.layers["tissue ROI"].refresh()
    detect(panel)
    copied = []
    monkeypatch.setattr(
        "napari_fastnet.plugin.panel.detect.copy_to_clipboard", copied.append
    )
    panel.detect.copy.native.click()
    words = shlex.split(copied[0])
    assert words[0] == "napari-fastnet"
    assert ("--mask" in words) == edit
    words[words.index("-o") + 1] = str(tmp_path / "again")
    assert main(words[1:]) == 0
    store, _ = read_store(tmp_path / "again" / "square" / "run.zarr")
    assert store.read().tobytes() == work.heatmap.probabilities.tobytes()


def test_removing_the_slide_stops_its_run(qtbot, viewer, panel, slow, compute) -> None:
    work = compute(panel)
    panel.detect.start.native.click()
    qtbot.waitUntil(lambda: "tumor probability" in viewer.layers, timeout=20_000)
    viewer.layers.remove(work.layer)
    slow.release(100)
    qtbot.waitUntil(lambda: not work.detection.job.running, timeout=20_000)
    assert panel.detect.start.text == "Detect tumors"


def test_removing_the_heatmap_does_not_disturb_the_run(
    qtbot, viewer, panel, slow, compute, errors
) -> None:
    work = compute(panel)
    panel.detect.start.native.click()
    qtbot.waitUntil(lambda: "tumor probability" in viewer.layers, timeout=20_000)
    viewer.layers.remove(viewer.layers["tumor probability"])
    slow.release(1000)
    qtbot.waitUntil(lambda: not work.detection.job.running, timeout=20_000)
    assert work.detection.result is not None
    assert errors == []


def test_a_run_comes_to_its_end_while_the_view_moves_all_the_time(
    qtbot, viewer, panel, detect, square_svs, dark_bundle, tmp_path
) -> None:
    hand = QTimer()
    camera = viewer.scene.camera
    hand.timeout.connect(lambda: setattr(camera, "center", (0, *move(camera.center))))
    hand.start(20)
    detect(panel)
    hand.stop()
    wanted = whole_slide.detect(square_svs, tmp_path / "cli", model=dark_bundle)
    assert shown(viewer).tobytes() == wanted.heatmap.probabilities.tobytes()


def move(centre):
    return centre[-2] + 1, centre[-1] - 1
