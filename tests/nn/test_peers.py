"""The paper's other networks: as large as it prints, and of use for small patches."""

from __future__ import annotations

import pytest
import torch

from napari_fastnet.errors import OptionError
from napari_fastnet.nn.counts import flop_count, parameter_count
from napari_fastnet.nn.peers import PeerConfig


@pytest.mark.parametrize(
    ("name", "parameters", "flops"),
    [
        ("mobilenetv2-0.5", 687_296, 237_696_000),
        ("shufflenetv2-1.0", 1_255_654, 375_864_320),
        ("efficientnet-b0", 4_010_110, 1_004_120_064),
        ("resnet34", 21_797_672 - 513 * 998, 9_569_306_624),
    ],
)
def test_a_peer_counts_as_in_the_paper_and_judges_small_patches(
    name, parameters, flops
) -> None:
    network = PeerConfig(name).build()
    assert parameter_count(network) == parameters
    assert flop_count(network) == flops
    network.eval()
    with torch.no_grad():
        assert network(torch.rand(2, 3, 96, 96)).shape == (2, 2)
        assert network(torch.rand(1, 3, 32, 32)).shape == (1, 2)


def test_every_weight_of_a_peer_learns() -> None:
    network = PeerConfig("mobilenetv2-0.5").build()
    network(torch.rand(4, 3, 96, 96)).square().sum().backward()
    still = [name for name, p in network.named_parameters() if p.grad is None]
    assert still == []


def test_an_unknown_peer_is_refused_by_name() -> None:
    with pytest.raises(OptionError, match=r"'resnet'.*efficientnet-b0"):
        PeerConfig("resnet")
