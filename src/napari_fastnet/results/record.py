"""The run record, ``run.json``: the slide, the model, the options and the results of a run.

Every exported file carries it where its format allows, so that a picture or a table
found years later still says where it came from.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  # read with the annotations
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PureWindowsPath
from platform import python_version
from typing import TYPE_CHECKING, Any

from napari_fastnet.core.geometry import Grid, Pair
from napari_fastnet.core.options import (
    DEFAULT_COLOURS,
    ColoursName,
    EvidenceScale,
    LesionRule,
    TissueParameters,
)
from napari_fastnet.errors import StoreError
from napari_fastnet.machine.files import write_bytes
from napari_fastnet.machine.json_fields import JsonFields, wrong_part
from napari_fastnet.machine.json_text import parse_json, plain, to_json
from napari_fastnet.machine.remote.url import Url, recorded_path
from napari_fastnet.store.format import Seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fastnet.core.appearance.summary import QualitySummary
    from napari_fastnet.core.lesions.regions import Totals
    from napari_fastnet.machine.remote.url import SlidePath


STORE = "run.zarr"
#: Inside of the store: the sharpness of the patches.
SHARPNESS = "sharpness"
RECORD = "run.json"
TISSUE_RECORD = "tissue.json"
HEATMAP = "heatmap.ome.tif"
OVERVIEW = "overview.png"
QUALITY = "quality.tif"
THUMBNAIL = "thumbnail.jpg"
#: The thumbnail without the heatmap's colours.
PLAIN_THUMBNAIL = "thumbnail_plain.jpg"
REGIONS = "regions.geojson"
REGIONS_CSV = "regions.csv"
DECISIONS = "decisions.json"
CORRECTIONS = "corrections.geojson"

#: The masks, in the order of the paper; the region of interest comes last.
MASKS = ("rgb", "hsv", "threshold", "roi")


def results_name(slide: SlidePath) -> str:
    """Return the name of the folder of a slide's results: the file's without suffix.

    Of ``...svs`` that would be the folder above; such a name is kept whole.
    """
    return slide.name if slide.stem in (".", "..") else slide.stem


def mask_file(name: str) -> str:
    """Return the file name of a mask."""
    return f"tissue_{name}.tif"


RESEARCH_USE = "Research use only. Not for diagnosis."
CALIBRATED = "Probabilities: calibrated on validation patches, not on this slide."
FORMAT = "napari-fastnet run"
FORMAT_VERSION = 1
PACKAGES = (
    "napari-fastnet",
    "numpy",
    "tiffslide",
    "tifffile",
    "onnxruntime",
    "openvino",
    "torch",
    "scikit-image",
)

#: Sections of run.json that must be there, and the keys that each must state.
_STATED: dict[str, tuple[str, ...]] = {
    "slide": ("width", "height", "mpp", "mpp_source"),
    "tissue": ("fraction",),
    "seconds": (),
    "versions": ("python", "napari-fastnet"),
}
#: Sections of run.json that must be there but may be null.
_PRESENT = ("model", "grid", "counts", "options", "regions")


def _types() -> dict[str, Any]:
    """Return types of fields by name; two load scipy, which most commands do without."""
    from napari_fastnet.core.appearance.summary import QualitySummary
    from napari_fastnet.core.lesions.regions import Totals

    return {
        "ColoursName": ColoursName,
        "Grid": Grid,
        "Pair": Pair,
        "DecisionFacts": DecisionFacts,
        "QualitySummary": QualitySummary,
        "TissueParameters": TissueParameters,
        "Totals": Totals,
    }


_FIELDS = JsonFields(
    keys={"origin": "origin_px", "step": "step_px"},
    sparse=frozenset({"size_classes", "outlines", "doubt", "evidence", "curve"}),
    may_be_empty=frozenset(
        {
            "TissueFacts",
            "OptionFacts",
            "Totals",
            "QualitySummary",
            "DecisionFacts",
        }
    ),
    types=_types,
)


@dataclass(frozen=True, slots=True)
class SlideFacts:
    """The slide of a run.

    Parameters
    ----------
    path : str
        Its file.
    fingerprint : str
        Digest of its contents.
    width, height : int
        Size, level-0 px; 0 where it is not stated.
    mpp : tuple of float
        (y, x) µm per level-0 px; 0 where it is not stated.
    mpp_source : str
        Where that comes from.
    vendor : str
        Of the scanner.
    icc_profile : str or None
        A profile that the file has; it is not applied.
    reading : tuple of str
        Peculiarities of how the file is read.
    scanned_from : tuple of float or None
        (y, x) corner of the scanned part, level-0 px.
    finer_tiles : mapping of str to int
        By level, the tiles that could not be decoded and were made from a finer level.
    """

    path: str
    fingerprint: str
    width: int = 0
    height: int = 0
    mpp: Pair = (0.0, 0.0)
    mpp_source: str = ""
    vendor: str = ""
    icc_profile: str | None = None
    reading: tuple[str, ...] = ()
    scanned_from: Pair | None = None
    finer_tiles: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the file; its path may have either kind of slash."""
        place = recorded_path(self.path)
        return place.name if isinstance(place, Url) else PureWindowsPath(self.path).name


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The model: its digest, the µm/px it works at and its patch's side in px."""

    name: str
    version: str
    sha256: str
    mpp: float
    patch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TissueFacts:
    """The tissue masks of a run.

    Parameters
    ----------
    fraction : float or None
        Share of the slide inside the region of interest, 0..1.
    area_mm2 : float or None
        Its area.
    never_scanned : float
        Share of the picture that the scanner left out, 0..1.
    mpp : tuple of float or None
        (y, x) µm per px of the masks.
    thresholds : mapping of str to float
        Thresholds used, by name; NaN is None.
    parameters : TissueParameters or None
        Thresholds and radii asked for.
    damaged_tiles : int
        Tiles that could not be decoded.
    edited_px : int
        Mask px changed by hand.
    """

    fraction: float | None = None
    area_mm2: float | None = None
    never_scanned: float = 0.0
    mpp: Pair | None = None
    thresholds: Mapping[str, float | None] = field(default_factory=dict)
    parameters: TissueParameters | None = None
    damaged_tiles: int = 0
    edited_px: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """Patches: those inside the region of interest, those computed, those not readable."""

    kept: int
    computed: int
    failed: int

    @property
    def stopped(self) -> int:
        """Patches left undone because the run was stopped."""
        return max(0, self.kept - self.computed - self.failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionFacts:
    """Options of a run; None where one is not known.

    Parameters
    ----------
    stride_px : int or None
        Distance of patches, px of the model's µm/px.
    dense : bool or None
        Whether the network ran over pictures instead of patches.
    keep : float or None
        Share of tissue from which a patch is computed.
    flips : bool or None
        Whether flipped patches were averaged.
    spacing_tolerance : float
        Share of the model's µm/px by which px that were not resampled might differ.
    stain : mapping
        The stain match, as `core.appearance.stain.StainMatch.to_dict` gives it.
    resampling : str or None
        Filter of resampled reads.
    backend : str or None
        Program and device that ran the network.
    request : str or None
        Digest of the request; None where masks were given as objects.
    mask : str or None
        File of the region of interest.
    bounds_offset : tuple of float, "scanned" or None
        (y, x) level-0 px that were taken off the outlines in that file.
    tissue_seconds : float or None
        Time to find the tissue.
    colours : {"red-green", "blue-orange"}
        Of the heatmap.
    """

    stride_px: int | None = None
    dense: bool | None = None
    keep: float | None = None
    flips: bool | None = None
    spacing_tolerance: float = 0.0
    stain: Mapping[str, Any] = field(default_factory=dict)
    resampling: str | None = None
    backend: str | None = None
    request: str | None = None
    mask: str | None = None
    bounds_offset: str | Pair | None = None
    tissue_seconds: float | None = None
    colours: ColoursName = DEFAULT_COLOURS


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionFacts:
    """A person's decisions about the lesions of a run.

    Parameters
    ----------
    accepted, rejected, unsure : int
        Lesions by verdict: tumor, not tumor, unsure; found or drawn.
    undecided : int
        Lesions of the list without a verdict.
    totals : Totals
        Totals of the accepted lesions; those of the machine are `RunRecord.regions`.
    last : str
        Time of the last decision, ISO 8601 in UTC.
    reading : str
        The reader's own verdict on the slide, without the detection; empty if none.
    read : str
        The time of it.
    events : int
        Events of ``decisions.json`` that these numbers add up; 0 without a file.
    """

    accepted: int = 0
    rejected: int = 0
    unsure: int = 0
    undecided: int = 0
    totals: Totals = field(default_factory=lambda: _types()["Totals"]())
    last: str = ""
    reading: str = ""
    read: str = ""
    events: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """Everything ``run.json`` says about a run.

    A section about which nothing is known is the default of its class, and is written as
    ``{}``.

    Parameters
    ----------
    slide : SlideFacts
        The slide.
    model : ModelFacts or None
        The model; None where only tissue was computed, as of grid, threshold and counts.
    grid : Grid or None
        Cells of the heatmap, level-0 px.
    threshold : float or None
        Probability from which a cell belongs to the outline of a lesion.
    lesion_threshold : float or None
        Evidence from which a candidate is a lesion, log odds; None in runs of version
        0.1, to which `rule` gives a default.
    evidence : EvidenceScale or None
        The scale of that evidence, of the model.
    tissue : TissueFacts
        The masks.
    counts : Counts or None
        Patches by outcome.
    seconds : Seconds
        Time spent.
    options : OptionFacts
        How patches were made and run.
    regions : Totals
        Totals of the lesions as found.
    decisions : DecisionFacts
        What a person decided.
    quality : QualitySummary
        Summary of the flags.
    created : str
        ISO 8601 in UTC; now by default.
    versions : mapping
        Of Python and the packages that shape results; those of now by default.
    source : mapping
        The JSON that the record was read from. Keys that only another version knows are
        written again from here.
    """

    slide: SlideFacts
    model: ModelFacts | None = None
    grid: Grid | None = None
    threshold: float | None = None
    lesion_threshold: float | None = None
    evidence: EvidenceScale | None = None
    tissue: TissueFacts = field(default_factory=TissueFacts)
    counts: Counts | None = None
    seconds: Seconds = field(default_factory=lambda: Seconds(0.0, 0.0, 0.0))
    options: OptionFacts = field(default_factory=OptionFacts)
    regions: Totals = field(default_factory=lambda: _types()["Totals"]())
    decisions: DecisionFacts = field(default_factory=DecisionFacts)
    quality: QualitySummary = field(
        default_factory=lambda: _types()["QualitySummary"]()
    )
    created: str = field(default_factory=lambda: timestamp())
    versions: Mapping[str, str | None] = field(default_factory=lambda: versions())
    source: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def from_json(cls, found: Any) -> RunRecord:
        """Read a record from parsed JSON; sections may be missing.

        Raises
        ------
        ValueError
            A part is missing or of another kind; the message names it.
        """
        if not isinstance(found, dict):
            raise ValueError("the record is no object")
        # a record that does not state them is not of now
        unstated = {"created": "", "versions": {}}
        record: RunRecord = _FIELDS.section(
            cls, {**unstated, **found, "source": {}}, ""
        )
        return replace(record, source=found)

    @property
    def rule(self) -> LesionRule:
        """The rule by which cells are lesions, with defaults for what is not stated."""
        scale = self.evidence or EvidenceScale()
        least = self.lesion_threshold
        return LesionRule(
            self.threshold or 0.0, scale.balanced if least is None else least, scale
        )

    def with_rule(self, rule: LesionRule) -> RunRecord:
        """Return the record with the thresholds and the scale of a rule."""
        return replace(
            self,
            threshold=rule.threshold,
            lesion_threshold=rule.lesion_threshold,
            evidence=rule.evidence,
        )

    def to_dict(self) -> dict[str, Any]:
        """Convert the record to JSON; numbers that are not finite become None."""
        constants = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "notice": RESEARCH_USE,
            "calibration": CALIBRATED,
        }
        whole: dict[str, Any] = plain(constants | _FIELDS.written(self, self.source))
        if self.counts is not None:
            whole["counts"]["stopped"] = self.counts.stopped
        return whole


def timestamp() -> str:
    """Return the time of now, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def parse_record(text: str) -> RunRecord | None:
    """Read the record that another file carries; None if it is empty.

    Raises
    ------
    ValueError
        It is no JSON, or a part is missing or of another kind.
    """
    found = parse_json(text or "{}")
    return RunRecord.from_json(found) if found else None


def record_json(record: RunRecord | None) -> str:
    """Return a record as one line of JSON for other files: ASCII, sorted keys."""
    return to_json({} if record is None else record.to_dict())


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str | None]:
    """Return the versions of Python and of packages that shape results; None: not installed.

    Only metadata are read; nothing is imported.
    """
    return {"python": python_version(), **{name: _version(name) for name in packages}}


@cache  # reading takes a millisecond each
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def write_record(path: Path, record: RunRecord) -> None:
    """Write ``run.json``, aside and renamed; OutputError if it cannot be written."""
    write_bytes(path, (to_json(record.to_dict(), indent=2) + "\n").encode())


def read_record(path: Path) -> RunRecord:
    """Read a ``run.json`` or ``tissue.json``.

    Raises
    ------
    StoreError
        If the file is missing, is not JSON, or lacks a part of a run record.
    """
    try:
        found = parse_json(path.read_bytes(), strict=True)
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise StoreError(
            f"{path} is not valid JSON ({error}); run detect again to replace it"
        ) from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise StoreError(f"{path} is not a run record; give the run.json of a run")
    if found.get("format_version") != FORMAT_VERSION:
        raise StoreError(
            f"{path} has format version {found.get('format_version')!r}, this version "
            f"reads {FORMAT_VERSION}; update napari-fastnet or run detect again"
        )
    try:
        _require_whole(found)
        return RunRecord.from_json(found)
    except ValueError as error:
        raise StoreError(
            f"{path} is damaged: {error}; run detect again to replace it"
        ) from error


def _require_whole(found: dict[str, Any]) -> None:
    """Raise a ValueError if a run.json lacks a part that every run writes."""
    for name in _PRESENT:
        if name not in found:
            raise wrong_part(name)
    for name, keys in _STATED.items():
        section = found.get(name)
        if not isinstance(section, dict):
            raise wrong_part(name)
        for key in keys if section else ():
            if key not in section:
                raise wrong_part(f"{name}.{key}")
