"""A network in two sections: the stem, computed in tiles, and what comes behind it."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fastnet.core.dense import CELL_PX, STEM_CELLS, STEM_VALUES
from napari_fastnet.model.backends.backend import STEM_SHAPE
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.model.options import NetworkChoice

pytest.importorskip("openvino")

OPENVINO = NetworkChoice(backend="openvino", threads=2)


@pytest.fixture(scope="module")
def backend():
    return create_backend(load_bundle("fastnet-pcam"), OPENVINO)


@pytest.fixture(scope="module")
def picture():
    """Return px of two tiles beside each other and below, with some to spare."""
    height, width = (2 * CELL_PX * side + 64 for side in STEM_CELLS)
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def batch(picture, *corners):
    """Cut tiles out of a picture; the rest of the batch is black."""
    tiles = np.zeros(STEM_SHAPE, np.uint8)
    height, width = STEM_SHAPE[1:3]
    for tile, (top, left) in zip(tiles, corners, strict=False):
        tile[:] = picture[top : top + height, left : left + width]
    return tiles


def test_a_tile_has_as_many_values_as_its_cells_say(backend, picture) -> None:
    (maps,) = backend.stem([batch(picture, (0, 0))])
    height, width = (STEM_VALUES * side for side in STEM_CELLS)
    assert maps.shape == (STEM_SHAPE[0], 8, height, width)


def test_where_tiles_overlap_their_maps_are_the_same_bit_for_bit(
    backend, picture
) -> None:
    first, second = backend.stem(
        [batch(picture, (0, 0), (48, 32)), batch(picture, (48, 32))]
    )
    down, right = 48 // 4, 32 // 4
    np.testing.assert_array_equal(
        first[0][:, down:, right:], first[1][:, :-down, :-right]
    )
    np.testing.assert_array_equal(first[1], second[0])


def test_both_sections_give_what_the_whole_network_gives(backend, picture) -> None:
    height, width = STEM_SHAPE[1:3]
    (maps,) = backend.stem([batch(picture, (0, 0))])
    # 3 values less than the tile has make a picture of whole cells
    rows, columns = (STEM_VALUES * side - 1 for side in STEM_CELLS)
    (cells,) = backend.behind_stem([maps[:1, :, :rows, :columns]])
    whole = backend.cell_margins(picture[: height - 4, : width - 4])
    assert cells.shape == whole.shape == tuple(side - 1 for side in STEM_CELLS)
    np.testing.assert_allclose(cells, whole, atol=0.25)  # bfloat16, rounded once more
    assert np.ptp(whole) > 1


def test_zeros_beside_a_map_change_nothing_within_reach_of_the_rest(
    backend, picture
) -> None:
    maps, *_ = backend.stem([batch(picture, (0, 0))])
    wide = np.zeros((1, 8, 95, 127), np.float32)
    wide[..., :32, :64] = maps[:1]
    wider = np.zeros((1, 8, 127, 191), np.float32)
    wider[..., 32:64, 64:128] = maps[:1]
    near, far = backend.behind_stem([wide, wider])
    # six cells in from the edge of a picture nothing is felt of it
    np.testing.assert_array_equal(near[6:16, 6:24], far[14:24, 22:40])


def test_a_foreign_network_has_no_stem(dark_bundle, backend) -> None:
    assert backend.has_stem
    dark = create_backend(load_bundle(dark_bundle), OPENVINO)
    assert not dark.has_stem


def test_shapes_are_taken_again_where_little_is_wasted(tiny_bundle) -> None:
    backend = create_backend(tiny_bundle, NetworkChoice(backend="onnx"))
    assert backend.roomy((400, 400)) == (400, 400)
    assert backend.roomy((320, 400)) == (400, 400)  # 32,000 values for nothing
    assert backend.roomy((319, 400)) == (319, 400)  # 32,400 would be too many
    assert backend.roomy((410, 100)) == (410, 100)  # fits in none
    assert backend.roomy((300, 90)) == (410, 100)
    assert backend.roomy((319, 390)) == (319, 400)  # the least that is ready
