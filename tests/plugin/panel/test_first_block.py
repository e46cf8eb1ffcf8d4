"""A large slide's first block in the panel, and whatever happens before its masks."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from napari_fastnet.cohort import detect as whole_slide
from napari_fastnet.detection import first_block as head_start
from napari_fastnet.detection import plan
from napari_fastnet.detection.tissue import find_tissue, tissue_at
from napari_fastnet.plugin.detection import scan
from napari_fastnet.plugin.layers.data import MASK_NAMES
from napari_fastnet.plugin.work.exporting import snapshot_of, write_snapshot
from napari_fastnet.plugin.work.masks_job import compute_masks
from napari_fastnet.results.reading import read_heatmap_ome_tiff
from napari_fastnet.results.record import read_record
from napari_fastnet.store.store import read_store

pytestmark = pytest.mark.gui

SIDE = 8  # cells of a block here


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch, panel):
    """Let a slide of 1,900 cells stand for one of half a million."""
    monkeypatch.setattr(head_start, "LARGE_CELLS", 1000)
    monkeypatch.setattr(plan, "DENSE_BLOCK_CELLS", SIDE)
    panel.detect.stride.value = "dense"


@pytest.fixture
def finding(monkeypatch):
    """Let the detection find its masks when this is set; ``begun`` says that it tries."""
    found = threading.Event()
    found.begun = threading.Event()

    def looking(*arguments):
        found.begun.set()
        found.wait(20)
        return find_tissue(*arguments)

    monkeypatch.setattr(scan, "find_tissue", looking)
    yield found
    found.set()


@pytest.fixture
def begin(qtbot, panel):
    """Return a function that presses "Detect tumors" and waits for the first block."""

    def press():
        panel.detect.start.native.click()
        work = panel.slide.work
        qtbot.waitUntil(lambda: work.heatmap is not None, timeout=20_000)
        return work

    return press


@pytest.fixture
def wanted(square_svs, dark_bundle, tmp_path):
    """Return what the command line finds."""
    result = whole_slide.detect(square_svs, tmp_path / "cli", model=dark_bundle)
    return result.heatmap.probabilities


def end(qtbot, work):
    qtbot.waitUntil(lambda: not work.detection.job.running, timeout=20_000)
    qtbot.wait(100)


def test_it_shows_before_the_masks_and_changes_no_value(
    viewer, panel, detect, wanted, tmp_path, monkeypatch
) -> None:
    seen, told = [], []

    def looking(*arguments):
        store, _ = read_store(tmp_path / "out" / "square" / "run.zarr")
        seen.append(int(np.isfinite(store.read()).sum()))
        return find_tissue(*arguments)

    monkeypatch.setattr(scan, "find_tissue", looking)
    viewer.layers.events.inserted.connect(lambda event: told.append(event.value.name))
    work = detect(panel)
    assert len(seen) == 1
    assert 0 < seen[0] <= SIDE**2
    assert told[0] == "tumor probability"
    names = [layer.name for layer in viewer.layers]
    assert names[:6] == ["square", *MASK_NAMES.values(), "tumor probability"]
    assert work.heatmap.probabilities.tobytes() == wanted.tobytes()


def test_an_export_of_it_alone_has_no_masks(
    qtbot, panel, begin, finding, tmp_path
) -> None:
    work = begin()
    early = snapshot_of(work)()
    assert early.masks == {}
    write_snapshot(early, tmp_path / "early", ["heatmap", "masks"], ["ome-tiff"])
    record = read_record(tmp_path / "early" / "run.json")
    rough = pytest.approx((64, 64), rel=0.02)
    assert record.tissue.mpp == rough
    known, _ = read_heatmap_ome_tiff(tmp_path / "early" / "heatmap.ome.tif")
    assert 0 < known.computed.sum() == record.counts.computed <= SIDE**2
    assert record.counts.stopped > 0
    assert [path.name for path in (tmp_path / "early").glob("tissue*")] == []

    panel.detect.cancel.native.click()
    finding.set()
    end(qtbot, work)
    panel.detect.start.native.click()
    end(qtbot, work)
    record = snapshot_of(work)().record
    assert record.tissue.mpp == pytest.approx((8, 8), rel=0.02)
    assert record.counts.stopped == 0


@pytest.mark.parametrize("still_ms", [0, 800])  # it follows masks still for 300 ms
def test_masks_that_are_computed_meanwhile_are_kept(
    qtbot, panel, begin, finding, errors, wanted, still_ms
) -> None:
    work = begin()
    compute_masks(work)
    qtbot.waitUntil(lambda: work.editor is not None, timeout=20_000)
    mine = work.editor
    qtbot.wait(still_ms)
    finding.set()
    end(qtbot, work)
    assert work.editor is mine
    assert errors == []
    assert work.heatmap.probabilities.tobytes() == wanted.tobytes()


def test_masks_that_are_painted_in_a_pause_are_kept_and_followed(
    qtbot, panel, begin, finding, errors
) -> None:
    panel.detect.start.native.click()
    work = panel.slide.work
    work.detection.job.pause()  # it stands behind the first block
    qtbot.waitUntil(lambda: work.heatmap is not None, timeout=20_000)
    compute_masks(work)
    qtbot.waitUntil(lambda: work.editor is not None, timeout=20_000)
    mine, roi = work.editor, work.editor.mask("roi").copy()
    roi[:60] = False
    work.masks.show(mine.paint("roi", roi))
    qtbot.wait(800)
    finding.set()
    work.detection.job.resume()
    end(qtbot, work)
    assert work.editor is mine
    assert work.record.tissue.edited_px > 0
    counts = work.detection.result.record.counts
    assert work.heatmap.computed.sum() == counts.computed == counts.kept
    assert work.detection.kept == counts.kept
    assert errors == []


def test_rough_masks_that_keep_less_hide_nothing_in_the_end(
    qtbot, panel, begin, finding, wanted, monkeypatch
) -> None:
    def less(*arguments, **options):
        tissue = tissue_at(*arguments, **options)
        roi = tissue.masks.roi.copy()
        roi[:, :12] = False
        return tissue.with_roi(roi)

    monkeypatch.setattr(head_start, "tissue_at", less)
    work = begin()
    assert finding.begun.wait(20)  # a pause before would come before the masks
    work.detection.job.pause()
    finding.set()
    qtbot.waitUntil(lambda: work.editor is not None, timeout=20_000)
    high = work.editor.threshold("high")
    panel.tissue._move("high", high - 30)  # and back: equal masks, another array
    panel.tissue._move("high", high)
    qtbot.wait(800)
    work.detection.job.resume()
    end(qtbot, work)
    counts = work.detection.result.record.counts
    assert work.detection.kept == counts.kept == np.isfinite(wanted).sum()
    assert work.heatmap.probabilities.tobytes() == wanted.tobytes()
    assert snapshot_of(work)().record.counts.stopped == 0


def test_a_detection_that_was_cancelled_before_begins_no_store(
    qtbot, panel, tmp_path, monkeypatch
) -> None:
    began, waits = threading.Event(), threading.Event()
    used = scan.NETWORK.used

    def later(request):
        began.set()
        waits.wait(20)
        return used(request)

    monkeypatch.setattr(scan.NETWORK, "used", later)
    panel.detect.start.native.click()
    work = panel.slide.work
    job = work.detection.job
    qtbot.waitUntil(began.is_set, timeout=20_000)
    work.detection.abandon()
    waits.set()
    qtbot.waitUntil(lambda: not job.running, timeout=20_000)
    assert not (tmp_path / "out" / "square" / "run.zarr").exists()
