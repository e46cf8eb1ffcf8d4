"""FastNet's counts against the paper, and what the network promises."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_fastnet.errors import OptionError
from napari_fastnet.nn.counts import flop_count, parameter_count
from napari_fastnet.nn.fastnet import FastNet
from napari_fastnet.nn.options import FastNetConfig


def images(count: int = 2, side: int = 96) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (FastNetConfig(), 218_758),
        (FastNetConfig(normalise_depthwise=True), 222_158),
        (FastNetConfig(convolution="standard"), 1_327_234),
        (FastNetConfig(shortcut=False), 218_758),
        (FastNetConfig(pool_cells=3), 218_758),
    ],
)
def test_parameters_are_those_of_the_papers_reading(
    config: FastNetConfig, expected: int
) -> None:
    assert parameter_count(FastNet(config)) == expected


def test_flops_are_those_of_the_paper() -> None:
    # 210.31 M in the paper, which also counts a little that is not convolution.
    assert flop_count(FastNet()) == pytest.approx(209.9e6, rel=1e-3)
    standard = FastNet(FastNetConfig(convolution="standard"))
    assert flop_count(standard) == pytest.approx(771e6, rel=1e-3)


def test_counts_of_figures_6_and_7() -> None:
    # 7 x 7 x 3 to 5 x 5 x 8: standard, and depthwise followed by pointwise.
    standard = nn.Conv2d(3, 8, 3, bias=False)
    separable = nn.Sequential(
        nn.Conv2d(3, 3, 3, groups=3, bias=False), nn.Conv2d(3, 8, 1, bias=False)
    )
    assert parameter_count(standard) == 216
    assert flop_count(standard, 7, 7) == 10_800
    assert parameter_count(separable) == 51
    assert flop_count(separable, 7, 7) == 2_550


def test_stages_have_the_sizes_of_table_iv() -> None:
    network = FastNet().eval()
    sizes = []
    values = images(1, 256)
    with torch.no_grad():
        for layer in network.features:
            values = layer(values)
            sizes.append(tuple(values.shape[1:]))
    assert sizes == [
        (64, 127, 127),
        (8, 63, 63),
        (8, 63, 63),
        (8, 63, 63),
        (16, 31, 31),
        (16, 31, 31),
        (16, 31, 31),
        (32, 15, 15),
        (32, 15, 15),
        (32, 15, 15),
    ]


@pytest.mark.parametrize("config", [FastNetConfig(), FastNetConfig(pool_cells=3)])
def test_gradient_reaches_every_parameter(config: FastNetConfig) -> None:
    torch.manual_seed(0)
    network = FastNet(config)
    network(images(4)).square().sum().backward()
    silent = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum() > 0
    ]
    assert silent == []


def test_a_patch_does_not_depend_on_its_batch() -> None:
    network = FastNet().eval()
    batch = images(3)
    with torch.no_grad():
        together = network(batch)
        alone = torch.cat([network(image[None]) for image in batch])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_pooling_window_is_the_middle_of_the_map() -> None:
    network = FastNet(FastNetConfig(pool_cells=3))
    features = torch.arange(25.0).reshape(1, 1, 5, 5)
    assert network.pool(features).item() == 12.0  # mean of 6 7 8 11 12 13 16 17 18
    rim = torch.ones(1, 1, 5, 5)
    rim[..., 1:4, 1:4] = 0
    assert network.pool(rim).item() == 0


def test_pooling_window_larger_than_the_map_takes_all_of_it() -> None:
    network = FastNet(FastNetConfig(pool_cells=3))
    assert network.pool(torch.tensor([[[[1.0, 3.0]]]])).item() == 2.0


def test_smallest_image_passes_and_a_smaller_does_not() -> None:
    network = FastNet().eval()
    assert network(images(1, 31)).shape == (1, 2)
    with pytest.raises(RuntimeError):
        network(images(1, 30))


def test_without_shortcut_a_block_of_zero_weights_gives_zero() -> None:
    for shortcut in (False, True):
        block = FastNet(FastNetConfig(shortcut=shortcut)).eval().features[2]
        nn.init.zeros_(block.project[0].weight)
        values = torch.rand(1, 8, 5, 5)
        expected = values if shortcut else torch.zeros_like(values)
        torch.testing.assert_close(block(values), expected)


@pytest.mark.parametrize(
    "options", [{"convolution": "grouped"}, {"pool_cells": 0}], ids=str
)
def test_unknown_variant_is_refused(options: dict) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        FastNetConfig(**options)
