"""Operations and values are counted layer by layer."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from napari_fastnet.nn.counts import flop_count, value_count  # noqa: E402


@pytest.fixture
def network():
    """Return 3 x 3 convolution of 8 x 8 px to 4 channels of 6 x 6, average, dense."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(4, 2),
    )


def test_operations_are_two_for_each_product(network):
    assert flop_count(network, 8, 8) == 2 * 27 * 4 * 36 + 2 * 4 * 2


def test_values_are_what_each_layer_reads_and_writes(network):
    convolution = 3 * 64 + 3 * 4 * 9 + 4 * 36
    dense = 4 + 8 + 2
    assert value_count(network, 8, 8) == convolution + dense


def test_counting_leaves_the_network_as_it_was(network):
    network.train()
    flop_count(network, 8, 8)

    assert network.training
    assert not any(module._forward_hooks for module in network.modules())
