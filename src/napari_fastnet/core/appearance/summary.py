"""Summary of a slide's quality flags, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.appearance.flags import WORDS, Flag

if TYPE_CHECKING:
    from napari_fastnet.core.arrays import Bools, Bytes, Singles


#: Share of flagged patches from which on there is a warning. On slides like the training
#: data about 2 % are flagged.
WARN_SHARE = 0.05
#: A slide is out of gamut when more than this share of its patches is unlike the training
#: data (1 % of those data are), ...
OUT_SHARE = 0.10
#: ... or when its mean colour is so many standard deviations of a patch away.
OUT_DISTANCE = 2.0
#: Fewest probabilities for a doubt: fewer may well be alike.
FEWEST_VALUES = 20
#: Probabilities with a smaller relative spread count as all the same.
SAME_SHARE = 1e-4
#: Share of a slide's tissue that is hardly ever tumor.
MOST_TUMOR = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class QualitySummary:
    """Summary of a slide's quality flags; the default is that of no patch at all.

    Parameters
    ----------
    patches : int
        Patches that were assessed.
    colour, pen, blur : float or None
        Share of them with a flag; None if it was not assessed, or without a patch.
    any : float or None
        Share of them with any flag.
    blur_known : float
        Share of them whose sharpness is known.
    distance : float or None
        Of the mean colour from that of the training data, standard deviations.
    out_of_gamut : bool or None
        Whether the stain lies far from the training data; None if not assessed.
    warn : bool
        Whether the quality is doubtful.
    verdict : str
        The summary in a sentence or two.
    doubt : str
        A reason to doubt the probabilities as such.
    """

    patches: int = 0
    colour: float | None = None
    pen: float | None = None
    blur: float | None = None
    any: float | None = None
    blur_known: float = 1.0
    distance: float | None = None
    out_of_gamut: bool | None = None
    warn: bool = False
    verdict: str = ""
    doubt: str = ""

    def share(self, flag: Flag) -> float | None:
        """Return the share of the patches with a flag.

        Parameters
        ----------
        flag : Flag
            A single one.

        Returns
        -------
        float or None
            None if the flag was not assessed.
        """
        share: float | None = getattr(self, _name(flag))
        return share


def summarise_quality(
    flags: Bytes,
    kept: Bools,
    *,
    distance: float | None,
    judged: tuple[Flag, ...] = tuple(Flag),
    blur_known: float = 1.0,
    doubt: str = "",
) -> QualitySummary:
    """Summarise the flags of a slide.

    Parameters
    ----------
    flags : (rows, columns) uint8 ndarray
        Bits of `Flag`.
    kept : (rows, columns) bool ndarray
        The patches that count.
    distance : float or None
        From `colour_flags`.
    judged : tuple of Flag, optional
        The flags that were looked for; the shares of the others are None.
    blur_known : float, optional
        Share of the kept patches whose sharpness is known.
    doubt : str, optional
        From `doubt_values`.

    Returns
    -------
    QualitySummary
        The ``quality`` section of a run record.
    """
    values = flags[kept]

    def share_of(bits: int) -> float | None:
        return float(((values & bits) != 0).mean()) if values.size else None

    colour, pen, blur = (share_of(flag) if flag in judged else None for flag in Flag)
    out = None
    if colour is not None and distance is not None:
        out = colour > OUT_SHARE or distance > OUT_DISTANCE
    flagged = share_of(0xFF)
    found = QualitySummary(
        patches=len(values),
        colour=colour,
        pen=pen,
        blur=blur,
        any=flagged,
        blur_known=blur_known,
        distance=distance,
        out_of_gamut=out,
        warn=bool(out) or (flagged or 0.0) > WARN_SHARE,
    )
    verdict = _verdict(found)
    if doubt:
        verdict = f"{doubt}. {verdict}"
    return replace(found, doubt=doubt, warn=found.warn or bool(doubt), verdict=verdict)


def doubt_values(values: Singles, threshold: float, *, whole: bool = True) -> str:
    """Return a reason to doubt a slide's probabilities as such; "" without one.

    A network that is damaged or described wrongly gives every patch the same
    probability, or calls all tissue tumor, and its heatmap looks like any other.

    Parameters
    ----------
    values : float32 ndarray
        Probabilities, NaN where nothing was computed.
    threshold : float
        Probability from which a cell is tumor.
    whole : bool, optional
        Whether all tissue of the slide was scanned; a part may be all tumor.

    Returns
    -------
    str
        A sentence without its full stop.
    """
    known = values[np.isfinite(values)]
    if known.size < FEWEST_VALUES:
        return ""
    lowest, highest = float(known.min()), float(known.max())
    if highest - lowest <= SAME_SHARE * highest:
        return (
            f"All {known.size:,} probabilities are {highest:.3g}: the model tells "
            "nothing apart here"
        )
    share = float((known >= threshold).mean())
    if whole and share > MOST_TUMOR:
        return (
            f"{_per_cent(share)} of the tissue is over the threshold {threshold:g}, "
            "which is rare: check that model and µm/px are right for this slide"
        )
    return ""


def quality_words(found: QualitySummary) -> str:
    """Describe the quality of a slide in a few words.

    Parameters
    ----------
    found : QualitySummary
        From `summarise_quality`, or read from a record.

    Returns
    -------
    str
        Empty where nothing was judged.
    """
    if found == QualitySummary():
        return ""
    if not found.patches:
        return "quality: no patch was judged"
    if found.doubt:
        return found.doubt
    parts = [
        f"{_per_cent(s)} {_name(flag)}" for flag in Flag if (s := found.share(flag))
    ]
    words = f"flagged: {', '.join(parts)}" if parts else "no patch is flagged"
    if found.out_of_gamut:
        return f"stain far from the training data; {words}"
    return words


def _verdict(found: QualitySummary) -> str:
    """Describe the quality of a slide in one sentence."""
    if not found.patches:
        return "No patch was judged."
    parts = [
        f"{_per_cent(share)} {words}"
        for flag, words in WORDS.items()
        if (share := found.share(flag))
    ]
    flagged = ", ".join(parts)
    if found.out_of_gamut:
        away = f"mean colour {found.distance:.1f} SD away"
        stain = f"The stain lies far from the training data ({away})"
        said = f"{stain}; of the patches, {flagged}" if parts else stain
    elif parts:
        said = f"Of the patches, {flagged}"
    else:
        said = "No patch is flagged"
    unknown = [_name(flag) for flag in Flag if found.share(flag) is None]
    if unknown:
        said += f"; not judged: {', '.join(unknown)}"
    elif found.blur_known < 1:
        said += f"; blur not known of {_per_cent(1 - found.blur_known)}"
    return f"{said}{': doubt the probabilities there.' if found.warn else '.'}"


def _name(flag: Flag) -> str:
    return str(flag.name).lower()


def _per_cent(share: float) -> str:
    return "under 0.1 %" if share < 0.001 else f"{share:.1%}".replace("%", " %")
