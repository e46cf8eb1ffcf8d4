"""One slide of a cohort, as computed by a worker process."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import local
from typing import TYPE_CHECKING

from napari_fastnet.cohort.page import write_thumbnails
from napari_fastnet.cohort.regions_anew import regions_anew
from napari_fastnet.cohort.rows import SlideRow
from napari_fastnet.cohort.slide_numbers import SlideNumbers
from napari_fastnet.core.heatmap import highest_probability
from napari_fastnet.detection.first_block import LARGE_CELLS
from napari_fastnet.detection.options import RunOptions, request_digest
from napari_fastnet.detection.run import SlideRun
from napari_fastnet.detection.slide_checks import require_present
from napari_fastnet.errors import (
    BusyError,
    FastNetError,
    SlideNotFoundError,
    StoreError,
)
from napari_fastnet.machine.files import output_errors
from napari_fastnet.machine.remote.url import Url
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.results import record
from napari_fastnet.results.decisions import decisions_of
from napari_fastnet.results.reading import read_heatmap_ome_tiff
from napari_fastnet.slide.notes import spacing_notes
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.store.lock import hold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.machine.remote.url import SlidePath
    from napari_fastnet.model.backends.backend import Backend
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.model.options import NetworkChoice
    from napari_fastnet.results.result import Result
    from napari_fastnet.slide.slide import Slide

#: Files of a finished run, besides its record.
OUTPUTS = (
    record.STORE,
    record.HEATMAP,
    record.OVERVIEW,
    record.QUALITY,
    record.REGIONS_CSV,
    record.REGIONS,
    *(record.mask_file(name) for name in record.MASKS),
)

# What `_network` has loaded. A thread has its own, since a network serves one at a time.
_LOADED = local()


@dataclass(frozen=True, slots=True)
class CohortOptions:
    """Options of every slide of a cohort.

    Parameters
    ----------
    run : RunOptions
        Stride, tissue, stain, threshold; the network's threads are those of a worker.
    mpp : float or (float, float) or None
        µm/px of the slides where their files lack it or are wrong.
    """

    run: RunOptions = field(default_factory=RunOptions)
    mpp: float | Pair | None = None


@dataclass(frozen=True, slots=True)
class SlideTask:
    """One slide to compute; sent to a worker, perhaps on another machine.

    Parameters
    ----------
    slide : Path or Url
        File of the slide; absolute.
    folder : Path
        Folder of its results; absolute.
    options : CohortOptions
        The options.
    """

    slide: SlidePath
    folder: Path
    options: CohortOptions


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a task.

    Parameters
    ----------
    row : SlideRow
        For the report; waiting if the work was stopped.
    earlier : bool
        Whether an earlier run had finished the slide.
    left : bool
        Whether another command is computing the slide, which is left to it.
    notes : tuple of str
        Notes for the user, such as damage of an earlier run.
    """

    row: SlideRow
    earlier: bool = False
    left: bool = False
    notes: tuple[str, ...] = ()


def failed(task: SlideTask, error: str) -> Outcome:
    """Return the outcome of a slide that failed, with the reason in one line."""
    line = " ".join(error.split())
    if task.slide.name not in line:
        line = f"{task.slide}: {line}"
    return Outcome(SlideRow(task.folder.name, task.slide, "failed", line))


def run_task(
    task: SlideTask, should_stop: Callable[[], bool] = lambda: False
) -> Outcome:
    """Compute one slide, unless it is done, or another command is at it.

    Parameters
    ----------
    task : SlideTask
        The slide and its options.
    should_stop : callable, optional
        Polled after every batch; True leaves the rest for the next start.

    Returns
    -------
    Outcome
        A slide that cannot be read is an outcome, too.
    """
    try:
        return _run(task, should_stop)
    except BusyError as error:
        row = SlideRow(task.folder.name, task.slide)
        return Outcome(row, left=True, notes=(f"{task.slide} is left: {error}",))
    except FastNetError as error:
        return failed(task, str(error))


def _run(task: SlideTask, should_stop: Callable[[], bool]) -> Outcome:
    asked = task.options
    _require_there(task.slide)
    with open_slide(task.slide, mpp=asked.mpp) as slide:
        bundle = load_bundle(asked.run.network.model)
        with _claimed(task.folder):
            earlier = None if asked.run.fresh else _earlier(task, slide, bundle)
            if earlier is not None:
                return Outcome(_done(task, slide, *earlier), earlier=True)
            result = regions_anew(slide, bundle, task.folder, asked.run)
            if result is None:
                result = _computed(task, slide, bundle, should_stop)
            if result is None:
                return Outcome(SlideRow(task.folder.name, task.slide))
            assert result.heatmap is not None
            row = _done(task, slide, result.record, result.heatmap)
        return Outcome(row, notes=(*spacing_notes(slide), *result.notes))


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Keep other commands from the slide, from its tissue to its last file.

    The run has a lock of its own, which is held while probabilities are computed.

    Raises
    ------
    BusyError
        Another command is at it; it is not waited for.
    OutputError
        The folder cannot be made.
    """
    with output_errors(f"make {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
    with hold(folder, wait_s=0):
        yield


def _computed(
    task: SlideTask, slide: Slide, bundle: ModelBundle, should_stop: Callable[[], bool]
) -> Result | None:
    """Compute a slide, or what is left of it; None if the work was stopped."""
    run = SlideRun(slide, bundle, task.folder, task.options.run)
    network = _network(bundle, task.options.run.network)
    # the masks of a large slide want the memory that the next network would keep
    small = run.plan.patches.kept.size < LARGE_CELLS
    for _ in run.steps(network, should_stop, keep_memory=small):
        pass
    if should_stop():
        return None
    require_present(slide)
    return run.finish(network.name)


def _network(bundle: ModelBundle, choice: NetworkChoice) -> Backend:
    """Return a network that is loaded once for all slides of a thread."""
    key = bundle.sha256, choice
    if getattr(_LOADED, "key", None) != key:
        _LOADED.network, _LOADED.key = create_backend(bundle, choice), key
    network: Backend = _LOADED.network
    return network


def _require_there(path: SlidePath) -> None:
    """Raise for faults of a path that opening a slide would report less clearly."""
    if isinstance(path, Url):
        return
    if path.is_symlink() and not path.exists():
        raise SlideNotFoundError(
            f"{path}: is a link to {path.readlink()}, which is not there; connect its "
            "drive, or correct the link"
        )
    if path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
        raise SlideNotFoundError(
            f"{path}: this folder cannot be opened; ask for the right to read it"
        )


def _earlier(
    task: SlideTask, slide: Slide, bundle: ModelBundle
) -> tuple[record.RunRecord, Heatmap] | None:
    """Return record and heatmap of an earlier run of the same request, or None."""
    try:
        found = record.read_record(task.folder / record.RECORD)
        if found.options.request != request_digest(slide, bundle, task.options.run):
            return None
        if not all((task.folder / name).exists() for name in OUTPUTS):
            return None
        # A damaged file may have been replaced by a good copy, which has the same
        # fingerprint and so the same request.
        if found.counts is None or found.counts.failed or found.tissue.damaged_tiles:
            return None
        decisions = decisions_of(task.folder, found.slide)
        if decisions.events_count != found.decisions.events:  # the files lack some
            return None
        heatmap, _ = read_heatmap_ome_tiff(task.folder / record.HEATMAP)
    except StoreError:  # none, or damaged: computed again
        return None
    return found, heatmap


def _done(
    task: SlideTask, slide: Slide, run: record.RunRecord, heatmap: Heatmap
) -> SlideRow:
    """Write the thumbnails of a finished slide, and return its row."""
    write_thumbnails(task.folder, slide, heatmap, task.options.run.colours)
    found = SlideNumbers.of(run, highest_probability(heatmap))
    return SlideRow(task.folder.name, task.slide, "done", found=found)
