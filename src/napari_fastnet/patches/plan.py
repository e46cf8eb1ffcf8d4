"""Tumor and normal patches of one slide (Eqs. 1-4)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import file_digest
from math import ceil
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from napari_fastnet.annotations.checks import odd_outlines
from napari_fastnet.annotations.placement import mask_points, placement_note
from napari_fastnet.annotations.roi import read_slide_annotations
from napari_fastnet.core.geometry import Box, Grid, Pair
from napari_fastnet.core.grid import patch_grid, slide_grid
from napari_fastnet.core.polygons import rings_outside, tumor_share
from napari_fastnet.detection.plan import KEEP
from napari_fastnet.detection.tissue import MASK_MPP, find_tissue
from napari_fastnet.errors import AnnotationError
from napari_fastnet.machine.files import atomic_path
from napari_fastnet.results.recorded_slide import corner_of
from napari_fastnet.slide.slide import open_slide

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_fastnet.detection.tissue import SlideTissue
    from napari_fastnet.patches.camelyon import CamelyonSlide
    from napari_fastnet.patches.options import PatchOptions
    from napari_fastnet.slide.slide import Slide

#: Bump when the same slide would give other candidates.
FORMAT = 1
#: A level is read unfiltered where its µm/px is this near to the wanted one.
SAME_SPACING = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class SlidePatches:
    """The patches of a slide that hold enough of one class.

    Parameters
    ----------
    positions : (n, 2) float64 ndarray
        (y, x) of the top left corner, level-0 px.
    weights : (n,) float32 ndarray
        W of Eq. 3, px of the patch.
    labels : (n,) uint8 ndarray
        1 is tumor, 0 is normal.
    facts : dict
        JSON-able: the slide, its µm/px, its annotation, areas, ``spacing_um_px`` and
        ``patch_level0_px`` as (y, x).
    """

    positions: NDArray[np.float64]
    weights: NDArray[np.float32]
    labels: NDArray[np.uint8]
    facts: dict[str, Any]


def candidates_of(
    known: CamelyonSlide, options: PatchOptions, cache: Path
) -> SlidePatches:
    """Find the candidates of a slide, or load them from a file where nothing changed.

    Parameters
    ----------
    known : CamelyonSlide
        The slide.
    options : PatchOptions
        Size of the patches, and the choice of the tissue to cut them from.
    cache : Path
        File for the candidates, ``.npz``.

    Returns
    -------
    SlidePatches
        Perhaps none: no tissue is a result.

    Raises
    ------
    FastNetError
        The slide or its annotation cannot be used.
    """
    digest = ""
    with open_slide(known.path, mpp=options.slide_mpp) as slide:
        if known.outlines is not None:
            with known.outlines.open("rb") as file:
                digest = file_digest(file, "sha256").hexdigest()
        depends_on = {
            "format": FORMAT,
            "fingerprint": slide.fingerprint,
            "mpp": slide.require_mpp(),
            "outlines": digest,
            "slide": [known.is_tumor, known.is_test, known.is_partly],
            "options": asdict(options),
        }
        key = json.dumps(depends_on, sort_keys=True)
        found = _cached(cache, key)
        if found is None:
            found = find_candidates(known, slide, options)
            arrays = {n: getattr(found, n) for n in ("positions", "weights", "labels")}
            facts = np.array(json.dumps(found.facts))
            with atomic_path(cache) as aside:
                np.savez_compressed(aside, key=np.array(key), facts=facts, **arrays)
    return found


def _cached(path: Path, key: str) -> SlidePatches | None:
    """Load candidates, None where they belong to another key or are damaged."""
    try:
        # Opened here, since numpy does not close its own file when it is damaged.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            if str(file["key"]) != key:
                return None
            facts = json.loads(str(file["facts"]))
            return SlidePatches(
                file["positions"], file["weights"], file["labels"], facts
            )
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def find_candidates(
    known: CamelyonSlide, slide: Slide, options: PatchOptions
) -> SlidePatches:
    """Lay patches over a slide's tumor and over its normal tissue.

    Each has its own grid over its own bounding box, as in the paper, so that a patch
    of normal tissue and one of tumor may overlap at a tumor's border.
    """
    spacing = slide_spacing(slide, options.spacing_um_px)
    own = slide.require_mpp()
    patch = _pair(options.patch_px * s / m for s, m in zip(spacing, own, strict=True))
    step = _pair(side / mask_cells(options) for side in patch)
    grid = slide_grid(slide.shape, stride=step)
    tissue = find_tissue(slide, options.tissue)
    normal = _tissue_on(tissue, slide.shape, grid).astype(np.float32)
    notes: list[str] = list(slide.reading_notes)
    facts = {
        "slide": known.path.name,
        "fingerprint": slide.fingerprint,
        "mpp": own,
        "spacing_um_px": spacing,
        "patch_level0_px": patch,
        "is_tumour": known.is_tumor,
        "is_test": known.is_test,
        "tissue_mm2": tissue.area_mm2,
        "tumour_mm2": 0.0,
        "notes": notes,
    }
    parts = []
    if known.outlines is not None:
        tumor, odd = _tumor_on(known.outlines, slide, options, grid)
        covered = _pair(n * s for n, s in zip(grid.shape, grid.step, strict=True))
        placed = placement_note(
            mask_points(tumor > 0.5, grid.step), normal > 0, covered, mpp=own
        )
        notes += [*odd, *([placed] if placed else [])]
        normal *= 1 - tumor
        cell_mm2 = step[0] * own[0] * step[1] * own[1] / 1e6
        facts["tumour_mm2"] = float(tumor.sum(dtype=float)) * cell_mm2
        parts.append(_patches(tumor, 1, grid, patch, options.patch_px))
    if tissue.damaged:
        notes.append(f"{tissue.damaged} tiles of the slide are damaged")
    if known.is_partly and not options.fully_annotated:
        notes.append("not all tumor is outlined: no normal patches")
    else:
        parts.append(_patches(normal, 0, grid, patch, options.patch_px))
    positions, weights, labels = map(np.concatenate, zip(*parts, strict=True))
    return SlidePatches(positions, weights, labels, facts)


def mask_cells(options: PatchOptions) -> int:
    """Return the width of a patch in px of the masks, none larger than 8 µm.

    A divisor of the patch's side, if there is one near: a patch that begins with a px of
    the mask then begins with a px of the slide.
    """
    least = max(1, ceil(options.patch_px * options.spacing_um_px / MASK_MPP - 1e-9))
    fitting = (n for n in range(least, 2 * least) if options.patch_px % n == 0)
    return next(fitting, least)


def slide_spacing(slide: Slide, wanted: float) -> Pair:
    """Return the (y, x) µm/px to read at: a level's own where it is near enough.

    Its px are then stored as they are, unfiltered.
    """
    level = slide.level_for(wanted)
    own = _pair(
        m * d for m, d in zip(slide.require_mpp(), level.downsample, strict=True)
    )
    near = all(abs(value / wanted - 1) <= SAME_SPACING for value in own)
    return own if near else (wanted, wanted)


def _tissue_on(
    tissue: SlideTissue, shape: tuple[int, int], grid: Grid
) -> NDArray[np.bool_]:
    """Return a mask of the cells of a grid over the slide with their centre in tissue."""
    roi = tissue.masks.roi
    indices, inside = [], []
    for axis in (0, 1):
        cells = np.arange(grid.shape[axis]) + 0.5
        centres = grid.origin[axis] + grid.step[axis] * cells
        inside.append(centres < shape[axis])
        index = (centres * roi.shape[axis] / shape[axis]).astype(np.intp)
        indices.append(np.minimum(index, roi.shape[axis] - 1))
    found: NDArray[np.bool_] = roi[np.ix_(*indices)] & np.logical_and.outer(*inside)
    return found


def _tumor_on(
    path: Path, slide: Slide, options: PatchOptions, grid: Grid
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Return the share of tumor of each cell, and a line for each odd outline.

    Raises AnnotationError where no outline is tumor, or none of these lies on the slide.
    """
    shape = slide.shape
    annotations = read_slide_annotations(
        path,
        shape,
        bounds_offset=options.outlines.offset(lambda: corner_of(slide.bounds)),
        tumor_classes=options.outlines.tumor_classes,
    )
    if not annotations.positive:
        left = f" ({'; '.join(annotations.skipped[:3])})" if annotations.skipped else ""
        raise AnnotationError(
            f"{path}: no outline of tumor in the annotation of a tumor slide{left}; "
            "outline it, or move the slide to the normal ones"
        )
    outside, _ = rings_outside(annotations.positive, Box.of_shape(shape))
    if outside == len(annotations.positive):
        raise AnnotationError(
            f"{path}: no outline lies on the slide of {shape[1]} x {shape[0]} px; give "
            "the annotation of this slide, in level-0 px"
        )
    return tumor_share(annotations, grid), odd_outlines(annotations, shape)


def _patches(
    mask: NDArray[np.float32], label: int, grid: Grid, patch: Pair, patch_px: int
) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.uint8]]:
    """Return positions, W and labels of the patches of a mask that are kept."""
    laid = patch_grid(mask, mask_step=grid.step, patch=patch, stride=patch, keep=KEEP)
    kept = np.argwhere(laid.kept)
    positions = np.asarray(laid.grid.origin) + kept * np.asarray(patch)
    weights = laid.weights[laid.kept] * (patch_px**2 / (patch[0] * patch[1]))
    labels = np.full(len(kept), label, np.uint8)
    return positions, weights.astype(np.float32), labels


def _pair(values: Any) -> Pair:
    y, x = values
    return y, x
