"""``napari-fastnet train DATA... --valid DATA -o BUNDLE``: train FastNet."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from napari_fastnet.cli.output import print_columns, print_notes, wrote
from napari_fastnet.errors import OptionError
from napari_fastnet.nn.options import FastNetConfig
from napari_fastnet.patches.options import (
    PAPER_MPP,
    MakeOptions,
    PatchOptions,
    SamplingOptions,
)
from napari_fastnet.training.options import FitOptions, PublishOptions

if TYPE_CHECKING:
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.training.fit import EpochResult


def train(
    context: typer.Context,
    data: list[Path],
    output: Path,
    published: PublishOptions,
    fit: FitOptions,
    network: FastNetConfig,
    valid: Path | None = None,
    mpp: float | None = None,
    patch: int = 256,
    per_slide: int = 300,
    device: str | None = None,
    threads: int | None = None,
    start_from: str | None = None,
    teacher: tuple[str, ...] = (),
    average_with: tuple[str, ...] = (),
    also_judge: tuple[Path, ...] = (),
) -> None:
    """Train FastNet on labelled patches and write a model bundle.

    Parameters
    ----------
    context : typer.Context
        Words of the command line.
    data : list of Path
        Tars, zips or folders with images in 0/ (or normal/) and 1/ (or tumor/), or what
        `patches` wrote; or a CAMELYON16 folder, which is cut into patches first.
    output : Path
        Bundle to write, a folder.
    published : PublishOptions
        Facts about the new model.
    fit : FitOptions
        The recipe.
    network : FastNetConfig
        Variant of the network.
    valid : Path or None
        Patches of other slides, to watch and calibrate on; None is what `patches` set
        apart.
    mpp : float or None
        µm/px of the patches; None is as `patches` wrote.
    patch : int
        Side of the patches of a CAMELYON16 folder, px.
    per_slide : int
        Most patches of a class from one slide of such a folder.
    device : str or None
        cpu, cuda or mps; None is the fastest here.
    threads : int or None
        Threads on the CPU; None is all cores.
    start_from : str or None
        Model whose weights to begin with, for example fastnet-pcam.
    teacher : tuple of str
        Network to learn from as well, NAME, DIR or ONNX file; may be repeated.
    average_with : tuple of str
        Model with the same initial weights to average weights with; may be repeated.
    also_judge : tuple of Path
        Other patches to evaluate the model on, before and after, for example those that
        the model of --from knows; may be repeated.
    """
    from napari_fastnet.model.backends.torch import fastest_device
    from napari_fastnet.model.bundle import load_bundle
    from napari_fastnet.patches.camelyon import is_camelyon
    from napari_fastnet.training.data import stated_by_stores
    from napari_fastnet.training.distil import Teachers
    from napari_fastnet.training.run import train_model
    from napari_fastnet.training.train import TrainingJob

    data = [
        _cut(path, output, PAPER_MPP if mpp is None else mpp, patch, per_slide)
        if is_camelyon(path)
        else path
        for path in data
    ]
    try:
        valid, mpp = stated_by_stores(data, valid, also_judge, mpp)
    except OptionError as error:
        raise typer.BadParameter(str(error)) from error
    job = TrainingJob(
        data=tuple(data),
        valid=valid,
        folder=output,
        spacing_um_px=mpp,
        network=network,
        fit=fit,
        model=published,
        device=device or fastest_device(),
        start_from=load_bundle(start_from) if start_from else None,
        teachers=Teachers(teacher, threads) if teacher else None,
        average_with=tuple(load_bundle(name) for name in average_with),
        threads=threads,
        also=also_judge,
    )
    # files by their names only: folders say who trained
    words = ["napari-fastnet", *map(_without_folders, context.obj)]
    bundle = train_model(
        job,
        command=shlex.join(words),
        progress=lambda result: print(_line(result, fit.epochs), flush=True),
        warn=lambda sentence: print_notes([sentence], "warning: "),
        resumed=lambda begun: print(
            f"going on from epoch {begun} of {fit.epochs}, in {job.log_folder}",
            flush=True,
        ),
    )
    _print_result(bundle)


def _line(result: EpochResult, epochs: int) -> str:
    """Return an epoch's figures."""
    auc, among = (
        "-" if value is None else f"{value:.4f}"
        for value in (result.auc, result.mosaic_auc)
    )
    loss = "as it begins" if result.loss is None else f"loss {result.loss:.4f}"
    return (
        f"epoch {result.epoch} of {epochs}: {loss}, AUC {auc} alone, {among} in mosaics, "
        f"accuracy {result.accuracy:.4f}, {result.seconds:.0f} s"
    )


def _print_result(bundle: ModelBundle) -> None:
    """Print the bundle, the epoch kept and its AUC."""
    metrics, facts = bundle.metrics, bundle.training
    valid, auc = metrics.data, metrics.auc or 0.0  # the patches are of both classes
    rows = [
        ("model", f"{bundle.name} {bundle.version}"),
        (
            "kept",
            f"epoch {facts.kept_epoch} of {facts.epochs}, the best by AUC on {valid}",
        ),
        ("AUC", f"{auc:.4f} on {valid}"),
    ]
    for part in metrics.also:
        before = part.auc_before
        words = "" if before is None else f", {before:.4f} of the model it began with"
        rows.append(("", f"{part.auc:.4f} on {part.name}{words}"))
    print_columns([*rows, *wrote([bundle.folder])])


def _cut(path: Path, output: Path, mpp: float, patch_px: int, per_slide: int) -> Path:
    """Cut a CAMELYON16 folder into patches beside the model."""
    from napari_fastnet.cli.patches import cut, print_report

    options = MakeOptions(
        PatchOptions(mpp, patch_px), SamplingOptions(per_slide=per_slide)
    )
    # Other options are other patches: a second training may ask for them.
    name = f"{path.resolve().name}_{mpp:g}um_{patch_px}px_{per_slide}.zarr"
    store = output.with_name(f"{output.name}-training") / name
    print_report(cut(path, store, options))
    return store


def _without_folders(word: str) -> str:
    path = Path(word)
    try:
        is_path = path.is_absolute() or path.exists()
    except OSError:  # a text too long for a name
        is_path = False
    return path.resolve().name if is_path else word
