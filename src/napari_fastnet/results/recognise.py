"""Recognition of slides and of our own files, without reading pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from napari_fastnet.errors import FastNetError
from napari_fastnet.machine.json_text import parse_json
from napari_fastnet.machine.remote.url import Url
from napari_fastnet.results.reading import is_regions_export, tiff_export
from napari_fastnet.results.record import HEATMAP, REGIONS, STORE
from napari_fastnet.slide.image import pixel_count, slide_series
from napari_fastnet.slide.samples import TIFF_ERRORS
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.slide.tiff import page_list_errors

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path

    from tifffile import TiffFile, TiffPageSeries

    from napari_fastnet.machine.remote.url import SlidePath

Content = Literal["slide", "heatmap", "mask", "quality", "regions", "run", "results"]

#: Suffixes that only scanners use; everybody uses those of TIFF.
SCANNER_SUFFIXES = (".svs", ".ndpi", ".scn", ".bif")
TIFF_SUFFIXES = (".tif", ".tiff")

#: Larger images cannot be shown as one texture and are slides, tiled or not.
LARGE_PX = 8192 * 8192


def content_of(path: SlidePath) -> Content | None:
    """Return the kind of content of a path that this package opens.

    Parameters
    ----------
    path : Path or Url
        A file or folder; it need not exist. By an address a slide alone.

    Returns
    -------
    {"slide", "heatmap", "mask", "regions", "run", "results"} or None
        "run" is a ``run.zarr``, "results" the folder around one or around an export.
        None for anything else: a plain TIFF image is left to other readers. Never
        raises.
    """
    if isinstance(path, Url):
        return _remote_content(path)
    try:
        if path.is_dir():
            return _folder_content(path)
        suffix = path.suffix.lower()
        if not path.is_file():
            return None
        if suffix in SCANNER_SUFFIXES:
            return "slide"
        if suffix in TIFF_SUFFIXES:
            return _tiff_content(path)
    except OSError:
        return None
    return "regions" if suffix == ".geojson" and is_regions_export(path) else None


def _remote_content(url: Url) -> Content | None:
    """Return "slide" for an address that is one, or cannot be read: reading says why."""
    suffix = url.suffix.lower()
    if suffix in SCANNER_SUFFIXES:
        return "slide"
    if suffix not in TIFF_SUFFIXES:
        return None
    try:
        return "slide" if _tiff_content(url) == "slide" else None
    except FastNetError:
        return "slide"


def _folder_content(path: Path) -> Content | None:
    if _is_run(path):
        return "run"
    ours = _is_run(path / STORE) or (path / HEATMAP).is_file()
    return "results" if ours or is_regions_export(path / REGIONS) else None


def _is_run(path: Path) -> bool:
    """Return whether a folder is the zarr array of a run."""
    try:
        described: Any = parse_json((path / "zarr.json").read_bytes())
        return "napari_fastnet_run" in described["attributes"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _tiff_content(path: SlidePath) -> Content | None:
    """Return the kind of a TIFF file, judged by its largest image."""
    import tifffile

    try:
        with (
            page_list_errors(),
            _opened(path) as file,
            tifffile.TiffFile(file) as tif,
        ):
            export = tiff_export(tif)
            if export is not None:
                return export
            image = slide_series(tif)
            page = image.keyframe
            colour = page.dtype == "uint8" and page.samplesperpixel in (3, 4)
            slide = colour and (
                _has_levels(tif, image) or pixel_count(image) >= LARGE_PX
            )
    except TIFF_ERRORS:
        return None
    return "slide" if slide or (colour and _states_mpp(path)) else None


def _opened(path: SlidePath) -> BufferedReader:
    if not isinstance(path, Url):
        return path.open("rb")
    from napari_fastnet.machine.remote.file import RemoteFile

    return RemoteFile(path).open()


def _has_levels(tif: TiffFile, image: TiffPageSeries) -> bool:
    """Return whether an image is tiled or has smaller copies."""
    page = image.keyframe
    if page.is_tiled or page.subifds or len(image.levels) > 1:
        return True
    return len(tif.pages) > 1 and bool(getattr(tif.pages[1], "is_reduced", False))


def _states_mpp(path: SlidePath) -> bool:
    """Return whether a file opens as a slide and states a plausible µm/px."""
    try:
        with open_slide(path) as slide:
            slide.require_mpp()
    except FastNetError:
        return False
    return True
