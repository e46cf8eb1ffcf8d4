"""Options of a run on one slide, and the digest that tells runs apart.

Free of numpy: the command line takes names, help and defaults from here.
"""

import hashlib
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from napari_fastnet.annotations.options import OutlineOptions
from napari_fastnet.core.geometry import Pair
from napari_fastnet.core.options import (
    DEFAULT_ALARMS,
    DEFAULT_COLOURS,
    Alarms,
    ColoursName,
    EvidenceScale,
    LesionRule,
    StainMethod,
    TissueParameters,
)
from napari_fastnet.errors import MaskError, OptionError
from napari_fastnet.model.options import NetworkChoice

if TYPE_CHECKING:
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.slide.slide import Slide

#: px of the model from patch to patch; None is the model's own.
Stride = int | Literal["patch", "dense"] | None

#: Largest `RunOptions.spacing_tolerance`.
WIDEST_TOLERANCE = 0.05


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of a run on one slide.

    Parameters
    ----------
    stride : int, "patch", "dense" or None
        Distance of the heatmap's cells: `dense` is every 16 px of the model, from one
        look at a large picture; `patch` is one patch beside the other; a number is px
        of the model; None is dense where the model can.
    anchor : tuple of float or None
        Corner of a cell of the heatmap, (y, x) level-0 px; None is the corner of the
        tissue; dense: of the slide.
    tissue : TissueParameters
        Thresholds and sizes that tell tissue from glass.
    mask : Path or None
        Region to look at: a TIFF or PNG of the whole slide, above 0 inside, or
        outlines (GeoJSON or ASAP's XML); None is the tissue.
    bounds_offset : tuple of float or "scanned"
        Level-0 px (y, x) to add to outlines: OpenSlide's bounds-y and bounds-x.
    stain : {"none", "reinhard", "macenko", "density"}
        Match of the slide's colours to those the model was trained on.
    flips : bool or None
        Average over mirror images, at 4 times the cost; None is the model's choice.
    spacing_tolerance : float
        Read px of the file as they are where their µm/px is within this share of the
        model's, 0.03 for 3 %; 0 resamples all others.
    threshold : float or None
        Lowest probability inside the outline of a lesion; None is the model's.
    alarms : {"fewer", "balanced", "more"} or None
        Lesion threshold by name: fewer false lesions, or more small ones found; None is
        balanced.
    lesion_threshold : float or None
        Lowest evidence of a lesion, log odds; None is that of alarms.
    fresh : bool
        Compute anew, also where an earlier run left results.
    readers : int
        Threads that read ahead; 0 reads in the thread that computes.
    memory_mb : int or None
        Most memory to use, MB, at least 310; None is about 600.
    colours : {"red-green", "blue-orange"}
        Colours of normal tissue and tumor in pictures.
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
    spacing_tolerance: float = 0.0
    threshold: float | None = None
    alarms: Alarms | None = None
    lesion_threshold: float | None = None
    fresh: bool = False
    readers: int = 2
    memory_mb: int | None = None
    colours: ColoursName = DEFAULT_COLOURS
    network: NetworkChoice = field(default_factory=NetworkChoice)

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise OptionError(f"threshold is {self.threshold}; use 0 to 1")
        if self.alarms is not None and self.alarms not in get_args(Alarms):
            raise OptionError(
                f"alarms is {self.alarms!r}; use one of {', '.join(get_args(Alarms))}"
            )
        if self.lesion_threshold is not None:
            if self.alarms is not None:
                raise OptionError(
                    f"alarms is {self.alarms!r} and the lesion threshold "
                    f"{self.lesion_threshold}; give one of the two"
                )
            if not isfinite(self.lesion_threshold):
                raise OptionError(
                    f"lesion threshold is {self.lesion_threshold}; use a finite number of "
                    "log odds, such as 0"
                )
        if not 0 <= self.spacing_tolerance <= WIDEST_TOLERANCE:
            raise OptionError(
                f"spacing tolerance is {self.spacing_tolerance}; use 0 to "
                f"{WIDEST_TOLERANCE}, a share of the model's µm/px"
            )
        OutlineOptions(bounds_offset=self.bounds_offset)  # raises for other values
        if self.readers < 0:
            raise OptionError(f"readers is {self.readers}; use 0 or more")
        if self.colours not in get_args(ColoursName):
            raise OptionError(
                f"colours are {self.colours!r}; use one of "
                f"{', '.join(get_args(ColoursName))}"
            )

    def rule(self, bundle: "ModelBundle") -> LesionRule:
        """Return the rule for lesions, with the model's thresholds where none are given."""
        scale = bundle.lesions or EvidenceScale()
        least = self.lesion_threshold
        return LesionRule(
            bundle.threshold if self.threshold is None else self.threshold,
            scale.of(self.alarms or DEFAULT_ALARMS) if least is None else least,
            scale,
        )


#: Options that do not change the result; the model counts by its content instead.
NEUTRAL = ("fresh", "readers", "memory_mb", "network")
#: Raise when the same outlines give another region of interest.
OUTLINE_RULES = 2


def request_digest(slide: "Slide", bundle: "ModelBundle", options: RunOptions) -> str:
    """Hash everything that the results of a run depend on, as 64 hexadecimal digits.

    That is the slide's content and µm/px, but not its path; the model's description and
    files; the options, and the bytes of a mask's file.

    Raises
    ------
    MaskError
        The mask cannot be read.
    """
    from napari_fastnet.annotations.reading import SUFFIXES
    from napari_fastnet.machine.json_text import to_json

    asked = {k: v for k, v in asdict(options).items() if k not in NEUTRAL}
    offset = asked.pop("bounds_offset")
    if not options.spacing_tolerance:  # as of earlier versions, which had none
        del asked["spacing_tolerance"]
    if options.mask is not None:
        if options.mask.suffix.lower() in SUFFIXES:
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
