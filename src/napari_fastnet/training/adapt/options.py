"""Options of an adaptation, free of torch and numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from napari_fastnet.errors import OptionError

#: The part of the network that is taught.
Part = Literal["network", "head"]


@dataclass(frozen=True, slots=True)
class AdaptOptions:
    """Options of an adaptation.

    Parameters
    ----------
    steps : int
        Steps of 16 patches for each of up to three networks, whose mean is the model.
    seed : int
        Seed of all random draws.
    part : {"network", "head"}
        Part to teach: the whole network, or its last layer alone, in a second.
    override : bool
        Write the model also where it fails the gate; its card says so.
    """

    steps: int = 100
    seed: int = 0
    part: Part = "network"
    override: bool = False

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise OptionError(f"steps is {self.steps}; use 1 or more")
        if self.seed < 0:
            raise OptionError(f"seed is {self.seed}; use 0 or more")
        if self.part not in ("network", "head"):
            raise OptionError(f"part is {self.part!r}; use network or head")
