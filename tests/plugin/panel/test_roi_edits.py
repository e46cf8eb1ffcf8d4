"""The heatmap follows the region of interest; no patch is computed twice."""

from __future__ import annotations

import shlex
import threading

import numpy as np
import pytest

from napari_fastnet.cli.app import main
from napari_fastnet.results.reading import read_heatmap_ome_tiff
from napari_fastnet.store.store import read_store

pytestmark = pytest.mark.gui

#: Mask px (y, x) inside the tissue, and on glass beside its right edge.
INSIDE, OUTSIDE = (75, 60), (75, 162)


class Judge:
    """Counts the patches that the network judges, and can hold it back."""

    def __init__(self):
        self.patches = 0
        self.gate = threading.Semaphore(10_000)

    def hold(self):
        while self.gate.acquire(blocking=False):
            pass

    def __call__(self, pixels):
        self.gate.acquire(timeout=10)
        self.patches += len(pixels)


@pytest.fixture
def judge(before_inference):
    judge = Judge()
    before_inference(judge)
    yield judge
    judge.gate.release(10_000)


class User:
    """Somebody at the panel, about to look at every half patch of the slide."""

    def __init__(self, qtbot, viewer, panel, work):
        self.qtbot, self.viewer, self.panel, self.work = qtbot, viewer, panel, work
        panel.detect.stride.value = 2

    def brush(self, place, label):
        """Paint a disk of 13 mask px on the region of interest."""
        layer = self.viewer.layers["tissue ROI"]
        layer.brush_size = 13
        layer.paint(place, label)

    def wait(self, condition):
        self.qtbot.waitUntil(condition, timeout=60_000)

    def settle(self):
        """Wait until the heatmap has followed the masks."""
        roi = self.work.masks.tissue().masks.roi
        self.wait(lambda: self.work.detection._roi is roi)
        self.wait(lambda: not self.work.detection.job.running)
        assert self.work.detection.result is not None

    def detect(self):
        self.panel.detect.start.native.click()
        self.wait(lambda: not self.work.detection.job.running)

    def start_and_see_some(self, judge):
        """Start, and stand at the first values."""
        judge.hold()
        self.panel.detect.start.native.click()
        self.wait(lambda: "tumor probability" in self.viewer.layers)
        judge.gate.release(2)
        self.wait(lambda: np.isfinite(self.shown()).any())

    def copied_command(self, monkeypatch):
        copied = []
        monkeypatch.setattr(
            "napari_fastnet.plugin.panel.detect.copy_to_clipboard", copied.append
        )
        self.panel.detect.copy.native.click()
        return shlex.split(copied[0])

    def shown(self):
        return np.array(self.viewer.layers["tumor probability"].data)

    def cell_at(self, place):
        cell = self.work.heatmap.grid.index_of((place[0] * 8.0, place[1] * 8.0))
        assert cell is not None
        return cell

    def stored(self):
        store, _ = read_store(self.work.detection.run.store.folder)
        return store.read()

    def kept(self):
        return self.work.detection.run.plan.patches.kept


@pytest.fixture
def user(qtbot, viewer, panel, compute, monkeypatch):
    monkeypatch.setattr("napari_fastnet.detection.plan.BLOCK_CELLS", 4)
    return User(qtbot, viewer, panel, compute(panel))


def test_what_is_taken_away_is_hidden_and_comes_back_without_computing(
    user, judge
) -> None:
    user.detect()
    before, computed = user.shown(), judge.patches
    cell = user.cell_at(INSIDE)
    assert np.isfinite(before[cell])

    user.brush(INSIDE, 0)
    user.wait(lambda: np.isnan(user.shown()[cell]))
    user.settle()
    hidden = np.isnan(user.shown()) & np.isfinite(before)
    assert 1 < hidden.sum() < 30
    left = ~hidden
    np.testing.assert_array_equal(user.shown()[left], before[left])

    user.viewer.layers["tissue ROI"].undo()
    user.wait(lambda: np.isfinite(user.shown()[cell]))
    user.settle()
    np.testing.assert_array_equal(user.shown(), before)
    assert judge.patches == computed


def test_what_is_added_is_computed_and_nothing_else(user, judge, tmp_path) -> None:
    user.detect()
    before, computed = user.shown(), judge.patches
    cell = user.cell_at(OUTSIDE)
    assert np.isnan(before[cell])

    user.brush(OUTSIDE, 1)
    user.settle()

    added = np.isfinite(user.shown()) & np.isnan(before)
    assert added[cell]
    assert judge.patches - computed == added.sum()
    known = np.isfinite(before)
    np.testing.assert_array_equal(user.shown()[known], before[known])
    # and the files of the run are those of the masks as they are now
    heatmap, record = read_heatmap_ome_tiff(
        tmp_path / "out" / "square" / "heatmap.ome.tif"
    )
    np.testing.assert_array_equal(heatmap.probabilities, user.shown())
    assert record.counts.kept == np.isfinite(user.shown()).sum()


def test_an_edit_in_the_middle_of_a_run_computes_no_patch_twice(user, judge) -> None:
    user.start_and_see_some(judge)
    job = user.work.detection.job

    user.brush(INSIDE, 0)
    user.brush(OUTSIDE, 1)
    roi = user.work.masks.tissue().masks.roi
    user.wait(lambda: user.work.detection._roi is roi)
    assert np.isnan(user.shown()[user.cell_at(INSIDE)])
    judge.gate.release(10_000)
    user.settle()

    assert user.work.detection.job is job
    np.testing.assert_array_equal(np.isfinite(user.shown()), user.kept())
    assert user.kept()[user.cell_at(OUTSIDE)]
    assert not user.kept()[user.cell_at(INSIDE)]
    assert judge.patches == np.isfinite(user.stored()).sum()


def test_a_moved_threshold_counts_as_an_edit(user, judge) -> None:
    user.detect()
    computed, dark = judge.patches, user.cell_at((75, 90))
    user.panel.tissue.low.value = 75  # leaves out the dark square
    user.settle()
    assert np.isnan(user.shown()[dark])
    user.panel.tissue.low.value = 50
    user.settle()
    assert np.isfinite(user.shown()[dark])
    assert judge.patches == computed == np.isfinite(user.stored()).sum()


def test_after_a_cancel_edits_hide_and_the_next_start_computes(user, judge) -> None:
    user.start_and_see_some(judge)
    user.panel.detect.cancel.native.click()
    judge.gate.release(10)
    user.wait(lambda: not user.work.detection.job.running)
    computed, first = judge.patches, np.isfinite(user.stored()).sum()

    user.brush((75, 20), 1)  # beside the left edge: the tissue's corner moves
    roi = user.work.masks.tissue().masks.roi
    user.wait(lambda: user.work.detection._roi is roi)
    assert not user.work.detection.job.running
    assert judge.patches == computed

    judge.gate.release(10_000)
    user.detect()
    np.testing.assert_array_equal(np.isfinite(user.shown()), user.kept())
    assert judge.patches - computed == user.kept().sum() - first


def test_the_export_is_the_layer_after_an_edit(user, tmp_path) -> None:
    user.detect()
    user.brush(INSIDE, 0)
    user.settle()
    export = user.panel.export
    export.folder.value = tmp_path / "files"
    export.save.native.click()
    user.wait(lambda: export.save.enabled)
    heatmap, record = read_heatmap_ome_tiff(tmp_path / "files" / "heatmap.ome.tif")
    np.testing.assert_array_equal(heatmap.probabilities, user.shown())
    assert record.tissue.edited_px > 0


def test_the_command_that_is_copied_after_an_edit_does_the_same(
    user, tmp_path, monkeypatch
) -> None:
    user.detect()
    user.brush((75, 20), 1)  # beside the left edge: the tissue's corner moves
    user.settle()
    words = user.copied_command(monkeypatch)
    assert "--anchor" in words
    words[words.index("-o") + 1] = str(tmp_path / "again")
    assert main(words[1:]) == 0
    again, _ = read_heatmap_ome_tiff(tmp_path / "again" / "square" / "heatmap.ome.tif")
    assert again.grid == user.work.heatmap.grid
    assert again.probabilities.tobytes() == user.shown().tobytes()


def test_dense_scanning_follows_too(user) -> None:
    user.panel.detect.stride.value = "dense"
    user.detect()
    before = user.shown()
    user.brush(INSIDE, 0)
    user.brush(OUTSIDE, 1)
    user.settle()
    after = user.shown()
    assert np.isnan(after[user.cell_at(INSIDE)])
    assert np.isfinite(after[user.cell_at(OUTSIDE)])
    both = np.isfinite(before) & np.isfinite(after)
    assert both.sum() > 500
    np.testing.assert_array_equal(after[both], before[both])
