"""The main job in one call: a slide's path in, heatmap, regions and files out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari_fastnet.cohort.folders import result_folder
from napari_fastnet.cohort.page import write_thumbnail
from napari_fastnet.cohort.regions_anew import regions_anew
from napari_fastnet.cohort.report import SUMMARY, update_report
from napari_fastnet.detection.first_block import first_block, rough_run
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.detection.plan import dense_block_cells, dense_cells, dense_scan_of
from napari_fastnet.detection.run import SlideRun
from napari_fastnet.errors import OutputError
from napari_fastnet.model.backends.backend import create_backend, warm_up
from napari_fastnet.model.bundle import ModelBundle, load_bundle
from napari_fastnet.results.record import THUMBNAIL, results_name
from napari_fastnet.slide.slide import Slide, open_slide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_fastnet.detection.compute import Progress
    from napari_fastnet.detection.tissue import SlideTissue
    from napari_fastnet.model.backends.backend import Backend
    from napari_fastnet.results.result import RunResult


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[Progress], None]]:
    """Show how far a detection is; a widget in a notebook, a line elsewhere.

    Parameters
    ----------
    title : str
        Usually the slide's name.

    Yields
    ------
    callable
        To be called with each `Progress`.
    """
    from tqdm.auto import tqdm

    with tqdm(desc=title, unit=" patches", total=0) as bar:

        def show(progress: Progress) -> None:
            if not bar.total:  # what an earlier run did is not this one's pace
                bar.reset(total=progress.total)
                bar.initial = progress.done
            bar.total = progress.total  # of a first block it was an estimate
            bar.n = progress.done
            bar.refresh()

        yield show


#: The model that is used where none is named.
DEFAULT_MODEL = "fastnet-pcam"


def detect(
    slide: str | Path | Slide,
    output: str | Path,
    *,
    model: str | Path | ModelBundle = DEFAULT_MODEL,
    options: RunOptions | None = None,
    tissue: SlideTissue | None = None,
    backend: Backend | Callable[[], Backend] | None = None,
    progress: bool | Callable[[Progress], None] = False,
) -> RunResult:
    """Find the tumours of a slide, as ``napari-fastnet detect`` does.

    What an earlier, interrupted run in the same place computed is not computed again.

    Parameters
    ----------
    slide : str, Path or Slide
        The slide's file, or what `open_slide` made of it, which stays open.
    output : str or Path
        Results go to ``output/<name of the slide without its suffix>/``, or a longer
        name where results of another slide are there. If there is the table of a
        cohort, the slide comes into it.
    model : str, Path or ModelBundle, optional
        A model's name, its folder, or what `load_bundle` gave.
    options : RunOptions, optional
        Stride, tissue, mask, stain, threshold.
    tissue : SlideTissue, optional
        Masks that are ready, from `find_tissue`, perhaps changed since; found anew by
        default.
    backend : Backend or callable, optional
        What runs the network, from `create_backend` for this model; the fastest on
        the CPU by default. A function that makes it is called in a thread, while the
        tissue is found.
    progress : bool or callable, optional
        True shows a bar; a function is called after each block of patches.

    Returns
    -------
    RunResult
        Heatmap, regions, record and the files written. Without tissue the heatmap has
        no value and there are no regions.

    Raises
    ------
    FastNetError
        The slide, the model or the output folder is at fault; one line says what,
        why and the mend.
    """
    bundle = model if isinstance(model, ModelBundle) else load_bundle(model)
    with ExitStack() as stack:
        if not isinstance(slide, Slide):
            slide = stack.enter_context(open_slide(slide))
        folder = result_folder(slide, Path(output))
        options = options or RunOptions()
        if tissue is None:
            known = regions_anew(slide, bundle, folder, options)
            if known is not None:
                return _told(slide, known, options)
        dense = dense_scan_of(bundle, options.stride) is not None
        block_cells = dense_block_cells(dense_cells(slide, bundle))

        pool = stack.enter_context(ThreadPoolExecutor(1, "fastnet-load"))
        loading = pool.submit(_network, bundle, backend, dense, block_cells)
        show = progress if callable(progress) else None
        if progress is True:
            show = stack.enter_context(progress_bar(slide.path.name))
        rough = rough_run(slide, bundle, folder, options) if tissue is None else None
        if rough is not None:
            step = first_block(rough, loading.result())
            if show is not None and step is not None:
                show(step)
        run = SlideRun(slide, bundle, folder, options, tissue=tissue, after=rough)
        del rough  # its weights of all cells
        network = loading.result()
        for step in run.steps(network):
            if show is not None:
                show(step)
        return _told(slide, run.finish(network.name), options)


def _network(
    bundle: ModelBundle,
    backend: Backend | Callable[[], Backend] | None,
    dense: bool,
    block_cells: int,
) -> Backend:
    """Return the network that is given, or load it and let it run once."""
    made = partial(create_backend, bundle) if backend is None else backend
    if not callable(made):
        return made
    network = made()
    warm_up(network, bundle, dense=dense, block_cells=block_cells)
    return network


def _told(slide: Slide, result: RunResult, options: RunOptions) -> RunResult:
    """Return a result once the cohort's table has it, with what is to be told of that."""
    notes = (*_of_place(slide, result), *_tell_cohort(slide, result, options))
    return replace(result, notes=(*result.notes, *notes))


def _of_place(slide: Slide, result: RunResult) -> tuple[str, ...]:
    """Return that the results are not where their name says."""
    usual = result.folder.with_name(results_name(slide.path))
    if result.folder.name == usual.name or not usual.is_dir():
        return ()
    return (f"{usual}: holds the results of another slide; see {result.folder}",)


def _tell_cohort(
    slide: Slide, result: RunResult, options: RunOptions
) -> tuple[str, ...]:
    """Bring the table of the folder around a result up to date; return what failed."""
    output = result.folder.parent
    if not (output / SUMMARY).is_file():
        return ()
    try:
        write_thumbnail(
            result.folder / THUMBNAIL, slide, result.heatmap, options.colours
        )
        update_report(output)
    except OutputError as error:
        return (f"{error}; the results are there, start again for the table",)
    return ()
