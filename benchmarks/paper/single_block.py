"""FastNet cut down to one block, as the paper's Tables V and VI compare blocks.

The paper does not say what surrounds the one block. Our reading: the four strided
convolutions of Table IV, and the block at the end, with the last stage's M, N and B.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from napari_fastnet.errors import OptionError
from napari_fastnet.nn.fastnet import (
    STAGES,
    STEM_WIDTH,
    initialise,
    multi_branch_block,
    multi_scale_block,
    reducing_convolution,
)
from napari_fastnet.nn.network import CLASSES, PatchNetwork
from napari_fastnet.nn.options import FastNetConfig


@dataclass(frozen=True, slots=True)
class SingleBlockConfig:
    """Which block, and how much of it.

    Parameters
    ----------
    kind : {"scales", "branches"}
        The multi-scale block (Table V) or the multi-branch block (Table VI).
    count : int
        Scales or branches, at least 1.
    """

    kind: Literal["scales", "branches"]
    count: int

    def __post_init__(self) -> None:
        if self.kind not in ("scales", "branches") or self.count < 1:
            raise OptionError(
                f"the block is {self.count} {self.kind!r}; use 'scales' or 'branches', "
                "1 or more"
            )

    def build(self) -> PatchNetwork:
        """Return the network with weights drawn by He's rule."""
        widths = [STEM_WIDTH, *(stage[0] for stage in STAGES)]
        layers: list[nn.Module] = [
            reducing_convolution(before, after)
            for before, after in zip([3, *widths], widths, strict=False)
        ]
        width, expansion, scale_width, _ = STAGES[-1]
        if self.kind == "scales":
            block = multi_scale_block(
                width, expansion, scale_width, FastNetConfig(), scales=self.count
            )
        else:
            block = multi_branch_block(width, expansion, self.count, FastNetConfig())
        network = PatchNetwork(nn.Sequential(*layers, block), nn.Linear(width, CLASSES))
        network.apply(initialise)
        return network
