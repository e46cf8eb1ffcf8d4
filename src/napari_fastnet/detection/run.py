"""The run of a model on one slide: tissue, plan, detection, files, record."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.annotations.options import OutlineOptions
from napari_fastnet.annotations.roi import RegionOfInterest, read_roi
from napari_fastnet.core.appearance.flags import Flag, Gamut, blur_flags, colour_flags
from napari_fastnet.core.appearance.stain import StainMatch, estimate
from napari_fastnet.core.appearance.summary import (
    QualitySummary,
    doubt_values,
    summarise_quality,
)
from napari_fastnet.core.lesions.evidence import (
    find_candidates,
    lesion_totals,
    lesions_of,
)
from napari_fastnet.core.lesions.pieces import with_pieces
from napari_fastnet.core.lesions.regions import Totals
from napari_fastnet.detection import slide_checks
from napari_fastnet.detection.compute import Progress, detect
from napari_fastnet.detection.options import RunOptions, request_digest
from napari_fastnet.detection.plan import KEEP, Plan, make_plan
from napari_fastnet.detection.tissue import SlideTissue, find_tissue, slide_facts
from napari_fastnet.errors import StoreError
from napari_fastnet.machine.files import remove
from napari_fastnet.model.bundle import model_of_digest
from napari_fastnet.results import record as run_record
from napari_fastnet.results.decisions import decisions_of
from napari_fastnet.results.recorded_slide import THUMBNAIL_PX, corner_of, roi_notes
from napari_fastnet.results.result import DETECT_FORMATS, Result
from napari_fastnet.slide.notes import finer_notes, reading_notes
from napari_fastnet.slide.resample import RESAMPLING
from napari_fastnet.store.format import RunDescription, Seconds
from napari_fastnet.store.store import Block, RunStore, StoredRun, key_in, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.lesions.regions import Region
    from napari_fastnet.core.options import LesionRule
    from napari_fastnet.model.backends.backend import Backend
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.slide.slide import Slide

#: Interval at which a run stores its time: a kill loses no more of it, s.
KEEP_EVERY_S = 2.0


def write_run(result: Result, store: StoredRun) -> Result:
    """Write the files of a finished run beside its store, and return the result with them.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    folder = store.folder.parent
    # those that a person made about an earlier run are about this one, too
    result = result.with_decisions(decisions_of(folder, result.record.slide))
    # The record is removed first and written last: with a record, all files are of its run.
    remove(folder / run_record.RECORD)
    files = result.export(folder, DETECT_FORMATS)
    store.set_record(run_record.record_json(result.record))
    run_record.write_record(folder / run_record.RECORD, result.record)
    files = sorted([*files, store.folder, folder / run_record.RECORD])
    # The slide may be closed by the time that the result is shown.
    return replace(result, picture=None, files=tuple(files))


class SlideRun:
    """The run of a model on a slide.

    Building one finds the tissue, lays the grid and opens the store; `steps` computes
    and `finish` writes the results.

    Parameters
    ----------
    slide : Slide
        Open; stays open. Its µm/px must be known.
    bundle : ModelBundle
        The model's description.
    folder : Path or None
        Folder of the results; made if it is missing. None keeps the run in memory and
        writes no file.
    options : RunOptions
        Options of the run.
    tissue : SlideTissue, optional
        Masks, perhaps edited by hand; found anew by default.
    after : SlideRun, optional
        A run that computed the first block (see `detection.first_block`); this one goes
        on with its block, its time and its notes.
    """

    def __init__(
        self,
        slide: Slide,
        bundle: ModelBundle,
        folder: Path | None,
        options: RunOptions,
        *,
        tissue: SlideTissue | None = None,
        after: SlideRun | None = None,
    ) -> None:
        began = perf_counter()
        self.slide, self.bundle = slide, bundle
        self.folder, self.options = folder, options
        # Cheap steps first: a fault of the model or the mask is raised at once.
        target = bundle.stain_target(options.stain)
        given = self._given_roi()
        # Masks passed in as objects cannot be hashed: such a run has no digest of its
        # request and is never reused.
        self._request = None if tissue else request_digest(slide, bundle, options)
        self.tissue: SlideTissue = tissue or find_tissue(slide, options.tissue)
        of_roi = () if given is None else self._look_only_in(given)
        self._notes = (
            *reading_notes(slide),
            *self.tissue.notes,
            *self._replaced(),
            *of_roi,
            *(after.store_notes if after else ()),
        )
        self.stain: StainMatch | None = None
        if options.stain != "none":
            source = estimate(self.tissue.image[self.tissue.masks.roi], options.stain)
            self.stain = StainMatch(options.stain, source, target)
        plan = make_plan(
            slide,
            bundle,
            self.tissue.masks.roi,
            stride=options.stride,
            anchor=options.anchor,
            stain=self.stain,
            flips=bundle.flips if options.flips is None else options.flips,
            spacing_tolerance=options.spacing_tolerance,
        )
        plan = replace(plan, fill=self.tissue.masks.fill)
        self.plan: Plan = plan.within(options.memory_mb)
        self.store: RunStore = self._open_store(after)
        self.began: float = after.began if after else began
        self.earlier: Seconds = after.earlier if after else self.store.spent()
        self.read_seconds: float = after.read_seconds if after else 0.0
        self.infer_seconds: float = after.infer_seconds if after else 0.0
        self._tissue_seconds = perf_counter() - began

    @property
    def rule(self) -> LesionRule:
        """The rule by which cells are lesions."""
        return self.options.rule(self.bundle)

    @property
    def seconds(self) -> Seconds:
        """Time of the run up to now, all its parts together."""
        before = self.earlier
        return Seconds(
            read=before.read + self.read_seconds,
            infer=before.infer + self.infer_seconds,
            total=before.total + perf_counter() - self.began,
            earlier=before.total,
        )

    @property
    def store_notes(self) -> tuple[str, ...]:
        """Notes about damage in the store that was set aside."""
        return (*self.store.notes, *self.store.companion(run_record.SHARPNESS).notes)

    def steps(
        self,
        backend: Backend,
        should_stop: Callable[[], bool] = lambda: False,
        priority: Callable[[Block], float] | None = None,
        *,
        keep_memory: bool = False,
    ) -> Generator[Progress]:
        """Compute the missing probabilities, as `detection.compute.detect` does."""
        kept = perf_counter()
        read_s, infer_s = self.read_seconds, self.infer_seconds
        try:
            for progress in detect(
                self.slide,
                self.plan,
                backend,
                self.store,
                readers=self.options.readers,
                should_stop=should_stop,
                priority=priority,
                keep_memory=keep_memory,
            ):
                self.read_seconds = read_s + progress.read_seconds
                self.infer_seconds = infer_s + progress.infer_seconds
                if perf_counter() - kept > KEEP_EVERY_S:
                    self.store.keep_spent(self.seconds)
                    kept = perf_counter()
                yield progress
        finally:
            if self.infer_seconds > infer_s:
                self.store.keep_spent(self.seconds)

    def finish(self, backend_name: str) -> Result:
        """Find the regions, and write all results of a run that is in a folder.

        A run that was stopped leaves nothing but its store. ``backend_name`` goes into the
        record.

        Raises
        ------
        OutputError
            A file cannot be written; the store keeps what was computed.
        SlideNotFoundError
            The slide's file vanished or changed.
        UnreadableSlideError
            Most of the patches could not be read.
        SlideFormatError
            The level that the model sees shows another picture than the tissue's.
        """
        slide_checks.require_unchanged(self.slide)
        kept = self.plan.patches.kept
        heatmap = self.store.heatmap().only(kept)
        failed = self.store.unreadable(kept)
        tried = failed + int(heatmap.computed.sum())
        slide_checks.require_readable(self.slide, failed, tried, "patches")
        candidates = with_pieces(
            find_candidates(heatmap, self.rule),
            self.tissue.masks.roi,
            self.slide.shape,
            self.slide.require_mpp(),
        )
        flags, quality = find_quality(
            self.tissue,
            self.plan,
            self.slide.shape,
            self.store.companion(run_record.SHARPNESS).read(),
            self.bundle.gamut,
            doubt=doubt_values(
                heatmap.probabilities,
                self.rule.threshold,
                whole=self.options.mask is None,
            ),
        )
        record = self.record(heatmap, candidates, backend=backend_name, quality=quality)
        cells = np.argwhere(heatmap.computed) + 0.5
        other = slide_checks.other_picture_note(
            self.slide,
            self.tissue.image,
            np.asarray(cells * heatmap.grid.step + heatmap.grid.origin, np.float64),
            self.bundle.spacing_um_px,
        )
        if other:
            reading = (*record.slide.reading, other)
            record = replace(record, slide=replace(record.slide, reading=reading))
        counts = record.counts
        assert counts is not None
        stopped = ""
        if counts.stopped:
            again = "detect it again" if self.folder is None else "the next run goes on"
            stopped = (
                f"{self.slide.path.name}: stopped with {counts.stopped:,} of "
                f"{counts.kept:,} patches left; {again}"
            )
        result = Result(
            record=record,
            heatmap=heatmap,
            candidates=candidates,
            regions=lesions_of(candidates, self.rule),
            flags=flags,
            masks=self.tissue.by_name,
            mask_mpp=self.tissue.mpp,
            picture=lambda: self.slide.thumbnail(THUMBNAIL_PX),
            notes=(
                *self._notes,
                *self.store_notes,
                *finer_notes(self.slide),
                *filter(None, (other, stopped)),
            ),
            all_earlier=self.infer_seconds == 0,
        )
        if isinstance(self.store, StoredRun) and not stopped:
            return write_run(result, self.store)
        return replace(result, picture=None)

    def _open_store(self, after: SlideRun | None) -> RunStore:
        """Open the run in the folder, or begin one in memory, with the first block."""
        plan, mpp = self.plan, self.slide.require_mpp()
        wanted = RunDescription(self._key(), plan.patches.grid, mpp, plan.block_cells)
        if self.folder is not None:
            fresh = self.options.fresh and after is None
            return open_store(self.folder / run_record.STORE, wanted, fresh=fresh)
        if after is not None and after.store.description == wanted:
            return after.store
        return RunStore(wanted)

    def _given_roi(self) -> RegionOfInterest | None:
        """Read the region of interest that the user gave."""
        options = self.options
        if options.mask is None:
            return None
        outlines = OutlineOptions(bounds_offset=options.bounds_offset)
        offset = outlines.offset(lambda: corner_of(self.slide.bounds))
        return read_roi(options.mask, self.slide.shape, bounds_offset=offset)

    def _look_only_in(self, given: RegionOfInterest) -> tuple[str, ...]:
        """Replace the region of interest by the user's, and return notes about it."""
        masks = self.tissue.masks
        roi = given.mask(masks.roi.shape)
        self.tissue = replace(self.tissue, masks=replace(masks, roi=roi))
        notes = given.notes
        if not roi.any():
            notes += (f"{given.path}: selects nothing, so nothing was scanned",)
        mpp = self.slide.require_mpp()
        return (*notes, *roi_notes(given, roi, self.tissue.by_name, mpp))

    def _replaced(self) -> tuple[str, ...]:
        """Return a note if results of another slide or of another model are replaced."""
        if self.folder is None:
            return ()
        key = key_in(self.folder / run_record.STORE) or {}
        model = key.get("model", self.bundle.sha256)
        if key.get("slide") == self.slide.fingerprint and model != self.bundle.sha256:
            here = model_of_digest(model)
            again = "" if here is None else f"; they go on with the model {here}"
            return (f"{self.folder}: replaced the results of another model{again}",)
        try:
            other = run_record.read_record(self.folder / run_record.RECORD).slide
        except StoreError:  # none, or damaged
            return ()
        if other.fingerprint == self.slide.fingerprint:
            return ()
        return (f"{self.folder}: replaced the results of {other.path}",)

    def _key(self) -> dict[str, Any]:
        """Return all that the probabilities of the run depend on, besides the grid."""
        return {
            "slide": self.slide.fingerprint,
            "model": self.bundle.sha256,
            "calibration": self.bundle.calibration,
            "patch_px": self.plan.patch_px,
            "spacing": self.plan.spacing,
            "stain": None if self.stain is None else self.stain.to_dict(),
            "resampling": RESAMPLING,
            "flips": self.plan.flips,
            "dense": self.plan.dense is not None,
            **({} if self.plan.fill is None else {"never_scanned": "white"}),
            **self.bundle.taken_for,
        }

    def record(
        self,
        heatmap: Heatmap,
        candidates: Sequence[Region] | None = None,
        *,
        backend: str | None = None,
        quality: QualitySummary = QualitySummary(),  # noqa: B008  # frozen
    ) -> run_record.RunRecord:
        """Describe the run as it stands.

        Parameters
        ----------
        heatmap : Heatmap
            Probabilities of the patches that are kept.
        candidates : sequence of Region, optional
            Found in it; None says nothing of lesions.
        backend : str, optional
            Name of the back end.
        quality : QualitySummary, optional
            Summary of the flags.

        Returns
        -------
        run_record.RunRecord
            ``counts.stopped`` patches of a run that has not ended are missing.
        """
        wanted = self.plan.patches.kept
        kept = int(wanted.sum())
        failed = self.store.unreadable(wanted)  # under other masks there may be more
        computed = int(heatmap.computed.sum())
        bundle, mask = self.bundle, self.options.mask
        totals = Totals()
        if candidates is not None:
            totals = lesion_totals(candidates, self.rule, heatmap, self.tissue.area_mm2)
        return run_record.RunRecord(
            slide=slide_facts(self.slide),
            model=run_record.ModelFacts(
                name=bundle.name,
                version=bundle.version,
                sha256=bundle.sha256,
                mpp=bundle.spacing_um_px,
                patch=bundle.patch_size_pixels,
            ),
            grid=heatmap.grid,
            threshold=self.rule.threshold,
            lesion_threshold=self.rule.lesion_threshold,
            evidence=self.rule.evidence,
            tissue=self.tissue.facts,
            counts=run_record.Counts(kept=kept, computed=computed, failed=failed),
            seconds=self.seconds,
            options=run_record.OptionFacts(
                stride_px=self.plan.stride_px,
                dense=self.plan.dense is not None,
                keep=KEEP,
                flips=self.plan.flips,
                spacing_tolerance=self.options.spacing_tolerance,
                stain=self.stain.to_dict() if self.stain else {"method": "none"},
                resampling=RESAMPLING,
                backend=backend,
                request=self._request,
                mask=None if mask is None else str(mask.absolute()),
                bounds_offset=self.options.bounds_offset,
                tissue_seconds=self._tissue_seconds,
                colours=self.options.colours,
            ),
            regions=totals,
            quality=quality,
        )


def find_quality(
    tissue: SlideTissue,
    plan: Plan,
    slide_shape: tuple[int, int],
    sharpness: NDArray[np.float32],
    gamut: Gamut | None,
    *,
    doubt: str = "",
) -> tuple[NDArray[np.uint8], QualitySummary]:
    """Flag the patches of a run, and summarise the flags.

    Parameters
    ----------
    tissue : SlideTissue
        Masks and image of the slide.
    plan : Plan
        The patches.
    slide_shape : tuple of int
        (height, width) of the slide, level-0 px.
    sharpness : (rows, columns) float32 ndarray
        Sharpness of the patches that were read, else NaN.
    gamut : Gamut or None
        Colours and sharpness of the model's training data; None leaves both unjudged.
    doubt : str, optional
        Doubt about the probabilities, from `core.appearance.summary.doubt_values`.

    Returns
    -------
    tuple of (rows, columns) uint8 ndarray and QualitySummary
        The bits of `Flag` of each patch, 0 for those that are not kept, and their summary.
    """
    kept = plan.patches.kept
    matched = {} if plan.stain is None else {"match": plan.stain.apply}
    flags, distance = colour_flags(
        tissue.scanned, plan.patches, slide_shape, gamut, **matched
    )
    judged: tuple[Flag, ...] = (Flag.PEN,)
    if gamut is not None:
        flags, judged = flags | blur_flags(sharpness, kept, gamut), tuple(Flag)
    known = float(np.isfinite(sharpness[kept]).mean()) if kept.any() else 1.0
    summary = summarise_quality(
        flags, kept, distance=distance, judged=judged, blur_known=known, doubt=doubt
    )
    return flags, summary
