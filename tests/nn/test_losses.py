"""The losses against the paper's Tables II and III and against arithmetic."""

from __future__ import annotations

from math import log

import pytest
import torch

from napari_fastnet.errors import OptionError
from napari_fastnet.nn.losses import PatchLoss, attention_factor, focal_factor

P = torch.tensor([0.5, 0.6, 0.7, 0.8, 0.9], dtype=torch.float64)


def test_modulating_factors_at_g_2_are_those_of_tables_ii_and_iii() -> None:
    focal = torch.tensor([0.25, 0.16, 0.09, 0.04, 0.01], dtype=torch.float64)
    attention = torch.tensor([0.75, 0.64, 0.51, 0.36, 0.19], dtype=torch.float64)
    torch.testing.assert_close(focal_factor(P, 2), focal)
    torch.testing.assert_close(attention_factor(P, 2), attention)


@pytest.mark.parametrize(
    ("g", "focal_ratio", "attention_ratio"), [(2, 25, 3.95), (10, 9_765_625, 1.53)]
)
def test_ratios_of_the_tables_last_column(
    g: float, focal_ratio: float, attention_ratio: float
) -> None:
    focal, attention = focal_factor(P, g), attention_factor(P, g)
    assert (focal[0] / focal[-1]).item() == pytest.approx(focal_ratio, rel=1e-6)
    assert (attention[0] / attention[-1]).item() == pytest.approx(
        attention_ratio, abs=0.005
    )


def logits(*probabilities: float) -> torch.Tensor:
    margin = torch.logit(torch.tensor(probabilities, dtype=torch.float64))
    return torch.stack([torch.zeros_like(margin), margin], dim=1)


@pytest.mark.parametrize(
    ("name", "weight", "expected"),
    [
        ("cross-entropy", 1.0, -(log(0.8) + log(0.7)) / 2),
        # y=1, p=.8: a (1-p)^2 log p; y=0, p=.3: (1-a) p^2 log(1-p)
        ("focal", 0.25, -(0.25 * 0.04 * log(0.8) + 0.75 * 0.09 * log(0.7)) / 2),
        # y=1: a (1-p^2) log p; y=0: a^0 (1-(1-p)^2) log(1-p)
        ("attention", 1.5, -(1.5 * 0.36 * log(0.8) + 0.51 * log(0.7)) / 2),
    ],
)
def test_loss_of_two_patches_by_hand(name: str, weight: float, expected: float) -> None:
    loss = PatchLoss(name, weight, 2.0)  # type: ignore[arg-type]
    labels = torch.tensor([1.0, 0.0], dtype=torch.float64)
    assert loss(logits(0.8, 0.3), labels).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["cross-entropy", "focal", "attention"])
def test_gradient_agrees_with_finite_differences(name: str) -> None:
    loss = PatchLoss(name, 0.6 if name == "focal" else 1.7, 1.5)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(6, 2, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 1, 1, 0, 1, 0], dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda z: loss(z, labels), values.requires_grad_(True)
    )


@pytest.mark.parametrize("name", ["cross-entropy", "focal", "attention"])
@pytest.mark.parametrize("certainty", [-200.0, 200.0])
def test_loss_stays_finite_when_certain(name: str, certainty: float) -> None:
    loss = PatchLoss(name, 0.5 if name == "focal" else 2.0, 2.0)  # type: ignore[arg-type]
    values = torch.tensor([[0.0, certainty]] * 2, requires_grad=True)
    result = loss(values, torch.tensor([0.0, 1.0]))
    result.backward()
    assert torch.isfinite(result)
    assert torch.isfinite(values.grad).all()


@pytest.mark.parametrize(
    ("name", "weight", "focusing", "word"),
    [
        ("hinge", 1.0, 1.0, "loss"),
        ("attention", 0.99, 1.0, "weight"),
        ("focal", 1.0, 1.0, "weight"),
        ("focal", 0.0, 1.0, "weight"),
        ("attention", 1.0, 0.0, "focusing"),
    ],
)
def test_options_outside_their_range_are_refused(
    name: str, weight: float, focusing: float, word: str
) -> None:
    with pytest.raises(OptionError, match=word):
        PatchLoss(name, weight, focusing)  # type: ignore[arg-type]
