"""The flags of a run: colours and pen from the slide at low resolution, blur as scanned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.appearance.flags import Flag, blur_flags, colour_flags
from napari_fastnet.core.appearance.summary import summarise_quality

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.core.appearance.flags import Gamut
    from napari_fastnet.core.appearance.summary import QualitySummary
    from napari_fastnet.detection.plan import Plan
    from napari_fastnet.detection.tissue import SlideTissue


@dataclass(frozen=True, slots=True, eq=False)
class Quality:
    """Flags of a grid, (rows, columns) uint8, and the record's ``quality`` section."""

    flags: NDArray[np.uint8]
    section: QualitySummary


def find_quality(
    tissue: SlideTissue,
    plan: Plan,
    slide_shape: tuple[int, int],
    sharpness: NDArray[np.float32],
    gamut: Gamut | None,
    *,
    doubt: str = "",
) -> Quality:
    """Flag the patches of a run.

    Parameters
    ----------
    tissue : SlideTissue
        With the slide at about 8 µm/px.
    plan : Plan
        Which patches are looked at.
    slide_shape : tuple of int
        (height, width) of the slide, level-0 px.
    sharpness : (rows, columns) float32 ndarray
        Of the patches that were read, else NaN.
    gamut : Gamut or None
        Of the model's training data; None leaves colour and blur unjudged.
    doubt : str, optional
        Of the probabilities, as `core.appearance.summary.doubt_values` gives it.

    Returns
    -------
    Quality
        0 where nothing is kept.
    """
    kept = plan.patches.kept
    matched = {} if plan.stain is None else {"match": plan.stain.apply}
    flags, distance = colour_flags(
        tissue.scanned, plan.patches, slide_shape, gamut, **matched
    )
    known = float(np.isfinite(sharpness[kept]).mean()) if kept.any() else 1.0
    judged = tuple(Flag) if gamut is not None else (Flag.PEN,)
    if gamut is not None:
        flags |= blur_flags(sharpness, kept, gamut)
    section = summarise_quality(
        flags, kept, distance=distance, judged=judged, blur_known=known, doubt=doubt
    )
    return Quality(flags, section)
