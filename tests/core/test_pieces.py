"""Pieces of tissue: gaps, crumbs, reading order, and the piece of a lesion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_fastnet.core.lesions.pieces import (
    CRUMB_MM2,
    GAP_UM,
    Pieces,
    find_pieces,
    node_pieces,
    nodes_of,
)

PX_UM = 10.0


def pieces_of(roi: np.ndarray) -> Pieces:
    """Find the pieces of a mask with px of 10 µm, 20 level-0 px of 0.5 µm."""
    rows, columns = roi.shape
    return find_pieces(roi, (20 * rows, 20 * columns), (0.5, 0.5))


def mask_with(*boxes: tuple[int, int, int, int], shape=(120, 200)) -> np.ndarray:
    """A mask with boxes of (top, left, bottom, right)."""
    mask = np.zeros(shape, bool)
    for top, left, bottom, right in boxes:
        mask[top:bottom, left:right] = True
    return mask


def numbers_at(pieces: Pieces, *points: tuple[int, int]) -> list[int]:
    return [int(pieces.labels[point]) for point in points]


def square(top: float, left: float, side: float):
    """Polygons of a square in px of the mask, as level-0 px."""
    ring = np.array([(0, 0), (0, 1), (1, 1), (1, 0)], float) * side + (top, left)
    return ((ring * 20,),)


@pytest.mark.parametrize(("gap_px", "count"), [(1, 1), (14, 1), (15, 2), (40, 2)])
def test_a_gap_parts_tissue_from_its_width_on(gap_px, count):
    assert GAP_UM == 15 * PX_UM
    roi = mask_with((10, 10, 50, 50), (10, 50 + gap_px, 50, 90 + gap_px))
    assert len(pieces_of(roi).areas_mm2) == count


def test_the_same_gap_along_the_other_axis():
    roi = mask_with((10, 10, 50, 50), (65, 10, 105, 50))
    assert pieces_of(roi).areas_mm2 == pytest.approx((0.16, 0.16))


def test_px_that_are_not_square_are_measured_in_micrometres():
    # 20 µm high, 10 µm wide: a gap of 8 rows is 160 µm, of 8 columns 80 µm
    roi = mask_with((10, 10, 50, 50), (10, 58, 50, 98), (58, 10, 98, 98))
    pieces = find_pieces(roi, (40 * 120, 20 * 200), (0.5, 0.5))
    assert pieces.areas_mm2 == pytest.approx((0.64, 0.704))


def test_two_rows_are_read_left_to_right_then_down():
    boxes = [(60, 5, 100, 45), (8, 90, 48, 130), (5, 5, 45, 45), (64, 90, 104, 130)]
    pieces = pieces_of(mask_with(*boxes))
    assert numbers_at(pieces, (20, 20), (20, 100), (80, 20), (80, 100)) == [1, 2, 3, 4]


def test_a_small_piece_that_begins_higher_stands_right_of_a_large_one():
    pieces = pieces_of(mask_with((20, 5, 110, 90), (5, 120, 45, 160)))
    assert numbers_at(pieces, (60, 20), (20, 140)) == [1, 2]


def test_a_piece_that_ends_above_the_middle_of_another_comes_first():
    pieces = pieces_of(mask_with((40, 5, 110, 90), (2, 120, 50, 160)))
    assert numbers_at(pieces, (60, 20), (20, 140)) == [2, 1]


def test_a_crumb_belongs_to_the_nearest_piece():
    assert 20 * 20 * PX_UM**2 / 1e6 < CRUMB_MM2
    large = [(10, 5, 60, 55), (10, 140, 60, 190)]
    pieces = pieces_of(mask_with(*large, (30, 75, 50, 95), (80, 110, 90, 120)))
    assert numbers_at(pieces, (20, 20), (40, 80), (20, 150), (85, 115)) == [1, 1, 2, 2]
    assert pieces.areas_mm2 == pytest.approx((0.25 + 0.04, 0.25 + 0.01))


def test_crumbs_alone_are_one_piece():
    pieces = pieces_of(mask_with((10, 10, 20, 20), (10, 100, 30, 120)))
    assert pieces.areas_mm2 == pytest.approx((0.05,))


def test_no_tissue_has_no_piece():
    pieces = pieces_of(np.zeros((40, 40), bool))
    assert pieces.areas_mm2 == ()
    assert list(pieces.numbers) == []
    assert pieces.outlines() == {}
    assert pieces.number_of(square(1, 1, 3)) == 0


def test_an_outline_is_in_the_piece_that_it_overlaps_most():
    pieces = pieces_of(mask_with((10, 10, 60, 60), (10, 100, 60, 150)))
    assert pieces.number_of(square(20, 20, 10)) == 1
    assert pieces.number_of(square(20, 50, 58)) == 1  # 17 px of piece 1, 15 of piece 2
    assert pieces.number_of(square(20, 55, 58)) == 2
    assert pieces.number_of(square(20, 65, 3)) == 1  # in the rim
    assert pieces.number_of(square(20, 70, 10)) == 0  # beside the tissue
    assert pieces.number_of(square(500, 500, 10)) == 0  # beside the slide
    assert pieces.number_of(square(20.3, 110.3, 0.2)) == 2  # no px's centre in it


def test_an_outline_beyond_the_edge_counts_where_there_is_tissue():
    pieces = pieces_of(mask_with((0, 0, 60, 60)))
    assert pieces.number_of(square(-5, -5, 10)) == 1


def test_outlines_go_round_each_piece_and_its_crumbs():
    pieces = pieces_of(
        mask_with((10, 10, 60, 60), (10, 100, 60, 150), (90, 20, 95, 25))
    )
    outlines = pieces.outlines()
    assert {number: len(polygons) for number, polygons in outlines.items()} == {
        1: 2,
        2: 1,
    }
    for number, polygons in outlines.items():
        assert pieces.number_of(polygons) == number
    # 50 px, and 7 px of rim on both sides, of 20 level-0 px
    exterior = outlines[2][0][0]
    assert np.ptp(exterior, axis=0).tolist() == [64 * 20, 64 * 20]


@given(arrays(bool, (24, 31), elements=st.booleans()), st.integers(0, 9))
def test_every_px_of_tissue_has_a_number_and_every_number_tissue(roi, block):
    roi = np.kron(roi, np.ones((block + 1, block + 1), bool))
    pieces = pieces_of(roi)
    assert set(np.unique(pieces.labels[roi])) == set(pieces.numbers)
    assert sum(pieces.areas_mm2) == pytest.approx(roi.sum() * PX_UM**2 / 1e6)
    for number, polygons in pieces.outlines().items():
        assert pieces.number_of(polygons) == number


@given(st.integers(1, 4), st.integers(1, 4))
def test_a_table_of_pieces_is_numbered_row_by_row(rows, columns):
    tile = mask_with((20, 20, 60, 60), shape=(80, 80))
    pieces = pieces_of(np.tile(tile, (rows, columns)))
    seen = [int(n) for n in pieces.labels[40::80, 40::80].ravel()]
    assert seen == list(range(1, rows * columns + 1))


def test_a_note_of_nodes_finds_the_pieces_of_another_mask():
    boxes = [(10, 5, 60, 45), (10, 70, 60, 110), (10, 140, 60, 190)]
    pieces = pieces_of(mask_with(*boxes))
    noted = node_pieces(pieces, {1: (1, 1), 2: (1, 2), 3: (2, 1)})
    # another piece on the left, and a hole
    roi = mask_with((80, 5, 115, 45), *[(t, le + 3, b, r) for t, le, b, r in boxes])
    roi[30:40, 90:100] = False
    assert nodes_of(pieces, noted) == {1: (1, 1), 2: (1, 2), 3: (2, 1)}
    assert nodes_of(pieces_of(roi), noted) == {
        1: (1, 1),
        2: (1, 2),
        3: (2, 1),
        4: (3, 1),
    }


def test_without_a_note_each_piece_is_a_node():
    pieces = pieces_of(mask_with((10, 5, 60, 45), (10, 70, 60, 110)))
    assert nodes_of(pieces, ()) == {1: (1, 1), 2: (2, 1)}


def test_a_noted_piece_that_is_gone_is_of_no_consequence():
    noted = node_pieces(pieces_of(mask_with((10, 5, 60, 45))), {1: (1, 1)})
    pieces = pieces_of(mask_with((10, 100, 60, 150)))
    assert nodes_of(pieces, noted) == {1: (1, 1)}
    assert nodes_of(pieces_of(np.zeros((50, 50), bool)), noted) == {}


def test_noted_outlines_are_rough():
    y, x = np.mgrid[:300, :300]
    pieces = pieces_of((y - 150) ** 2 + (x - 150) ** 2 < 120**2)
    (noted,) = node_pieces(pieces, {1: (1, 1)})
    assert len(noted.polygons[0][0]) < 40 < len(pieces.outlines()[1][0][0])
    assert pieces.number_of(noted.polygons) == 1
