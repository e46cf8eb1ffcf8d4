"""Blocks from coarse to fine."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_fastnet.detection.schedule import coarse_to_fine
from napari_fastnet.store.store import Block


def blocks_of(rows, columns, side=4):
    return [
        Block((row * side, column * side), ((row + 1) * side, (column + 1) * side))
        for row in range(rows)
        for column in range(columns)
    ]


def test_order_of_five_by_five_by_hand() -> None:
    order = [block.first for block in coarse_to_fine(blocks_of(5, 5, 1), 1)]
    assert order[:4] == [(0, 0), (0, 4), (4, 0), (4, 4)]
    # then one quarter after the other, and so within each
    assert order[4:11] == [(0, 1), (1, 0), (1, 1), (0, 2), (0, 3), (1, 2), (1, 3)]
    assert order[11:15] == [(2, 0), (2, 1), (3, 0), (3, 1)]


@given(st.integers(1, 20), st.integers(1, 20))
def test_every_block_comes_once(rows, columns) -> None:
    blocks = blocks_of(rows, columns)
    order = coarse_to_fine(blocks, 4)
    assert len(order) == len(blocks)
    assert set(order) == set(blocks)


def test_a_few_per_cent_show_the_whole_slide() -> None:
    order = coarse_to_fine(blocks_of(32, 32), 4)
    seen = np.zeros((32, 32), bool)
    for block in order[: 32 * 32 * 2 // 100]:  # 20 of 1024
        row, column = (first // 4 for first in block.first)
        # Within four blocks' distance something is known.
        seen[max(0, row - 4) : row + 5, max(0, column - 4) : column + 5] = True
    assert seen[:29, :29].all()
