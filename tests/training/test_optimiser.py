"""Optimiser: which rule moves which weights, how far, and how a state of it is laid out."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_fastnet.training.optimiser import Optimiser
from napari_fastnet.training.options import FitOptions

#: The one-cycle schedule begins with this part of its peak.
FIRST = 1 / 25


def network() -> nn.Sequential:
    """Return a pointwise, a full and a depthwise convolution, and a linear layer."""
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 6, 1, bias=False),
        nn.Conv2d(6, 4, 3, bias=False),
        nn.Conv2d(4, 4, 3, groups=4, bias=False),
        nn.Linear(4, 2),
    )
    return layers.to(memory_format=torch.channels_last)


def change_of(optimizer: str, rate: float = 0.01) -> dict[str, torch.Tensor]:
    """Return what the first step adds to each weight; gradients differ in size by 100."""
    layers = network()
    options = FitOptions(optimizer=optimizer, learning_rate=rate, weight_decay=0)
    optimiser = Optimiser(layers, options, steps=100)
    before = {
        name: weight.detach().clone() for name, weight in layers.named_parameters()
    }
    for weight in layers.parameters():
        rows = torch.logspace(-2, 0, len(weight)).view(-1, *[1] * (weight.ndim - 1))
        weight.grad = torch.randn_like(weight) * rows
    optimiser.step()
    return {
        name: weight.detach() - before[name]
        for name, weight in layers.named_parameters()
    }


@pytest.mark.parametrize(
    ("name", "longer"),  # a matrix with more rows than columns takes longer steps
    [("0.weight", (6 / 3) ** 0.5), ("1.weight", 1.0)],
)
def test_a_step_of_muon_is_as_large_in_all_directions(name: str, longer: float) -> None:
    change = change_of("muon")[name].flatten(1)
    expected = 0.01 * 10 * FIRST * longer
    sizes = torch.linalg.svdvals(change) / expected
    # five iterations bring singular values near 1; one hundredth of the largest is far from it
    assert 0.4 < sizes.min() <= sizes.max() < 1.4


@pytest.mark.parametrize("name", ["2.weight", "3.weight", "3.bias"])
def test_depthwise_filters_and_the_last_layer_are_left_to_adamw(name: str) -> None:
    muon, adamw = change_of("muon")[name], change_of("adamw")[name]
    # the first step of AdamW is the learning rate, with the sign of the gradient
    assert torch.allclose(muon.abs(), torch.full_like(muon, 0.01 * FIRST), rtol=0.02)
    assert torch.equal(muon, adamw)


def test_adamw_moves_every_weight_alike() -> None:
    for change in change_of("adamw").values():
        expected = torch.full_like(change, 0.01 * FIRST)
        assert torch.allclose(change.abs(), expected, rtol=0.02)


def test_without_a_gradient_a_weight_stays() -> None:
    layers = network()
    optimiser = Optimiser(
        layers, FitOptions(optimizer="muon", weight_decay=0), steps=10
    )
    before = [weight.detach().clone() for weight in layers.parameters()]
    for weight in layers.parameters():
        weight.grad = torch.ones_like(weight)
    optimiser.zero_grad()
    optimiser.step()
    assert all(map(torch.equal, before, layers.parameters()))


def test_weights_that_lie_otherwise_are_refused() -> None:
    """Their matrices would be copies, and learn for nothing."""
    layers = network().to(memory_format=torch.contiguous_format)
    with pytest.raises(RuntimeError, match="view"):
        Optimiser(layers, FitOptions(optimizer="muon"), steps=10)


def test_rates_rise_to_their_peaks_and_fall() -> None:
    layers = network()
    optimiser = Optimiser(
        layers, FitOptions(optimizer="muon", learning_rate=0.02, warm_up=0.5), steps=10
    )
    for weight in layers.parameters():
        weight.grad = torch.ones_like(weight)
    rates = [optimiser.learning_rate]
    for _ in range(9):
        optimiser.step()
        rates.append(optimiser.learning_rate)
    assert rates[0] == pytest.approx(0.02 * FIRST)
    assert max(rates) == pytest.approx(0.02, rel=0.02)
    assert rates[-1] < 1e-4
    assert optimiser.parts[1][1].get_last_lr()[0] == pytest.approx(10 * rates[-1])
