"""The paper's three tissue masks and the region of interest made of them.

Section III-B1 and Fig. 4 of Xiao et al. (2023): RGB_MASK (Otsu on R, G and B), HSV_MASK
(Otsu on the saturation), THRESHOLD_MASK (RGB between 50 and 240), and their AND. The
paper stops there; on real tissue that loses tumor, so the region of interest is closed
and cleaned afterwards unless ``TissueParameters.paper`` is asked for.
``docs/explain/masks.md`` has the measurements.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING

import numpy as np
from skimage.filters import threshold_otsu

from napari_fastnet.core import morphology
from napari_fastnet.core.appearance.never_scanned import never_scanned
from napari_fastnet.core.colour import extremes, in_planes, saturation_of
from napari_fastnet.core.options import COLOURS, PRESETS, Channels, TissueParameters
from napari_fastnet.errors import MaskError

if TYPE_CHECKING:
    from napari_fastnet.core.arrays import Bools, Bytes, Indices
    from napari_fastnet.core.geometry import Pair


_GREY_VALUES = 256
_PIECE_PX = 2**16


#: Threshold of a constant colour channel: no grey value is as low, so none is tissue.
NOTHING_IS_DARKER = -1.0

#: Threshold of a constant saturation: no value is above, so none is tissue.
NOTHING_IS_MORE_SATURATED = 255.0

# An image asked for at 8 µm/px may come at 8.003; 40 µm must be 5 px all the same.
_SPACING_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class TissueMasks:
    """Three masks of one image, their region of interest and their thresholds.

    Parameters
    ----------
    rgb, hsv, threshold, roi : (height, width) bool ndarray
        True is tissue.
    thresholds : dict of str to float
        Automatic or given: red, green, blue, saturation, low, high.
    fill : (height, width) bool ndarray or None
        True was never scanned, so is in no mask and entered no threshold; None where
        all was scanned.
    """

    rgb: Bools
    hsv: Bools
    threshold: Bools
    roi: Bools
    thresholds: dict[str, float]
    fill: Bools | None = None

    @property
    def fraction(self) -> float:
        """Share of the image that is region of interest, 0..1; 0 without pixels."""
        return float(self.roi.mean()) if self.roi.size else 0.0

    @property
    def never_scanned(self) -> float:
        """Share of the image that is fill, 0..1."""
        return 0.0 if self.fill is None else float(self.fill.mean())


def rgb_mask(
    image: Bytes, *, thresholds: tuple[float, float, float], channels: Channels
) -> Bools:
    """Compute RGB_MASK.

    Parameters
    ----------
    image : (height, width, 3) uint8 ndarray
        RGB.
    thresholds : tuple of float
        Of red, green and blue; a channel is dark at or below its own. Otsu's threshold
        is the highest value of the darker class.
    channels : {"all", "any"}
        Dark channels that make a pixel tissue.

    Returns
    -------
    (height, width) bool ndarray
        True is tissue.
    """
    dark = [image[..., index] <= limit for index, limit in enumerate(thresholds)]
    join = np.logical_and if channels == "all" else np.logical_or
    mask: Bools = join.reduce(dark)
    return mask


def hsv_mask(saturations: Bytes, *, saturation: float) -> Bools:
    """Compute HSV_MASK.

    Parameters
    ----------
    saturations : (height, width) uint8 ndarray
        From `saturation_of`.
    saturation : float
        Tissue is above.

    Returns
    -------
    (height, width) bool ndarray
        True is tissue.
    """
    # Whole numbers compare ten times as fast, and there are no others.
    return saturations > floor(saturation)


def threshold_mask(image: Bytes, *, low: float, high: float) -> Bools:
    """Compute THRESHOLD_MASK.

    Parameters
    ----------
    image : (height, width, 3) uint8 ndarray
        RGB.
    low, high : float
        Every channel of tissue lies within, both included.

    Returns
    -------
    (height, width) bool ndarray
        True is tissue.
    """
    darkest, brightest = extremes(image)
    return (darkest >= low) & (brightest <= high)


def combine(
    rgb: Bools,
    hsv: Bools,
    threshold: Bools,
    *,
    mpp: Pair,
    parameters: TissueParameters,
    fill: Bools | None = None,
) -> Bools:
    """Compute the region of interest: the AND of the masks, closed and cleaned.

    Gaps narrower than twice ``closing_um`` are closed, then small objects are dropped,
    then small holes filled.

    Parameters
    ----------
    rgb, hsv, threshold : (height, width) bool ndarray
        The masks, perhaps edited by hand.
    mpp : tuple of float
        (y, x) size of their pixels in µm.
    parameters : TissueParameters
        Sizes of gaps, objects and holes.
    fill : (height, width) bool ndarray, optional
        Never scanned; stays outside.

    Returns
    -------
    (height, width) bool ndarray
        True is tissue.
    """
    pixel_um2 = mpp[0] * mpp[1]
    reach = parameters.closing_um * (1 + _SPACING_TOLERANCE)
    roi = morphology.close_disk(rgb & hsv & threshold, (reach / mpp[0], reach / mpp[1]))
    roi = morphology.remove_small_objects(
        roi, parameters.minimum_object_um2 / pixel_um2
    )
    roi = morphology.fill_small_holes(roi, parameters.minimum_hole_um2 / pixel_um2)
    return without_fill(roi, fill)


def without_fill(mask: Bools, fill: Bools | None) -> Bools:
    """Clear a mask where nothing was scanned.

    Parameters
    ----------
    mask : (height, width) bool ndarray
        Any mask.
    fill : (height, width) bool ndarray or None
        True was never scanned.

    Returns
    -------
    (height, width) bool ndarray
        The mask itself where ``fill`` is None.
    """
    return mask if fill is None else mask & ~fill


def compute_masks(
    image: Bytes, *, mpp: Pair, parameters: TissueParameters = PRESETS["default"]
) -> TissueMasks:
    """Compute the three masks of a low-resolution image and their region of interest.

    Parameters
    ----------
    image : (height, width, 3) uint8 ndarray
        RGB, white outside the slide; at about 8 µm/px.
    mpp : tuple of float
        (y, x) size of a pixel in µm.
    parameters : TissueParameters
        Thresholds, given or automatic, and sizes for closing and cleaning.

    Returns
    -------
    TissueMasks
        All False where the image is constant in a channel that has no given
        threshold, or has no pixels: no tissue is a result, not an error. Fill that was
        never scanned enters no threshold and no mask.

    Examples
    --------
    >>> image = np.full((40, 40, 3), 245, np.uint8)
    >>> image[:10, :20] = (150, 70, 140)
    >>> compute_masks(image, mpp=(8.0, 8.0)).fraction
    0.125
    """
    fill = never_scanned(image)
    image = in_planes(image)
    scanned = ... if fill is None else ~fill
    saturations = saturation_of(image)
    planes = dict(zip(COLOURS, np.moveaxis(image, -1, 0), strict=True))
    used: dict[str, float] = {}
    for name, plane in (planes | {"saturation": saturations}).items():
        given = getattr(parameters, name)
        if given is None:
            margin = parameters.glass_margin
            given = _automatic(plane[scanned], margin, dark=name in COLOURS)
        used[name] = float(given)
    used |= {"low": parameters.low, "high": parameters.high}
    rgb, hsv, between = (
        without_fill(mask, fill)
        for mask in (
            rgb_mask(
                image,
                thresholds=(used["red"], used["green"], used["blue"]),
                channels=parameters.channels,
            ),
            hsv_mask(saturations, saturation=used["saturation"]),
            threshold_mask(image, low=parameters.low, high=parameters.high),
        )
    )
    roi = combine(rgb, hsv, between, mpp=mpp, parameters=parameters, fill=fill)
    return TissueMasks(rgb, hsv, between, roi, used, fill)


def histogram(values: Bytes) -> Indices:
    """Count grey values.

    Parameters
    ----------
    values : uint8 ndarray
        Any shape.

    Returns
    -------
    (256,) int ndarray
        Occurrences of each grey value.
    """
    # piece by piece: a count of all at once needs eight bytes more for each px
    pieces = np.array_split(values.ravel(), values.size // _PIECE_PX + 1)
    counts = np.zeros(_GREY_VALUES, np.intp)
    for piece in pieces:
        counts += np.bincount(piece, minlength=_GREY_VALUES)
    return counts


def otsu_threshold(counts: Indices) -> float | None:
    """Compute Otsu's threshold of a histogram.

    Parameters
    ----------
    counts : (256,) int ndarray
        From `histogram`.

    Returns
    -------
    float or None
        The highest grey value of the darker class; None where all values are equal.
    """
    occurring = np.flatnonzero(counts)
    if occurring.size < 2:
        return None
    seen = slice(occurring[0], occurring[-1] + 1)
    return float(threshold_otsu(hist=(counts[seen], np.arange(_GREY_VALUES)[seen])))


def _automatic(values: Bytes, glass_margin: float, *, dark: bool) -> float:
    """Return Otsu's threshold kept away from the glass, which is bright or pale.

    ``dark`` is True for a colour, where tissue is the dark side, and False for the
    saturation.
    """
    counts = histogram(values)
    otsu = otsu_threshold(counts)
    if otsu is None:
        return NOTHING_IS_DARKER if dark else NOTHING_IS_MORE_SATURATED
    if glass_margin == 0:
        return otsu
    first = int(otsu) + 1
    counts[slice(first) if dark else slice(first, None)] = 0  # leaves the glass
    total = counts.sum()
    middle = [(total - 1) // 2, total // 2]
    glass = float(np.searchsorted(np.cumsum(counts), middle, side="right").mean())
    return min(otsu, glass - glass_margin) if dark else max(otsu, glass + glass_margin)


@dataclass(frozen=True, slots=True, eq=False)
class MaskEdits:
    """Additions to a mask and removals from it; no pixel is both.

    Parameters
    ----------
    added, removed : (height, width) bool ndarray
        True where a person painted or erased the mask.
    """

    added: Bools
    removed: Bools

    @classmethod
    def none(cls, shape: tuple[int, int]) -> MaskEdits:
        """Return edits that change nothing.

        Parameters
        ----------
        shape : tuple of int
            (height, width) of the mask.

        Returns
        -------
        MaskEdits
            Without any pixel.
        """
        return cls(np.zeros(shape, bool), np.zeros(shape, bool))

    @property
    def count(self) -> int:
        """Pixels that were added or removed by hand."""
        return int(np.count_nonzero(self.added) + np.count_nonzero(self.removed))

    def apply(self, computed: Bools) -> Bools:
        """Apply the edits to a computed mask.

        Parameters
        ----------
        computed : (height, width) bool ndarray
            The mask without edits.

        Returns
        -------
        (height, width) bool ndarray
            A new array.
        """
        return (computed | self.added) & ~self.removed

    def resized(self, shape: tuple[int, int]) -> MaskEdits:
        """Resample the edits to a mask of another (height, width) of the same picture.

        Each pixel takes the edit of the old pixel that holds its centre.
        """
        if shape == self.added.shape or 0 in self.added.shape:
            return self if shape == self.added.shape else MaskEdits.none(shape)
        rows, columns = (
            ((np.arange(new) + 0.5) * old / new).astype(np.intp)
            for new, old in zip(shape, self.added.shape, strict=True)
        )
        place = np.ix_(rows, columns)
        return MaskEdits(self.added[place], self.removed[place])

    def painted(self, computed: Bools, painted: Bools) -> MaskEdits:
        """Return the edits that turn a computed mask into a painted one.

        Only pixels that differ from what these edits showed count as painted; the
        others keep their edit, also where the computed mask now agrees with it. A
        pixel painted back to its computed value has no edit any more.

        Parameters
        ----------
        computed, painted : (height, width) bool ndarray
            The mask without edits, and the mask after painting.

        Returns
        -------
        MaskEdits
            New edits.

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
