"""The run record: what was done to which slide with which model, as ``run.json``.

Every exported file carries it where its format allows, so that a picture or a table
found years later still says where it came from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import (
    MISSING,
    asdict,
    dataclass,
    field,
    fields,
    is_dataclass,
    replace,
)
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from napari_fastnet.core.geometry import Grid, Pair
from napari_fastnet.errors import OptionError, StoreError
from napari_fastnet.machine.files import write_bytes
from napari_fastnet.machine.json_text import parse_json, plain, to_json
from napari_fastnet.store.format import Seconds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


# What stands in a path for a byte that is no UTF-8.
_NO_TEXT = re.compile("[\ud800-\udfff]")
_NO_PART_OF_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")

STORE = "run.zarr"
#: Inside of the store: how sharp the patches are.
SHARPNESS = "sharpness"
RECORD = "run.json"
TISSUE_RECORD = "tissue.json"
HEATMAP = "heatmap.ome.tif"
OVERVIEW = "overview.png"
QUALITY = "quality.tif"
THUMBNAIL = "thumbnail.jpg"
REGIONS = "regions.geojson"
REGIONS_CSV = "regions.csv"

#: The masks, in the order of the paper; the region of interest comes last.
MASKS = ("rgb", "hsv", "threshold", "roi")


def results_name(slide: Path) -> str:
    """Return how the folder of a slide's results is called: as the file without suffix.

    Of ``...svs`` that would be the folder above; such a name is kept whole.
    """
    return slide.name if slide.stem in (".", "..") else slide.stem


def mask_file(name: str) -> str:
    """Return how the file of a mask is called."""
    return f"tissue_{name}.tif"


def written(text: str | Path) -> str:
    """Return a name or path as it can be written into a file.

    A name of an old server or a foreign disk need be no UTF-8. Each such byte becomes
    U+FFFD, the mark of what cannot be shown.
    """
    return _NO_TEXT.sub("\ufffd", str(text))


def in_a_line(text: str | Path) -> str:
    """Return a name or path as it can be printed: as `written`, and in one line."""
    return _NO_PART_OF_A_LINE.sub("\ufffd", written(text))


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

# What is used without a further look when a record is read back.
KINDS: dict[tuple[str, str], type | tuple[type, ...]] = {
    ("slide", "path"): str,
    ("slide", "mpp"): list,
    ("slide", "mpp_source"): str,
    ("model", "name"): str,
    ("tissue", "fraction"): (int, float),
}

# Sections of run.json, and what each must hold when it is not null.
SECTIONS: dict[str, tuple[str, ...]] = {
    "slide": ("path", "fingerprint", "width", "height", "mpp", "mpp_source"),
    "model": ("name", "version", "sha256", "mpp", "patch"),
    "grid": ("origin_px", "step_px", "shape"),
    "tissue": ("fraction",),
    "counts": ("kept", "computed", "failed", "stopped"),
    "seconds": ("read", "infer", "total"),
    "options": (),
    "regions": (),
    "versions": ("python", "napari-fastnet"),  # of others, whatever was known then
}


@dataclass(frozen=True, slots=True)
class SlideFacts:
    """The slide: its path, content fingerprint, size in px and µm/px (y, x).

    The ICC profile is one that the file has and that is not applied; ``reading`` is what
    must be told of how the file is read, ``scanned_from`` the corner of the scanned part
    (y, x), level-0 px. ``finer_tiles`` counts, level by level, the tiles that could not be
    decoded and were made from a finer level.
    """

    path: str
    fingerprint: str
    width: int
    height: int
    mpp: Pair
    mpp_source: str
    vendor: str = ""
    icc_profile: str | None = None
    reading: tuple[str, ...] = ()
    scanned_from: Pair | None = None
    finer_tiles: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The model: its digest, the µm/px it works at and its patch's side in px."""

    name: str
    version: str
    sha256: str
    mpp: float
    patch: int


@dataclass(frozen=True, slots=True)
class Counts:
    """Patches: those the tissue asked for, those computed, those not readable."""

    kept: int
    computed: int
    failed: int

    @property
    def stopped(self) -> int:
        """Patches left undone because the run was stopped."""
        return self.kept - self.computed - self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """Everything ``run.json`` says about a run.

    Parameters
    ----------
    slide : SlideFacts
        What was read.
    tissue : Mapping
        ``fraction`` (0..1) and whatever else describes the masks: thresholds used,
        radii, area in mm².
    model, grid, threshold, counts : optional
        None where only tissue was computed. The grid is in level-0 px.
    seconds : Seconds
        Time spent.
    options : Mapping
        How patches were made and run: stride, keep rule, stain match, resampling
        filter, back end.
    regions : Mapping
        Totals, as :func:`napari_fastnet.core.regions.summarise` gives them.
    quality : Mapping
        What is flagged, as `core.appearance.summary.summarise_quality` gives it.
    created : str
        ISO 8601 in UTC; now, where not given.
    versions : Mapping
        Of Python and of what shapes results, by package; those of now, where not given.
    source : Mapping
        The JSON that the record was read from. Keys that only another version knows are
        written again from here.
    """

    slide: SlideFacts
    tissue: Mapping[str, Any]
    seconds: Seconds
    model: ModelFacts | None = None
    grid: Grid | None = None
    threshold: float | None = None
    counts: Counts | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    regions: Mapping[str, Any] = field(default_factory=dict)
    quality: Mapping[str, Any] = field(default_factory=dict)
    created: str = field(
        default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds")
    )
    versions: Mapping[str, str | None] = field(default_factory=lambda: versions())
    source: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def from_json(cls, found: Any) -> RunRecord:
        """Read a record out of parsed JSON.

        Raises
        ------
        ValueError
            A part is missing or of another kind; the message names it.
        """
        if not isinstance(found, dict):
            raise ValueError("the record is no object")
        # of a record that does not say them, now is no answer
        unsaid = {"created": "", "versions": {}}
        try:
            record: RunRecord = _parsed(cls, {**unsaid, **found}, "")
        except OptionError as error:  # no grid that there can be
            raise ValueError(str(error)) from error
        return replace(record, source=found)

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON has it; numbers that are not finite become None."""
        counts, grid = self.counts, self.grid
        record = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "created": self.created,
            "notice": RESEARCH_USE,
            "calibration": CALIBRATED,
            "slide": asdict(self.slide),
            "model": None if self.model is None else asdict(self.model),
            "grid": None
            if grid is None
            else {"origin_px": grid.origin, "step_px": grid.step, "shape": grid.shape},
            "threshold": self.threshold,
            "tissue": self.tissue,
            "counts": None
            if counts is None
            else {**asdict(counts), "stopped": counts.stopped},
            "seconds": asdict(self.seconds),
            "options": self.options,
            "regions": self.regions,
            "quality": self.quality,
            "versions": self.versions,
        }
        found: dict[str, Any] = _with_source(plain(record), self.source)
        return found


def _with_source(now: dict[str, Any], source: Mapping[str, Any]) -> dict[str, Any]:
    """Return JSON of now with the unknown keys of its source, without empty new ones."""
    if not source:
        return now
    kept = {}
    for key, value in now.items():
        if key not in source:
            if value:
                kept[key] = value
        elif isinstance(value, dict) and isinstance(source[key], dict):
            kept[key] = _with_source(value, source[key])
        else:
            kept[key] = value
    return {**source, **kept}


#: Names of fields that are other ones in JSON.
_KEYS = {"origin": "origin_px", "step": "step_px"}


def _parsed(kind: Any, value: Any, at: str) -> Any:
    """Return a value of JSON as a type has it; ValueError names what is at fault."""
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        if value is None and NoneType in args:
            return None
        (kind,) = (one for one in args if one is not NoneType)
        return _parsed(kind, value, at)
    if is_dataclass(kind) and isinstance(value, dict):
        return _section(kind, value, f"{at}." if at else "")
    if origin is tuple and isinstance(value, list):
        kinds = args[:1] * len(value) if args[-1] is Ellipsis else args
        if len(value) == len(kinds):
            return tuple(_parsed(k, v, at) for k, v in zip(kinds, value, strict=True))
    elif origin is Mapping and isinstance(value, dict):
        return {args[0](key): _parsed(args[1], v, at) for key, v in value.items()}
    elif kind is Any or _is_plain(kind, value):
        return value
    raise _wrong(at)


def _is_plain(kind: Any, value: Any) -> bool:
    """Return whether a value is a number, a text or a truth value of that kind."""
    if kind is float:
        return type(value) in (int, float)
    return type(value) is kind and "\0" not in str(value)


def _section(kind: Any, value: dict[str, Any], at: str) -> Any:
    """Return a section of JSON as a dataclass."""
    hints = get_type_hints(
        kind, localns={"Grid": Grid, "Pair": Pair, "Seconds": Seconds}
    )
    found = {}
    for part in fields(kind):
        key = _KEYS.get(part.name, part.name)
        if key in value and part.init:
            found[part.name] = _parsed(hints[part.name], value[key], at + key)
        elif part.default is MISSING and part.default_factory is MISSING:
            raise _wrong(at + key)
    return kind(**found)


def _wrong(at: str) -> ValueError:
    return ValueError(f"{at!r} is missing or of another kind")


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str | None]:
    """Return the versions of Python and of what shapes results; None: not installed.

    Only metadata are read; nothing is imported.
    """
    found: dict[str, str | None] = {"python": python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def write_record(path: Path, record: RunRecord) -> None:
    """Write ``run.json``, aside and renamed; OutputError if it cannot be written."""
    write_bytes(path, (to_json(record.to_dict(), indent=2) + "\n").encode())


def read_record(path: Path) -> dict[str, Any]:
    """Return what a ``run.json`` says.

    Raises
    ------
    StoreError
        If the file is missing, is not JSON, or lacks a part of a run record.
    """
    try:
        record = parse_json(path.read_bytes(), strict=True)
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise StoreError(
            f"{path} is not valid JSON ({error}); run detect again to replace it"
        ) from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise StoreError(f"{path} is not a run record; give the run.json of a run")
    if record.get("format_version") != FORMAT_VERSION:
        raise StoreError(
            f"{path} has format version {record.get('format_version')!r}, this version "
            f"reads {FORMAT_VERSION}; update napari-fastnet or run detect again"
        )
    for name in ("slide", "tissue", "seconds", "versions"):
        _require(path, record.get(name) is not None, name)
    for name, keys in SECTIONS.items():
        _require(path, name in record, name)
        section = record[name]
        _require(path, section is None or isinstance(section, dict), name)
        for key in keys if section is not None else ():
            _require(path, key in section, f"{name}.{key}")
    record.setdefault("quality", {})  # records of before there was any
    _require(path, isinstance(record["quality"], dict), "quality")
    for (name, key), kind in KINDS.items():
        value = (record[name] or {}).get(key)
        is_kind = record[name] is None or isinstance(value, kind)
        _require(path, is_kind and "\0" not in str(value), f"{name}.{key}")
    return record


def _require(path: Path, holds: bool, name: str) -> None:
    """Raise if a part of the record is not as it must be."""
    if not holds:
        raise StoreError(
            f"{path} is damaged: {name!r} is missing or of another kind; run detect "
            "again to replace it"
        )
