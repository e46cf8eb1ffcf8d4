"""CAMELYON16 to labelled patches: two passes over its slides, in processes.

First the candidates of every slide are found at low resolution; then they are drawn, and
each slide's are read and stored. Both passes go on where a killed run was: the candidates
of a slide are cached, and a slide's patches are there whole or not at all.

Functions for the worker processes, their arguments and results can be pickled. A fault of a
slide is returned, not raised: the other slides go on.
"""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from napari_fastnet import errors
from napari_fastnet.core.geometry import Box
from napari_fastnet.detection.slide_checks import require_present
from napari_fastnet.machine.files import clear_leftovers, output_errors
from napari_fastnet.machine.memory import physical_cores
from napari_fastnet.machine.processes import map_in_processes
from napari_fastnet.patches import store as patch_store
from napari_fastnet.patches.camelyon import find_camelyon
from napari_fastnet.patches.options import MakeOptions
from napari_fastnet.patches.plan import candidates_of
from napari_fastnet.patches.report import PatchReport, report_of, write_report
from napari_fastnet.patches.sampling import Candidates, Draw, draw_patches
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.store.lock import hold

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_fastnet.patches.camelyon import CamelyonSlide
    from napari_fastnet.patches.options import PatchOptions, SamplingOptions
    from napari_fastnet.patches.plan import SlidePatches

Stage = Literal["look", "write"]
Item = TypeVar("Item")
Result = TypeVar("Result")

#: Patches are read square by square of so many level-0 px: the file's tiles under one
#: are then still decoded when the next patch needs them.
_SQUARE_PX = 2048
_CANDIDATES = "candidates"


@dataclass(frozen=True, slots=True)
class MakeProgress:
    """Progress of making patches; frozen, so any thread may keep it.

    Parameters
    ----------
    stage : {"look", "write"}
        The pass.
    done, total : int
        Slides of that pass.
    report : PatchReport or None
        In the last value.
    """

    stage: Stage
    done: int
    total: int
    report: PatchReport | None = None


@dataclass(frozen=True, slots=True)
class PatchWork:
    """Folders and options that all slides share.

    Parameters
    ----------
    store : Path
        The zarr.
    log : Path
        Folder beside it, for the report and the cached candidates.
    options : PatchOptions
        Size of the patches, and the choice of the tissue to cut them from.
    """

    store: Path
    log: Path
    options: PatchOptions

    def candidates(self, slide: CamelyonSlide) -> SlidePatches:
        """Return the candidates of a slide, cached where nothing changed."""
        cache = self.log / _CANDIDATES / f"{slide.name}.npz"
        return candidates_of(slide, self.options, cache)


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
        Patches, sampling and parts.
    workers : int, optional
        Processes; by default as many as there are cores. With one, this process does
        the work.
    fresh : bool, optional
        Remove an earlier store first.

    Yields
    ------
    MakeProgress
        After each slide; the last has the report. To stop, close the generator: whole
        slides are kept.

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
        raise errors.OptionError(f"workers is {workers}; use at least 1")
    folder = find_camelyon(camelyon, testing=options.testing)
    work = PatchWork(store.absolute(), log_folder(store.absolute()), options.patches)
    with output_errors(f"make {work.log}"):
        work.log.mkdir(parents=True, exist_ok=True)
    with hold(work.log):
        clear_leftovers(work.store)
        if fresh:
            patch_store.remove_store(work.store)
            shutil.rmtree(work.log / _CANDIDATES, ignore_errors=True)
        patch_store.begin_store(work.store, options.to_dict())
        looks = yield from _pass(
            "look",
            partial(_look, work=work),
            folder.slides,
            workers,
            lambda slide, reason: Candidates(slide, fault=reason),
        )
        draws = _drawn(looks, options.sampling)
        patch_store.reopen_store(work.store)
        written = yield from _pass(
            "write",
            partial(_write, work=work),
            draws,
            workers,
            lambda draw, reason: (draw.slide.name, reason),
        )
        ended = [(look.slide.name, look.fault) for look in looks] + written
        faults = {name: fault for name, fault in ended if fault}
        drawn = {draw.slide.name for draw in draws}
        patch_store.finish_store(work.store, sorted(drawn - faults.keys()))
        whole = patch_store.open_patch_store(work.store)
        report = report_of(whole, faults, folder.notes)
        write_report(work.log, report)
        yield MakeProgress("write", len(draws), len(draws), report)


def _pass(
    stage: Stage,
    function: Callable[[Item, Callable[[], bool]], Result],
    items: Sequence[Item],
    workers: int,
    given_up: Callable[[Item, str], Result],
) -> Generator[MakeProgress, None, list[Result]]:
    """Yield the progress of a pass and return the result of each slide."""
    if workers > 1 and len(items) > 1:
        ended = map_in_processes(function, items, workers, given_up=given_up)
    else:
        ended = (function(item, lambda: False) for item in items)
    results: list[Result] = []
    with closing(ended):
        for result in ended:
            results.append(result)
            yield MakeProgress(stage, len(results), len(items))
    return results


def _drawn(looks: Sequence[Candidates], options: SamplingOptions) -> list[Draw]:
    """Draw the patches of every slide that can be used."""
    usable = sorted(
        (look for look in looks if not look.fault), key=lambda look: look.slide.name
    )
    draws = draw_patches(usable, options)
    if not any(len(draw.indices) for draw in draws):
        faults = [look.fault for look in looks if look.fault]
        raise errors.DataError(
            f"no patch is drawn from {len(looks)} slides, {len(faults)} of them at fault"
            f"{': ' + faults[0] if faults else ''}; balanced sampling needs patches of "
            "both classes: see --sampling full"
        )
    return draws


class _StoppedError(errors.FastNetError):
    """The work is to end; never leaves this module."""


def _look(
    slide: CamelyonSlide, should_stop: Callable[[], bool], *, work: PatchWork
) -> Candidates:
    """Find the candidates of a slide."""
    if should_stop():
        return Candidates(slide, fault="stopped")
    try:
        return Candidates(slide, work.candidates(slide).labels)
    except errors.OutputError:  # a full disk is no fault of the slide's
        raise
    except errors.FastNetError as error:
        return Candidates(slide, fault=_line(error))


def _write(
    draw: Draw, should_stop: Callable[[], bool], *, work: PatchWork
) -> tuple[str, str]:
    """Store the patches of a slide, unless they are stored; return its name and fault."""
    name = draw.slide.name
    try:
        found = work.candidates(draw.slide)
        digest = _digest(found, draw)
        if patch_store.stored_digest(work.store, name) != digest:
            counts = np.bincount(found.labels, minlength=2).tolist()
            patch_store.write_slide_patches(
                work.store,
                name,
                _read(draw, found, work.options, should_stop),
                side_px=work.options.patch_px,
                facts=found.facts | {"candidates": counts, "drawn": len(draw.indices)},
                digest=digest,
            )
    except errors.OutputError:
        raise
    except errors.FastNetError as error:
        return name, _line(error)
    return name, ""


def _line(error: errors.FastNetError) -> str:
    return " ".join(str(error).split())


def _digest(found: SlidePatches, draw: Draw) -> str:
    """Return a digest of the drawn patches: their places, and the slide's bytes."""
    hashed = sha256(found.facts["fingerprint"].encode())
    for values in (
        found.positions[draw.indices],
        found.weights[draw.indices],
        found.labels[draw.indices],
        draw.parts,
    ):
        hashed.update(np.ascontiguousarray(values).tobytes())
    hashed.update(repr(found.facts["spacing_um_px"]).encode())
    return hashed.hexdigest()


def _read(
    draw: Draw,
    found: SlidePatches,
    options: PatchOptions,
    should_stop: Callable[[], bool],
) -> Iterator[patch_store.DrawnPatch]:
    """Yield the patches of a slide; those that cannot be decoded are left out."""
    size = found.facts["patch_level0_px"]
    spacing = tuple(found.facts["spacing_um_px"])
    with open_slide(draw.slide.path, mpp=options.slide_mpp) as slide:
        for order in _by_squares(found.positions[draw.indices]):
            if should_stop():
                raise _StoppedError("stopped")
            index = draw.indices[order]
            y, x = found.positions[index].tolist()
            try:
                image = slide.read(Box.of_shape(size, (y, x)), spacing)
            except errors.TileReadError:
                require_present(slide)
                continue
            weight, label = found.weights[index].item(), found.labels[index].item()
            part = draw.parts[order].item()
            yield patch_store.DrawnPatch(image, (y, x), weight, label, part)


def _by_squares(positions: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the order in which patches are read."""
    rows, columns = (positions // _SQUARE_PX).T
    order: NDArray[np.intp] = np.lexsort((*positions.T[::-1], columns, rows))
    return order
