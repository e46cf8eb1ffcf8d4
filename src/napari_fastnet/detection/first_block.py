"""The first block of a large slide, computed before its masks exist.

The masks of a slide of eight gigapixels take a second, in which nothing would be seen. So
one block of certain tissue, found on the coarsest level, is computed first. It goes into
the run's own store and grid; cells that the final masks exclude are hidden and not
counted.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

from napari_fastnet.detection.plan import SMALLER_BLOCKS, dense_cells, dense_scan_of
from napari_fastnet.detection.run import SlideRun
from napari_fastnet.detection.tissue import tissue_at
from napari_fastnet.errors import TileReadError
from napari_fastnet.results.record import STORE
from napari_fastnet.store.format import CHUNKS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_fastnet.detection.compute import Progress
    from napari_fastnet.detection.options import RunOptions
    from napari_fastnet.model.backends.backend import Backend
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.slide.slide import Slide
    from napari_fastnet.store.store import Block

#: Smallest number of cells: the masks of smaller slides take no longer than loading the
#: network.
LARGE_CELLS = min(SMALLER_BLOCKS)
#: Size of a px of the rough masks, µm.
ROUGH_MPP = 64.0
#: Most px of the coarsest level: reading a larger one twice takes too long.
MOST_ROUGH_PX = 4_000_000


def rough_run(
    slide: Slide, bundle: ModelBundle, folder: Path | None, options: RunOptions
) -> SlideRun | None:
    """Lay out a run of a large slide over rough masks, for `first_block`.

    Returns None if nothing is gained, or if its cells or values could differ from those of
    the final run: a small slide or one without a coarse level, no dense scan, a stain to
    match, a run that was begun.

    Parameters and errors are those of `SlideRun`.
    """
    if options.stain != "none" or dense_scan_of(bundle, options.stride) is None:
        return None
    if dense_cells(slide, bundle) < LARGE_CELLS:
        return None
    # The level to read; one that the file lacks is made of its last level.
    levels = (slide.level_for(ROUGH_MPP), slide.levels[-1])
    if max(prod(level.shape) for level in levels) > MOST_ROUGH_PX:
        return None
    # Only if it is the very first block, so that a resumed run ends with the same values.
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
        The block with the lowest priority is computed. By default one that is all
        tissue, if there is any: finer masks hardly change it, so its pictures, and with
        them its values, are those of a run without a first block.
    should_stop : callable, optional
        As for `SlideRun.steps`.

    Returns
    -------
    Progress or None
        None if there is no such block, or the run was stopped. The total is that of the
        rough masks.

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
    with closing(run.steps(backend, should_stop, priority or glass)) as steps:
        return next(steps, None)
