"""Detection on one slide in one call: heatmap, regions and, if wanted, files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_fastnet.cohort.folders import result_folder
from napari_fastnet.cohort.page import write_thumbnails
from napari_fastnet.cohort.regions_anew import regions_anew
from napari_fastnet.cohort.report import update_report
from napari_fastnet.cohort.rows import SUMMARY
from napari_fastnet.detection.first_block import first_block, rough_run
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.detection.plan import dense_block_cells, dense_cells, dense_scan_of
from napari_fastnet.detection.run import SlideRun
from napari_fastnet.errors import OutputError
from napari_fastnet.machine.progress import progress_bar
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import ModelBundle, load_bundle
from napari_fastnet.results.record import results_name
from napari_fastnet.slide.slide import Slide, opened

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fastnet.detection.compute import Progress
    from napari_fastnet.detection.options import Stride
    from napari_fastnet.detection.tissue import SlideTissue
    from napari_fastnet.machine.remote.url import SlidePath
    from napari_fastnet.model.backends.backend import Backend
    from napari_fastnet.results.result import Result


def detect(  # noqa: PLR0913  # plain keywords: what scripts ask for most
    slide: str | SlidePath | Slide,
    output: str | Path | None = None,
    *,
    threshold: float | None = None,
    mask: str | Path | None = None,
    stride: Stride = None,
    model: str | Path | ModelBundle | None = None,
    device: str | None = None,
    options: RunOptions | None = None,
    tissue: SlideTissue | None = None,
    backend: Backend | Callable[[], Backend] | None = None,
    progress: bool | Callable[[Progress], None] = False,
    should_stop: Callable[[], bool] = lambda: False,
) -> Result:
    """Find the tumors of a slide.

    Without an output folder the run lives in memory and leaves no file. It holds the
    heatmap, some 60 bytes for each of its cells (150 MB for a slide of 100,000 px a side
    at 0.25 µm/px), and a few blocks of the slide's pixels at a time. With an output
    folder every block of probabilities is on disk once it is computed: a run that was
    interrupted goes on there.

    Parameters
    ----------
    slide : str, Path or Slide
        The slide's file, or an open slide from `open_slide`, which stays open.
    output : str or Path, optional
        Results go to ``output/<name of the slide without its suffix>/``, or a longer
        name if that folder holds results of another slide. If the folder has the table
        of a cohort, the slide is added to it.
    threshold : float, optional
        Probability, 0 to 1, from which a cell is tumor; the model's by default.
    mask : str or Path, optional
        A mask or outlines of the region to scan, instead of the tissue that is found.
    stride : int, "patch" or "dense", optional
        Distance between patches in px of the model; dense by default where the model
        can.
    model : str, Path or ModelBundle, optional
        A model's name, its folder, or the bundle that `load_model` gave; by default
        the model of the options, ``"fastnet-pcam"``.
    device : str, optional
        "cpu", "cuda", "cuda:1" or "mps"; the CPU by default.
    options : Options, optional
        All options of a run; the keywords above take precedence.
    tissue : SlideTissue, optional
        Masks from `find_tissue`, perhaps changed since; found anew by default.
    backend : Backend or callable, optional
        The network from `create_backend` for this model; by default that of the
        options. A function that makes it is called in a thread, while the tissue is
        found.
    progress : bool or callable, optional
        True shows a bar; a function is called after each block of cells.
    should_stop : callable, optional
        Asked after each batch. Once true, the result holds what was computed so far:
        ``record.counts.stopped`` says how many patches are missing, and a note says so.
        In an output folder only the store is left, and the next call goes on from there.

    Returns
    -------
    Result
        Heatmap, regions, record and the files written. Without tissue the heatmap has
        no value and there are no regions.

    Raises
    ------
    FastNetError
        The slide, the model or the output folder is at fault; one line says what is
        wrong, the rule, and the remedy.
    """
    options = with_keywords(options, threshold, mask, stride, model, device)
    bundle = model
    if not isinstance(bundle, ModelBundle):
        bundle = load_bundle(options.network.model)
    backend = backend or partial(create_backend, bundle, options.network)
    with ExitStack() as stack:
        slide = stack.enter_context(opened(slide))
        folder = None if output is None else result_folder(slide, Path(output))
        if folder is not None and tissue is None:
            known = regions_anew(slide, bundle, folder, options)
            if known is not None:
                return _with_table(slide, known, folder, options)
        dense = dense_scan_of(bundle, options.stride) is not None
        block_cells = dense_block_cells(dense_cells(slide, bundle))

        pool = stack.enter_context(ThreadPoolExecutor(1, "fastnet-load"))
        loading = pool.submit(_network, bundle, backend, dense, block_cells)
        show = progress if callable(progress) else None
        if progress is True:
            show = stack.enter_context(progress_bar(slide.path.name)).show
        rough = rough_run(slide, bundle, folder, options) if tissue is None else None
        if rough is not None:
            step = first_block(rough, loading.result(), should_stop=should_stop)
            if show is not None and step is not None:
                show(step)
        run = SlideRun(slide, bundle, folder, options, tissue=tissue, after=rough)
        del rough  # its weights of all cells
        network = loading.result()
        for step in run.steps(network, should_stop):
            if show is not None:
                show(step)
        return _with_table(slide, run.finish(network.name), folder, options)


def with_keywords(
    options: RunOptions | None,
    threshold: float | None,
    mask: str | Path | None,
    stride: Stride,
    model: str | Path | ModelBundle | None,
    device: str | None,
) -> RunOptions:
    """Return options with the given keywords in place of theirs."""
    options = options or RunOptions()
    model = model.folder if isinstance(model, ModelBundle) else model
    network = {"model": model, "device": device}
    run: dict[str, Any] = {
        "threshold": threshold,
        "mask": None if mask is None else Path(mask),
        "stride": stride,
        "network": replace(options.network, **_without_none(network)),
    }
    return replace(options, **_without_none(run))


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _network(
    bundle: ModelBundle,
    backend: Backend | Callable[[], Backend],
    dense: bool,
    block_cells: int,
) -> Backend:
    """Return the given network, or load one and run it once."""
    if not callable(backend):
        return backend
    network = backend()
    network.warm_up(bundle, dense=dense, block_cells=block_cells)
    return network


def _with_table(
    slide: Slide, result: Result, folder: Path | None, options: RunOptions
) -> Result:
    """Add a result to the cohort's table, if there is one, and say what went wrong."""
    if folder is None or not result.files:  # in memory, or stopped
        return result
    notes: list[str] = []
    usual = folder.with_name(results_name(slide.path))
    if folder.name != usual.name and usual.is_dir():
        notes.append(f"{usual}: holds the results of another slide; see {folder}")
    if (folder.parent / SUMMARY).is_file():
        try:
            assert result.heatmap is not None
            write_thumbnails(folder, slide, result.heatmap, options.colours)
            update_report(folder.parent)
        except OutputError as error:
            notes.append(f"{error}; the results are there, start again for the table")
    return replace(result, notes=(*result.notes, *notes))
