"""The networks of one block (Tables V and VI): more of the block, and nothing else."""

from __future__ import annotations

import pytest
import torch

from napari_fastnet.errors import OptionError
from napari_fastnet.nn.counts import parameter_count
from single_block import SingleBlockConfig


def parameters(kind: str, count: int) -> int:
    return parameter_count(SingleBlockConfig(kind, count).build())


def test_a_branch_is_a_separable_convolution_and_its_share_of_the_projection() -> None:
    inner, width = 128, 32  # M * N and M of Table IV's last stage
    branch = 9 * inner + inner * inner + 2 * inner + inner * width
    assert parameters("branches", 2) - parameters("branches", 1) == branch
    assert parameters("branches", 16) - parameters("branches", 8) == 8 * branch


def test_a_scale_is_one_more_convolution_than_the_one_below_it() -> None:
    inner, width, scale = 128, 32, 16

    def separable(channels: int) -> int:
        return 9 * channels + channels * scale + 2 * scale

    second = separable(inner) + scale * width
    third = second + separable(scale)
    assert parameters("scales", 2) - parameters("scales", 1) == second
    assert parameters("scales", 3) - parameters("scales", 2) == third
    assert parameters("scales", 4) - parameters("scales", 3) == third + separable(scale)


def test_the_block_lies_on_a_map_of_one_cell_every_16_px() -> None:
    network = SingleBlockConfig("scales", 1).build()
    assert network.extract(torch.rand(2, 3, 96, 96)).shape == (2, 32, 5, 5)
    assert network(torch.rand(2, 3, 96, 96)).shape == (2, 2)


@pytest.mark.parametrize(("kind", "count"), [("scales", 0), ("layers", 1)])
def test_what_is_no_block_is_refused(kind, count) -> None:
    with pytest.raises(OptionError, match=f"{count} '{kind}'"):
        SingleBlockConfig(kind, count)
