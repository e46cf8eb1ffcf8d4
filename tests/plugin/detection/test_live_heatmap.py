"""Hidden patches are remembered, and an edit of what is gone by now is not applied."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fastnet.detection.options import RunOptions
from napari_fastnet.detection.run import SlideRun
from napari_fastnet.detection.tissue import find_tissue
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.plugin.detection.live_heatmap import LiveHeatmap
from napari_fastnet.slide.slide import open_slide


@pytest.fixture
def run(tmp_path, write_svs, dark_bundle):
    """Return a run over a slide that is tissue but for its edges."""
    image = np.full((800, 800, 3), 244, np.uint8)
    image[100:700, 100:700] = (150, 80, 140)
    with open_slide(write_svs(tmp_path / "a.svs", image, mpp=1.0)) as slide:
        yield SlideRun(
            slide,
            load_bundle(dark_bundle),
            tmp_path / "out",
            RunOptions(stride="patch"),
            tissue=find_tissue(slide),
        )


@pytest.fixture
def live(run):
    live = LiveHeatmap(run, run.store.heatmap())
    for block in run.store.blocks():
        shape = tuple(
            end - first for first, end in zip(block.first, block.end, strict=True)
        )
        live.fill(block, np.full(shape, 0.25, np.float32))
    return live


def shown(live):
    return np.isfinite(live.heatmap.probabilities)


def without(run, columns):
    roi = run.tissue.masks.roi.copy()
    roi[:, columns] = False
    return roi


def test_only_what_is_kept_shows(run, live) -> None:
    np.testing.assert_array_equal(shown(live), run.plan.patches.kept)


def test_what_is_put_back_shows_as_it_was(run, live) -> None:
    before = live.heatmap.probabilities.copy()
    assert live.apply(live.finding(without(run, slice(50, 100)))())
    assert 0 < shown(live).sum() < run.plan.patches.kept.sum()
    assert live.apply(live.finding(run.tissue.masks.roi.copy())())
    np.testing.assert_array_equal(live.heatmap.probabilities, before)


def test_an_edit_of_what_is_gone_by_now_is_not_applied(run, live) -> None:
    late = live.finding(without(run, slice(0, 40)))()
    assert live.apply(live.finding(without(run, slice(60, 100)))())
    here = shown(live).copy()
    assert not live.apply(late)
    np.testing.assert_array_equal(shown(live), here)


def test_values_of_patches_that_are_gone_stay_hidden(run, live) -> None:
    live.apply(live.finding(without(run, slice(0, 100)))())
    assert not shown(live).any()
    block = run.store.blocks()[0]
    live.fill(block, np.full_like(live.heatmap.probabilities[block.slices], 0.75))
    assert not shown(live).any()
    live.lay_out(run)
    assert np.nanmax(live.heatmap.probabilities) == 0.75
