"""CAMELYON16's free-response curve (FROC): lesions found against false positives.

A lesion's score is its highest hit. Every candidate outside of all lesions is a false
positive, and on normal slides every candidate is. Isolated tumour cells leave the
sensitivity, and a hit on them counts neither way. Thresholds step through the distinct
scores; false positives are averaged over all slides, the sensitivity over all lesions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.metrics.bootstrap import Interval, resampled
from napari_fastnet.core.metrics.edge_intervals import share_interval
from napari_fastnet.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.metrics.candidates import Candidates
    from napari_fastnet.core.metrics.lesions import Lesion, LesionMap

#: False positives a slide at which the sensitivity is read off.
RATES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, slots=True)
class Found:
    """What became of a lesion.

    Parameters
    ----------
    lesion : Lesion
        Which.
    hits : int
        Candidates in it.
    score : float
        The highest of them; 0 without one.
    point : tuple of float or None
        Where that one lies, (y, x) level-0 px.
    """

    lesion: Lesion
    hits: int = 0
    score: float = 0.0
    point: Pair | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SlideHits:
    """What the candidates of a slide hit.

    Parameters
    ----------
    found : tuple of Found
        One for each lesion, isolated tumour cells included.
    false_positives : (n,) float64 ndarray
        Scores of the candidates that hit nothing.
    """

    found: tuple[Found, ...]
    false_positives: NDArray[np.float64]

    @property
    def lesion_scores(self) -> NDArray[np.float64]:
        """Scores of the lesions that count, 0 of those that were missed, (k,)."""
        return np.array([f.score for f in self.found if not f.lesion.is_itc], float)


def match_candidates(candidates: Candidates, lesions: LesionMap | None) -> SlideHits:
    """Return what the candidates of a slide hit.

    Parameters
    ----------
    candidates : Candidates
        Perhaps none.
    lesions : LesionMap or None
        None, or a map without lesions, is a normal slide.

    Returns
    -------
    SlideHits
        Of equal hits on a lesion, the first is its point.
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

    thresholds: NDArray[np.float64]
    false_positives: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    slides: int
    lesions: int

    def sensitivity_at(self, rates: Sequence[float] = RATES) -> list[float | None]:
        """Return the sensitivity at false positives a slide; None without lesions.

        Between two points the curve is a straight line; after the last one it stays as
        high as it came.
        """
        if not self.lesions:
            return [None] * len(rates)
        return [float(value) for value in _read_off(self, rates)]

    @property
    def score(self) -> float | None:
        """The mean sensitivity at `RATES`, known as FROC; None without lesions."""
        return float(np.mean(_read_off(self, RATES))) if self.lesions else None


def _read_off(curve: FrocCurve, rates: Sequence[float]) -> NDArray[np.float64]:
    return np.interp(rates, curve.false_positives, curve.sensitivity)


def froc_curve(slides: Sequence[SlideHits]) -> FrocCurve:
    """Return the free-response curve of some slides.

    Parameters
    ----------
    slides : sequence of SlideHits
        At least one; normal ones are those without lesions.

    Returns
    -------
    FrocCurve
        Of one point, (0, 0), where there is no candidate.

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
) -> Interval | None:
    """Return the 95 % interval of the FROC score, by drawing slides again.

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
        2.5 and 97.5 % points; of a score of 0 or 1 no narrower than Wilson's interval of
        the slides with lesions. None without resamples, or with lesions on fewer than two slides, of
        which nothing can be told.
    """
    lesions = np.array([len(slide.lesion_scores) for slide in slides])
    if (lesions > 0).sum() < 2 or not resamples:
        return None
    events = _Events(slides)
    scores = [
        events.score(times, int(times @ lesions))
        for counts in resampled(lesions > 0, resamples, seed)
        for times in counts
    ]
    low, high = map(float, np.percentile(scores, (2.5, 97.5)))
    score = froc_curve(slides).score
    if score in (0, 1):  # of which most draws know nothing else
        least, most = share_interval(score, int((lesions > 0).sum()))
        low, high = min(low, least), max(high, most)
    return low, high


class _Events:
    """What happens as the threshold falls, so that draws are judged without sorting."""

    def __init__(self, slides: Sequence[SlideHits]) -> None:
        scores, owner, is_hit = [], [], []
        for index, slide in enumerate(slides):
            hits = slide.lesion_scores[slide.lesion_scores > 0]
            for values, kind in ((hits, True), (slide.false_positives, False)):
                scores.append(values)
                owner.append(np.full(len(values), index))
                is_hit.append(np.full(len(values), kind))
        falling = -np.concatenate(scores)
        order = np.argsort(falling, kind="stable")
        self._owner, self._is_hit = (
            np.concatenate(parts)[order] for parts in (owner, is_hit)
        )
        # Of equal scores only the last is a point of the curve.
        self._last = np.flatnonzero(np.diff(falling[order], append=np.inf))
        self._slides = len(slides)

    def score(self, times: NDArray[np.int64], lesions: int) -> float:
        """Return the FROC score where each slide was drawn some times."""
        weights = times[self._owner]
        right, wrong = (
            np.concatenate([[0], np.cumsum(weights * kind)[self._last]])
            for kind in (self._is_hit, ~self._is_hit)
        )
        rates = np.interp(RATES, wrong / self._slides, right / lesions)
        return float(np.mean(rates))
