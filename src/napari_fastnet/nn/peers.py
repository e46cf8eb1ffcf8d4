"""The networks that the paper compares FastNet with (Tables VIII and IX), and ResNet34.

They come from ``pytorchcv``, with a head of two classes and no trained weights. Their
average covers the whole map, so that they take patches of any size.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Literal, get_args

from torch import nn

from napari_fastnet.errors import DependencyError, OptionError
from napari_fastnet.nn.network import CLASSES, PatchNetwork

PeerName = Literal["mobilenetv2-0.5", "shufflenetv2-1.0", "efficientnet-b0", "resnet34"]

# Module and function of pytorchcv.
_SOURCES: dict[PeerName, tuple[str, str]] = {
    "mobilenetv2-0.5": ("mobilenetv2", "mobilenetv2_wd2"),
    "shufflenetv2-1.0": ("shufflenetv2", "shufflenetv2_w1"),
    "efficientnet-b0": ("efficientnet", "efficientnet_b0"),
    "resnet34": ("resnet", "resnet34"),  # common in tools for slides
}


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """Choice of one of the other networks.

    Parameters
    ----------
    name : {"mobilenetv2-0.5", "shufflenetv2-1.0", "efficientnet-b0", "resnet34"}
        Family and width, or size.
    """

    name: PeerName

    def __post_init__(self) -> None:
        if self.name not in get_args(PeerName):
            raise OptionError(
                f"network is {self.name!r}; use one of {', '.join(get_args(PeerName))}"
            )

    def build(self) -> PatchNetwork:
        """Build the network, its weights drawn by its own rule; needs ``pytorchcv``."""
        module, function = _SOURCES[self.name]
        try:
            models = import_module(f"pytorchcv.models.{module}")
        except ModuleNotFoundError as error:
            raise DependencyError(
                f"{self.name} needs the package pytorchcv; install it with "
                "pip install 'napari-fastnet[experiments]'"
            ) from error
        whole = getattr(models, function)(num_classes=CLASSES)
        del whole.features.final_pool  # of 7 x 7 cells, as for 224 px
        return PatchNetwork(whole.features, _dense(whole.output))


def _dense(head: nn.Module) -> nn.Module:
    """Turn a head into one for (..., C); MobileNetV2's is a 1 x 1 convolution."""
    if not isinstance(head, nn.Conv2d):
        return head
    return nn.Linear(head.in_channels, head.out_channels, bias=False)
