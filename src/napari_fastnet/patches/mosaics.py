"""Slides put together from labelled patches, and a model's lesion thresholds from them.

A mosaic shows a piece of tissue: an ellipse of normal patches with round lesions of tumor
patches in it, on glass. What is found outside of the lesions is false. Neighbouring
patches do not belong together, so that seams are unlike tissue: figures from mosaics
compare thresholds and models, and are no promise for slides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import shapely
import tifffile
from scipy import ndimage

from napari_fastnet.core.lesions.evidence import find_candidates
from napari_fastnet.core.metrics.lesion_scale import (
    STRENGTH,
    KnownSlide,
    alarm_curve,
    fit_scale,
)
from napari_fastnet.core.morphology import EIGHT_NEIGHBOURS
from napari_fastnet.core.options import LesionRule
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.detection.run import SlideRun
from napari_fastnet.slide.slide import open_slide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_fastnet.core.arrays import Bools, Bytes
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.options import EvidenceScale
    from napari_fastnet.model.backends.backend import Backend
    from napari_fastnet.model.bundle import ModelBundle

GLASS, NORMAL, TUMOR = -1, 0, 1
#: Grey value of glass.
GLASS_GREY = 243
#: Half-axes of the tissue and radii of the lesions, as shares of the mosaic's side.
TISSUE = (0.40, 0.34)
RADII = (0.10, 0.08, 0.06, 0.05, 0.035, 0.025, 0.02, 0.015)
#: Radius of a lesion of one patch, and the least distance of lesions, patches.
SMALLEST, APART = 0.75, 2.0
#: Fewest patches of a class in each half from which thresholds can be fitted.
FEWEST = 100
#: Largest side of a mosaic, patches: a pool of any size fits in memory.
LARGEST = 60
#: Lesions of one mosaic after the other: many, few small ones, and none as often as any.
LESIONS = (8, 0, 2, 0, 4, 0)
#: Mosaics for a fit, and as many for the curve.
MOSAICS = 24


def lay_out(side: int, lesions: int, rng: np.random.Generator) -> NDArray[np.int8]:
    """Lay out tissue and lesions.

    Parameters
    ----------
    side : int
        Patches along an axis.
    lesions : int
        0 to 8, the smallest of `RADII`; one for which there is no room is left out.
    rng : numpy.random.Generator
        Places the lesions.

    Returns
    -------
    (side, side) ndarray of int8
        `GLASS`, `NORMAL` or `TUMOR` of each patch.
    """
    rows, columns = np.mgrid[:side, :side] + 0.5
    tall, wide = (side * half for half in TISSUE)
    centre = side / 2
    inside = ((rows - centre) / tall) ** 2 + ((columns - centre) / wide) ** 2 <= 1
    labels = np.where(inside, NORMAL, GLASS).astype(np.int8)
    for radius in side * np.array(RADII[len(RADII) - lesions :]):
        for _ in range(200):
            row, column = rng.uniform(0.1 * side, 0.9 * side, 2)
            distance = np.hypot(rows - row, columns - column)
            disk = distance <= max(radius, SMALLEST)
            around = distance <= max(radius, SMALLEST) + APART
            if disk.any() and (labels[around] == NORMAL).all():
                labels[disk] = TUMOR
                break
    return labels


def compose(
    labels: NDArray[np.int8], images: Bytes, tumor: Bools, rng: np.random.Generator
) -> Bytes:
    """Put patches together.

    Parameters
    ----------
    labels : (side, side) ndarray of int8
        From `lay_out`.
    images : (N, px, px, 3) ndarray of uint8
        Patches; each is used once before any is used again.
    tumor : (N,) ndarray of bool
        Their labels.
    rng : numpy.random.Generator
        Shuffles the patches.

    Returns
    -------
    (side * px, side * px, 3) ndarray of uint8
        The picture.
    """
    px = images.shape[1]
    picture = np.full((*labels.shape, px, px, 3), GLASS_GREY, np.uint8)
    for label in (NORMAL, TUMOR):
        places = np.argwhere(labels == label)
        pool = np.flatnonzero(tumor == (label == TUMOR))
        rounds = -(-len(places) // len(pool))
        chosen = np.concatenate(
            [rng.permutation(pool) for _ in range(rounds)] or [pool]
        )
        picture[tuple(places.T)] = images[chosen[: len(places)]]
    whole: Bytes = picture.swapaxes(1, 2).reshape(
        labels.shape[0] * px, labels.shape[1] * px, 3
    )
    return whole


def true_lesions(labels: NDArray[np.int8], patch_px: float) -> list[shapely.Geometry]:
    """Return the area of each lesion, level-0 px; patches that touch are one lesion.

    Parameters
    ----------
    labels : (rows, columns) ndarray of int8
        From `lay_out`.
    patch_px : float
        Side of a patch, level-0 px.

    Returns
    -------
    list of shapely.Geometry
        Their x is y here, and their y is x.
    """
    parts, count = ndimage.label(labels == TUMOR, structure=EIGHT_NEIGHBOURS)
    return [
        shapely.union_all(
            shapely.box(
                *(corners := np.argwhere(parts == part).T * patch_px),
                *(corners + patch_px),
            )
        )
        for part in range(1, count + 1)
    ]


@dataclass(frozen=True, slots=True, eq=False)
class PatchPool:
    """Labelled patches to make mosaics of.

    Parameters
    ----------
    images : (N, px, px, 3) ndarray of uint8
        At the model's µm/px.
    tumor : (N,) ndarray of bool
        Their labels.
    """

    images: Bytes
    tumor: Bools

    def half(self, second: bool) -> PatchPool:
        """Return the first or second half of each class, in their order."""
        chosen = []
        for label in (False, True):
            places = np.flatnonzero(self.tumor == label)
            middle = len(places) // 2
            chosen.append(places[middle:] if second else places[:middle])
        kept = np.concatenate(chosen)
        return PatchPool(self.images[kept], self.tumor[kept])

    @property
    def side(self) -> int:
        """Side of a mosaic, patches: it uses each normal one about once, if not too many."""
        count = int((~self.tumor).sum())
        return min(LARGEST, int(np.sqrt(count / (np.pi * TISSUE[0] * TISSUE[1]))))

    @property
    def suffices(self) -> bool:
        """Whether there are enough patches of both classes."""
        count = int(self.tumor.sum())
        return min(count, len(self.tumor) - count) >= FEWEST


def measure_scale(
    bundle: ModelBundle,
    backend: Backend,
    pool: PatchPool,
    *,
    name: str = "",
    mosaics: int = MOSAICS,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> EvidenceScale | None:
    """Fit a model's scale of evidence on half of the patches, and measure it on the rest.

    Parameters
    ----------
    bundle : ModelBundle
        The model.
    backend : Backend
        It, ready to run.
    pool : PatchPool
        Patches that it has not trained on.
    name : str, optional
        Of the patches, for `EvidenceScale.measured_on`.
    mosaics : int, optional
        Their number for each half.
    progress : callable, optional
        Called with the mosaics done and their number.

    Returns
    -------
    EvidenceScale or None
        None where the patches are too few, or the fit fails.
    """
    halves = [pool.half(second=False), pool.half(second=True)]
    if not all(half.suffices for half in halves):
        return None
    scanned: list[list[KnownSlide]] = [[], []]
    for slides, half in zip(scanned, halves, strict=True):
        for slide in scan_mosaics(bundle, backend, half, mosaics):
            slides.append(slide)
            progress(sum(map(len, scanned)), 2 * mosaics)
    scale = fit_scale(scanned[0])
    if scale is None:
        return None
    lesions = sum(len(slide.lesions_mm) for slide in scanned[1])
    area = sum(slide.normal_mm2 for slide in scanned[1])
    return replace(
        scale,
        curve=alarm_curve(scanned[1], scale),
        measured_on=f"{mosaics} mosaics of one half of {name or 'validation patches'} "
        f"({lesions} lesions, {area:.0f} mm² of normal tissue); fitted on the other half",
    )


def scan_mosaics(
    bundle: ModelBundle,
    backend: Backend,
    pool: PatchPool,
    mosaics: int,
    lesions: Sequence[int] = LESIONS,
) -> Iterator[KnownSlide]:
    """Yield mosaics, scanned and compared with their truth.

    ``lesions`` are those of one mosaic after the other, again and again.
    """
    for number in range(mosaics):
        rng = np.random.default_rng(number)
        labels = lay_out(pool.side, lesions[number % len(lesions)], rng)
        picture = compose(labels, pool.images, pool.tumor, rng)
        yield _scanned(bundle, backend, picture, labels)


def _scanned(
    bundle: ModelBundle, backend: Backend, picture: Bytes, labels: NDArray[np.int8]
) -> KnownSlide:
    um = bundle.spacing_um_px
    with TemporaryDirectory() as place:
        path = Path(place) / "mosaic.tif"
        tifffile.imwrite(path, picture, photometric="rgb", tile=(256, 256))
        with open_slide(path, mpp=um) as slide:
            run = SlideRun(slide, bundle, None, RunOptions())
            for _ in run.steps(backend):
                pass
            heatmap = run.store.heatmap().only(run.plan.patches.kept)
            mpp: Pair = slide.require_mpp()
    rule = LesionRule(bundle.threshold, STRENGTH.balanced, STRENGTH)
    patch_px = picture.shape[0] / len(labels)
    patch_mm2 = (patch_px * um / 1000) ** 2
    return KnownSlide.of(
        find_candidates(heatmap, rule),
        true_lesions(labels, patch_px),
        float((labels == NORMAL).sum() * patch_mm2),
        mpp,
    )
