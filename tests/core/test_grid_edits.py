"""What an edit of a mask changes is what weighing all patches anew would find."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_fastnet.core.grid import kept_after, slide_grid, weigh_patches

STEP = (4.0, 4.5)  # level-0 px a mask px


def weighed(mask, patch, stride, anchor):
    shape = (mask.shape[0] * STEP[0], mask.shape[1] * STEP[1])
    grid = slide_grid(shape, stride=stride, anchor=anchor)
    return weigh_patches(mask, mask_step=STEP, patch=patch, grid=grid)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    edit=st.tuples(*[st.integers(0, 39)] * 2, *[st.integers(1, 12)] * 2),
    patch=st.tuples(*[st.floats(3, 60)] * 2),
    share=st.floats(0.2, 1.0),
    anchor=st.tuples(*[st.floats(-20, 200)] * 2),
)
def test_it_is_the_same_as_weighing_everything(seed, edit, patch, share, anchor):
    rng = np.random.default_rng(seed)
    before = rng.random((40, 40)) > 0.5
    after = before.copy()
    y, x, height, width = edit
    after[y : y + height, x : x + width] = seed % 2
    stride = (patch[0] * share, patch[1] * share)
    old, new = (weighed(mask, patch, stride, anchor) for mask in (before, after))

    found = kept_after(old, before, after, mask_step=STEP, keep=0.5)

    kept = old.kept.copy()
    if found is not None:
        kept[found[0]] = found[1]
    np.testing.assert_array_equal(kept, new.kept)


def test_only_the_cells_around_an_edit_are_looked_at():
    before = np.zeros((100, 100), bool)
    after = before.copy()
    after[50, 50] = True
    patches = weighed(before, (4.0, 4.5), (4.0, 4.5), (0.0, 0.0))
    (rows, columns), kept = kept_after(patches, before, after, mask_step=STEP, keep=0.5)
    assert rows.start <= 50 < rows.stop <= 53
    assert columns.start <= 50 < columns.stop <= 53
    assert np.argwhere(kept).tolist() == [[50 - rows.start, 50 - columns.start]]


@pytest.mark.parametrize("tissue", [True, False])
def test_no_edit_changes_nothing(tissue):
    mask = np.full((10, 10), tissue)
    patches = weighed(mask, (8.0, 8.0), (8.0, 8.0), (0.0, 0.0))
    assert kept_after(patches, mask, mask.copy(), mask_step=STEP, keep=0.5) is None
