"""Quality flags of patches: colours unlike the training data, pen marks, blur.

Flags are bits, so that a patch can have several. They never change a probability; they
mark where it means little. ``docs/explain/limits.md`` has their hits and misses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntFlag
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter

from napari_fastnet.core.appearance.sharpness import patch_sharpness, window_sums
from napari_fastnet.core.colour import rgb_to_density
from napari_fastnet.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_fastnet.core.arrays import Bools, Bytes, Floats, Indices, Singles
    from napari_fastnet.core.grid import PatchGrid


class Flag(IntFlag):
    """Bits of a patch in ``quality.tif``."""

    COLOUR = 1
    PEN = 2
    BLUR = 4


#: The flags in words, for texts that people read.
WORDS = {
    Flag.COLOUR: "unlike the training data in colour",
    Flag.PEN: "with pen marks",
    Flag.BLUR: "blurred",
}

# Mean optical density from which a px is stained, as in `core.appearance.stain`.
_GLASS_DENSITY = 0.15
# Smallest share of stained px with which the colour of a patch is assessed.
_STAINED = 0.25
# Added before the logarithm: differences of nearly clear tissue are noise.
_CLEAR = 0.02
# Smallest share of px with ink that flags a patch: a line across a corner of it.
_PEN_SHARE = 0.05
# Rows of patches in memory at once: some 20 MB for the largest slides.
_STRIP_ROWS = 32

_DENSITIES = rgb_to_density(np.arange(256)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Gamut:
    """The range of colours and sharpness in a model's training data.

    Parameters
    ----------
    patches : int
        Number of training patches that were measured.
    mean : tuple of 3 float
        Mean of the patches' `colour_features`.
    precision : tuple of 3 tuples of 3 float
        Inverse of their covariance.
    distance : float
        Mahalanobis distance within which 99 % of the patches lie.
    sharpness : float
        Sharpness (`core.appearance.sharpness`) below which 99 % of the patches lie after
        a Gaussian blur of 1 px.
    """

    patches: int
    mean: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]
    distance: float
    sharpness: float

    def distances(self, features: Floats) -> Floats:
        """Compute the Mahalanobis distances of patches from the training data's mean.

        Parameters
        ----------
        features : (n, 3) float64 ndarray
            From `colour_features`.

        Returns
        -------
        (n,) float64 ndarray
            Standard deviations of a training patch.
        """
        away = features - np.array(self.mean)
        squares = (away @ np.array(self.precision) * away).sum(axis=1)
        found: Floats = np.sqrt(np.maximum(squares, 0))
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain JSON."""
        return {
            "patches": self.patches,
            "mean": list(self.mean),
            "precision": [list(row) for row in self.precision],
            "distance": self.distance,
            "sharpness": self.sharpness,
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Gamut:
        """Read a gamut from plain JSON.

        Parameters
        ----------
        content : dict
            From `to_dict`.

        Returns
        -------
        Gamut
            The same numbers.

        Raises
        ------
        OptionError
            A part is missing, no number, not finite or of another shape.
        """
        try:
            mean = np.array(content["mean"], float)
            precision = np.array(content["precision"], float)
            found = cls(
                int(content["patches"]),
                tuple(mean.tolist()),
                tuple(map(tuple, precision.tolist())),
                float(content["distance"]),
                float(content["sharpness"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as cause:
            raise OptionError(
                "quality is no gamut; give patches, mean, precision, distance and "
                "sharpness as numbers"
            ) from cause
        numbers = (*mean.ravel(), *precision.ravel(), found.distance, found.sharpness)
        if mean.shape != (3,) or precision.shape != (3, 3):
            raise OptionError("quality needs a mean of 3 and a precision of 3 x 3")
        if not np.isfinite(numbers).all() or found.distance <= 0:
            raise OptionError("quality needs finite numbers and a distance above 0")
        return found


def pen_pixels(
    red: NDArray[np.floating], green: NDArray[np.floating], blue: NDArray[np.floating]
) -> Bools:
    """Find px of ink by their optical densities.

    Neither dye absorbs more red than green light, and at 8 µm/px no nuclei absorb more
    than four fifths of the red: blue, green and black ink do. Red ink absorbs all of the
    blue and hardly any red.

    Parameters
    ----------
    red, green, blue : ndarray
        Optical densities at about 8 µm/px, all of one shape.

    Returns
    -------
    bool ndarray of that shape
        True is ink.
    """
    return (
        (red > 1.1 * green + 0.15) | (red > 1.6) | ((blue > 1.0) & (red < 0.45 * blue))
    )


def colour_features(sums: Floats) -> Floats:
    """Compute the colour features of patches.

    Parameters
    ----------
    sums : (n, 4) float64 ndarray
        For each patch, the sums of `colour_planes`: density of R, G, B, and stained px.

    Returns
    -------
    (n, 3) float64 ndarray
        Logarithms of the mean densities of stained px.
    """
    means = sums[:, :3] / np.maximum(sums[:, 3:], 1)
    return np.log(means + _CLEAR)


def colour_planes(image: Bytes) -> list[Singles]:
    """Compute the planes whose sums over a patch decide its flags.

    Parameters
    ----------
    image : (height, width, 3) uint8 ndarray
        RGB at about 8 µm/px.

    Returns
    -------
    list of five (height, width) float32 ndarray
        Optical density of R, G and B where stained, else 0; 1 where stained; 1 for ink.
    """
    density = [_DENSITIES[image[..., channel]] for channel in range(3)]
    stained = (density[0] + density[1] + density[2] >= 3 * _GLASS_DENSITY).astype(
        np.float32
    )
    ink = pen_pixels(*density).astype(np.float32)
    return [*(plane * stained for plane in density), stained, ink]


def stain_and_ink(sums: Floats, px: Floats) -> tuple[Bools, Bools]:
    """Find the patches with enough stain to assess their colour, and those with ink.

    Parameters
    ----------
    sums : (n, 5) float64 ndarray
        `colour_planes` summed over each patch.
    px : (n,) float64 ndarray
        Sizes of the patches.

    Returns
    -------
    tuple of (n,) bool ndarray
        Stained patches, and those with ink.
    """
    return sums[:, 3] >= _STAINED * px, sums[:, 4] >= np.maximum(_PEN_SHARE * px, 1)


def colour_flags(
    image: Bytes,
    patches: PatchGrid,
    slide_shape: tuple[int, int],
    gamut: Gamut | None,
    match: Callable[[Bytes], Bytes] = lambda image: image,
) -> tuple[Bytes, float | None]:
    """Flag pen marks and foreign colours of the patches that are kept.

    Parameters
    ----------
    image : (height, width, 3) uint8 ndarray
        The whole slide at about 8 µm/px.
    patches : PatchGrid
        Places of the patches, level-0 px.
    slide_shape : tuple of int
        (height, width) of the slide, level-0 px.
    gamut : Gamut or None
        The model's; None flags no colour.
    match : callable, optional
        The stain match that is applied to the network's pixels.

    Returns
    -------
    flags : (rows, columns) uint8 ndarray
        Bits of `Flag`, 0 where nothing is kept.
    distance : float or None
        Distance of the kept patches' mean colour from that of the training data, in
        standard deviations of a patch; None where no colour could be assessed.
    """
    flags = np.zeros(patches.kept.shape, np.uint8)
    rows, columns = _px_ends(patches, slide_shape, image.shape[:2])
    total, count = np.zeros(3), 0
    for first in range(0, len(flags), _STRIP_ROWS):
        part = slice(first, first + _STRIP_ROWS)
        there = np.flatnonzero(patches.kept[part].any(axis=0))
        if not there.size:
            continue
        cells = part, slice(int(there[0]), int(there[-1]) + 1)
        kept, down, across = patches.kept[cells], rows[:, part], columns[:, cells[1]]
        top, left = int(down[0, 0]), int(across[0, 0])
        seen = match(image[top : int(down[1, -1]), left : int(across[1, -1])])
        planes = colour_planes(seen)
        windows = [window_sums(plane, down - top, across - left) for plane in planes]
        sums = np.stack(windows, axis=-1)[kept]
        px = np.outer(down[1] - down[0], across[1] - across[0])[kept]
        stained, ink = stain_and_ink(sums, px)
        found = np.where(ink, np.uint8(Flag.PEN), np.uint8(0))
        if gamut is not None:
            features = colour_features(sums[:, :4])
            foreign = stained & (gamut.distances(features) > gamut.distance)
            found[foreign] |= np.uint8(Flag.COLOUR)
            total += features[stained].sum(axis=0)
            count += int(stained.sum())
        flags[cells][kept] = found
    if gamut is None or not count:
        return flags, None
    return flags, float(gamut.distances(total[None] / count)[0])


def _px_ends(
    patches: PatchGrid, slide_shape: tuple[int, int], shape: tuple[int, ...]
) -> list[Indices]:
    """Return begin and end, (2, n), of each row and column of patches, image px."""
    found, grid = [], patches.grid
    for axis, count in enumerate(patches.kept.shape):
        middles = grid.origin[axis] + grid.step[axis] * (np.arange(count) + 0.5)
        scale = shape[axis] / slide_shape[axis]
        half = patches.patch[axis] / 2
        begins = np.floor((middles - half) * scale + 0.5)
        stops = np.maximum(np.floor((middles + half) * scale + 0.5), begins + 1)
        found.append(np.clip([begins, stops], 0, shape[axis]).astype(np.intp))
    return found


def blur_flags(sharpness: Singles, kept: Bools, gamut: Gamut) -> Bytes:
    """Flag blur of the patches that are kept.

    Parameters
    ----------
    sharpness : (rows, columns) float32 ndarray
        From `patch_sharpness`; NaN (unknown) is not flagged.
    kept : (rows, columns) bool ndarray
        The patches that count.
    gamut : Gamut
        The model's.

    Returns
    -------
    (rows, columns) uint8 ndarray
        `Flag.BLUR` or 0.
    """
    with np.errstate(invalid="ignore"):
        blurred = kept & (sharpness < gamut.sharpness)
    return np.where(blurred, np.uint8(Flag.BLUR), np.uint8(0))


#: Share of the training patches that lies inside the gamut.
INSIDE = 0.99
#: Blur that must be flagged, standard deviation in px of the model.
BLUR_PX = 1.0
#: Fewest patches that determine the 99 % quantile.
FEWEST = 200


def measure_gamut(coarse: Sequence[Bytes], patches: Sequence[Bytes]) -> Gamut | None:
    """Measure the gamut of a model's training data.

    Parameters
    ----------
    coarse, patches : sequence of (side, side, 3) uint8 ndarray
        The training patches at 8 µm/px, and at the model's µm/px.

    Returns
    -------
    Gamut or None
        None where fewer than 200 of them are tissue, or all are of one colour.
    """
    sums = np.array([[float(q.sum()) for q in colour_planes(p)] for p in coarse])
    if len(sums) < FEWEST:
        return None
    stained, _ = stain_and_ink(sums, np.full(len(sums), float(coarse[0].size // 3)))
    features = colour_features(sums[stained, :4])
    covariance = np.cov(features.T) if len(features) >= FEWEST else np.zeros((3, 3))
    if np.linalg.matrix_rank(covariance) < 3:
        return None
    blurred = []
    for patch in patches:
        pixels, side = gaussian_filter(patch, (BLUR_PX, BLUR_PX, 0)), len(patch)
        sharpness = patch_sharpness(pixels, (1, 1), patch_px=side, stride_px=side)
        blurred.append(float(sharpness[0, 0]))
    gamut = Gamut(
        len(sums),
        tuple(features.mean(axis=0).tolist()),
        tuple(map(tuple, np.linalg.inv(covariance).tolist())),
        distance=1.0,
        sharpness=float(np.quantile(blurred, INSIDE)),
    )
    limit = float(np.quantile(gamut.distances(features), INSIDE))
    return replace(gamut, distance=limit)
