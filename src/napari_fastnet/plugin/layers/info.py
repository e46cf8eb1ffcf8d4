"""Metadata of this package's layers, and the search for layers by them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_fastnet.core.geometry import Grid, Pair
from napari_fastnet.errors import SpacingError
from napari_fastnet.machine.remote.url import SlidePath
from napari_fastnet.results.record import RunRecord
from napari_fastnet.slide.slide import Slide

if TYPE_CHECKING:
    from napari.layers import Layer

#: Under this key of ``layer.metadata`` lies a `SlideInfo` or a `ResultInfo`.
SLIDE_KEY = "napari_fastnet"

MaskKind = Literal["rgb", "hsv", "threshold", "roi"]
Kind = Literal["rgb", "hsv", "threshold", "roi", "heatmap", "regions", "quality"]


@dataclass(frozen=True, slots=True, eq=False)
class SlideInfo:
    """Metadata of a slide's layer.

    Parameters
    ----------
    slide : Slide
        Open as long as the layer exists.
    path : Path or Url
        Its file.
    mpp : tuple of float or None
        (y, x) µm/px of level 0; None if unknown or absurd.
    mpp_source : str
        Source of the µm/px.
    fingerprint : str
        Of the slide's contents; the layers computed from it carry the same.
    """

    slide: Slide
    path: SlidePath
    mpp: Pair | None
    mpp_source: str
    fingerprint: str

    @classmethod
    def of(cls, slide: Slide) -> SlideInfo:
        """Return the metadata of an open slide."""
        return cls(
            slide, slide.path, _usable_mpp(slide), slide.mpp_source, slide.fingerprint
        )


@dataclass(frozen=True, slots=True, eq=False)
class ResultInfo:
    """Metadata of a layer computed from a slide.

    Parameters
    ----------
    kind : {"rgb", "hsv", "threshold", "roi", "heatmap", "regions", "quality"}
        Kind of result.
    slide_name : str
        Of the slide's file, without suffix.
    fingerprint : str
        Of the slide; empty if unknown.
    mpp : tuple of float
        (y, x) µm per px: of the mask, else of the slide's level 0.
    grid : Grid or None
        Of a heatmap and of flags.
    record : RunRecord or None
        The run record, written with every export.
    folder : Path or None
        Of the saved run that a heatmap was read from.
    """

    kind: Kind
    slide_name: str
    fingerprint: str
    mpp: Pair
    grid: Grid | None = None
    record: RunRecord | None = None
    folder: Path | None = None


def info_of(layer: Layer) -> SlideInfo | ResultInfo | None:
    """Return this package's metadata of a layer, None for other layers."""
    info = layer.metadata.get(SLIDE_KEY)
    return info if isinstance(info, SlideInfo | ResultInfo) else None


def slide_of(layer: Layer | None) -> Slide | None:
    """Return the open slide behind a slide's layer, None for any other layer."""
    info = None if layer is None else info_of(layer)
    return info.slide if isinstance(info, SlideInfo) else None


def result_layers(
    layers: Iterable[Layer], fingerprint: str, kind: Kind | None = None
) -> list[Layer]:
    """Return the layers computed from one slide, of one kind or of all."""
    of_slide = [
        (layer, info)
        for layer in layers
        if isinstance(info := info_of(layer), ResultInfo)
        and info.fingerprint == fingerprint
    ]
    return [layer for layer, info in of_slide if kind is None or info.kind == kind]


def _usable_mpp(slide: Slide) -> Pair | None:
    try:
        return slide.require_mpp()
    except SpacingError:
        return None
