"""What is asked of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from napari_fastnet.core.colour import DEFAULT_COLOURS, HEATMAP_COLOURS, ColoursName
from napari_fastnet.core.tissue import TissueParameters
from napari_fastnet.errors import OptionError
from napari_fastnet.io.outline_options import OutlineOptions

if TYPE_CHECKING:
    from pathlib import Path

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.stain import StainMethod
    from napari_fastnet.engine.plan import Stride


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What is asked of a run; the command line and the panel fill it in.

    Parameters
    ----------
    stride : int, "patch", "dense" or None
        px of the model from patch to patch; None is dense where the model can. See
        `make_plan`.
    anchor : tuple of float or None
        (y, x) of a corner of a cell, level-0 px; see `make_plan`.
    tissue : TissueParameters
        How tissue is found.
    mask : Path or None
        A user's mask or outlines that replace the region of interest; see
        `io.roi.read_roi`.
    bounds_offset : tuple of float or "scanned"
        (y, x) level-0 px that are added to the outlines; see
        `io.outline_options.OutlineOptions`.
    stain : {"none", "reinhard", "macenko", "density"}
        Match of the slide's colours to the model's.
    flips : bool or None
        Look at the mirror images of patches too; None is as the model says.
    threshold : float or None
        From which a patch is tumour; None is the model's.
    fresh : bool
        Compute anew what an earlier run left.
    readers : int
        Threads that read ahead; 0 reads in the thread that computes.
    memory_mb : int or None
        MB that the run may take; see `Plan.within`.
    colours : {"red-green", "blue-orange"}
        Of the heatmap in pictures.
    """

    stride: Stride = None
    anchor: Pair | None = None
    tissue: TissueParameters = field(default_factory=TissueParameters)
    mask: Path | None = None
    bounds_offset: Pair | Literal["scanned"] = (0.0, 0.0)
    stain: StainMethod = "none"
    flips: bool | None = None
    threshold: float | None = None
    fresh: bool = False
    readers: int = 2
    memory_mb: int | None = None
    colours: ColoursName = DEFAULT_COLOURS

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise OptionError(f"threshold is {self.threshold}; use 0 to 1")
        OutlineOptions(bounds_offset=self.bounds_offset)  # refuses what is no number
        if self.readers < 0:
            raise OptionError(f"readers is {self.readers}; use 0 or more")
        if self.colours not in HEATMAP_COLOURS:
            raise OptionError(
                f"colours are {self.colours!r}; use one of {', '.join(HEATMAP_COLOURS)}"
            )
