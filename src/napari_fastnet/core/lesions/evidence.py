"""Candidates of a heatmap, each with the evidence that it is a lesion.

A cell's probability is calibrated for half tumor, half normal; a slide is nearly all
normal, so that single cells above a threshold are mostly false. A lesion shows in many
cells: the strength of a place is the log odds of its cells, smoothed at several scales.
A strong network is often sure of one wrong patch, so a cell counts for at most a fixed
number of log odds, and only more cells make a place stronger.

Figures of this and of other measures are in ``docs/explain/lesions.md``.
"""

from __future__ import annotations

from dataclasses import replace
from math import isnan
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.special import expit, logit

from napari_fastnet.core.heatmap import highest_probability
from napari_fastnet.core.lesions.regions import Region, Totals, measure_cells, summarise
from napari_fastnet.core.morphology import EIGHT_NEIGHBOURS
from napari_fastnet.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fastnet.core.arrays import Bools, Floats, Indices, Singles
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.options import EvidenceScale, LesionRule

#: Standard deviations of the Gaussians, µm: from a cell of a dense heatmap to a patch.
SCALES_UM = (15.5, 31.0, 62.0, 124.0)
#: The scale at which strength is the smoothed log odds, µm.
UNIT_UM = 31.0
#: Power of the scale by which strength grows: evidence adds up over the cells, but those
#: of one neighbourhood say much the same (0 would be none, 2 as if all were independent).
GROWTH = 0.75
#: Largest log odds for or against tumor that one cell counts for.
MOST = 3.0
#: Bridges and outgrowths narrower than this are no part of a lesion, µm.
NARROW_UM = 46.5


def strength(heatmap: Heatmap) -> Singles:
    """Compute the strength of the signal around each cell.

    Parameters
    ----------
    heatmap : Heatmap
        May have no cells.

    Returns
    -------
    (rows, columns) ndarray of float32
        The greatest, over all scales, of the smoothed log odds times a factor that grows
        with the scale; NaN where nothing was computed. Such cells say nothing, neither
        for nor against tumor.
    """
    known = heatmap.computed
    odds = np.clip(logit(np.where(known, heatmap.probabilities, 0.5)), -MOST, MOST)
    found = np.full(known.shape, -np.inf, np.float32)
    for scale_um in SCALES_UM:
        sigma = [scale_um / size for size in heatmap.cell_um]
        smooth = ndimage.gaussian_filter(odds, sigma, mode="constant", truncate=3)
        np.maximum(found, smooth * (scale_um / UNIT_UM) ** GROWTH, out=found)
    found[~known] = np.nan
    return found


def find_candidates(
    heatmap: Heatmap, rule: LesionRule, strengths: Singles | None = None
) -> list[Region]:
    """Find the candidates for lesions, the most suspicious first.

    A candidate is a connected region of cells at or above the rule's threshold, without
    narrow bridges, whose evidence reaches the threshold of "find more".

    Parameters
    ----------
    heatmap : Heatmap
        May have no cells.
    rule : LesionRule
        Its lesion threshold has no influence here, see `lesions_of`.
    strengths : (rows, columns) ndarray of float32, optional
        From `strength` of this heatmap, computed by default: it stays the same for all
        thresholds.

    Returns
    -------
    list of Region
        By evidence, which is the log odds of tumor at the candidate's strongest cell, and
        labelled 1, 2, ... in that order; equal ones from top to bottom, then left to
        right of their first cell.

    Raises
    ------
    OptionError
        If the threshold lies outside 0..1.
    """
    if not 0 <= rule.threshold <= 1:
        raise OptionError(f"threshold is {rule.threshold}; give a probability in 0..1")
    if strengths is None:
        strengths = strength(heatmap)
    above = _without_bridges(
        heatmap.probabilities >= np.float32(rule.threshold), heatmap
    )
    labels, count = ndimage.label(above, structure=EIGHT_NEIGHBOURS)
    if count == 0:
        return []
    cells = _strongest(strengths, labels, count)
    peaks = strengths[tuple(cells.T)].astype(np.float64)
    places = heatmap.grid.origin + (cells + 0.5) * heatmap.grid.step
    evidence = evidence_of(peaks, rule.evidence)
    wanted = np.flatnonzero(evidence >= rule.evidence.more)
    kept = np.zeros(count + 1, labels.dtype)
    kept[wanted + 1] = np.arange(1, len(wanted) + 1)
    found = measure_cells(heatmap, kept[labels], len(wanted))
    order = np.argsort(-evidence[wanted], kind="stable")
    return [
        replace(
            found[at],
            label=label,
            peak=(float(places[wanted[at], 0]), float(places[wanted[at], 1])),
            evidence=float(evidence[wanted[at]]),
        )
        for label, at in enumerate(order.tolist(), 1)
    ]


def evidence_of(strengths: Floats, scale: EvidenceScale) -> Floats:
    """Compute the evidence of a slide's candidates.

    Parameters
    ----------
    strengths : (n,) ndarray of float64
        Of all its candidates.
    scale : EvidenceScale
        Of the model.

    Returns
    -------
    (n,) ndarray of float64
        Log odds.
    """
    beside = beside_certain(strengths, scale.certain)
    found: Floats = scale.scale * strengths + scale.offset + scale.beside * beside
    return found


def beside_certain(strengths: Floats, certain: float) -> Bools:
    """Return whether another candidate of the slide reaches the strength ``certain``, (n,)."""
    reached = strengths >= certain
    # a certain one does not stand beside itself
    others: Bools = reached.sum() - reached >= 1
    return others


def lesions_of(candidates: Sequence[Region], rule: LesionRule) -> list[Region]:
    """Return the candidates whose evidence reaches the lesion threshold.

    Parameters
    ----------
    candidates : sequence of Region
        From `find_candidates`.
    rule : LesionRule
        With the lesion threshold.

    Returns
    -------
    list of Region
        In the same order, with the same labels.
    """
    return [each for each in candidates if each.evidence >= rule.lesion_threshold]


def lesion_totals(
    candidates: Sequence[Region],
    rule: LesionRule,
    heatmap: Heatmap,
    tissue_mm2: float | None = None,
    lesions: Sequence[Region] | None = None,
) -> Totals:
    """Compute the totals of a slide's lesions.

    Parameters
    ----------
    candidates : sequence of Region
        From `find_candidates`.
    rule : LesionRule
        The rule they were found by.
    heatmap : Heatmap
        The heatmap they were found in.
    tissue_mm2 : float or None
        Area of the tissue in mm²; None where it is not known.
    lesions : sequence of Region, optional
        The lesions that count, by default all by the rule.

    Returns
    -------
    Totals
        Count and area are of lesions, ``cell_share`` is of all cells.
    """
    if lesions is None:
        lesions = lesions_of(candidates, rule)
    values = heatmap.probabilities[heatmap.computed]
    above = values >= np.float32(rule.threshold)
    return replace(
        summarise(lesions, tissue_mm2),
        highest_probability=highest_probability(heatmap),
        candidates=len(candidates),
        top_evidence=max((each.evidence for each in candidates), default=None),
        cell_share=float(above.mean()) if above.size else None,
    )


def no_lesion_words(rule: LesionRule, tumor: str = "lesion") -> str:
    """Say that no lesion was found, and how often a small one would be.

    Parameters
    ----------
    rule : LesionRule
        The rule that was applied.
    tumor : str, optional
        Noun for what was sought.

    Returns
    -------
    str
        Without the share where it was not measured.
    """
    point = rule.measured
    if point is None or point.from_02_mm is None:
        return f"no {tumor} found"
    return (
        f"no {tumor} found (sensitivity for deposits of 0.2 to 0.3 mm: "
        f"{point.from_02_mm:.0%} on mosaics of validation patches)"
    )


def confidence(evidence: float) -> float:
    """Return the share of candidates with such evidence that are tumor, 0..1.

    It holds for the data that the model's scale was fitted on: mosaics of validation
    patches, half of them with lesions.
    """
    return float(expit(evidence))


def of_ten(evidence: float) -> str:
    """Return in words how many of ten candidates with such evidence are tumor.

    Parameters
    ----------
    evidence : float
        Log odds; NaN for a drawn outline.

    Returns
    -------
    str
        For example "about 7"; empty for NaN.
    """
    if isnan(evidence):
        return ""
    number = round(10 * confidence(evidence))
    return {0: "under 1", 10: "over 9"}.get(number, f"about {number}")


def _strongest(strengths: Singles, labels: Indices, count: int) -> Indices:
    """Return row and column of the strongest cell of each label, (count, 2).

    Of equal ones the first; `ndimage.maximum_position` takes any, and sorts all cells.
    """
    inside = np.flatnonzero(labels)
    owner = labels.ravel()[inside]
    order = np.lexsort((-strengths.ravel()[inside], owner))
    first = np.searchsorted(owner[order], np.arange(1, count + 1))
    return np.column_stack(np.divmod(inside[order[first]], labels.shape[1]))


def _without_bridges(above: Bools, heatmap: Heatmap) -> Bools:
    """Open the cells by a rectangle; cells wider than half of it are left as they are."""
    sides = [max(1, round(NARROW_UM / size)) for size in heatmap.cell_um]
    if max(sides) == 1:
        return above
    opened: Bools = ndimage.binary_opening(above, np.ones(sides, bool))
    return opened
