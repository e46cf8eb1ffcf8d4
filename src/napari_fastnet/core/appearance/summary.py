"""What is said of a slide whose patches were flagged: shares, a distance, a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.core.appearance.flags import WORDS, Flag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

#: From this share of flagged patches on, the slide is warned of. About 2 % are flagged
#: of slides like the training data.
WARN_SHARE = 0.05
#: A slide is out of gamut when more of its patches than this are unlike the training
#: data, of which 1 % are, ...
OUT_SHARE = 0.10
#: ... or when its mean colour is so many standard deviations of a patch away.
OUT_DISTANCE = 2.0
#: Of fewer probabilities nothing is said: they may well be alike.
FEWEST_VALUES = 20
#: Probabilities whose spread is a smaller share of them are all the same.
SAME_SHARE = 1e-4
#: So much of a slide's tissue is hardly ever tumor.
MOST_TUMOR = 0.95


def summarise_quality(
    flags: NDArray[np.uint8],
    kept: NDArray[np.bool_],
    *,
    distance: float | None,
    judged: tuple[Flag, ...] = tuple(Flag),
    blur_known: float = 1.0,
    doubt: str = "",
) -> dict[str, Any]:
    """Return the ``quality`` section of a run record.

    Parameters
    ----------
    flags : (rows, columns) uint8 ndarray
        Bits of `Flag`.
    kept : (rows, columns) bool ndarray
        The patches that count.
    distance : float or None
        From `colour_flags`.
    judged : tuple of Flag, optional
        What was looked for; the shares of the others are None.
    blur_known : float, optional
        Share of the kept patches whose sharpness is known.
    doubt : str, optional
        From `doubt_values`.

    Returns
    -------
    dict
        ``patches``, the shares ``colour``, ``pen``, ``blur`` and ``any`` of them (None:
        not judged, or there is none), ``blur_known``, ``distance``, ``out_of_gamut``
        (None: not judged), ``doubt`` where there is one, ``warn`` and ``verdict``, a
        sentence or two.
    """
    values = flags[kept]
    shares: dict[str, float | None] = {
        _name(flag): _share((values & flag) != 0) if flag in judged else None
        for flag in Flag
    }
    colour = shares[_name(Flag.COLOUR)]
    out = None
    if colour is not None and distance is not None:
        out = colour > OUT_SHARE or distance > OUT_DISTANCE
    flagged = _share(values != 0)
    section: dict[str, Any] = {
        "patches": len(values),
        **shares,
        "any": flagged,
        "blur_known": blur_known,
        "distance": distance,
        "out_of_gamut": out,
    }
    section["warn"] = bool(out) or (flagged or 0.0) > WARN_SHARE
    section["verdict"] = _verdict(section)
    if doubt:
        verdict = f"{doubt}. {section['verdict']}"
        section |= {"doubt": doubt, "warn": True, "verdict": verdict}
    return section


def doubt_values(
    values: NDArray[np.float32], threshold: float, *, whole: bool = True
) -> str:
    """Return why a slide's probabilities as such are to be doubted; "" where they are not.

    A network that is damaged or described wrongly gives every patch the same, or calls
    all tissue tumor, and its heatmap looks like any other.

    Parameters
    ----------
    values : float32 ndarray
        Probabilities, NaN where nothing was computed.
    threshold : float
        From which a value is tumor.
    whole : bool, optional
        Whether all tissue of the slide was looked at; a part may be all tumor.

    Returns
    -------
    str
        A sentence without its point.
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
            "which is rare: see whether model and µm/px are right for this slide"
        )
    return ""


def quality_words(section: Mapping[str, Any]) -> str:
    """Return a record's ``quality`` section in a few words; none where there is none.

    Parameters
    ----------
    section : Mapping
        From `summarise_quality`, or read from a record: what lacks is left out.
    """
    if not section:
        return ""
    if not section.get("patches"):
        return "quality: no patch was looked at"
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
    """Return the section in one sentence."""
    if not section["patches"]:
        return "No patch was looked at."
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


def _share(flagged: NDArray[np.bool_]) -> float | None:
    return float(flagged.mean()) if flagged.size else None


def _per_cent(share: float) -> str:
    return "under 0.1 %" if share < 0.001 else f"{share:.1%}".replace("%", " %")
