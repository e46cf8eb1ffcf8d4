"""CAMELYON16's free-response curve (FROC): sensitivity against false positives a slide.

A lesion's score is its highest hit. Every candidate outside of all lesions is a false
positive, so on normal slides every candidate is. Isolated tumor cells do not count
towards the sensitivity, and a hit on them is neither right nor wrong. Thresholds step
through the distinct scores; false positives are averaged over all slides, the
sensitivity over all lesions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.metrics import intervals
from napari_fastnet.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fastnet.core.arrays import Floats, Integers
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.metrics.candidates import Candidates
    from napari_fastnet.core.metrics.lesions import Lesion, LesionMap

#: False positives a slide at which the sensitivity is read off.
RATES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, slots=True)
class Found:
    """A lesion and its candidates.

    Parameters
    ----------
    lesion : Lesion
        The lesion.
    hits : int
        Number of candidates in it.
    score : float
        The highest score of them; 0 without one.
    point : tuple of float or None
        (y, x) of the highest one, level-0 px.
    """

    lesion: Lesion
    hits: int = 0
    score: float = 0.0
    point: Pair | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SlideHits:
    """The candidates of a slide, matched to its lesions.

    Parameters
    ----------
    found : tuple of Found
        One for each lesion, isolated tumor cells included.
    false_positives : (n,) float64 ndarray
        Scores of the candidates outside all lesions.
    """

    found: tuple[Found, ...]
    false_positives: Floats

    @property
    def lesion_scores(self) -> Floats:
        """Scores of the lesions that count, (k,); 0 for missed ones."""
        return np.array([f.score for f in self.found if not f.lesion.is_itc], float)


def match_candidates(candidates: Candidates, lesions: LesionMap | None) -> SlideHits:
    """Match the candidates of a slide to its lesions.

    Parameters
    ----------
    candidates : Candidates
        Perhaps none.
    lesions : LesionMap or None
        None, or a map without lesions, is a normal slide.

    Returns
    -------
    SlideHits
        Of equal hits on a lesion, the first gives its point.
    """
    if lesions is None:
        return SlideHits((), candidates.scores)
    labels = lesions.labels_at(candidates.points)
    found = []
    for lesion in lesions.lesions:
        hits = np.flatnonzero(labels == lesion.label)
        if not hits.size:
            found.append(Found(lesion))
            continue
        best = hits[np.argmax(candidates.scores[hits])]
        y, x = candidates.points[best].tolist()
        found.append(Found(lesion, hits.size, float(candidates.scores[best]), (y, x)))
    return SlideHits(tuple(found), candidates.scores[labels == 0])


@dataclass(frozen=True, slots=True, eq=False)
class FrocCurve:
    """A free-response curve: one point for each distinct score, from the highest.

    Parameters
    ----------
    thresholds : (k + 1,) float64 ndarray
        Falling; a candidate counts from its score on. The first is infinity.
    false_positives : (k + 1,) float64 ndarray
        Per slide, rising.
    sensitivity : (k + 1,) float64 ndarray
        0..1, rising; NaN where no lesion counts.
    slides, lesions : int
        Over how many both are averaged.
    """

    thresholds: Floats
    false_positives: Floats
    sensitivity: Floats
    slides: int
    lesions: int

    def sensitivity_at(self, rates: Sequence[float] = RATES) -> list[float | None]:
        """Return the sensitivity at each number of false positives a slide.

        The curve is a straight line between two points and constant after the last.

        Parameters
        ----------
        rates : sequence of float
            False positives a slide.

        Returns
        -------
        list of float or None
            None without lesions.
        """
        if not self.lesions:
            return [None] * len(rates)
        found = np.interp(rates, self.false_positives, self.sensitivity)
        return list(map(float, found))

    @property
    def score(self) -> float | None:
        """The mean sensitivity at `RATES`, known as FROC; None without lesions."""
        found = [value for value in self.sensitivity_at() if value is not None]
        return float(np.mean(found)) if found else None


def froc_curve(slides: Sequence[SlideHits]) -> FrocCurve:
    """Compute the free-response curve of slides.

    Parameters
    ----------
    slides : sequence of SlideHits
        At least one; those without lesions are normal.

    Returns
    -------
    FrocCurve
        One point, (0, 0), without candidates.

    Raises
    ------
    DataError
        Without slides.
    """
    if not slides:
        raise DataError("a free-response curve of no slides is undefined; give some")
    false_positives = np.sort(np.concatenate([s.false_positives for s in slides]))
    lesions = np.sort(np.concatenate([s.lesion_scores for s in slides]))
    scores = np.unique(np.concatenate([false_positives, lesions[lesions > 0]]))[::-1]
    wrong, right = (
        np.concatenate([[0], len(values) - np.searchsorted(values, scores)])
        for values in (false_positives, lesions)
    )
    count = len(lesions)
    return FrocCurve(
        thresholds=np.concatenate([[np.inf], scores]),
        false_positives=wrong / len(slides),
        sensitivity=right / count if count else np.full(len(right), np.nan),
        slides=len(slides),
        lesions=count,
    )


def froc_interval(
    slides: Sequence[SlideHits], *, resamples: int = 1000, seed: int = 0
) -> intervals.Interval | None:
    """Compute the 95 % interval of the FROC score by resampling slides.

    Parameters
    ----------
    slides : sequence of SlideHits
        At least one.
    resamples : int, optional
        Draws with replacement, within the slides with lesions and those without; 0
        gives no interval.
    seed : int, optional
        Of the draws.

    Returns
    -------
    tuple of float or None
        2.5 and 97.5 % points; for a score of 0 or 1 no narrower than Wilson's interval of
        the slides with lesions. None without resamples, and with lesions on fewer than
        two slides.
    """
    lesions = np.array([len(slide.lesion_scores) for slide in slides])
    if (lesions > 0).sum() < 2 or not resamples:
        return None
    events = _Events(slides)
    scores = [
        events.score(times, int(times @ lesions))
        for counts in intervals.resampled(lesions > 0, resamples, seed)
        for times in counts
    ]
    low, high = map(float, np.percentile(scores, (2.5, 97.5)))
    score = froc_curve(slides).score
    if score in (0, 1):  # most draws then give the same score
        least, most = intervals.share_interval(score, int((lesions > 0).sum()))
        low, high = min(low, least), max(high, most)
    return low, high


class _Events:
    """Hits and false positives by falling score, so that draws need no sorting."""

    def __init__(self, slides: Sequence[SlideHits]) -> None:
        hits = [slide.lesion_scores for slide in slides]
        values = [*(s[s > 0] for s in hits), *(s.false_positives for s in slides)]
        lengths = list(map(len, values))
        falling = -np.concatenate(values)
        order = np.argsort(falling, kind="stable")
        self._slides = len(slides)
        self._owner = np.repeat(np.tile(np.arange(self._slides), 2), lengths)[order]
        self._is_hit = order < sum(lengths[: self._slides])
        # Of equal scores only the last is a point of the curve.
        self._last = np.flatnonzero(np.diff(falling[order], append=np.inf))

    def score(self, times: Integers, lesions: int) -> float:
        """Return the FROC score with slide i drawn ``times[i]`` times."""
        weights = times[self._owner]
        right, wrong = (
            np.concatenate([[0], np.cumsum(weights * kind)[self._last]])
            for kind in (self._is_hit, ~self._is_hit)
        )
        rates = np.interp(RATES, wrong / self._slides, right / lesions)
        return float(np.mean(rates))
