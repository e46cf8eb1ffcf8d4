"""Evaluation of each slide: candidates against lesions, and px against the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.annotations import truth_files
from napari_fastnet.core.metrics.candidates import Candidates
from napari_fastnet.core.metrics.froc import SlideHits, match_candidates
from napari_fastnet.core.metrics.lesions import find_lesions
from napari_fastnet.core.metrics.pixels import PixelCounts, count_pixels
from napari_fastnet.core.metrics.slides import SlideFeatures, slide_features
from napari_fastnet.core.metrics.truth import (
    PIXEL_UM,
    TruthMask,
    truth_extent,
    truth_step,
)
from napari_fastnet.errors import DataError, FastNetError, OptionError
from napari_fastnet.evaluation.options import SlideEvaluationOptions
from napari_fastnet.evaluation.sources import DEFAULT_MPP, Source, load_source
from napari_fastnet.results import recorded_slide

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.results.result import Result

#: Probability from which a px is tumor, for a run that states none.
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class EvaluatedSlide:
    """Evaluation of one slide.

    Parameters
    ----------
    name : str
        Of the slide.
    is_tumor : bool
        By the truth.
    assumed : bool
        Whether it is assumed to be normal, without a truth.
    score : float
        That of its most suspicious candidate, 0 without any.
    candidates : Candidates
        Possible lesions, down to "find more".
    hits : SlideHits or None
        Candidates against lesions; None for a tumor slide without outlines.
    features : SlideFeatures or None
        Of its heatmap.
    pixels : PixelCounts or None
        Its heatmap against its outlines.
    notes : tuple of str
        Lines on odd outlines.
    """

    name: str
    is_tumor: bool
    assumed: bool
    score: float
    candidates: Candidates
    hits: SlideHits | None
    features: SlideFeatures | None = None
    pixels: PixelCounts | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SkippedSlide:
    """A slide that is left out: its name, the reason and the remedy."""

    name: str
    reason: str


def evaluate_slides(
    sources: Sequence[Source],
    truths: truth_files.Truths,
    options: SlideEvaluationOptions | None = None,
) -> Iterator[EvaluatedSlide | SkippedSlide]:
    """Evaluate slides one after the other.

    Parameters
    ----------
    sources : sequence of Source
        Their runs or candidates.
    truths : Truths
        Of these slides and perhaps of others.
    options : SlideEvaluationOptions, optional
        Candidates, masks, slides without truth, intervals.

    Yields
    ------
    EvaluatedSlide or SkippedSlide
        A slide that is excluded, has no truth, or has files that cannot be read is
        skipped, with the reason.

    Raises
    ------
    DataError
        No slide has any truth: it is that of other slides.
    OptionError
        A slide that is to be excluded does not exist.
    """
    options = options or SlideEvaluationOptions()
    excluded = {truth_files.slide_key(name) for name in options.exclude}
    unknown = excluded - {
        truth_files.slide_key(n) for source in sources for n in source.called
    }
    if unknown:
        raise OptionError(f"--exclude {sorted(unknown)[0]}: no slide has this name")
    if not any(truths.of(name) for source in sources for name in source.called):
        first = next(iter(truths.slides.values())).name
        raise DataError(
            f"none of {len(sources)} slides ({sources[0].name}, ...) has a truth: that "
            f"given is of {len(truths.slides)} others ({first}, ...); name the files as "
            "the slides"
        )
    for source in sources:
        try:
            if excluded.intersection(map(truth_files.slide_key, source.called)):
                yield SkippedSlide(source.name, "excluded on request")
            else:
                yield _evaluated(source, truths, options)
        except FastNetError as error:
            yield SkippedSlide(source.name, str(error))


def _evaluated(
    source: Source, truths: truth_files.Truths, options: SlideEvaluationOptions
) -> EvaluatedSlide:
    """Evaluate one slide; the reason why it cannot be is a FastNetError."""
    known = _known(source, truths)
    assumed = known is None
    if known is None:
        _require_normal(source, truths, options)
        known = truth_files.SlideTruth(source.name, is_tumor=False)
    found = load_source(source)
    run = heatmap = None
    if isinstance(found, Candidates):
        candidates = found
    else:
        run, heatmap = found, found.heatmap
        assert heatmap is not None
        candidates = Candidates.of(found.candidates or [])
    truth, notes = _truth(known, run, source.path, options)
    is_tumor = _is_tumor(known, truth, notes)
    _require_inside(source, candidates, run, truth)
    hits = features = pixels = None
    if truth is not None:
        hits = match_candidates(candidates, find_lesions(truth) if is_tumor else None)
    if run is not None and heatmap is not None:
        features = slide_features(heatmap)
        if truth is not None:
            pixels = count_pixels(
                heatmap,
                truth,
                threshold=options.threshold or run.threshold or DEFAULT_THRESHOLD,
                boundary_px=options.boundary_um / PIXEL_UM,
            )
    return EvaluatedSlide(
        name=source.name,
        is_tumor=is_tumor,
        assumed=assumed,
        score=float(candidates.scores.max(initial=0)),
        candidates=candidates,
        hits=hits,
        features=features,
        pixels=pixels,
        notes=notes,
    )


def _known(source: Source, truths: truth_files.Truths) -> truth_files.SlideTruth | None:
    """Return the truth of a slide; of several of one name, of this one alone."""
    own = truths.of(source.name)
    if not source.shared:
        return own
    if truth_files.slide_key(source.name) == truth_files.slide_key(source.shared):
        own = None
    if own is None and truths.of(source.shared) is not None:
        raise DataError(
            f"several slides are called {source.shared}, and its truth does not say whose "
            f"it is; name that of this one {source.path.resolve().name}, or --exclude it"
        )
    return own


def _require_normal(
    source: Source, truths: truth_files.Truths, options: SlideEvaluationOptions
) -> None:
    """Refuse a slide without truth, unless it can be taken for a normal one."""
    if truths.has_reference:
        raise DataError("no truth: the reference does not list it; add a line")
    if source.called[-1].casefold().startswith(("tumor", "tumour")):
        raise DataError("no truth: a tumor slide by its name; add its outlines")
    unread = truths.unread_of(source.name)
    if unread is not None:
        raise DataError(
            f"no truth: {unread.name} is of no kind that is read; export it as GeoJSON, "
            "ASAP's XML or a mask"
        )
    if options.unannotated == "skip":
        raise DataError("no truth; add its outlines, or list it in a reference.csv")
    if options.unannotated is None and truths.has_masks:
        raise DataError(
            "no truth: there is no mask of it; add one, empty where it is normal, or take "
            "all such slides for normal with --unannotated normal"
        )


def _truth(
    known: truth_files.SlideTruth,
    run: Result | None,
    path: Path,
    options: SlideEvaluationOptions,
) -> tuple[TruthMask | None, tuple[str, ...]]:
    """Return the mask of a slide's truth, None if unknown, and notes on odd outlines."""
    shape: tuple[int, int] | None = None
    if run is not None:
        mpp, shape = run.mpp, run.slide_shape
    else:  # candidates do not say it
        mpp = DEFAULT_MPP if options.mpp is None else (options.mpp, options.mpp)

    def corner() -> Pair:
        if run is None:
            raise DataError(
                "a file of candidates does not say where the scanned part begins; give "
                "--bounds-offset Y X"
            )
        return recorded_slide.recorded_corner(path, run.record)

    if known.outlines is not None:
        truth, notes = truth_files.read_truth(
            known.outlines,
            mpp=mpp,
            shape=shape,
            mask_value=options.mask_value,
            bounds_offset=options.outlines.offset(corner),
            tumor_classes=options.outlines.tumor_classes,
        )
        if run is not None and truth.inside.any():
            tissue = recorded_slide.recorded_tissue(path)
            notes += recorded_slide.truth_notes(truth, tissue, run.slide_shape, mpp)
        return truth, tuple(notes)
    if known.is_tumor:
        return None, ()
    step = truth_step(mpp)
    return TruthMask(
        np.zeros((0, 0), bool), step, truth_extent(shape or (0, 0), step)
    ), ()


def _is_tumor(
    known: truth_files.SlideTruth, truth: TruthMask | None, notes: tuple[str, ...]
) -> bool:
    """Return whether it is a tumor slide; the reference and outlines must agree."""
    if truth is None or known.outlines is None:
        return bool(known.is_tumor)
    outlined = bool(truth.inside.any())
    if notes and not outlined and known.is_tumor is None:
        # Broken outlines of tumor do not make a slide normal.
        raise DataError(
            f"{known.outlines} outlines no tumor, and perhaps should: {notes[0]}; fix "
            "it, or list the slide in a reference.csv"
        )
    if known.is_tumor not in (None, outlined):
        said = "Tumor" if known.is_tumor else "Normal"
        raise DataError(
            f"the reference says {said}, and {known.outlines} outlines "
            f"{'tumor' if outlined else 'none'}; fix one of them, or --exclude it"
        )
    return outlined


def _require_inside(
    source: Source, candidates: Candidates, run: Result | None, truth: TruthMask | None
) -> None:
    """Refuse candidates of another slide, or in px of another level."""
    height: float
    width: float
    if run is not None:
        height, width = run.slide_shape
    elif truth is not None and truth.is_whole:
        height, width = (n * s for n, s in zip(truth.extent, truth.step, strict=True))
    else:  # neither run nor mask says it
        return
    if not (candidates.points < (height, width)).all():
        y, x = candidates.points.max(axis=0)
        raise DataError(
            f"{source.path}: a candidate at x {x:g} or y {y:g}, outside the slide's "
            f"{width:g} x {height:g} px; give level-0 px"
        )
