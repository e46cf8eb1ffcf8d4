"""Choice of the slide in a TIFF file: its largest image, at one focal plane."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from napari_fastnet.errors import SlideFormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tifffile import TiffFile, TiffFrame, TiffPage, TiffPageSeries

#: An image beside the slide with more than this share of its px is no label, macro or
#: thumbnail; a note names it.
OTHER_SHARE = 0.25

# Hamamatsu's tag of a page: how far its focal plane is from the one focused on.
_NDPI_FOCUS = 65424

_COLOURS, _FOCUS = ("C", "S"), "Z"


@dataclass(frozen=True, slots=True, eq=False)
class SlideImage:
    """The slide's image among the images of a TIFF file.

    Parameters
    ----------
    series : TiffPageSeries
        The whole image, all focal planes included.
    levels : tuple
        (pages, the page that describes them) of each level, largest first: one page,
        or one a colour.
    notes : tuple of str
        Reasons for the choice where there was one, without the file's name.
    """

    series: TiffPageSeries
    levels: tuple[tuple[Sequence[TiffPage | TiffFrame], TiffPage], ...]
    notes: tuple[str, ...]


def slide_series(tiff: TiffFile) -> TiffPageSeries:
    """Return the image with the most px, the first of several; planes count once."""
    images = [image for image in tiff.series if {"Y", "X"} <= set(image.axes)]
    if not images:
        raise ValueError("it has no image")
    return max(images, key=pixel_count)


def pixel_count(image: TiffPageSeries) -> int:
    """Return height times width of an image."""
    return prod(_size(image))


def slide_image(tiff: TiffFile, name: str) -> SlideImage:
    """Return the slide's image, with the pages of one focal plane.

    SlideFormatError, with the file's name, where the image is a stack of something else, or
    is spread over several files.
    """
    series = slide_series(tiff)
    plane, notes = _plane(series, name)
    sizes = [size for _, size in _leading(series)]
    levels = tuple(
        (level_pages(level, plane, name), level.keyframe)
        for level in series.levels
        if [size for _, size in _leading(level)] == sizes  # of all planes, or of none
    )
    if len(levels[0][0]) == 3:
        channels = "has three channels, taken for red, green and blue"
        notes = (*notes, channels)
    return SlideImage(series, levels, (*notes, *_others(tiff, series)))


def _size(image: TiffPageSeries) -> tuple[int, int]:
    """Return (height, width) of an image."""
    height, width = (int(image.shape[image.axes.index(axis)]) for axis in "YX")
    return height, width


def _leading(image: TiffPageSeries) -> list[tuple[str, int]]:
    """Return name and length of the axes along which an image is spread over pages."""
    own = len(image.keyframe.shape)
    count = max(0, len(image.axes) - own)
    return [
        (axis, int(size))
        for axis, size in zip(image.axes[:count], image.shape[:count], strict=True)
    ]


def _plane(
    series: TiffPageSeries, name: str
) -> tuple[tuple[int, int] | None, tuple[str, ...]]:
    """Return (axis, number) of the focal plane to read, and a note of the choice.

    None instead of the former where there is but one plane.
    """
    leading = _leading(series)
    sizes = dict(leading)
    count = sizes.pop(_FOCUS, 1)
    unknown = {a: n for a, n in sizes.items() if n > 1 and a not in _COLOURS}
    if unknown or series.keyframe.imagedepth > 1:
        height, width = _size(series)
        raise SlideFormatError(
            f"{name}: holds {prod(unknown.values()) or series.keyframe.imagedepth} "
            f"pictures of {width:,} x {height:,} px and does "
            f"not say that they are focal planes (axes {series.axes}); write the right "
            "one to a file of its own, e.g. tiffcp IN.tif,2 OUT.tif"
        )
    if count == 1:
        return None, ()
    plane, which = count // 2, "the middle one"
    tags = [getattr(page, "tags", None) for page in series.pages]
    offsets = [None if tag is None else tag.valueof(_NDPI_FOCUS) for tag in tags]
    if len(offsets) == count and 0 in offsets:
        plane, which = offsets.index(0), "the one focused on"
    note = f"has {count} focal planes; number {plane + 1}, {which}, is read"
    return ([axis for axis, _ in leading].index(_FOCUS), plane), (note,)


def level_pages(
    level: TiffPageSeries, plane: tuple[int, int] | None, name: str
) -> list[TiffPage | TiffFrame]:
    """Return a level's pages at the focal plane with that (axis, number), or all."""
    if level.is_multifile:
        raise SlideFormatError(
            f"{name}: the image is spread over several files; join them in one, e.g. "
            "with bfconvert"
        )
    leading = _leading(level)
    pages = list(level.pages)
    if len(pages) != prod(size for _, size in leading):
        raise SlideFormatError(
            f"{name}: has {len(pages)} pages for axes {level.axes} of "
            f"{' x '.join(map(str, level.shape))}; write it again, one page a picture"
        )
    if plane is not None:
        # levels call the axis otherwise, at the same place
        axis, number = plane
        inner = prod(size for _, size in leading[axis + 1 :])
        count = leading[axis][1]
        pages = [p for i, p in enumerate(pages) if i // inner % count == number]
    found = [page for page in pages if page is not None]
    if len(found) < len(pages):
        raise SlideFormatError(
            f"{name}: a page of the image is missing, or lies in another file; join "
            "them in one, e.g. with bfconvert"
        )
    return found


def _others(tiff: TiffFile, series: TiffPageSeries) -> tuple[str, ...]:
    """Return a note that names other images as large as slides, which are not read."""
    height, width = _size(series)
    sizes = [
        _size(image)
        for image in tiff.series
        if image is not series and {"Y", "X"} <= set(image.axes)
    ]
    others = [
        f"{columns:,} x {rows:,} px"
        for rows, columns in sizes
        if rows * columns > OTHER_SHARE * height * width
        # of the same shape it is the slide made smaller
        and not (
            rows < height and abs(rows * width - columns * height) <= max(height, width)
        )
    ]
    if not others:
        return ()
    more = "" if len(others) <= 3 else f" and {len(others) - 3} more"
    called = f" ({series.name})" if series.name else ""
    return (
        f"holds {len(others) + 1} large images; the slide is the largest{called}, "
        f"{width:,} x {height:,} px; not read: {', '.join(others[:3])}{more}",
    )
