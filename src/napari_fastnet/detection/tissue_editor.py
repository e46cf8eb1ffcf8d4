"""Tissue masks that move with their thresholds and keep what was painted by hand."""

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
    from napari_fastnet.core.options import TissueParameters
    from napari_fastnet.detection.tissue import SlideTissue

MaskKind = Literal["rgb", "hsv", "threshold", "roi"]
ThresholdName = Literal["red", "green", "blue", "saturation", "low", "high"]

#: The paper's masks, and every mask: the region of interest comes last.
THREE: tuple[MaskKind, ...] = ("rgb", "hsv", "threshold")
KINDS: tuple[MaskKind, ...] = (*THREE, "roi")

#: Which mask a threshold moves.
MASK_OF: dict[ThresholdName, MaskKind] = {
    "red": "rgb",
    "green": "rgb",
    "blue": "rgb",
    "saturation": "hsv",
    "low": "threshold",
    "high": "threshold",
}

#: The thresholds that find their value by themselves.
AUTOMATIC: tuple[ThresholdName, ...] = ("red", "green", "blue", "saturation")


class TissueEditor:
    """The masks of a slide while thresholds move and hands paint.

    Each mask is computed from the image; hand edits lie on top. The region of
    interest is computed from the masks as edited, with its own edits on top. A change
    recomputes only what depends on it.

    Parameters
    ----------
    tissue : SlideTissue
        Masks with automatic thresholds, from `find_tissue` with parameters whose
        red, green, blue and saturation are None.

    Attributes
    ----------
    automatic : dict of str to float
        The automatic value of each threshold; for low and high, the parameters'.

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
        self._first = tissue
        self._parameters = tissue.parameters
        self.automatic = dict(tissue.masks.thresholds)
        self._image: NDArray[np.uint8] = in_planes(tissue.image)
        self._saturations = saturation_of(self._image)
        self._fill = tissue.masks.fill
        self._computed: dict[MaskKind, NDArray[np.bool_]] = {
            kind: getattr(tissue.masks, kind) for kind in KINDS
        }
        self._shown = dict(self._computed)
        self._edits = {kind: MaskEdits.none(m.shape) for kind, m in self._shown.items()}
        # Kept, because counting 4 Mpx takes longer than comparing them.
        self._counts: dict[MaskKind, int] = dict.fromkeys(KINDS, 0)

    @property
    def mpp(self) -> Pair:
        """(y, x) size of a mask pixel, µm."""
        return self._first.mpp

    @property
    def parameters(self) -> TissueParameters:
        """The thresholds as set; None is automatic."""
        return self._parameters

    @property
    def edited_px(self) -> int:
        """How many pixels of the masks were changed by hand."""
        return sum(self._counts.values())

    def mask(self, kind: MaskKind) -> NDArray[np.bool_]:
        """Return a mask as it shows, edits included; not to be written to."""
        return self._shown[kind]

    def threshold(self, name: ThresholdName) -> float:
        """Return the value of a threshold that is in use."""
        value = getattr(self._parameters, name)
        return self.automatic[name] if value is None else float(value)

    def set_threshold(
        self, name: ThresholdName, value: float | None
    ) -> tuple[MaskKind, ...]:
        """Move a threshold.

        Parameters
        ----------
        name : str
            A key of `MASK_OF`.
        value : float or None
            0..255; None is the automatic value.

        Returns
        -------
        tuple of str
            The masks that are new.

        Raises
        ------
        OptionError
            Out of range, or low above high.
        """
        if value is None and name in ("low", "high"):
            value = self.automatic[name]
        change: Any = {name: value}
        self._parameters = replace(self._parameters, **change)
        kind = MASK_OF[name]
        self._computed[kind] = self._compute(kind)
        return self._show(kind)

    def paint(self, kind: MaskKind, painted: NDArray[np.bool_]) -> tuple[MaskKind, ...]:
        """Take over a mask as a hand left it; return the masks that are new."""
        if np.array_equal(painted, self._shown[kind]):
            return ()
        self._edits[kind] = self._edits[kind].painted(self._computed[kind], painted)
        self._counts[kind] = self._edits[kind].count
        return self._show(kind)

    @property
    def edits(self) -> dict[MaskKind, MaskEdits]:
        """What was painted, of the masks that were painted on."""
        return {kind: self._edits[kind] for kind in KINDS if self._counts[kind]}

    def take_edits(self, edits: Mapping[MaskKind, MaskEdits]) -> None:
        """Put what was painted on other masks of the same picture on these.

        Parameters
        ----------
        edits : Mapping
            As `edits` gives them; of a mask of another size they are resized.
        """
        shape = self._shown["roi"].shape
        for kind in KINDS:
            if kind in edits:
                self._edits[kind] = edits[kind].resized((shape[0], shape[1]))
                self._counts[kind] = self._edits[kind].count
                self._shown[kind] = self._edited(kind)
        self._show_roi()

    def drop_edits(self) -> tuple[MaskKind, ...]:
        """Forget what was painted, on every mask; return the masks that are new."""
        edited = [kind for kind in KINDS if self._counts[kind]]
        for kind in edited:
            self._counts[kind] = 0
            self._edits[kind] = MaskEdits.none(self._shown[kind].shape)
            self._shown[kind] = self._computed[kind]
        if not edited:
            return ()
        self._show_roi()
        return (*(kind for kind in edited if kind != "roi"), "roi")

    def tissue(self) -> SlideTissue:
        """Return the masks as they are now, frozen, for a run or a file."""
        used: dict[str, float] = {name: self.threshold(name) for name in MASK_OF}
        masks = TissueMasks(
            self._shown["rgb"],
            self._shown["hsv"],
            self._shown["threshold"],
            self._shown["roi"],
            used,
            self._fill,
        )
        return replace(
            self._first,
            masks=masks,
            parameters=self._parameters,
            edited_px=self.edited_px,
        )

    def _compute(self, kind: MaskKind) -> NDArray[np.bool_]:
        """Compute one of the three masks from what was scanned."""
        return without_fill(self._of_image(kind), self._fill)

    def _of_image(self, kind: MaskKind) -> NDArray[np.bool_]:
        """Compute one of the three masks from the image."""
        parameters = self._parameters
        if kind == "hsv":
            return hsv_mask(self._saturations, saturation=self.threshold("saturation"))
        if kind == "threshold":
            low, high = parameters.low, parameters.high
            return threshold_mask(self._image, low=low, high=high)
        red, green, blue, _ = (self.threshold(name) for name in AUTOMATIC)
        return rgb_mask(
            self._image,
            thresholds=(red, green, blue),
            channels=parameters.channels,
        )

    def _show(self, kind: MaskKind) -> tuple[MaskKind, ...]:
        """Put a mask's edits on it, and the region of interest after it."""
        if kind == "roi":
            self._shown["roi"] = self._edited("roi")
            return ("roi",)
        self._shown[kind] = self._edited(kind)
        self._show_roi()
        return (kind, "roi")

    def _show_roi(self) -> None:
        shown = self._shown
        roi = combine(
            shown["rgb"],
            shown["hsv"],
            shown["threshold"],
            mpp=self._first.mpp,
            parameters=self._parameters,
            fill=self._fill,
        )
        # What a hand took away stays away: it is neither closed nor filled again.
        for kind in THREE:
            if self._counts[kind]:
                roi &= ~self._edits[kind].removed
        self._computed["roi"] = roi
        shown["roi"] = self._edited("roi")

    def _edited(self, kind: MaskKind) -> NDArray[np.bool_]:
        """Return a computed mask with its edits on top."""
        computed = self._computed[kind]
        return self._edits[kind].apply(computed) if self._counts[kind] else computed
