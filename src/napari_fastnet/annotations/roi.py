"""Outlines and masks that belong to a slide, and regions of interest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.annotations.checks import MAXIMUM_CROSSINGS, without_frame
from napari_fastnet.annotations.masks import fit_mask, read_mask
from napari_fastnet.annotations.reading import SUFFIXES, read_annotations
from napari_fastnet.core import polygons
from napari_fastnet.core.geometry import Box
from napari_fastnet.core.polygons import Annotations
from napari_fastnet.errors import AnnotationError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_fastnet.annotations.classes import Meaning
    from napari_fastnet.core.arrays import Bools
    from napari_fastnet.core.geometry import Pair


@dataclass(frozen=True, slots=True, eq=False)
class RegionOfInterest:
    """The part of a slide to scan; made by `read_roi`.

    Parameters
    ----------
    path : Path
        The file.
    slide_shape : tuple of int
        (height, width) of the slide, level-0 px.
    area : (height, width) ndarray of bool, or Annotations
        A mask of the slide, in px of its own, or outlines on it.
    notes : tuple of str
        Notes for the user.
    """

    path: Path
    slide_shape: tuple[int, int]
    area: Bools | Annotations
    notes: tuple[str, ...] = ()

    def mask(self, shape: tuple[int, int]) -> Bools:
        """Return the mask of the whole slide.

        Parameters
        ----------
        shape : tuple of int
            (height, width) of the mask.

        Returns
        -------
        (height, width) bool ndarray
            True inside; outlines hold the px whose centre they enclose.

        Raises
        ------
        AnnotationError
            The outlines lie between the centres of px.
        """
        if not isinstance(self.area, Annotations):
            return fit_mask(self.area, shape)
        mask = polygons.slide_mask(self.area, self.slide_shape, shape)
        if not mask.any():
            side_px = self.slide_shape[0] / shape[0]
            raise AnnotationError(
                f"{self.path}: its outlines enclose no px of the mask, {side_px:.0f} px "
                "of the slide each; draw larger ones"
            )
        return mask


def read_roi(
    path: Path, slide_shape: tuple[int, int], *, bounds_offset: Pair = (0.0, 0.0)
) -> RegionOfInterest:
    """Read a region of interest from a mask or from outlines.

    Parameters
    ----------
    path : Path
        TIFF or PNG of the whole slide, above 0 inside, see `masks.read_mask`; or
        outlines in level-0 px, GeoJSON, ASAP's XML or CAMELYON's JSON, of any class but
        `classes.NOT_OF_INTEREST`.
    slide_shape : tuple of int
        (height, width) of the slide, level-0 px.
    bounds_offset : tuple of float, optional
        (y, x) level-0 px that are added to outlines, see `read_outlines`.

    Returns
    -------
    RegionOfInterest
        Its ``notes`` list the outlines that are left out.

    Raises
    ------
    MaskError
        The picture cannot be read or is not one of the whole slide.
    AnnotationError
        The outlines cannot be read, or none lies on the slide.
    """
    if path.suffix.lower() not in SUFFIXES:
        return RegionOfInterest(path, slide_shape, read_mask(path, slide_shape))
    outlines, notes = read_outlines(
        path, slide_shape, meaning="region of interest", bounds_offset=bounds_offset
    )
    if not outlines.positive:
        raise AnnotationError(f"{path}: no outline in it; draw one, or export it anew")
    return RegionOfInterest(path, slide_shape, outlines, notes)


def read_outlines(
    path: Path,
    slide_shape: tuple[int, int],
    bounds_offset: Pair = (0.0, 0.0),
    *,
    meaning: Meaning = "tumor",
    tumor_classes: tuple[str, ...] = (),
) -> tuple[Annotations, tuple[str, ...]]:
    """Read outlines that belong to a slide.

    Parameters
    ----------
    path : Path
        As for `reading.read_annotations`.
    slide_shape : tuple of int
        (height, width) of the slide, level-0 px.
    bounds_offset : tuple of float, optional
        (y, x) level-0 px that are added to every point: OpenSlide's bounds, where the
        file counts from their corner, as QuPath does.
    meaning : {"tumor", "region of interest", "labels"}
        Meaning of the outlines.
    tumor_classes : tuple of str, optional
        Classes that are tumor, see `classes.Classes`.

    Returns
    -------
    tuple of Annotations and tuple of str
        The outlines, perhaps none; and a line for each that was skipped, and for those
        that reach beyond the slide.

    Raises
    ------
    AnnotationError
        The outlines cannot be read, all lie outside the slide, none of them counts, or
        those of tumor, which become areas, cross themselves more than
        ``MAXIMUM_CROSSINGS`` times.
    """
    found = read_slide_annotations(
        path,
        slide_shape,
        meaning=meaning,
        bounds_offset=bounds_offset,
        tumor_classes=tumor_classes,
    )
    # both are areas of the slide, of labels
    rings = (*found.positive, *found.negative, *found.ignored)
    counting = rings if meaning == "labels" else found.positive
    if found.skipped and not counting:
        raise AnnotationError(
            f"{path}: no outline that counts in it ({'; '.join(found.skipped[:3])})"
        )
    if (
        meaning != "region of interest"  # these become areas
        and found.crossing
        and polygons.crossings(rings, limit=MAXIMUM_CROSSINGS) > MAXIMUM_CROSSINGS
    ):
        raise AnnotationError(
            f"{path}: outline {found.crossing[0]!r} or others cross themselves more "
            f"than {MAXIMUM_CROSSINGS:,} times; simplify them"
        )
    height, width = slide_shape
    outside, beyond = polygons.rings_outside(counting, Box.of_shape(slide_shape))
    if counting and outside == len(counting):
        raise AnnotationError(
            f"{path}: all of it lies outside the slide of {width} x {height} px; check "
            "that it belongs to this slide and is in level-0 px"
        )
    notes = [f"{path.name}: {line}" for line in found.skipped]
    if outside or beyond:
        notes.append(
            f"{path.name}: {outside + beyond} of {len(counting)} outlines reach beyond "
            f"the slide of {width} x {height} px; what lies outside is left out"
        )
    return found, tuple(notes)


def read_slide_annotations(
    path: Path,
    slide_shape: tuple[int, int] | None,
    *,
    meaning: Meaning = "tumor",
    bounds_offset: Pair = (0.0, 0.0),
    tumor_classes: tuple[str, ...] = (),
) -> Annotations:
    """Read outlines in level-0 px of a slide, without the slide's own frame.

    Parameters
    ----------
    path : Path
        As for `read_outlines`.
    slide_shape : tuple of int or None
        (height, width) of the slide, level-0 px, if known.
    meaning, bounds_offset, tumor_classes
        As for `read_outlines`.

    Returns
    -------
    Annotations
        May have no outline.

    Raises
    ------
    AnnotationError
        The outlines cannot be read.
    """
    found = without_frame(
        read_annotations(path, meaning, tumor_classes),
        slide_shape,
        keep_one=meaning == "region of interest",
    )
    positive, negative, ignored = (
        tuple(ring + np.asarray(bounds_offset) for ring in rings)
        for rings in (found.positive, found.negative, found.ignored)
    )
    return replace(found, positive=positive, negative=negative, ignored=ignored)
