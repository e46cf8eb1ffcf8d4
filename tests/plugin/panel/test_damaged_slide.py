"""A tile that cannot be decoded: told once, and everything else is computed."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

pytestmark = pytest.mark.gui


@pytest.fixture
def bad_svs(square_svs, tmp_path, tile_place, overwrite):
    """Return a slide with one bad tile of 64 px in its tissue."""
    path = shutil.copy(square_svs, tmp_path / "bad.svs")
    offset, count = tile_place(path, 25 * 8 + 8)  # row 8, column 8 of 25 columns
    overwrite(path, offset, b"\xff" * count)
    return path


@pytest.fixture
def damaged(viewer, make_panel, add_slide, bad_svs, tmp_path, dark_bundle):
    """Return the panel of the slide."""
    add_slide(viewer, bad_svs)
    panel = make_panel(viewer)
    panel.detect.model_folder.value = dark_bundle
    panel.detect.results.value = tmp_path / "out"
    panel.detect.stride.value = 1
    return panel


def test_it_is_told_once_and_the_rest_is_computed(
    damaged, detect, warned, errors
) -> None:
    work = detect(damaged)
    assert work.detection.result is not None
    assert np.isfinite(work.heatmap.probabilities).sum() > 100
    assert len(warned) == 1
    assert "bad.svs" in warned[0]
    assert "cannot be" in warned[0]
    assert errors == []
