"""Pictures of blocks: as large as their cells ask for, and right where a cell is wanted."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fastnet.detection.blocks import BlockReader
from napari_fastnet.detection.plan import make_plan
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.store.store import Block

SIDE, RIM = 26, 200
#: px at the lower and right end of a picture that the stem's last values do not reach.
UNUSED = 12


@pytest.fixture(scope="module")
def slide(tmp_path_factory, write_svs, texture):
    """A slide of 1 µm/px, as the model wants it."""
    folder = tmp_path_factory.mktemp("pictures")
    path = write_svs(folder / "slide.svs", texture(900, 1100), factors=(1,), mpp=1.0)
    with open_slide(path) as opened:
        yield opened


@pytest.mark.parametrize("seed", range(4))
def test_ragged_tissue(slide, tiny_bundle, seed) -> None:
    rng = np.random.default_rng(seed)
    plan = make_plan(slide, tiny_bundle, np.ones((9, 11), bool), stride="dense")
    grid = plan.patches.grid
    missing = rng.random(grid.shape) < rng.choice([0.01, 0.2, 0.9])
    reader = BlockReader(slide, plan, missing)
    whole = np.full((1300, 1500, 3), 255, np.uint8)  # white around the slide
    whole[RIM : RIM + 900, RIM : RIM + 1100] = slide.read_level(0, 0, 0, 900, 1100)
    seen = np.zeros(grid.shape, bool)
    for block in blocks_of(grid.shape):
        for part in reader.read(block).parts:
            check(plan, block, part, missing, whole, seen)
    np.testing.assert_array_equal(seen, missing)


def blocks_of(shape):
    """Yield blocks of a size at which a picture ends beyond the tiles of the stem."""
    rows, columns = shape
    for top in range(0, rows, SIDE):
        for left in range(0, columns, SIDE):
            end = min(top + SIDE, rows), min(left + SIDE, columns)
            yield Block((top, left), end)


def check(plan, block, part, missing, whole, seen):
    """Compare the patches of a picture with the px of the slide; note their cells."""
    rows, columns = part.shape
    size = plan.dense.picture_px(rows), plan.dense.picture_px(columns)
    assert part.pixels.shape == (*size, 3)
    first = [
        begin + side.start for begin, side in zip(block.first, part.slices, strict=True)
    ]
    step = plan.stride_px
    for row, column in np.argwhere(missing[block.slices][part.slices]):
        cell = first[0] + int(row), first[1] + int(column)
        box = plan.picture_box(cell, (1, 1))
        # without the last px, on which no value depends
        size = round(box.height) - UNUSED, round(box.width) - UNUSED
        y, x = step * int(row), step * int(column)
        top, left = round(box.top) + RIM, round(box.left) + RIM
        np.testing.assert_array_equal(
            part.pixels[y : y + size[0], x : x + size[1]],
            whole[top : top + size[0], left : left + size[1]],
        )
        seen[cell] = True
