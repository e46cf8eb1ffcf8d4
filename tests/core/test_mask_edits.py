"""Hand edits: what was painted is seen, and stays when the computed mask moves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from napari_fastnet.core.tissue import MaskEdits
from napari_fastnet.errors import MaskError

MASKS = arrays(bool, (4, 5))


def row(*values) -> np.ndarray:
    return np.array([values], bool)


def test_no_edits_leave_a_mask_alone_and_copy_it() -> None:
    computed = row(0, 1)
    shown = MaskEdits.none((1, 2)).apply(computed)
    np.testing.assert_array_equal(shown, computed)
    assert not np.shares_memory(shown, computed)


def test_additions_and_removals_are_told_apart_and_counted() -> None:
    edits = MaskEdits.none((1, 4)).painted(row(0, 0, 1, 1), row(0, 1, 0, 1))
    np.testing.assert_array_equal(edits.added, row(0, 1, 0, 0))
    np.testing.assert_array_equal(edits.removed, row(0, 0, 1, 0))
    assert edits.count == 2


def test_edits_survive_another_computed_mask() -> None:
    edits = MaskEdits.none((1, 4)).painted(row(0, 0, 1, 1), row(0, 1, 0, 1))
    np.testing.assert_array_equal(edits.apply(row(1, 0, 1, 0)), row(1, 1, 0, 0))


def test_an_edit_the_computed_mask_caught_up_with_is_not_forgotten() -> None:
    edits = MaskEdits.none((1, 2)).painted(row(0, 0), row(1, 0))
    # The mask grows over the addition, the user paints elsewhere, the mask shrinks.
    edits = edits.painted(row(1, 0), row(1, 1))
    np.testing.assert_array_equal(edits.apply(row(0, 0)), row(1, 1))


def test_painting_back_is_no_edit() -> None:
    edits = MaskEdits.none((1, 2)).painted(row(0, 1), row(1, 0))
    assert edits.painted(row(0, 1), row(0, 1)).count == 0


@given(MASKS, MASKS, MASKS, MASKS)
def test_what_was_painted_is_what_shows(first, then, painted, again) -> None:
    edits = MaskEdits.none((4, 5)).painted(first, painted)
    np.testing.assert_array_equal(edits.apply(first), painted)
    edits = edits.painted(then, again)
    np.testing.assert_array_equal(edits.apply(then), again)
    assert not (edits.added & edits.removed).any()


@given(MASKS, MASKS, MASKS)
def test_edited_pixels_do_not_follow_the_computed_mask(first, painted, other) -> None:
    edits = MaskEdits.none((4, 5)).painted(first, painted)
    changed = first != painted
    np.testing.assert_array_equal(edits.apply(other)[changed], painted[changed])
    np.testing.assert_array_equal(edits.apply(other)[~changed], other[~changed])


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(MaskError, match=r"shape \(2, 2\)"):
        MaskEdits.none((1, 2)).painted(row(0, 1), np.zeros((2, 2), bool))


def test_edits_lie_on_a_mask_of_another_size_where_they_lay() -> None:
    edits = MaskEdits.none((4, 6))
    edits.added[1:3, 2:4] = True
    edits.removed[0, 5] = True
    doubled = edits.resized((8, 12))
    np.testing.assert_array_equal(doubled.added, np.kron(edits.added, np.ones((2, 2))))
    np.testing.assert_array_equal(doubled.resized((4, 6)).removed, edits.removed)
    assert edits.resized((4, 6)) is edits
    assert MaskEdits.none((0, 6)).resized((2, 2)).count == 0
