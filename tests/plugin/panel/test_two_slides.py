"""Several slides at once: each has its own masks, its own run, its own buttons."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from napari_fastnet.core.lesions.regions import find_regions
from napari_fastnet.plugin.teach.trial import Trial
from napari_fastnet.results.record import read_record

pytestmark = pytest.mark.gui


@pytest.fixture
def gate(before_inference):
    """Hold back the networks until the gate opens."""
    gate = threading.Event()
    before_inference(lambda _: gate.wait(0.2))
    yield gate
    gate.set()


@pytest.fixture
def two(viewer, panel, add_slide, tmp_path, write_svs, compute):
    """Return the works of two slides with masks; the second is current."""
    image = np.full((800, 800, 3), 244, np.uint8)
    image[100:700, 100:700] = (120, 60, 120)
    first = compute(panel)
    add_slide(viewer, write_svs(tmp_path / "other.svs", image, mpp=1.0))
    panel.detect.stride.value = 8
    return first, compute(panel)


def test_two_runs_go_on_side_by_side(qtbot, viewer, panel, two, gate) -> None:
    first, second = two
    for work in two:
        panel.slide.workspace.choose(work)
        panel.detect.start.native.click()
        assert panel.detect.start.text == "Pause"
        qtbot.waitUntil(lambda work=work: work.heatmap is not None, timeout=30_000)
    assert first.detection.job.running
    assert second.detection.job.running

    panel.detect.cancel.native.click()
    qtbot.waitUntil(lambda: not second.detection.job.running, timeout=30_000)
    assert panel.detect.start.text == "Detect tumors"
    viewer.layers.selection.active = first.layer
    assert panel.detect.start.text == "Pause"
    gate.set()
    qtbot.waitUntil(lambda: not first.detection.job.running, timeout=60_000)
    assert panel.detect.status.value.startswith("done")
    assert first.detection.result is not None
    assert second.detection.result is None
    heatmaps = [layer for layer in viewer.layers if "tumor prob" in layer.name]
    assert [layer.data.shape for layer in heatmaps] == [
        work.heatmap.grid.shape for work in two
    ]


def test_what_is_taught_in_the_background_covers_no_other_slide(
    panel, viewer, add_slide, tmp_path, write_svs, show_candidates
) -> None:
    work = show_candidates(panel, 1)
    image = np.full((800, 800, 3), 244, np.uint8)
    add_slide(viewer, write_svs(tmp_path / "other.svs", image, mpp=1.0))
    other = panel.slide.work
    trial = Trial(work)

    def seen():
        return [work.layers.get(name).visible for name in ("heatmap", "taught")]

    for _ in range(2):  # that of the head, then that of the network
        trial.show(work.heatmap, work.rule)
        work.events.teaching.emit(work)
        assert seen() == [False, False]
        assert other.layer.visible
    panel.slide.workspace.choose(work)
    assert seen() == [False, True]
    trial.look(taught=False)
    panel.slide.workspace.choose(other)
    trial.refresh()
    panel.slide.workspace.choose(work)
    assert seen() == [True, False]
    panel.slide.workspace.choose(other)
    trial.close()
    work.events.teaching.emit(work)
    assert not work.layers.get("heatmap").visible
    panel.slide.workspace.choose(work)
    assert work.layers.get("heatmap").visible


def test_a_brush_on_one_slide_leaves_the_other_alone(viewer, two) -> None:
    first, second = two
    before = first.editor.mask("roi").copy()
    layer = second.layers.get("roi")
    layer.paint((5, 5), 1)
    assert second.masks.tissue().masks.roi[5, 5]
    first.masks.take_painting()
    np.testing.assert_array_equal(first.editor.mask("roi"), before)


def test_regions_are_there_when_one_comes_back_to_a_slide(qtbot, panel, two) -> None:
    first, second = two
    panel.slide.workspace.choose(first)
    panel.detect.start.native.click()
    panel.slide.workspace.choose(second)
    qtbot.waitUntil(lambda: not first.detection.job.running, timeout=60_000)
    panel.slide.workspace.choose(first)
    wanted = len(find_regions(first.heatmap, first.threshold))
    assert wanted > 0
    qtbot.waitUntil(lambda: len(first.regions) == wanted, timeout=20_000)
    assert panel.slide.work is first  # also now that a layer of it was added
    rows = panel.review.table.model().rowCount
    qtbot.waitUntil(lambda: rows() == wanted)


def test_results_of_another_slide_of_the_name_stay(
    qtbot, viewer, panel, add_slide, tmp_path, write_svs, compute
) -> None:
    first = compute(panel)
    panel.detect.stride.value = 4
    panel.detect.results.value = tmp_path / "out"

    def detect(work):
        panel.slide.workspace.choose(work)
        panel.detect.start.native.click()
        qtbot.waitUntil(lambda: work.detection.result is not None, timeout=60_000)
        return work.detection.result

    image = np.full((800, 800, 3), 244, np.uint8)
    image[100:700, 100:700] = (120, 60, 120)
    before = detect(first)
    (tmp_path / "elsewhere").mkdir()
    name = first.slide.path.name
    add_slide(viewer, write_svs(tmp_path / "elsewhere" / name, image, mpp=1.0))
    after = detect(compute(panel))
    assert before.folder.parent == after.folder.parent
    assert before.folder != after.folder
    for result in (before, after):
        record = read_record(result.folder / "run.json")
        assert record.slide.path == result.record.slide.path
