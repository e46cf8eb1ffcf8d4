"""Options of FastNet.

Free of torch and numpy: the command line takes names, help and defaults from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from napari_fastnet.errors import OptionError


# The digest of a training's state is taken over the repr of this: its fields, their
# order and the class's name are part of the file format.
@dataclass(frozen=True, slots=True)
class FastNetConfig:
    """Options of FastNet, in the variants of the paper and of this project.

    Table VII of the paper compares the convolutions, and blocks with and without shortcut.
    The final average covers the whole feature map, as in the paper, or a centred window of
    it: then the network classifies the middle of the patch.

    Parameters
    ----------
    convolution : {"separable", "standard"}
        Convolution inside the blocks.
    shortcut : bool
        Add a block's input to its output.
    normalise_depthwise : bool
        Normalise and clip after the depthwise half of a separable convolution as
        well as after the pointwise half: 222,158 parameters instead of 218,758.
    pool_cells : int or None
        Side of the pooled middle in 16 px cells; None is the whole patch.
    """

    convolution: Literal["separable", "standard"] = "separable"
    shortcut: bool = True
    normalise_depthwise: bool = False
    pool_cells: int | None = None

    def __post_init__(self) -> None:
        if self.convolution not in ("separable", "standard"):
            raise OptionError(
                f"convolution is {self.convolution!r}; use 'separable' or 'standard'"
            )
        if self.pool_cells is not None and self.pool_cells < 1:
            raise OptionError(
                f"pool_cells is {self.pool_cells}; use a whole number from 1, or None "
                "for the whole map"
            )
