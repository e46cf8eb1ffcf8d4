"""Options of the computations on arrays, with their choices and defaults.

Free of numpy: the command line takes names, help and defaults from here.
"""

from dataclasses import astuple, dataclass, field, replace
from math import isfinite
from typing import Any, Literal, Self, get_args

from napari_fastnet.errors import OptionError

#: Colours of a heatmap, from normal to tumor.
ColoursName = Literal["red-green", "blue-orange"]
DEFAULT_COLOURS: ColoursName = "red-green"

#: Ways to match the colours of a slide to those of a model's training data.
StainMethod = Literal["none", "reinhard", "macenko", "density"]

#: Channels of a pixel that must be dark, for it to be tissue.
Channels = Literal["all", "any"]

#: Colour thresholds by name, in the order of the image's channels.
COLOURS = ("red", "green", "blue")


@dataclass(frozen=True, slots=True)
class TissueParameters:
    """Thresholds and sizes that separate tissue from glass.

    Parameters
    ----------
    low : float
        Threshold mask: lowest grey value of tissue, in every channel.
    high : float
        Threshold mask: highest grey value of tissue, in every channel.
    channels : {"all", "any"}
        RGB mask: channels that must be dark; all as in the paper, any as in NCRF.
    red : float or None
        RGB mask: highest red that is dark; None is automatic (Otsu).
    green : float or None
        RGB mask: highest green that is dark; None is automatic (Otsu).
    blue : float or None
        RGB mask: highest blue that is dark; None is automatic (Otsu).
    saturation : float or None
        HSV mask: tissue is above this, 0..255; None is automatic (Otsu).
    glass_margin : float
        Grey values between automatic thresholds and glass; 0 is plain Otsu.
    closing_um : float
        Radius of the disk that closes gaps, µm; 0 is off.
    minimum_object_um2 : float
        Area below which tissue is dropped, µm²; 0 is off.
    minimum_hole_um2 : float
        Area below which holes are filled, µm²; 0 is off.
    """

    low: float = 50
    high: float = 240
    channels: Channels = "all"
    red: float | None = None
    green: float | None = None
    blue: float | None = None
    saturation: float | None = None
    glass_margin: float = 12
    closing_um: float = 40
    minimum_object_um2: float = 2_000
    minimum_hole_um2: float = 100_000

    def __post_init__(self) -> None:
        if self.channels not in get_args(Channels):
            raise OptionError(f"channels is {self.channels!r}; use 'all' or 'any'")
        for name in ("low", "high", *COLOURS, "saturation", "glass_margin"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 255:
                raise OptionError(f"{name} is {value}; a grey value lies in 0..255")
        if self.low > self.high:
            raise OptionError(
                f"low is {self.low} and high is {self.high}; give low <= high"
            )
        for name in ("closing_um", "minimum_object_um2", "minimum_hole_um2"):
            value = getattr(self, name)
            if not (isfinite(value) and value >= 0):
                raise OptionError(f"{name} is {value}; use a number from 0 (off)")

    @classmethod
    def paper(cls) -> Self:
        """Return the paper's parameters: plain Otsu, nothing closed or removed."""
        return cls(
            glass_margin=0, closing_um=0, minimum_object_um2=0, minimum_hole_um2=0
        )


#: Presets by their names on the command line and in the panel.
PRESETS = {"default": TissueParameters(), "paper": TissueParameters.paper()}


def preset_with(preset: str, **given: Any) -> TissueParameters:
    """Replace parameters of a preset.

    Parameters
    ----------
    preset : {"default", "paper"}
        Where to start.
    **given : float, str or None
        Fields of `TissueParameters` by name; None leaves the preset's value.

    Returns
    -------
    TissueParameters
        Checked like any other.

    Raises
    ------
    OptionError
        There is no such preset, or a value is out of range.
    """
    if preset not in PRESETS:
        raise OptionError(f"preset is {preset!r}; use one of {', '.join(PRESETS)}")
    wanted = {name: value for name, value in given.items() if value is not None}
    return replace(PRESETS[preset], **wanted)


#: Named choices of a lesion threshold: fewer alarms, balanced, find more.
Alarms = Literal["fewer", "balanced", "more"]
DEFAULT_ALARMS: Alarms = "balanced"
#: Largest number of an evidence scale; an integer of JSON may be too large for a float.
LARGEST = 1e9
#: Lesion threshold of that choice, for models that state none; log odds.
BALANCED = -1.13


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """Lesions found and false ones at a lesion threshold, measured where truth is known.

    Parameters
    ----------
    lesion_threshold : float
        Log odds.
    false_per_10_mm2 : float
        Lesions without any tumor, over 10 mm² of normal tissue.
    sensitivity : float
        Share of the lesions that were found, 0..1.
    below_02_mm, from_02_mm, from_03_mm : float or None
        The same of those with a longest axis under 0.2 mm, from 0.2 to 0.3 mm, and from
        0.3 mm; None without any.
    """

    lesion_threshold: float
    false_per_10_mm2: float
    sensitivity: float
    below_02_mm: float | None = None
    from_02_mm: float | None = None
    from_03_mm: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceScale:
    """The way of a model from its heatmap to the evidence of a lesion.

    The evidence is the log odds that a candidate is tumor: ``scale * strength + offset``,
    and ``beside`` more where another candidate of the slide is certain. The defaults are
    those of fastnet-pcam 1.0; a model that was published since states its own.

    Parameters
    ----------
    scale, offset, beside : float
        Fitted where truth is known, see `patches.mosaics`.
    certain : float
        Strength from which a candidate is certain: no normal tissue reached it.
    fewer, balanced, more : float
        Lesion thresholds of the named choices, log odds. Below that of "more" there is
        no candidate.
    curve : tuple of CurvePoint
        From the highest threshold to the lowest; empty if not measured.
    measured_on : str
        Data of fit and curve; empty for the defaults.
    """

    scale: float = 2.83
    offset: float = -8.88
    beside: float = 1.77
    certain: float = 3.33
    fewer: float = -0.57
    balanced: float = BALANCED
    more: float = -3.66
    curve: tuple[CurvePoint, ...] = ()
    measured_on: str = ""

    def __post_init__(self) -> None:
        numbers = (self.scale, self.offset, self.beside, self.certain)
        points = [value for point in self.curve for value in astuple(point)]
        if any(value is not None and not abs(value) <= LARGEST for value in points):
            raise OptionError("a number of the curve of alarms is not finite")
        sane = all(abs(number) <= LARGEST for number in numbers)
        if not (sane and self.scale > 0 and self.beside >= 0):
            raise OptionError(
                f"evidence has scale {self.scale}, offset {self.offset}, beside "
                f"{self.beside} and certain {self.certain}; they are finite, scale is above "
                "0, beside is not below"
            )
        if not LARGEST >= self.fewer >= self.balanced >= self.more >= -LARGEST:
            raise OptionError(
                f"lesion thresholds are {self.fewer}, {self.balanced} and {self.more}; "
                "they are finite, and fall from fewer to more"
            )

    def of(self, alarms: Alarms) -> float:
        """Return the lesion threshold of a named choice."""
        return float(getattr(self, alarms))

    def at(self, lesion_threshold: float) -> CurvePoint | None:
        """Return the curve at a lesion threshold, as measured at the nearest below.

        Parameters
        ----------
        lesion_threshold : float
            Log odds.

        Returns
        -------
        CurvePoint or None
            None where it was not measured.
        """
        below = (p for p in self.curve if p.lesion_threshold <= lesion_threshold)
        return next(below, None)


@dataclass(frozen=True, slots=True)
class LesionRule:
    """The rule by which cells become lesions.

    Parameters
    ----------
    threshold : float
        Probability from which a cell belongs to an outline, 0..1.
    lesion_threshold : float
        Evidence from which a candidate is a lesion, log odds.
    evidence : EvidenceScale
        Of the model.
    """

    threshold: float = 0.5
    lesion_threshold: float = BALANCED
    evidence: EvidenceScale = field(default_factory=EvidenceScale)

    @property
    def measured(self) -> CurvePoint | None:
        """Figures at the lesion threshold; None where they were not measured."""
        return self.evidence.at(self.lesion_threshold)
