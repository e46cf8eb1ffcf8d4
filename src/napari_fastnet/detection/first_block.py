"""A large slide's first block, computed before its masks are known.

The masks of a slide of eight gigapixels take a second, in which nothing would be seen.
A look at its coarsest level tells where tissue surely is; a block of that is computed
first. It lies in the run's own store, over the same cells, as if masks had been edited
since: what the masks do not keep of it is not shown and not counted.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, cast

from napari_fastnet.detection.plan import SMALLER_BLOCKS, dense_cells, dense_scan_of
from napari_fastnet.detection.run import SlideRun
from napari_fastnet.detection.tissue import tissue_at
from napari_fastnet.errors import TileReadError
from napari_fastnet.results.record import STORE
from napari_fastnet.store.format import CHUNKS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from napari_fastnet.detection.compute import Progress
    from napari_fastnet.detection.options import RunOptions
    from napari_fastnet.model.backends.backend import Backend
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.slide.slide import Slide
    from napari_fastnet.store.store import Block

#: A slide of fewer cells has its masks about when the network is loaded.
LARGE_CELLS = min(SMALLER_BLOCKS)
#: Size of a px of the rough masks, µm.
ROUGH_MPP = 64.0
#: A slide whose coarsest level has more px than this takes too long to look at twice.
MOST_ROUGH_PX = 4_000_000


def rough_run(
    slide: Slide, bundle: ModelBundle, folder: Path | None, options: RunOptions
) -> SlideRun | None:
    """Lay out a run over masks of a large slide that are quickly found.

    Parameters
    ----------
    slide, bundle, folder, options
        As for `SlideRun`.

    Returns
    -------
    SlideRun or None
        To be given to `first_block`. None where there is nothing to gain, or its cells
        or values would not be those of the run to come: a small slide or one without a
        coarse level, no dense scan, a stain to be matched, a run that has begun.

    Raises
    ------
    FastNetError
        As for `SlideRun`.
    """
    if options.stain != "none" or dense_scan_of(bundle, options.stride) is None:
        return None
    if dense_cells(slide, bundle) < LARGE_CELLS:
        return None
    # the level that is read, or what a coarser one, that the file lacks, is made of
    levels = (slide.level_for(ROUGH_MPP), slide.levels[-1])
    if max(prod(level.shape) for level in levels) > MOST_ROUGH_PX:
        return None
    # Only ever first, so that a run that was killed ends with the same values.
    begun = folder is not None and any((folder / STORE / CHUNKS).glob("*/[0-9]*"))
    if begun and not options.fresh:
        return None
    try:
        tissue = tissue_at(ROUGH_MPP, slide, options.tissue, damaged="raise")
    except TileReadError:
        return None
    if tissue.masks.fill is not None:  # finer masks see its outline elsewhere
        return None
    return SlideRun(slide, bundle, folder, replace(options, readers=0), tissue=tissue)


def first_block(
    run: SlideRun,
    backend: Backend,
    priority: Callable[[Block], float] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Progress | None:
    """Compute one block of a run.

    Parameters
    ----------
    run : SlideRun
        From `rough_run`.
    backend : Backend
        The network.
    priority : callable, optional
        The block for which it is lowest is taken. By default one that is tissue all
        over, where there is one: finer masks hardly change it, so that the pictures it
        is computed from, and with them the values, are those of a run without it.
    should_stop : callable, optional
        As for `SlideRun.steps`.

    Returns
    -------
    Progress or None
        None where there is no such block, or it was stopped. Its total is what the
        rough masks keep.

    Raises
    ------
    FastNetError
        As for `detection.compute.detect`.
    """
    kept = run.plan.patches.kept

    def glass(block: Block) -> float:
        return float((~kept[block.slices]).sum())

    if priority is None and min(map(glass, run.store.blocks())) > 0:
        return None
    steps = run.steps(backend, should_stop, priority or glass)
    with closing(cast("Generator[Progress]", steps)):
        return next(steps, None)
