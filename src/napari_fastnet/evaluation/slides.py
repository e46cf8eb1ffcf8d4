"""How well whole slides are judged: FROC, slide AUC, and px against the truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.annotations.truth_files import (
    SlideTruth,
    Truths,
    read_truth,
    slide_key,
)
from napari_fastnet.core.metrics.candidates import Candidates, find_candidates
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
from napari_fastnet.results.recorded_slide import (
    recorded_corner,
    recorded_tissue,
    truth_notes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.results.result import Result

#: Of candidates that come without a heatmap, and so without a run's threshold.
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class JudgedSlide:
    """What came of one slide.

    Parameters
    ----------
    name : str
        Of the slide.
    is_tumour : bool
        By the truth.
    assumed : bool
        Whether it is normal for want of a truth.
    score : float
        The highest probability, 0 without any.
    candidates : Candidates
        Its peaks.
    hits : SlideHits or None
        What they hit; None of a tumour slide without outlines.
    features : SlideFeatures or None
        Of its heatmap.
    pixels : PixelCounts or None
        Its heatmap against its outlines.
    notes : tuple of str
        What is odd about its outlines.
    """

    name: str
    is_tumour: bool
    assumed: bool
    score: float
    candidates: Candidates
    hits: SlideHits | None
    features: SlideFeatures | None = None
    pixels: PixelCounts | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SkippedSlide:
    """A slide that is left out: its name, and why, with the mend."""

    name: str
    reason: str


def judge_slides(
    sources: Sequence[Source],
    truths: Truths,
    options: SlideEvaluationOptions | None = None,
) -> Iterator[JudgedSlide | SkippedSlide]:
    """Judge slides one after the other.

    Parameters
    ----------
    sources : sequence of Source
        Their runs or candidates.
    truths : Truths
        What is known; of slides that are not among them, too.
    options : SlideEvaluationOptions, optional
        How.

    Yields
    ------
    JudgedSlide or SkippedSlide
        Each slide; one that is excluded, has no truth, or whose files cannot be read,
        is skipped and says why.

    Raises
    ------
    DataError
        No slide has any truth: it is that of other slides.
    OptionError
        A slide that is to be excluded does not exist.
    """
    options = options or SlideEvaluationOptions()
    excluded = {slide_key(name) for name in options.exclude}
    unknown = excluded - {slide_key(n) for source in sources for n in source.called}
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
            if excluded.intersection(map(slide_key, source.called)):
                yield SkippedSlide(source.name, "excluded on request")
            else:
                yield _judge(source, truths, options)
        except FastNetError as error:
            yield SkippedSlide(source.name, str(error))


def _judge(
    source: Source, truths: Truths, options: SlideEvaluationOptions
) -> JudgedSlide:
    """Judge one slide; a FastNetError says why it cannot be."""
    known = _known(source, truths)
    assumed = known is None
    if known is None:
        _require_normal(source, truths, options)
        known = SlideTruth(source.name, is_tumour=False)
    found = load_source(source)
    run = None if isinstance(found, Candidates) else found
    truth, notes = _truth(known, run, source.path, options)
    is_tumour = _is_tumour(known, truth, notes)
    if isinstance(found, Candidates):
        candidates = found
    else:
        assert found.heatmap is not None
        candidates = find_candidates(
            found.heatmap, radius_um=options.radius_um, minimum=options.minimum
        )
    _require_inside(source, candidates, _shape(run, truth))
    hits = None
    if truth is not None:
        hits = match_candidates(candidates, find_lesions(truth) if is_tumour else None)
    judged = JudgedSlide(
        name=source.name,
        is_tumour=is_tumour,
        assumed=assumed,
        score=float(candidates.scores.max(initial=0)),
        candidates=candidates,
        hits=hits,
        notes=notes,
    )
    return _with_heatmap(judged, run, truth, options)


def _known(source: Source, truths: Truths) -> SlideTruth | None:
    """Return what is known of a slide; of several of one name, of this one alone."""
    own = truths.of(source.name)
    if not source.shared:
        return own
    if slide_key(source.name) == slide_key(source.shared):
        own = None
    if own is None and truths.of(source.shared) is not None:
        raise DataError(
            f"several slides are called {source.shared}, and its truth does not say whose "
            f"it is; name that of this one {source.path.resolve().name}, or --exclude it"
        )
    return own


def _require_normal(
    source: Source, truths: Truths, options: SlideEvaluationOptions
) -> None:
    """Refuse a slide without truth, unless it can be taken for a normal one."""
    if truths.has_reference:
        raise DataError("no truth: the reference does not list it; add a line")
    if source.called[-1].casefold().startswith(("tumor", "tumour")):
        raise DataError("no truth: a tumour slide by its name; add its outlines")
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
    known: SlideTruth, run: Result | None, path: Path, options: SlideEvaluationOptions
) -> tuple[TruthMask | None, tuple[str, ...]]:
    """Return a slide's truth, None if unknown, and what is odd about it."""
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
        return recorded_corner(path, run.record.to_dict())

    if known.outlines is not None:
        truth, notes = read_truth(
            known.outlines,
            mpp=mpp,
            shape=shape,
            mask_value=options.mask_value,
            bounds_offset=options.outlines.offset(corner),
            tumor_classes=options.outlines.tumor_classes,
        )
        if run is not None and truth.inside.any():
            tissue = recorded_tissue(path)
            notes = (*notes, *truth_notes(truth, tissue, run.slide_shape, mpp))
        return truth, tuple(notes)
    if known.is_tumour:
        return None, ()
    step = truth_step(mpp)
    return TruthMask(
        np.zeros((0, 0), bool), step, truth_extent(shape or (0, 0), step)
    ), ()


def _is_tumour(
    known: SlideTruth, truth: TruthMask | None, notes: tuple[str, ...]
) -> bool:
    """Return whether it is a tumour slide; the reference and outlines must agree."""
    if truth is None or known.outlines is None:
        return bool(known.is_tumour)
    outlined = bool(truth.inside.any())
    if notes and not outlined and known.is_tumour is None:
        # Broken outlines of tumour do not make a slide normal.
        raise DataError(
            f"{known.outlines} outlines no tumour, and perhaps should: {notes[0]}; mend "
            "it, or list the slide in a reference.csv"
        )
    if known.is_tumour not in (None, outlined):
        said = "Tumor" if known.is_tumour else "Normal"
        raise DataError(
            f"the reference says {said}, and {known.outlines} outlines "
            f"{'tumour' if outlined else 'none'}; mend one of them, or --exclude it"
        )
    return outlined


def _shape(run: Result | None, truth: TruthMask | None) -> Pair | None:
    """Return the slide's (height, width), None where neither run nor mask says it."""
    if run is not None:
        return run.slide_shape
    if truth is None or not truth.is_whole:
        return None
    rows, columns = truth.extent
    return rows * truth.step[0], columns * truth.step[1]


def _require_inside(source: Source, candidates: Candidates, shape: Pair | None) -> None:
    """Refuse candidates of another slide, or in px of another level."""
    if shape is None or (candidates.points < shape).all():
        return
    y, x = candidates.points.max(axis=0)
    raise DataError(
        f"{source.path}: a candidate at x {x:g} or y {y:g}, outside the slide's "
        f"{shape[1]:g} x {shape[0]:g} px; give level-0 px"
    )


def _with_heatmap(
    judged: JudgedSlide,
    run: Result | None,
    truth: TruthMask | None,
    options: SlideEvaluationOptions,
) -> JudgedSlide:
    """Add what only a heatmap tells."""
    if run is None or run.heatmap is None:
        return judged
    heatmap = run.heatmap
    features = slide_features(heatmap)
    pixels = None
    if truth is not None:
        pixels = count_pixels(
            heatmap,
            truth,
            threshold=options.threshold or run.threshold or DEFAULT_THRESHOLD,
            boundary_px=options.boundary_um / PIXEL_UM,
        )
    return replace(judged, features=features, score=features.maximum, pixels=pixels)
