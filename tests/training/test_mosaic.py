"""Mosaics: laid out, taken apart, and what a patch gets to see in one."""

from __future__ import annotations

import pytest
import torch

from napari_fastnet.errors import OptionError
from napari_fastnet.nn.fastnet import FastNet
from napari_fastnet.nn.options import FastNetConfig
from napari_fastnet.training import mosaic


def patches(count: int, side: int = 32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, side, side, 3, generator=generator)


def test_layout_is_row_by_row() -> None:
    batch = torch.arange(4.0)[:, None, None, None].expand(4, 2, 2, 3)
    expected = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3.0]])
    torch.testing.assert_close(mosaic.lay_out(batch)[0, ..., 0], expected)


def test_taking_apart_drops_the_cells_between_patches() -> None:
    # Two patches a side of three cells each; 2 * 4 - 1 cells in all.
    features = torch.arange(49.0).reshape(1, 1, 7, 7)
    cells = mosaic.take_apart(features, 2)
    assert cells.shape == (4, 1, 3, 3)
    torch.testing.assert_close(cells[1, 0], features[0, 0, :3, 4:7])
    torch.testing.assert_close(cells[2, 0], features[0, 0, 4:7, :3])


def test_a_mosaic_of_one_patch_is_the_patch() -> None:
    network = FastNet().eval()
    batch = patches(1, 96)
    with torch.no_grad():
        torch.testing.assert_close(
            mosaic.logits(network, batch), mosaic.logits_alone(network, batch)
        )


def test_cells_of_a_patch_lie_where_they_do_alone() -> None:
    # Before any padding (two valid convolutions) mosaic and patch agree to the bit
    # of rounding, so that positions match and only surroundings differ.
    network = FastNet().eval()
    batch = patches(4, 32)
    stem = network.features[:2]
    with torch.no_grad():
        whole = stem(mosaic.lay_out(batch).permute(0, 3, 1, 2))  # one cell every 4 px
        alone = stem(batch.permute(0, 3, 1, 2))
    torch.testing.assert_close(whole[0, :, 8:15, 8:15], alone[3], rtol=1e-4, atol=1e-5)


def as_float(images: torch.Tensor) -> torch.Tensor:
    return images.float() / 255


def test_probabilities_come_in_the_order_of_the_patches() -> None:
    network = FastNet(FastNetConfig(pool_cells=1)).eval()
    batch = (patches(6) * 255).to(torch.uint8)
    result = mosaic.probabilities(network, batch, 2, as_float)
    first = mosaic.probabilities(network, batch[:4], 2, as_float)
    assert result.shape == (6,)
    torch.testing.assert_close(result[:4], first)


@pytest.mark.parametrize(
    ("batch", "side", "word"), [(63, 96, "square"), (64, 90, "multiple of 16")]
)
def test_what_forms_no_mosaic_is_refused(batch: int, side: int, word: str) -> None:
    with pytest.raises(OptionError, match=word):
        mosaic.patches_a_side(batch, side)
