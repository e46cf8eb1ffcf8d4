"""FastNet from pixels to the probability of tumor, normalised and calibrated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_fastnet.nn.network import TUMOR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_fastnet.nn.network import PatchNetwork

Triple = tuple[float, float, float]

#: Pass RGB in 0..1 on as it is: mean and standard deviation of each channel.
PLAIN: tuple[Triple, Triple] = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

#: Pass probabilities on as they are.
UNCALIBRATED: Mapping[str, float] = {"scale": 1.0, "offset": 0.0}


class PatchClassifier(nn.Module):
    """uint8 patches in, probabilities of tumor out; the reference for `model.onnx`.

    Parameters
    ----------
    model : PatchNetwork
        Trained network; put into evaluation mode.
    calibration : Mapping
        ``scale`` and ``offset`` of the difference of the logits.
    normalisation : tuple of tuples
        Mean and standard deviation of each channel, in 0..1.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        model: PatchNetwork,
        *,
        calibration: Mapping[str, float] = UNCALIBRATED,
        normalisation: tuple[Triple, Triple] = PLAIN,
    ) -> None:
        super().__init__()
        self.model = model
        self.scale, self.offset = calibration["scale"], calibration["offset"]
        for name, values in zip(("mean", "std"), normalisation, strict=True):
            self.register_buffer(name, torch.tensor(values)[:, None, None])
        self.eval()

    def forward(self, patches: Tensor) -> Tensor:
        """Compute (N,) float32 probabilities of (N, H, W, 3) uint8."""
        return torch.sigmoid(self._margins(self.model(self._prepared(patches))))

    def cell_margins(self, pictures: Tensor) -> Tensor:
        """Compute the log odds of each cell, (N, h, w), of (N, H, W, 3) uint8."""
        features = self.feature_map(pictures)
        logits = self.model.classify(features.permute(0, 2, 3, 1))
        return self._margins(logits)

    def feature_map(self, pictures: Tensor) -> Tensor:
        """Compute the last feature map, (N, C, h, w), of (N, H, W, 3) uint8."""
        return self.model.extract(self._prepared(pictures))

    def _prepared(self, patches: Tensor) -> Tensor:
        # A view: this is the channels_last layout, which convolutions like best.
        images = patches.permute(0, 3, 1, 2).float() / 255
        prepared: Tensor = (images - self.mean) / self.std
        return prepared

    def _margins(self, logits: Tensor) -> Tensor:
        """Return the calibrated log odds of logits (..., 2)."""
        logits = logits.float()
        margin = logits[..., TUMOR] - logits[..., 1 - TUMOR]
        return self.scale * margin + self.offset
