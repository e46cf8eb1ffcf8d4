"""Summary of a slide's quality flags, in numbers and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.core.appearance.flags import WORDS, Flag

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def summarise_quality(
    flags: Bytes,
    kept: Bools,
    *,
    distance: float | None,
    judged: tuple[Flag, ...] = tuple(Flag),
    blur_known: float = 1.0,
    doubt: str = "",
) -> dict[str, Any]:
    """Compute the ``quality`` section of a run record.

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
    dict
        ``patches``, the shares ``colour``, ``pen``, ``blur`` and ``any`` of them (None:
        not judged, or there is no patch), ``blur_known``, ``distance``, ``out_of_gamut``
        (None: not judged), ``doubt`` where there is one, ``warn`` and ``verdict``, a
        sentence or two.
    """
    values = flags[kept]

    def share_of(bits: int) -> float | None:
        return float(((values & bits) != 0).mean()) if values.size else None

    shares = {_name(flag): share_of(flag) if flag in judged else None for flag in Flag}
    colour, out = shares[_name(Flag.COLOUR)], None
    if colour is not None and distance is not None:
        out = colour > OUT_SHARE or distance > OUT_DISTANCE
    flagged = share_of(0xFF)
    section: dict[str, Any] = {
        "patches": len(values),
        **shares,
        "any": flagged,
        "blur_known": blur_known,
        "distance": distance,
        "out_of_gamut": out,
        "warn": bool(out) or (flagged or 0.0) > WARN_SHARE,
    }
    section["verdict"] = _verdict(section)
    if doubt:
        verdict = f"{doubt}. {section['verdict']}"
        section |= {"doubt": doubt, "warn": True, "verdict": verdict}
    return section


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


def quality_words(section: Mapping[str, Any]) -> str:
    """Describe a record's ``quality`` section in a few words.

    Parameters
    ----------
    section : Mapping
        From `summarise_quality`, or read from a record; any key may be missing.

    Returns
    -------
    str
        Empty for an empty section.
    """
    if not section:
        return ""
    if not section.get("patches"):
        return "quality: no patch was judged"
    if section.get("doubt"):
        return str(section["doubt"])
    parts = [
        f"{_per_cent(share)} {_name(flag)}"
        for flag in Flag
        if isinstance(share := section.get(_name(flag)), int | float) and share
    ]
    words = f"flagged: {', '.join(parts)}" if parts else "no patch is flagged"
    if section.get("out_of_gamut"):
        return f"stain far from the training data; {words}"
    return words


def _verdict(section: Mapping[str, Any]) -> str:
    """Describe the section in one sentence."""
    if not section["patches"]:
        return "No patch was judged."
    parts = [
        f"{_per_cent(section[_name(flag)])} {words}"
        for flag, words in WORDS.items()
        if section[_name(flag)]
    ]
    found = ", ".join(parts)
    if section["out_of_gamut"]:
        away = f"mean colour {section['distance']:.1f} SD away"
        stain = f"The stain lies far from the training data ({away})"
        said = f"{stain}; of the patches, {found}" if parts else stain
    elif parts:
        said = f"Of the patches, {found}"
    else:
        said = "No patch is flagged"
    unknown = [_name(flag) for flag in Flag if section[_name(flag)] is None]
    if unknown:
        said += f"; not judged: {', '.join(unknown)}"
    elif section["blur_known"] < 1:
        said += f"; blur not known of {_per_cent(1 - section['blur_known'])}"
    return f"{said}{': doubt the probabilities there.' if section['warn'] else '.'}"


def _name(flag: Flag) -> str:
    return str(flag.name).lower()


def _per_cent(share: float) -> str:
    return "under 0.1 %" if share < 0.001 else f"{share:.1%}".replace("%", " %")
