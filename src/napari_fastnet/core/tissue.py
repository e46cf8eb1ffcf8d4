"""The paper's three tissue masks and the region of interest made of them.

Section III-B1 of Xiao et al. (2023): RGB_MASK (Otsu on R, G and B), HSV_MASK (Otsu on
the saturation), THRESHOLD_MASK (RGB between 50 and 240), and their AND. The paper
stops there; on real tissue that loses tumour, so the region of interest is closed
and cleaned afterwards unless ``TissueParameters.paper`` is asked for.
``docs/explain/masks.md`` has the measurements.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING

import numpy as np
from skimage.filters import threshold_otsu

from napari_fastnet.core.appearance.never_scanned import never_scanned
from napari_fastnet.core.colour import extremes, in_planes, saturation_of
from napari_fastnet.core.morphology import (
    close_disk,
    fill_small_holes,
    remove_small_objects,
)
from napari_fastnet.core.options import COLOURS, PRESETS, Channels, TissueParameters
from napari_fastnet.errors import MaskError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Pair


_GREY_VALUES = 256
_PIECE_PX = 2**16


def otsu_threshold(values: NDArray[np.uint8]) -> float | None:
    """Return Otsu's threshold of grey values, None where they are all the same.

    Parameters
    ----------
    values : uint8 ndarray
        Any shape.

    Returns
    -------
    float or None
        The highest grey value of the darker class.
    """
    return otsu_of(histogram(values))


def histogram(values: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Return how often each grey value occurs, 256 numbers."""
    counts = np.zeros(_GREY_VALUES, np.intp)
    flat = values.ravel()
    # piece by piece: a count of all at once takes eight bytes a px besides
    for start in range(0, flat.size, _PIECE_PX):
        piece = flat[start : start + _PIECE_PX]
        counts += np.bincount(piece, minlength=_GREY_VALUES)
    return counts


def otsu_of(counts: NDArray[np.intp]) -> float | None:
    """Return `otsu_threshold` of values of which it is known how often each occurs."""
    occurring = np.flatnonzero(counts)
    if occurring.size < 2:
        return None
    seen = slice(occurring[0], occurring[-1] + 1)
    return float(threshold_otsu(hist=(counts[seen], np.arange(_GREY_VALUES)[seen])))


def median_of(counts: NDArray[np.intp]) -> float:
    """Return the median of values of which it is known how often each occurs."""
    reached, total = np.cumsum(counts), counts.sum()
    middle = [(total - 1) // 2, total // 2]
    return float(np.searchsorted(reached, middle, side="right").mean())


#: Threshold of a colour in which nothing is tissue: no grey value is as low.
NOTHING_IS_DARKER = -1.0

#: Threshold of a saturation in which nothing is tissue: no grey value is above.
NOTHING_IS_MORE_SATURATED = 255.0

# An image asked for at 8 µm/px may come at 8.003; 40 µm are to be 5 px all the same.
_SPACING_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class TissueMasks:
    """Three masks of one image, the region of interest and what they were made with.

    Parameters
    ----------
    rgb, hsv, threshold, roi : (height, width) bool ndarray
        True is tissue.
    thresholds : dict of str to float
        Those used, automatic or given: red, green, blue, saturation, low, high.
    fill : (height, width) bool ndarray or None
        True was never scanned, so is in no mask and entered no threshold; None where
        all was.
    """

    rgb: NDArray[np.bool_]
    hsv: NDArray[np.bool_]
    threshold: NDArray[np.bool_]
    roi: NDArray[np.bool_]
    thresholds: dict[str, float]
    fill: NDArray[np.bool_] | None = None

    @property
    def fraction(self) -> float:
        """Share of the image that is region of interest, 0..1; 0 without pixels."""
        return float(self.roi.mean()) if self.roi.size else 0.0

    @property
    def never_scanned(self) -> float:
        """Share of the image that is fill, 0..1."""
        return 0.0 if self.fill is None else float(self.fill.mean())


def rgb_mask(
    image: NDArray[np.uint8],
    *,
    thresholds: tuple[float, float, float],
    channels: Channels,
) -> NDArray[np.bool_]:
    """Return RGB_MASK: (height, width) of (height, width, 3).

    A channel is dark at or below its threshold; Otsu's threshold is the highest value
    of the darker class.
    """
    dark = [image[..., index] <= limit for index, limit in enumerate(thresholds)]
    join = np.logical_and if channels == "all" else np.logical_or
    mask: NDArray[np.bool_] = join.reduce(dark)
    return mask


def hsv_mask(saturations: NDArray[np.uint8], *, saturation: float) -> NDArray[np.bool_]:
    """Return HSV_MASK: where the saturation of `saturation_of` is above a threshold."""
    # Whole numbers compare ten times as fast, and there are no others.
    mask: NDArray[np.bool_] = saturations > floor(saturation)
    return mask


def threshold_mask(
    image: NDArray[np.uint8], *, low: float, high: float
) -> NDArray[np.bool_]:
    """Return THRESHOLD_MASK: where every channel lies in low..high, both included."""
    darkest, brightest = extremes(image)
    mask: NDArray[np.bool_] = (darkest >= low) & (brightest <= high)
    return mask


def combine(
    rgb: NDArray[np.bool_],
    hsv: NDArray[np.bool_],
    threshold: NDArray[np.bool_],
    *,
    mpp: Pair,
    parameters: TissueParameters,
    fill: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Return the region of interest: the AND of the masks, closed and cleaned.

    The masks are (height, width), perhaps edited by hand; ``mpp`` is the (y, x) size of
    their pixels in µm. Gaps narrower than twice ``closing_um`` are closed, then objects
    and then holes below their smallest area go. ``fill`` stays outside.
    """
    pixel_um2 = mpp[0] * mpp[1]
    reach = parameters.closing_um * (1 + _SPACING_TOLERANCE)
    roi = close_disk(rgb & hsv & threshold, (reach / mpp[0], reach / mpp[1]))
    roi = remove_small_objects(roi, parameters.minimum_object_um2 / pixel_um2)
    roi = fill_small_holes(roi, parameters.minimum_hole_um2 / pixel_um2)
    return without_fill(roi, fill)


def without_fill(
    mask: NDArray[np.bool_], fill: NDArray[np.bool_] | None
) -> NDArray[np.bool_]:
    """Return a mask without what was never scanned."""
    return mask if fill is None else mask & ~fill


def compute_masks(
    image: NDArray[np.uint8],
    *,
    mpp: Pair,
    parameters: TissueParameters = PRESETS["default"],
) -> TissueMasks:
    """Return the three masks of a low-resolution image and their region of interest.

    Parameters
    ----------
    image : (height, width, 3) uint8 ndarray
        RGB, white outside the slide. About 8 µm/px is meant.
    mpp : tuple of float
        (y, x) size of a pixel in µm.
    parameters : TissueParameters
        Thresholds, given or automatic, and how the ROI is closed and cleaned.

    Returns
    -------
    TissueMasks
        All False where the image is constant in a channel that has no given
        threshold, or has no pixels: no tissue is a result, not an error. Fill that was
        never scanned enters no threshold and no mask.
    """
    fill = never_scanned(image)
    image = in_planes(image)
    scanned = ... if fill is None else ~fill
    colours = tuple(
        _dark_threshold(
            image[..., index][scanned], getattr(parameters, name), parameters
        )
        for index, name in enumerate(COLOURS)
    )
    saturations, saturation = saturation_of(image), parameters.saturation
    if saturation is None:
        saturation = _saturated_threshold(saturations[scanned], parameters)
    red, green, blue = colours
    rgb, hsv, between = (
        without_fill(mask, fill)
        for mask in (
            rgb_mask(
                image, thresholds=(red, green, blue), channels=parameters.channels
            ),
            hsv_mask(saturations, saturation=saturation),
            threshold_mask(image, low=parameters.low, high=parameters.high),
        )
    )
    used = dict(zip(COLOURS, colours, strict=True))
    used |= {"saturation": saturation, "low": parameters.low, "high": parameters.high}
    roi = combine(rgb, hsv, between, mpp=mpp, parameters=parameters, fill=fill)
    return TissueMasks(rgb, hsv, between, roi, used, fill)


def _dark_threshold(
    values: NDArray[np.uint8], given: float | None, parameters: TissueParameters
) -> float:
    """Return the threshold of a colour: given, or Otsu's kept away from the glass."""
    if given is not None:
        return float(given)
    counts = histogram(values)
    otsu = otsu_of(counts)
    if otsu is None:
        return NOTHING_IS_DARKER
    if parameters.glass_margin == 0:
        return otsu
    counts[: int(otsu) + 1] = 0  # what is left is the glass
    glass = median_of(counts)
    return min(otsu, glass - parameters.glass_margin)


def _saturated_threshold(
    values: NDArray[np.uint8], parameters: TissueParameters
) -> float:
    """Return the automatic threshold of the saturation, kept away from the glass."""
    counts = histogram(values)
    otsu = otsu_of(counts)
    if otsu is None:
        return NOTHING_IS_MORE_SATURATED
    if parameters.glass_margin == 0:
        return otsu
    counts[int(otsu) + 1 :] = 0  # what is left is the glass
    glass = median_of(counts)
    return max(otsu, glass + parameters.glass_margin)


@dataclass(frozen=True, slots=True, eq=False)
class MaskEdits:
    """Additions to a mask and removals from it; no pixel is both.

    Parameters
    ----------
    added, removed : (height, width) bool ndarray
        True where a hand put mask, or took it away.
    """

    added: NDArray[np.bool_]
    removed: NDArray[np.bool_]

    @classmethod
    def none(cls, shape: tuple[int, int]) -> MaskEdits:
        """Return no edits of a mask of a (height, width)."""
        return cls(np.zeros(shape, bool), np.zeros(shape, bool))

    @property
    def count(self) -> int:
        """Pixels that were added or removed by hand."""
        return int(self.added.sum()) + int(self.removed.sum())

    def apply(self, computed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return a computed mask with the edits on top; a new array."""
        mask: NDArray[np.bool_] = (computed | self.added) & ~self.removed
        return mask

    def resized(self, shape: tuple[int, int]) -> MaskEdits:
        """Return the edits on a mask of another (height, width) of the same picture.

        A pixel takes the edit of the pixel that its centre lies in.
        """
        if shape == self.added.shape or 0 in self.added.shape:
            return self if shape == self.added.shape else MaskEdits.none(shape)
        rows, columns = (
            ((np.arange(new) + 0.5) * old / new).astype(np.intp)
            for new, old in zip(shape, self.added.shape, strict=True)
        )
        place = np.ix_(rows, columns)
        return MaskEdits(self.added[place], self.removed[place])

    def painted(
        self, computed: NDArray[np.bool_], painted: NDArray[np.bool_]
    ) -> MaskEdits:
        """Return the edits with which a computed mask looks as it was painted.

        Only pixels that differ from what these edits showed count as painted; the
        others keep their edit, also where the computed mask now agrees with it. A
        pixel painted back to its computed value has no edit any more.

        Parameters
        ----------
        computed, painted : (height, width) bool ndarray
            The mask without edits, and as it looks after painting.

        Raises
        ------
        MaskError
            The painted mask has another shape.
        """
        if painted.shape != computed.shape:
            raise MaskError(
                f"painted mask has shape {painted.shape}, the computed one "
                f"{computed.shape}; paint on the mask that was computed"
            )
        kept = painted == self.apply(computed)
        return MaskEdits(
            np.where(kept, self.added, painted & ~computed),
            np.where(kept, self.removed, ~painted & computed),
        )
