"""Summary of an evaluation over all slides."""

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
from napari_fastnet.evaluation.slides import EvaluatedSlide, SkippedSlide
from napari_fastnet.results.record import RESEARCH_USE, versions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_fastnet.core.metrics.intervals import Interval
    from napari_fastnet.core.metrics.pixels import PixelCounts


@dataclass(frozen=True, slots=True, eq=False)
class SlideAuc:
    """Areas under the ROC curves of slides with tumor against those without.

    Parameters
    ----------
    auc : float or None
        By the most suspicious candidate of each; None where all slides are of one kind.
    ci95 : tuple of float or None
        95 % interval of ``auc``; None with a single slide of a kind.
    by_feature : dict of str to float or None
        By each feature of the heatmaps alone; empty where a slide has none.
    combined : float or None
        By all features, see `combined_scores`.
    """

    auc: float | None
    ci95: Interval | None
    by_feature: dict[str, float | None]
    combined: float | None


@dataclass(frozen=True, slots=True, eq=False)
class SlideEvaluation:
    """Evaluation of all slides.

    Parameters
    ----------
    slides : list of EvaluatedSlide
        Without their pixel counts.
    rows : list of dict
        Rows of ``slides.csv``.
    skipped : list of SkippedSlide
        Slides left out.
    without_slide : list of str
        Truths of slides that were not given.
    curve : FrocCurve or None
        None where there are no outlines.
    froc_ci95 : tuple of float or None
        95 % interval of the curve's score.
    auc : SlideAuc
        Of the slides.
    pixels : PixelCounts or None
        Of all heatmaps together; None without any.
    options : SlideEvaluationOptions
        As given.
    """

    slides: list[EvaluatedSlide]
    rows: list[dict[str, Any]]
    skipped: list[SkippedSlide]
    without_slide: list[str]
    curve: FrocCurve | None
    froc_ci95: Interval | None
    auc: SlideAuc
    pixels: PixelCounts | None
    options: SlideEvaluationOptions

    @property
    def assumed_normal(self) -> list[str]:
        """Slides without truth that are assumed to be normal."""
        return [slide.name for slide in self.slides if slide.assumed]

    @property
    def without_outlines(self) -> list[str]:
        """Tumor slides that count for the slide AUC only."""
        return [slide.name for slide in self.slides if slide.hits is None]

    def to_dict(self) -> dict[str, Any]:
        """Return the document of ``evaluate slides --json``; undefined is None."""
        tumor = sum(slide.is_tumor for slide in self.slides)
        curve = self.curve
        rates = [None] * len(RATES) if curve is None else curve.sensitivity_at()
        return {
            "slides": len(self.slides),
            "tumour": tumor,
            "normal": len(self.slides) - tumor,
            "froc": None if curve is None else curve.score,
            "froc_ci95": self.froc_ci95,
            "sensitivity": dict(zip(map("{:g}".format, RATES), rates, strict=True)),
            "lesions": _lesion_counts(self.slides),
            "slide_auc": self.auc.auc,
            "slide_auc_ci95": self.auc.ci95,
            "slide_auc_by_feature": self.auc.by_feature,
            "slide_auc_combined": self.auc.combined,
            "pixels": None if self.pixels is None else _measures(self.pixels),
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
    outcomes: Iterable[EvaluatedSlide | SkippedSlide],
    truths: Truths,
    options: SlideEvaluationOptions | None = None,
) -> SlideEvaluation:
    """Summarise the evaluation of all slides.

    Parameters
    ----------
    outcomes : iterable of EvaluatedSlide or SkippedSlide
        Taken one by one; the pixel counts of each are dropped once they are added up.
    truths : Truths
        As given to `evaluate_slides`.
    options : SlideEvaluationOptions, optional
        As given to `evaluate_slides`.

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
    slides: list[EvaluatedSlide] = []
    skipped: list[SkippedSlide] = []
    pixels: PixelCounts | None = None
    rows = []
    for outcome in outcomes:
        if isinstance(outcome, SkippedSlide):
            skipped.append(outcome)
            continue
        rows.append(_row(outcome))
        if outcome.pixels is not None:
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
    names = [slide.name for slide in slides] + [slide.name for slide in skipped]
    seen = set(map(slide_key, names))
    ci95 = None
    if curve is not None:
        ci95 = froc_interval(hits, resamples=options.bootstrap, seed=options.seed)
    return SlideEvaluation(
        slides=slides,
        rows=rows,
        skipped=skipped,
        without_slide=sorted(t.name for k, t in truths.slides.items() if k not in seen),
        curve=curve,
        froc_ci95=ci95,
        auc=_slide_auc(slides, options),
        pixels=pixels,
        options=options,
    )


def _slide_auc(
    slides: list[EvaluatedSlide], options: SlideEvaluationOptions
) -> SlideAuc:
    """Return the AUCs of slides with tumor against those without."""
    labels = np.array([slide.is_tumor for slide in slides])
    found = evaluate_probabilities(
        labels,
        [slide.score for slide in slides],
        threshold=1.0,  # of no consequence for the AUC
        bootstrap=options.bootstrap,
        seed=options.seed,
    )
    features = [slide.features for slide in slides if slide.features is not None]
    by_feature: dict[str, float | None] = {}
    combined = None
    if len(features) == len(slides):
        for name in FEATURES:
            by_feature[name] = roc_auc(labels, [getattr(f, name) for f in features])
        scores = combined_scores(features, labels, seed=options.seed)
        combined = None if scores is None else roc_auc(labels, scores)
    # Of a single slide of a kind an interval says nothing.
    fewest = min(labels.sum(), (~labels).sum())
    ci95 = found.ci95["auc"] if fewest > 1 else None
    return SlideAuc(found.auc, ci95, by_feature, combined)


def _lesion_counts(slides: list[EvaluatedSlide]) -> dict[str, int]:
    """Count lesions, those found, and false positives."""
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


def _row(slide: EvaluatedSlide) -> dict[str, Any]:
    """Return the row of one slide in ``slides.csv``."""
    counts: dict[str, int] = _lesion_counts([slide]) if slide.hits else {}
    return {
        "slide": slide.name,
        "class": "tumour" if slide.is_tumor else "normal",
        "assumed": slide.assumed,
        "score": slide.score,
        "candidates": len(slide.candidates.scores),
        "false_positives": counts.get("false_positives"),
        "lesions": counts.get("counted"),
        "found": counts.get("found"),
        "isolated": counts.get("isolated"),
        **_measures(slide.pixels),
    }


def _measures(pixels: PixelCounts | None) -> dict[str, float | None]:
    return {name: getattr(pixels, name, None) for name in ("dice", "iou", "auc")}
