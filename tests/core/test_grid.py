"""Equations 1-4: cells over the bounding box, weights, and what is kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_fastnet.core.geometry import Box
from napari_fastnet.core.grid import patch_grid, slide_grid, weigh_patches
from napari_fastnet.errors import OptionError

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20))
mask_steps = st.sampled_from([1.0, 2.0, 3.5, 16.0, 16.002, 64.0])
sizes = st.floats(0.5, 500)


def paper_grid(mask, width):
    """Count patches and weights by the letter of Eqs. 1-4, with loops."""
    ys, xs = np.nonzero(mask)
    rows = (ys.max() - ys.min()) // width + 1
    columns = (xs.max() - xs.min()) // width + 1
    padded = np.pad(mask, ((0, width), (0, width)))
    weights = np.zeros((rows, columns))
    for row in range(rows):
        for column in range(columns):
            top, left = ys.min() + row * width, xs.min() + column * width
            weights[row, column] = padded[top : top + width, left : left + width].sum()
    return weights


def test_weights_of_a_case_worked_by_hand():
    mask = np.zeros((6, 7), bool)
    mask[1:4, 2:7] = True  # 3 rows, 5 columns, corner at (1, 2)

    grid = patch_grid(mask, mask_step=(1, 1), patch=(2, 2), stride=(2, 2))

    assert grid.grid.origin == (1, 2)
    assert grid.grid.shape == (2, 3)
    np.testing.assert_allclose(grid.weights, [[4, 4, 2], [2, 2, 1]], atol=1e-9)
    np.testing.assert_array_equal(grid.kept, [[True, True, True], [True, True, False]])


def test_weights_are_areas_in_level0_pixels():
    mask = np.array([[True, False], [True, True]])

    grid = patch_grid(mask, mask_step=(16, 8), patch=(32, 16), stride=(32, 16))

    np.testing.assert_allclose(grid.weights, [[3 * 16 * 8]])


def test_a_patch_that_cuts_mask_pixels_weighs_their_parts():
    mask = np.ones((1, 2), bool)

    # One patch of 5 x 10 px over 10 x 20 px of tissue, then one that hangs over it.
    grid = patch_grid(mask, mask_step=(10, 10), patch=(10, 12.5), stride=(10, 12.5))

    np.testing.assert_allclose(grid.weights, [[125, 75]])


def test_patch_is_centred_on_its_cell():
    mask = np.ones((4, 4), bool)

    grid = patch_grid(mask, mask_step=(16, 16), patch=(48, 40), stride=(16, 32))

    assert grid.grid.cell_box(1, 0) == Box(16, 0, 32, 32)
    assert grid.patch_box(1, 0) == Box(0, -4, 48, 36)


def test_patch_is_its_cell_where_stride_and_patch_agree():
    mask = np.ones((5, 5), bool)

    grid = patch_grid(mask, mask_step=(16, 16), patch=(32, 32), stride=(32, 32))

    assert grid.patch_box(2, 1) == grid.grid.cell_box(2, 1)


@pytest.mark.parametrize(
    ("tissue_px", "kept"),
    [(127, False), (128, True), (129, True)],
)
def test_half_a_patch_of_tissue_is_enough_and_less_is_not(tissue_px, kept):
    mask = np.zeros((16, 16), bool)
    mask.flat[:tissue_px] = True
    mask[0, 0] = True

    grid = patch_grid(mask, mask_step=(1, 1), patch=(16, 16), stride=(16, 16))

    assert grid.weights[0, 0] == pytest.approx(tissue_px)
    assert grid.kept[0, 0] == kept


@given(st.floats(0.01, 100), st.integers(1, 12))
@settings(deadline=None)
def test_exactly_half_is_kept_whatever_the_size_of_a_mask_pixel(step, half):
    mask = np.zeros((2 * half + 40, half * 3), bool)
    mask[7 : 7 + half] = True  # the upper half of every patch
    width = 2 * half * step

    grid = patch_grid(
        mask, mask_step=(step, step), patch=(width, step), stride=(width, step)
    )

    assert grid.kept.all()


def test_keep_is_the_share_that_is_asked_for():
    mask = np.zeros((4, 4), bool)
    mask[:1] = True

    def kept(share):
        size = (4, 4)
        grid = patch_grid(mask, mask_step=(1, 1), patch=size, stride=size, keep=share)
        return bool(grid.kept[0, 0])

    assert kept(0.25)
    assert not kept(0.26)


def test_mask_without_tissue_gives_no_cells():
    grid = patch_grid(
        np.zeros((9, 9), bool), mask_step=(16, 16), patch=(32, 32), stride=(32, 32)
    )

    assert grid.grid.shape == grid.kept.shape == grid.weights.shape == (0, 0)


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)])
def test_mask_without_pixels_gives_no_cells(shape):
    grid = patch_grid(
        np.zeros(shape, bool), mask_step=(16, 16), patch=(32, 32), stride=(32, 32)
    )

    assert grid.kept.shape == (0, 0)


def test_slide_smaller_than_a_patch_is_one_patch_that_hangs_over():
    mask = np.ones((3, 2), bool)

    grid = patch_grid(mask, mask_step=(16, 16), patch=(256, 256), stride=(256, 256))

    assert grid.grid.shape == (1, 1)
    assert grid.weights[0, 0] == pytest.approx(48 * 32)
    assert not grid.kept[0, 0]


def test_tissue_that_ends_with_a_cell_needs_no_further_row():
    # 30 * 16.002 / 48.006 is 10, or a hair more in floating point.
    mask = np.ones((30, 1), bool)

    grid = patch_grid(
        mask,
        mask_step=(16.002, 16.002),
        patch=(48.006, 48.006),
        stride=(48.006, 48.006),
    )

    assert grid.grid.shape == (10, 1)


def test_cells_do_not_drift_from_the_mask_at_downsample_16_002():
    mask = np.zeros((4_000, 8), bool)
    mask[0, 0] = mask[3_999, 4] = True
    step = 16.002

    grid = patch_grid(mask, mask_step=(step, step), patch=(256, 256), stride=(256, 256))

    # The last pixel of tissue covers 63,991.998 to 64,008 level-0 px, and the edge
    # between the cells 249 and 250 lies at 64,000. Counting 16 px a pixel, it would
    # lie in cell 249 alone.
    assert grid.weights[249, 0] == pytest.approx(8.002 * step, rel=1e-9)
    assert grid.weights[250, 0] == pytest.approx(8.000 * step, rel=1e-9)
    assert grid.weights.sum() == pytest.approx(2 * step**2, rel=1e-9)


@given(masks, st.integers(1, 9))
@settings(deadline=None)
def test_weights_and_counts_agree_with_the_equations_to_the_letter(mask, width):
    assume(mask.any())

    grid = patch_grid(
        mask, mask_step=(1, 1), patch=(width, width), stride=(width, width)
    )

    expected = paper_grid(mask, width)
    np.testing.assert_allclose(grid.weights, expected, atol=1e-9)
    np.testing.assert_array_equal(grid.kept, expected >= 0.5 * width**2)


@given(masks, mask_steps, sizes, sizes)
@settings(deadline=None)
def test_every_tissue_pixel_lies_in_a_cell(mask, step, stride_y, stride_x):
    assume(mask.any())

    grid = patch_grid(
        mask, mask_step=(step, step), patch=(64, 64), stride=(stride_y, stride_x)
    )

    ys, xs = np.nonzero(mask)
    box, hair = grid.grid.box, 1e-6
    assert box.top == pytest.approx(ys.min() * step)
    assert box.left == pytest.approx(xs.min() * step)
    assert box.bottom >= (ys.max() + 1) * step - hair
    assert box.right >= (xs.max() + 1) * step - hair
    for y, x in zip(ys, xs, strict=True):
        assert grid.grid.index_of(((y + 0.5) * step, (x + 0.5) * step)) is not None


@given(masks, mask_steps, sizes)
@settings(deadline=None)
def test_weights_sum_to_the_tissue_where_patches_tile(mask, step, width):
    grid = patch_grid(
        mask, mask_step=(step, step), patch=(width, width), stride=(width, width)
    )

    assert grid.weights.sum() == pytest.approx(mask.sum() * step**2, rel=1e-6)


@given(masks, st.integers(0, 5), st.integers(0, 5), sizes, sizes)
@settings(deadline=None)
def test_moving_the_tissue_moves_the_grid_and_nothing_else(
    mask, down, right, width, stride
):
    assume(mask.any())
    size = {"mask_step": (16.0, 16.0), "patch": (width,) * 2, "stride": (stride,) * 2}
    moved = np.pad(mask, ((down, 5), (right, 5)))

    before, after = patch_grid(mask, **size), patch_grid(moved, **size)

    top, left = before.grid.origin
    assert after.grid.origin == (top + 16 * down, left + 16 * right)
    assert after.grid.shape == before.grid.shape
    np.testing.assert_allclose(after.weights, before.weights, atol=1e-6)


@given(masks, sizes, sizes)
@settings(deadline=None)
def test_a_weight_is_never_below_nothing_or_above_its_patch(mask, width, stride):
    grid = patch_grid(
        mask, mask_step=(16.002, 16.002), patch=(width, width), stride=(stride, stride)
    )

    assert (grid.weights >= -1e-6).all()
    assert (grid.weights <= width**2 * (1 + 1e-9)).all()


def test_overlapping_patches_agree_with_brute_force():
    rng = np.random.default_rng(0)
    mask = rng.random((12, 15)) < 0.4
    mask[0, 0] = True
    padded = np.pad(mask, 8)

    grid = patch_grid(mask, mask_step=(1, 1), patch=(6, 4), stride=(2, 2))

    for row, column in np.ndindex(grid.weights.shape):
        box = grid.patch_box(row, column)
        top, left = int(box.top) + 8, int(box.left) + 8
        expected = padded[top : top + 6, left : left + 4].sum()
        assert grid.weights[row, column] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("keep", 0),
        ("keep", 1.01),
        ("keep", float("nan")),
        ("patch", (0, 32)),
        ("stride", (32, -1)),
        ("mask_step", (float("inf"), 16)),
    ],
)
def test_options_out_of_range_are_refused_by_name(option, value):
    options = {"mask_step": (16, 16), "patch": (32, 32), "stride": (32, 32)}

    with pytest.raises(OptionError, match=option):
        patch_grid(np.ones((4, 4), bool), **(options | {option: value}))


def test_a_whole_slide_of_dense_patches_is_one_grid():
    rng = np.random.default_rng(0)
    mask = rng.random((2_000, 2_000)) < 0.9

    grid = patch_grid(mask, mask_step=(32, 32), patch=(384, 384), stride=(64, 64))

    assert grid.grid.shape == (1_000, 1_000)


@given(
    st.floats(50, 5000),
    st.floats(10, 400),
    st.floats(-1000, 6000),
)
def test_cells_of_a_slide_cover_it_and_have_a_corner_at_the_anchor(
    length, stride, anchor
) -> None:
    grid = slide_grid((length, length), stride=(stride, stride), anchor=(anchor, 0))
    (top, left), (rows, _) = grid.origin, grid.shape
    assert -stride < top <= 1e-6
    assert left == 0
    assert top + rows * stride >= length - 1e-6
    assert top + (rows - 1) * stride < length
    cells = (anchor - top) / stride
    assert cells == pytest.approx(round(cells), abs=1e-6)


def test_patches_of_a_whole_slide_s_grid_are_those_of_the_bounding_box() -> None:
    mask = np.zeros((40, 50), bool)
    mask[7:33, 11:44] = True
    size = {"mask_step": (16.0, 16.0), "patch": (96.0, 96.0)}
    box = patch_grid(mask, stride=(96.0, 96.0), **size)
    grid = slide_grid((640, 800), stride=(96.0, 96.0), anchor=box.grid.origin)
    whole = weigh_patches(mask, grid=grid, **size)
    assert whole.weights.sum() == pytest.approx(box.weights.sum())
    assert whole.kept.sum() == box.kept.sum()


@pytest.mark.parametrize("name", ["shape", "stride"])
def test_grid_of_a_slide_of_no_size_is_refused(name) -> None:
    sizes = {"shape": (10.0, 10.0), "stride": (2.0, 2.0)} | {name: (4.0, 0.0)}
    with pytest.raises(OptionError, match=name):
        slide_grid(sizes["shape"], stride=sizes["stride"])
