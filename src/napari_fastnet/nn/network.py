"""Base class of networks for patches, which can be trained and compared."""

from __future__ import annotations

from torch import Tensor, nn

CLASSES = 2
TUMOR = 1  # index of the tumor class in the logits


class PatchNetwork(nn.Module):
    """Features of an image, their average over the map, and two logits.

    Parameters
    ----------
    features : nn.Module
        Maps images, (N, 3, H, W), to a feature map, (N, C, h, w).
    classify : nn.Module
        Maps (..., C) to (..., 2) logits, normal and tumor.
    """

    #: The variant, for networks that have several; variants differ in their ``repr``.
    config: object = None

    def __init__(self, features: nn.Module, classify: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.classify = classify

    def forward(self, images: Tensor) -> Tensor:
        """Compute the logits, (N, 2), of images, (N, 3, H, W)."""
        logits: Tensor = self.classify(self.pool(self.extract(images)))
        return logits

    def extract(self, images: Tensor) -> Tensor:
        """Compute the feature map, (N, C, h, w), of images, (N, 3, H, W)."""
        features: Tensor = self.features(images)
        return features

    def pool(self, features: Tensor) -> Tensor:
        """Average (N, C, h, w) over the map to (N, C)."""
        return features.mean(dim=(2, 3))
