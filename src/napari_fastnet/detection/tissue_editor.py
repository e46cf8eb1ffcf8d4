"""Tissue masks that follow their thresholds and keep what was painted by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_fastnet.core.colour import in_planes, saturation_of
from napari_fastnet.core.tissue import (
    MaskEdits,
    TissueMasks,
    combine,
    hsv_mask,
    rgb_mask,
    threshold_mask,
    without_fill,
)
from napari_fastnet.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.detection.tissue import SlideTissue

MaskKind = Literal["rgb", "hsv", "threshold", "roi"]
ThresholdName = Literal["red", "green", "blue", "saturation", "low", "high"]

#: The masks of the paper, and all masks; the region of interest comes last.
THREE: tuple[MaskKind, ...] = ("rgb", "hsv", "threshold")
KINDS: tuple[MaskKind, ...] = (*THREE, "roi")

#: The mask that each threshold belongs to.
MASK_OF: dict[ThresholdName, MaskKind] = {
    "red": "rgb",
    "green": "rgb",
    "blue": "rgb",
    "saturation": "hsv",
    "low": "threshold",
    "high": "threshold",
}

#: The thresholds that are computed from the image if None.
AUTOMATIC: tuple[ThresholdName, ...] = ("red", "green", "blue", "saturation")


class TissueEditor:
    """The masks of a slide while thresholds are moved and masks are painted.

    Each mask is computed from the image; hand edits lie on top. The region of interest is
    computed from the edited masks, with its own edits on top. A change recomputes only the
    masks that depend on it.

    Parameters
    ----------
    tissue : SlideTissue
        Masks with automatic thresholds, from `find_tissue` with parameters whose
        red, green, blue and saturation are None.

    Attributes
    ----------
    automatic : dict of str to float
        The automatic value of each threshold; for low and high, the parameters'.
    parameters : TissueParameters
        The thresholds as set; None is automatic.
    edits : dict of str to MaskEdits
        Edits of each mask that was painted on.

    Raises
    ------
    OptionError
        A threshold of ``tissue`` is not automatic.
    """

    def __init__(self, tissue: SlideTissue) -> None:
        for name in AUTOMATIC:
            if getattr(tissue.parameters, name) is not None:
                raise OptionError(
                    f"{name} of the tissue was given; find it with automatic values"
                )
        self._first, self._fill = tissue, tissue.masks.fill
        self.parameters = tissue.parameters
        self.automatic = dict(tissue.masks.thresholds)
        self._image: NDArray[np.uint8] = in_planes(tissue.image)
        self._saturations = saturation_of(self._image)
        self._computed: dict[MaskKind, NDArray[np.bool_]] = {
            kind: getattr(tissue.masks, kind) for kind in KINDS
        }
        self._shown = dict(self._computed)
        self.edits: dict[MaskKind, MaskEdits] = {}

    @property
    def mpp(self) -> Pair:
        """(y, x) size of a mask pixel, µm."""
        return self._first.mpp

    @property
    def edited_px(self) -> int:
        """Number of mask pixels that were changed by hand."""
        return sum(edits.count for edits in self.edits.values())

    def mask(self, kind: MaskKind) -> NDArray[np.bool_]:
        """Return a mask with its edits; not to be written to."""
        return self._shown[kind]

    def threshold(self, name: ThresholdName) -> float:
        """Return the value of a threshold that is in use."""
        value = getattr(self.parameters, name)
        return self.automatic[name] if value is None else float(value)

    def set_threshold(
        self, name: ThresholdName, value: float | None
    ) -> tuple[MaskKind, ...]:
        """Set a threshold.

        Parameters
        ----------
        name : str
            A key of `MASK_OF`.
        value : float or None
            0..255; None is the automatic value.

        Returns
        -------
        tuple of str
            The masks that changed.

        Raises
        ------
        OptionError
            Out of range, or low above high.
        """
        if value is None and name in ("low", "high"):
            value = self.automatic[name]
        change: Any = {name: value}
        self.parameters = replace(self.parameters, **change)
        kind = MASK_OF[name]
        if kind == "hsv":
            mask = hsv_mask(self._saturations, saturation=self.threshold("saturation"))
        elif kind == "threshold":
            low, high = self.parameters.low, self.parameters.high
            mask = threshold_mask(self._image, low=low, high=high)
        else:
            red, green, blue, _ = map(self.threshold, AUTOMATIC)
            channels = self.parameters.channels
            mask = rgb_mask(
                self._image, thresholds=(red, green, blue), channels=channels
            )
        self._computed[kind] = without_fill(mask, self._fill)
        return self._show(kind)

    def paint(self, kind: MaskKind, painted: NDArray[np.bool_]) -> tuple[MaskKind, ...]:
        """Take a painted mask, and return the names of the masks that changed."""
        if np.array_equal(painted, self._shown[kind]):
            return ()
        computed = self._computed[kind]
        edits = self.edits.pop(kind, MaskEdits.none(computed.shape))
        edits = edits.painted(computed, painted)
        if edits.count:
            self.edits[kind] = edits
        return self._show(kind)

    def take_edits(self, edits: Mapping[MaskKind, MaskEdits]) -> None:
        """Apply the `edits` of other masks of the same picture, resized if need be."""
        for kind, others in edits.items():
            own = others.resized(self._computed[kind].shape)
            if own.count:
                self.edits[kind] = own
        self._show(*KINDS)

    def drop_edits(self) -> tuple[MaskKind, ...]:
        """Drop all edits, and return the names of the masks that changed."""
        edited, self.edits = self.edits, {}
        return self._show(*edited) if edited else ()

    def tissue(self) -> SlideTissue:
        """Return the masks as they are now, for a run or a file."""
        used: dict[str, float] = {name: self.threshold(name) for name in MASK_OF}
        masks = TissueMasks(**self._shown, thresholds=used, fill=self._fill)
        return replace(
            self._first,
            masks=masks,
            parameters=self.parameters,
            edited_px=self.edited_px,
        )

    def _show(self, *kinds: MaskKind) -> tuple[MaskKind, ...]:
        """Apply the edits of masks, compute what depends on them, and name all changed."""
        changed = tuple(kind for kind in THREE if kind in kinds)
        for kind in changed:
            self._shown[kind] = self._edited(kind)
        if changed:
            roi = combine(
                *(self._shown[kind] for kind in THREE),
                mpp=self.mpp,
                parameters=self.parameters,
                fill=self._fill,
            )
            # Erased pixels stay erased: closing and filling must not bring them back.
            for kind in THREE:
                if kind in self.edits:
                    roi &= ~self.edits[kind].removed
            self._computed["roi"] = roi
        self._shown["roi"] = self._edited("roi")
        return (*changed, "roi")

    def _edited(self, kind: MaskKind) -> NDArray[np.bool_]:
        """Return a computed mask with its edits on top."""
        computed = self._computed[kind]
        return self.edits[kind].apply(computed) if kind in self.edits else computed
