"""Labelled cells: their grid, their outlines and back, their places and digest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.labelled_cells import (
    LONGEST,
    cells_inside,
    find_places,
    label_grid,
    labelled,
    outlines_of,
)
from napari_fastnet.errors import SpacingError


def test_the_grid_begins_at_the_corner_with_cells_of_16_px_at_10x():
    grid = label_grid((1000, 2000), (0.243, 0.486))
    assert grid.origin == (0, 0)
    assert grid.step == pytest.approx((64, 32))
    # 15.6 and 62.5 cells: the last one whose centre is on the slide
    assert grid.shape == (16, 62)
    assert label_grid((3, 3), (0.25, 0.25)).shape == (1, 1)


@pytest.mark.parametrize("mpp", [(0.0, 0.25), (0.25, float("nan")), (-1, 1)])
def test_a_slide_without_um_per_px_has_no_labels(mpp):
    with pytest.raises(SpacingError, match="µm/px is"):
        label_grid((100, 100), mpp)


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))),
    st.floats(0.3, 500),
)
def test_outlines_enclose_exactly_the_cells_that_they_were_traced_from(cells, step):
    grid = Grid((0.0, 0.0), (step, step * 1.01), cells.shape)
    outlines = [tuple(np.round(r, 3) for r in p) for p in outlines_of(cells, grid)]
    assert (cells_inside(outlines, grid) == cells).all()


def places(*cells):
    return find_places(np.array(cells)).tolist()


def test_cells_a_patch_apart_are_other_places():
    assert places((0, 0), (0, 5), (0, 11)) == [0, 0, 0]
    # a square of 6 cells lies between
    assert places((0, 0), (0, 12), (12, 0)) == [0, 1, 2]
    assert places((0, 0), (7, 7)) == [0, 0]
    assert places() == []


def test_cells_of_different_places_are_never_within_a_patch():
    cells = np.argwhere(np.random.default_rng(0).random((150, 150)) < 0.002)
    place = find_places(cells)
    away = np.abs(cells[:, None] - cells).max(axis=2)
    assert away[place[:, None] != place].min() > 6
    assert len(set(place.tolist())) > 5


def test_a_long_place_is_cut_into_equal_parts():
    line = [(3, column) for column in range(LONGEST)]
    assert set(places(*line)) == {0}
    longer = [(3, column) for column in range(2 * LONGEST + 2)]
    assert np.bincount(places(*longer)).tolist() == [44, 43, 43]
    square = [(row, column) for row in range(65) for column in range(65)]
    assert len(set(places(*square))) == 4


def test_labelled_cells_are_in_reading_order_and_their_digest_is_of_them():
    grid = Grid((0.0, 0.0), (10.0, 20.0), (3, 4))
    cells = np.array([[0, 2, 0, 3], [0, 0, 0, 0], [1, 0, 0, 4]], np.uint8)
    found = labelled(cells, grid, "sha256:1")
    assert found.centres.tolist() == [[5, 30], [25, 10]]
    assert found.tumor.tolist() == [False, True]
    assert found.places.tolist() == [0, 0]
    # what is neither tumor nor normal is not in the digest
    cells[0, 3] = 0
    assert labelled(cells, grid, "sha256:1").digest == found.digest
    assert labelled(cells, grid, "sha256:2").digest != found.digest
    cells[2, 0] = 2
    assert labelled(cells, grid, "sha256:1").digest != found.digest
    assert len(found.digest) == 64
    assert labelled(np.zeros_like(cells), grid, "sha256:1").centres.shape == (0, 2)
