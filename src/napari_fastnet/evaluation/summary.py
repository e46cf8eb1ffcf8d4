"""What comes of many slides together."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.annotations.truth_files import Truths, slide_key
from napari_fastnet.core.metrics.froc import RATES, FrocCurve, froc_curve, froc_interval
from napari_fastnet.core.metrics.lesions import GROWTH_UM, ITC_UM
from napari_fastnet.core.metrics.patches import evaluate_probabilities, roc_auc
from napari_fastnet.core.metrics.slides import FEATURES, combined_scores
from napari_fastnet.core.metrics.truth import PIXEL_UM
from napari_fastnet.errors import DataError
from napari_fastnet.evaluation.options import SlideEvaluationOptions
from napari_fastnet.evaluation.slides import JudgedSlide, SkippedSlide
from napari_fastnet.results.record import RESEARCH_USE, versions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_fastnet.core.metrics.bootstrap import Interval
    from napari_fastnet.core.metrics.pixels import PixelCounts


@dataclass(frozen=True, slots=True, eq=False)
class SlideAuc:
    """How well slides with tumour are told from those without.

    Parameters
    ----------
    auc : float or None
        By the highest probability; None where all slides are of one kind.
    ci95 : tuple of float or None
        Its 95 % interval; None with a single slide of a kind, of which nothing can
        be told.
    by_feature : dict of str to float or None
        By each number of the heatmaps alone; empty where a slide has none.
    combined : float or None
        By all of them, see `combined_scores`.
    """

    auc: float | None
    ci95: Interval | None
    by_feature: dict[str, float | None]
    combined: float | None


@dataclass(frozen=True, slots=True, eq=False)
class SlideEvaluation:
    """What came of all slides.

    Parameters
    ----------
    slides : list of JudgedSlide
        Without their px.
    skipped : list of SkippedSlide
        Those left out.
    without_slide : list of str
        Truths of slides that were not given.
    curve : FrocCurve or None
        None where there are no outlines.
    froc_ci95 : tuple of float or None
        95 % interval of the curve's score.
    auc : SlideAuc
        Of slides.
    pixels : PixelCounts or None
        Of all heatmaps together; None without any.
    measures : dict of str to dict
        Dice, IoU and AUC of each slide that has a heatmap and outlines.
    options : SlideEvaluationOptions
        How they were judged.
    """

    slides: list[JudgedSlide]
    skipped: list[SkippedSlide]
    without_slide: list[str]
    curve: FrocCurve | None
    froc_ci95: Interval | None
    auc: SlideAuc
    pixels: PixelCounts | None
    measures: dict[str, dict[str, float | None]]
    options: SlideEvaluationOptions

    @property
    def assumed_normal(self) -> list[str]:
        """Slides without truth that were taken for normal ones."""
        return [slide.name for slide in self.slides if slide.assumed]

    @property
    def without_outlines(self) -> list[str]:
        """Tumour slides that count for the slide AUC only."""
        return [slide.name for slide in self.slides if slide.hits is None]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One line a slide."""
        return [
            _row(slide) | self.measures.get(slide.name, _measures(None))
            for slide in self.slides
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return what ``evaluate slides --json`` prints; undefined is None."""
        tumour = sum(slide.is_tumour for slide in self.slides)
        return {
            "slides": len(self.slides),
            "tumour": tumour,
            "normal": len(self.slides) - tumour,
            **_froc_dict(self.curve, self.froc_ci95),
            "lesions": _lesion_counts(self.slides),
            "slide_auc": self.auc.auc,
            "slide_auc_ci95": self.auc.ci95,
            "slide_auc_by_feature": self.auc.by_feature,
            "slide_auc_combined": self.auc.combined,
            "pixels": _measures(self.pixels) if self.pixels else None,
            "assumed_normal": self.assumed_normal,
            "without_outlines": self.without_outlines,
            "without_slide": self.without_slide,
            "skipped": [
                {"slide": slide.name, "reason": slide.reason} for slide in self.skipped
            ],
            "odd_outlines": [
                {"slide": slide.name, "reason": note}
                for slide in self.slides
                for note in slide.notes
            ],
            "per_slide": self.rows,
            "protocol": {
                "pixel_um": PIXEL_UM,
                "growth_um": GROWTH_UM,
                "isolated_below_um": ITC_UM,
                "false_positives_per_slide": RATES,
            },
            "options": asdict(self.options),
            "versions": versions(),
            "notice": RESEARCH_USE,
        }


def summarise_slides(
    outcomes: Iterable[JudgedSlide | SkippedSlide],
    truths: Truths,
    options: SlideEvaluationOptions | None = None,
) -> SlideEvaluation:
    """Return what all slides come to.

    Parameters
    ----------
    outcomes : iterable of JudgedSlide or SkippedSlide
        Taken one by one; the px of each are let go.
    truths : Truths
        What was known.
    options : SlideEvaluationOptions, optional
        How they were judged.

    Returns
    -------
    SlideEvaluation
        Of at least one slide.

    Raises
    ------
    DataError
        Every slide was skipped.
    """
    options = options or SlideEvaluationOptions()
    slides: list[JudgedSlide] = []
    skipped: list[SkippedSlide] = []
    pixels: PixelCounts | None = None
    measures = {}
    for outcome in outcomes:
        if isinstance(outcome, SkippedSlide):
            skipped.append(outcome)
            continue
        if outcome.pixels is not None:
            measures[outcome.name] = _measures(outcome.pixels)
            pixels = outcome.pixels if pixels is None else pixels + outcome.pixels
        slides.append(replace(outcome, pixels=None))
    if not slides:
        first = skipped[0] if skipped else SkippedSlide("none", "no slide was given")
        raise DataError(
            f"no slide could be evaluated, {len(skipped)} were skipped; the first, "
            f"{first.name}: {first.reason}"
        )
    hits = [slide.hits for slide in slides if slide.hits is not None]
    curve = froc_curve(hits) if truths.has_outlines and hits else None
    seen = {slide_key(slide.name) for slide in slides}
    seen |= {slide_key(slide.name) for slide in skipped}
    return SlideEvaluation(
        slides=slides,
        skipped=skipped,
        without_slide=sorted(t.name for k, t in truths.slides.items() if k not in seen),
        curve=curve,
        froc_ci95=froc_interval(hits, resamples=options.bootstrap, seed=options.seed)
        if curve
        else None,
        auc=_slide_auc(slides, options),
        pixels=pixels,
        measures=measures,
        options=options,
    )


def _slide_auc(slides: list[JudgedSlide], options: SlideEvaluationOptions) -> SlideAuc:
    """Return how well the slides are told apart."""
    labels = np.array([slide.is_tumour for slide in slides])
    found = evaluate_probabilities(
        labels,
        [slide.score for slide in slides],
        threshold=1.0,  # of no consequence for the AUC
        bootstrap=options.bootstrap,
        seed=options.seed,
    )
    features = [slide.features for slide in slides if slide.features is not None]
    by_feature: dict[str, float | None] = {}
    combined: NDArray[np.float64] | None = None
    if len(features) == len(slides):
        for name in FEATURES:
            by_feature[name] = roc_auc(labels, [getattr(f, name) for f in features])
        combined = combined_scores(features, labels, seed=options.seed)
    fewest = min(labels.sum(), (~labels).sum())
    return SlideAuc(
        found.auc,
        found.ci95["auc"] if fewest > 1 else None,
        by_feature,
        None if combined is None else roc_auc(labels, combined),
    )


def _froc_dict(curve: FrocCurve | None, ci95: Interval | None) -> dict[str, Any]:
    """Return the curve's score and where it is read off."""
    values = [None] * len(RATES) if curve is None else curve.sensitivity_at()
    return {
        "froc": None if curve is None else curve.score,
        "froc_ci95": ci95,
        "sensitivity": {
            f"{rate:g}": value for rate, value in zip(RATES, values, strict=True)
        },
    }


def _lesion_counts(slides: list[JudgedSlide]) -> dict[str, int]:
    """Return how many lesions there are, and how many were found."""
    found = [f for slide in slides if slide.hits for f in slide.hits.found]
    counted = [f for f in found if not f.lesion.is_itc]
    return {
        "counted": len(counted),
        "found": sum(f.hits > 0 for f in counted),
        "isolated": len(found) - len(counted),
        "false_positives": sum(
            len(slide.hits.false_positives) for slide in slides if slide.hits
        ),
    }


def _row(slide: JudgedSlide) -> dict[str, Any]:
    """Return the line of one slide."""
    counts: dict[str, int | None]
    counts = dict(_lesion_counts([slide])) if slide.hits else {}
    return {
        "slide": slide.name,
        "class": "tumour" if slide.is_tumour else "normal",
        "assumed": slide.assumed,
        "score": slide.score,
        "candidates": len(slide.candidates.scores),
        "false_positives": counts.get("false_positives"),
        "lesions": counts.get("counted"),
        "found": counts.get("found"),
        "isolated": counts.get("isolated"),
    }


def _measures(pixels: PixelCounts | None) -> dict[str, float | None]:
    """Return what px say; nothing where there are none."""
    return {
        name: None if pixels is None else getattr(pixels, name)
        for name in ("dice", "iou", "auc")
    }
