"""The three losses that the paper compares (Section III-C, Eqs. 5-7)."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_fastnet.errors import OptionError

LossName = Literal["attention", "focal", "cross-entropy"]


def focal_factor(p: Tensor, focusing: float) -> Tensor:
    """Compute the focal loss's factor, (1 - p)^g (Table II); p: of the true class."""
    return (1 - p) ** focusing


def attention_factor(p: Tensor, focusing: float) -> Tensor:
    """Compute the attention loss's factor, 1 - p^g (Table III); p: of the true class."""
    return 1 - p**focusing


class PatchLoss(nn.Module):
    """Cross-entropy (Eq. 5), focal (Eq. 6) or attention loss (Eq. 7) of a batch.

    With p the predicted probability of tumor and y the label::

        cross-entropy  -mean( y log p + (1-y) log(1-p) )
        focal          -mean( a y (1-p)^g log p + (1-a) (1-y) p^g log(1-p) )
        attention      -mean( a^y y (1-p^g) log p + a^y (1-y) (1-(1-p)^g) log(1-p) )

    Soft labels between 0 and 1 (label smoothing, distillation) are accepted; both
    terms then count in proportion.

    Parameters
    ----------
    name : {"attention", "focal", "cross-entropy"}
        Which of the three.
    weight : float
        a of the equations: above 1 for attention, between 0 and 1 for focal; unused
        in cross-entropy.
    focusing : float
        g of the equations, above 0; unused in cross-entropy.
    """

    def __init__(self, name: LossName, weight: float, focusing: float) -> None:
        super().__init__()
        if name not in get_args(LossName):
            raise OptionError(
                f"loss is {name!r}; use one of {', '.join(get_args(LossName))}"
            )
        if name != "cross-entropy" and focusing <= 0:
            raise OptionError(f"focusing is {focusing}; it must be above 0")
        if name == "attention" and weight < 1:
            raise OptionError(
                f"weight is {weight}; the attention loss needs at least 1"
            )
        if name == "focal" and not 0 < weight < 1:
            raise OptionError(
                f"weight is {weight}; the focal loss needs one between 0 and 1"
            )
        self.name, self.weight, self.focusing = name, weight, focusing

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Compute the mean loss, a scalar.

        Parameters
        ----------
        logits : Tensor
            (N, 2) float: normal, tumor.
        labels : Tensor
            (N,) float in 0..1, 1 = tumor.

        Returns
        -------
        Tensor
            Scalar, at least 0.
        """
        # The difference of two logits is the logit of the softmax's probability;
        # the log-sigmoids stay finite where log(p) would not.
        margin = logits[:, 1] - logits[:, 0]
        log_p, log_q = functional.logsigmoid(margin), functional.logsigmoid(-margin)
        p, q = torch.sigmoid(margin), torch.sigmoid(-margin)
        positive, negative = labels * log_p, (1 - labels) * log_q
        if self.name == "attention":
            weight = self.weight**labels
            positive = weight * attention_factor(p, self.focusing) * positive
            negative = weight * attention_factor(q, self.focusing) * negative
        elif self.name == "focal":
            positive = self.weight * focal_factor(p, self.focusing) * positive
            negative = (1 - self.weight) * focal_factor(q, self.focusing) * negative
        return -(positive + negative).mean()
