"""Which patches of one slide are tumour and which are normal (Eqs. 1-4)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import file_digest
from math import ceil
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from napari_fastnet.annotations.checks import odd_outlines
from napari_fastnet.annotations.roi import read_slide_annotations
from napari_fastnet.core.geometry import Box, Grid, Pair
from napari_fastnet.core.grid import patch_grid, slide_grid
from napari_fastnet.core.placement import mask_points, placement_note
from napari_fastnet.core.polygons import Annotations, rings_outside, tumour_share
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


#: Bump when other candidates come out of the same slide.
FORMAT = 1


def candidates_of(
    known: CamelyonSlide, options: PatchOptions, cache: Path
) -> SlidePatches:
    """Return the candidates of a slide, from an earlier look where nothing changed.

    Parameters
    ----------
    known : CamelyonSlide
        The slide.
    options : PatchOptions
        What is asked for.
    cache : Path
        Where what was found is kept, ``.npz``.

    Returns
    -------
    SlidePatches
        Perhaps none: no tissue is a result.

    Raises
    ------
    FastNetError
        The slide or its annotation cannot be used.
    """
    with open_slide(known.path, mpp=options.slide_mpp) as slide:
        key = _key(known, slide, options)
        found = _cached(cache, key)
        if found is None:
            found = find_candidates(known, slide, options)
            _keep(cache, key, found)
    return found


def _key(known: CamelyonSlide, slide: Slide, options: PatchOptions) -> str:
    """Return what the candidates depend on."""
    digest = ""
    if known.outlines is not None:
        with known.outlines.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
    return json.dumps(
        {
            "format": FORMAT,
            "fingerprint": slide.fingerprint,
            "mpp": slide.require_mpp(),
            "outlines": digest,
            "slide": [known.is_tumour, known.is_test, known.is_partly],
            "options": asdict(options),
        },
        sort_keys=True,
    )


def _cached(path: Path, key: str) -> SlidePatches | None:
    """Return what was found earlier, None where it was something else."""
    try:
        # Opened here: of a damaged file numpy leaves its own open.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            if str(file["key"]) != key:
                return None
            facts = json.loads(str(file["facts"]))
            return SlidePatches(
                file["positions"], file["weights"], file["labels"], facts
            )
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def _keep(path: Path, key: str, found: SlidePatches) -> None:
    with atomic_path(path) as aside:
        np.savez_compressed(
            aside,
            key=np.array(key),
            facts=np.array(json.dumps(found.facts)),
            positions=found.positions,
            weights=found.weights,
            labels=found.labels,
        )


#: A level whose µm/px is this near to what is asked for is taken as it is.
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
        1 is tumour, 0 is normal.
    facts : dict
        JSON-able: the slide, its µm/px, its annotation, areas, ``spacing_um_px`` and
        ``patch_level0_px`` as (y, x).
    """

    positions: NDArray[np.float64]
    weights: NDArray[np.float32]
    labels: NDArray[np.uint8]
    facts: dict[str, Any]


def find_candidates(
    known: CamelyonSlide, slide: Slide, options: PatchOptions
) -> SlidePatches:
    """Lay patches over a slide's tumour and over its normal tissue.

    Each has its own grid over its own bounding box, as in the paper, so that a patch
    of normal tissue and one of tumour may overlap at a tumour's border.
    """
    spacing = slide_spacing(slide, options.spacing_um_px)
    own = slide.require_mpp()
    patch = _pair(options.patch_px * s / m for s, m in zip(spacing, own, strict=True))
    step = _pair(side / mask_cells(options) for side in patch)
    grid = slide_grid(slide.shape, stride=step)
    tissue = find_tissue(slide, options.tissue)
    normal = tissue_on(tissue, slide.shape, grid).astype(np.float32)
    notes: list[str] = list(slide.reading_notes)
    facts = {
        "slide": known.path.name,
        "fingerprint": slide.fingerprint,
        "mpp": own,
        "spacing_um_px": spacing,
        "patch_level0_px": patch,
        "is_tumour": known.is_tumour,
        "is_test": known.is_test,
        "tissue_mm2": tissue.area_mm2,
        "tumour_mm2": 0.0,
        "notes": notes,
    }
    parts = []
    if known.outlines is not None:
        annotations = read_slide_annotations(
            known.outlines,
            slide.shape,
            bounds_offset=options.outlines.offset(lambda: corner_of(slide.bounds)),
            tumor_classes=options.outlines.tumor_classes,
        )
        notes += check_outlines(known.outlines, annotations, slide.shape)
        tumour = tumour_share(annotations, grid)
        covered = _pair(n * s for n, s in zip(grid.shape, grid.step, strict=True))
        odd = placement_note(
            mask_points(tumour > 0.5, grid.step), normal > 0, covered, mpp=own
        )
        notes += [odd] if odd else []
        normal *= 1 - tumour
        facts["tumour_mm2"] = float(tumour.sum(dtype=float)) * _mm2(step, own)
        parts.append(_patches(tumour, 1, grid, patch, options.patch_px))
    if tissue.damaged:
        notes.append(f"{tissue.damaged} tiles of the slide are damaged")
    if known.is_partly and not options.fully_annotated:
        notes.append("not all tumour is outlined: no normal patches")
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


def tissue_on(
    tissue: SlideTissue, shape: tuple[int, int], grid: Grid
) -> NDArray[np.bool_]:
    """Return which cells of a grid over the slide have their centre in tissue."""
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


def check_outlines(
    path: Path, annotations: Annotations, shape: tuple[int, int]
) -> tuple[str, ...]:
    """Return what is odd about the outlines of a slide, a line each.

    Raises
    ------
    AnnotationError
        None of them is tumour, or none of these lies on the slide.
    """
    if not annotations.positive:
        left = f" ({'; '.join(annotations.skipped[:3])})" if annotations.skipped else ""
        raise AnnotationError(
            f"{path}: no outline of tumour in the annotation of a tumour slide{left}; "
            "outline it, or move the slide to the normal ones"
        )
    outside, _ = rings_outside(annotations.positive, Box.of_shape(shape))
    if outside == len(annotations.positive):
        raise AnnotationError(
            f"{path}: no outline lies on the slide of {shape[1]} x {shape[0]} px; give "
            "the annotation of this slide, in level-0 px"
        )
    return odd_outlines(annotations, shape)


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


def _mm2(step: Pair, mpp: Pair) -> float:
    return step[0] * mpp[0] * step[1] * mpp[1] / 1e6


def _pair(values: Any) -> Pair:
    y, x = values
    return y, x
