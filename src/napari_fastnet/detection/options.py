"""Options of a run."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal

from napari_fastnet.annotations.options import OutlineOptions
from napari_fastnet.annotations.reading import SUFFIXES as OUTLINES
from napari_fastnet.core.colour import HEATMAP_COLOURS
from napari_fastnet.core.options import DEFAULT_COLOURS, ColoursName, TissueParameters
from napari_fastnet.errors import MaskError, OptionError
from napari_fastnet.machine.json_text import to_json
from napari_fastnet.model.options import NetworkChoice

if TYPE_CHECKING:
    from pathlib import Path

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.options import StainMethod
    from napari_fastnet.detection.plan import Stride
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.slide.slide import Slide


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of a run; the command line and the panel fill them in.

    Parameters
    ----------
    stride : int, "patch", "dense" or None
        px of the model from patch to patch; None is dense where the model can. See
        `make_plan`.
    anchor : tuple of float or None
        (y, x) of a corner of a cell, level-0 px; see `make_plan`.
    tissue : TissueParameters
        Thresholds and sizes that define tissue.
    mask : Path or None
        A user's mask or outlines that replace the region of interest; see
        `annotations.roi.read_roi`.
    bounds_offset : tuple of float or "scanned"
        (y, x) level-0 px that are added to the outlines; see
        `annotations.options.OutlineOptions`.
    stain : {"none", "reinhard", "macenko", "density"}
        Method that matches the slide's colours to the model's.
    flips : bool or None
        Average over the mirror images of patches too; None is as the model says.
    threshold : float or None
        Probability from which a patch is tumor; None is the model's.
    fresh : bool
        Compute again what an earlier run left.
    readers : int
        Threads that read ahead; 0 reads in the thread that computes.
    memory_mb : int or None
        MB that the run may take; see `Plan.within`.
    colours : {"red-green", "blue-orange"}
        Colours of the heatmap in pictures.
    network : NetworkChoice
        Model, back end, device and threads.
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
    network: NetworkChoice = field(default_factory=NetworkChoice)

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise OptionError(f"threshold is {self.threshold}; use 0 to 1")
        OutlineOptions(bounds_offset=self.bounds_offset)  # raises for other values
        if self.readers < 0:
            raise OptionError(f"readers is {self.readers}; use 0 or more")
        if self.colours not in HEATMAP_COLOURS:
            raise OptionError(
                f"colours are {self.colours!r}; use one of {', '.join(HEATMAP_COLOURS)}"
            )


#: Options that do not change the result; the model counts by its content instead.
NEUTRAL = ("fresh", "readers", "memory_mb", "network")
#: Raise when the same outlines give another region of interest.
OUTLINE_RULES = 2


def request_digest(slide: Slide, bundle: ModelBundle, options: RunOptions) -> str:
    """Hash everything that the results of a run depend on, as 64 hexadecimal digits.

    That is the slide's content and µm/px, but not its path; the model's description and
    files; the options, and the bytes of a mask's file.

    Raises
    ------
    MaskError
        The mask cannot be read.
    """
    asked = {k: v for k, v in asdict(options).items() if k not in NEUTRAL}
    offset = asked.pop("bounds_offset")
    if options.mask is not None:
        if options.mask.suffix.lower() in OUTLINES:
            asked["outlines"] = [OUTLINE_RULES, offset]
        try:
            asked["mask"] = hashlib.sha256(options.mask.read_bytes()).hexdigest()
        except OSError as error:
            raise MaskError(
                f"{options.mask}: cannot be read ({error.strerror}); check the path"
            ) from error
    request = {
        "slide": slide.fingerprint,
        "mpp": slide.mpp,
        "model": {**bundle.to_dict(), "files": bundle.files},
        "options": asked,
    }
    return hashlib.sha256(to_json(request).encode()).hexdigest()
