"""CAMELYON16 to labelled patches: two passes over its slides, in processes.

First every slide is looked at at low resolution, so that it is known which patches
there are; then they are drawn, and each slide's are read and stored. Both go on where a
killed run was: what was found on a slide is kept, and a slide's patches are there
whole or not at all.
"""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from napari_fastnet.errors import DataError, OptionError, OutputError
from napari_fastnet.machine.files import clear_leftovers
from napari_fastnet.machine.memory import physical_cores
from napari_fastnet.machine.processes import map_in_processes
from napari_fastnet.patches.camelyon import find_camelyon
from napari_fastnet.patches.options import MakeOptions
from napari_fastnet.patches.report import PatchReport, report_of, write_report
from napari_fastnet.patches.sampling import (
    Candidates,
    draw_patches,
)
from napari_fastnet.patches.store import open_patch_store
from napari_fastnet.patches.work import (
    CANDIDATES,
    Draw,
    Look,
    PatchWork,
    Written,
    look,
    write,
)
from napari_fastnet.patches.writing import (
    begin_store,
    finish_store,
    remove_store,
    reopen_store,
)
from napari_fastnet.store.lock import hold

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from napari_fastnet.patches.camelyon import CamelyonSlide
    from napari_fastnet.patches.options import SamplingOptions

Stage = Literal["look", "write"]
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class MakeProgress:
    """Where the making of patches stands; frozen, so any thread may keep it.

    Parameters
    ----------
    stage : {"look", "write"}
        Which pass.
    done, total : int
        Slides of that pass.
    fault : str
        What is at fault with the slide that just ended; empty where nothing is.
    report : PatchReport or None
        In the last value.
    """

    stage: Stage
    done: int
    total: int
    fault: str = ""
    report: PatchReport | None = None


def log_folder(store: Path) -> Path:
    """Return the folder beside a store that holds its report."""
    return store.with_name(f"{store.stem}-report")


def make_patches(
    camelyon: Path,
    store: Path,
    options: MakeOptions | None = None,
    *,
    workers: int | None = None,
    fresh: bool = False,
) -> Generator[MakeProgress]:
    """Cut the slides of a CAMELYON16 folder into labelled patches.

    The processes are spawned, so a script that calls this with more than one worker
    needs the guard ``if __name__ == "__main__":``.

    Parameters
    ----------
    camelyon : Path
        The folder, see `patches.camelyon`.
    store : Path
        The zarr to write or to go on with; its report goes to `log_folder`.
    options : MakeOptions, optional
        What is asked for.
    workers : int, optional
        Processes; by default as many as there are cores. With one, this process does
        the work.
    fresh : bool, optional
        Remove what is there first.

    Yields
    ------
    MakeProgress
        After each slide; the last has the report. To stop, close the generator: what
        is stored is kept.

    Raises
    ------
    DataError
        It is no such folder, no slide can be used, or nothing is drawn.
    OptionError
        Fewer than one worker.
    StoreError
        The store is something else, or was made with other options.
    BusyError
        Another process is making these patches.
    OutputError
        The disk cannot be written.
    """
    options = options or MakeOptions()
    workers = physical_cores() if workers is None else workers
    if workers < 1:
        raise OptionError(f"workers is {workers}; use at least 1")
    folder = find_camelyon(camelyon, testing=options.testing)
    work = PatchWork(store.absolute(), log_folder(store.absolute()), options.patches)
    _make_folder(work.log)
    with hold(work.log):
        clear_leftovers(work.store)
        if fresh:
            remove_store(work.store)
            shutil.rmtree(work.log / CANDIDATES, ignore_errors=True)
        begin_store(work.store, options.to_dict())
        slides = folder.slides
        ended = _each(partial(look, work=work), slides, workers, _not_looked_at)
        looks: list[Look] = yield from _followed("look", ended, len(slides))
        draws = _drawn(looks, options.sampling)
        reopen_store(work.store)
        ending = _each(partial(write, work=work), draws, workers, _not_written)
        written: list[Written] = yield from _followed("write", ending, len(draws))
        faults = {found.slide.name: found.fault for found in looks if found.fault}
        faults |= {result.slide: result.fault for result in written if result.fault}
        names = sorted(
            draw.slide.name for draw in draws if draw.slide.name not in faults
        )
        finish_store(work.store, names)
        report = report_of(open_patch_store(work.store), faults, folder.notes)
        write_report(work.log, report)
        yield MakeProgress("write", len(draws), len(draws), report=report)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot make {path} ({error}); choose another output"
        ) from error


def _drawn(looks: Sequence[Look], options: SamplingOptions) -> list[Draw]:
    """Return what is to be stored of every slide that can be used."""
    usable = {
        found.slide.name: found
        for found in sorted(looks, key=lambda one: one.slide.name)
        if not found.fault
    }
    candidates = [
        Candidates(name, found.labels, found.slide.is_tumour, found.slide.is_test)
        for name, found in usable.items()
    ]
    chosen = draw_patches(candidates, options)
    if not sum(len(indices) for indices, _ in chosen.values()):
        faults = [found.fault for found in looks if found.fault]
        raise DataError(
            f"no patch is drawn from {len(looks)} slides, {len(faults)} of them at fault"
            f"{': ' + faults[0] if faults else ''}; balanced sampling needs patches of "
            "both classes: see --sampling full"
        )
    return [Draw(usable[name].slide, *chosen[name]) for name in chosen]


def _each(
    function: Callable[[Item, Callable[[], bool]], Result],
    items: Sequence[Item],
    workers: int,
    given_up: Callable[[Item, str], Result],
) -> Generator[Result]:
    """Yield what a function makes of each item: in processes, or one after the other."""
    if workers > 1 and len(items) > 1:
        yield from map_in_processes(function, items, workers, given_up=given_up)
    else:
        yield from (function(item, lambda: False) for item in items)


def _followed(
    stage: Stage, ended: Generator[Any], total: int
) -> Generator[MakeProgress, None, list[Any]]:
    """Yield the progress of a pass and return what came of each slide."""
    results: list[Any] = []
    with closing(ended):
        for result in ended:
            results.append(result)
            yield MakeProgress(stage, len(results), total, result.fault)
    return results


def _not_looked_at(slide: CamelyonSlide, reason: str) -> Look:
    return Look(slide, fault=reason)


def _not_written(draw: Draw, reason: str) -> Written:
    return Written(draw.slide.name, reason)
