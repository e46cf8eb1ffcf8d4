"""``napari-fastnet train DATA... --valid DATA -o BUNDLE``: train FastNet."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from napari_fastnet.cli.output import print_columns

if TYPE_CHECKING:
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.nn.fastnet import FastNet
    from napari_fastnet.training.fit import EpochResult, Trainer
    from napari_fastnet.training.train import TrainingJob


def train(
    context: typer.Context,
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA...",
            help="Tars, zips or folders with images in 0/ (or normal/) and 1/ (or "
            "tumor/), or what `patches` wrote; or a CAMELYON16 folder, which is cut into "
            "patches first.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="BUNDLE", help="Folder to write."),
    ],
    valid: Annotated[
        Path | None,
        typer.Option(
            help="Patches of other slides, to watch and calibrate on [of what `patches` "
            "wrote, its own].",
        ),
    ] = None,
    mpp: Annotated[
        float | None,
        typer.Option(help="µm/px of the patches [as `patches` wrote]."),
    ] = None,
    patch: Annotated[
        int, typer.Option(help="Side of the patches of a CAMELYON16 folder, px.")
    ] = 256,
    per_slide: Annotated[
        int,
        typer.Option(help="Most patches of a class from one slide of such a folder."),
    ] = 300,
    name: Annotated[str, typer.Option(help="Name of the model.")] = "fastnet",
    model_version: Annotated[str, typer.Option(help="Its version.")] = "1.0",
    epochs: Annotated[int, typer.Option(help="Passes over the data.")] = 40,
    batch_size: Annotated[
        int, typer.Option(help="Patches a step; a square number for mosaics.")
    ] = 64,
    learning_rate: Annotated[float, typer.Option(help="Highest.")] = 3e-3,
    weight_decay: Annotated[float, typer.Option(help="AdamW's.")] = 0.02,
    loss: Annotated[
        Literal["attention", "focal", "cross-entropy"],
        typer.Option(help="Loss of the paper to train with."),
    ] = "attention",
    loss_weight: Annotated[float, typer.Option(help="a of the loss.")] = 1.2,
    focusing: Annotated[float, typer.Option(help="g of the loss.")] = 4.0,
    mosaic_share: Annotated[
        float, typer.Option(help="Share of batches seen as one mosaic.")
    ] = 0.75,
    augmentation: Annotated[
        float, typer.Option(help="Strength of the random changes; 0 is none.")
    ] = 1.0,
    copies: Annotated[
        int,
        typer.Option(
            help="Changed copies of the patches to make once and draw from; faster with "
            "teachers [0: changed anew for every batch]."
        ),
    ] = 0,
    pool_cells: Annotated[
        int | None,
        typer.Option(help="Side of the pooled middle in 16 px cells [whole patch]."),
    ] = None,
    convolution: Annotated[
        Literal["separable", "standard"], typer.Option(help="Inside the blocks.")
    ] = "separable",
    shortcut: Annotated[bool, typer.Option(help="Add a block's input.")] = True,
    precision: Annotated[
        Literal["float32", "bfloat16"], typer.Option(help="Arithmetic.")
    ] = "float32",
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the network first.")
    ] = False,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or mps [the fastest here].")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="On the CPU.")] = None,
    seed: Annotated[int, typer.Option(help="Of all draws.")] = 0,
    start_from: Annotated[
        str | None,
        typer.Option(
            "--from",
            "--start-from",
            metavar="NAME|DIR",
            help="Model whose weights to begin with, for example fastnet-pcam.",
        ),
    ] = None,
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|DIR|ONNX",
            help="Network to learn from as well; may be repeated.",
        ),
    ] = None,
    average_with: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|DIR",
            help="Model of the same beginnings to average weights with; may be repeated.",
        ),
    ] = None,
    flips: Annotated[
        bool, typer.Option("--flips", help="The model is to see mirror images too.")
    ] = False,
    teachers_share: Annotated[
        float, typer.Option(help="Of the teachers in the labels, 0 to 1.")
    ] = 0.5,
    also_judge: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DATA",
            help="Other patches to judge the model on, before and after, for example "
            "those that the model of --from knows; may be repeated.",
        ),
    ] = None,
    data_description: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="What the data are, for the model card."),
    ] = None,
    data_licence: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Under which licence, for the model card."),
    ] = None,
) -> None:
    """Train FastNet on labelled patches and write a model bundle."""
    from napari_fastnet.model.backends.torch import fastest_device
    from napari_fastnet.model.bundle import load_bundle
    from napari_fastnet.nn.fastnet import FastNetConfig
    from napari_fastnet.training.data import read_training_data
    from napari_fastnet.training.distil import Teachers
    from napari_fastnet.training.options import (
        Augmentation,
        FitOptions,
        PublishOptions,
    )
    from napari_fastnet.training.publish import publish
    from napari_fastnet.training.train import (
        TrainingJob,
        build_trainer,
        check_output,
        spacing_warnings,
    )

    data = [_cut_first(path, output, mpp, patch, per_slide) for path in data]
    also = tuple(also_judge or ())
    valid, mpp = _stated(data, valid, also, mpp)
    start = load_bundle(start_from) if start_from else None
    network = FastNetConfig(convolution, shortcut, pool_cells=pool_cells)
    if start is not None and network == FastNetConfig():  # nothing else is asked for
        network = FastNetConfig(**start.architecture)
    job = TrainingJob(
        data=tuple(data),
        valid=valid,
        folder=output,
        spacing_um_px=mpp,
        network=network,
        fit=FitOptions(
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            loss=loss,
            loss_weight=loss_weight,
            focusing=focusing,
            copies=copies,
            teachers_share=teachers_share,
            mosaic_share=mosaic_share,
            precision=precision,
            compiled=compiled,
            seed=seed,
            augmentation=Augmentation().scaled(augmentation),
        ),
        model=PublishOptions(
            name=name,
            version=model_version,
            flips=flips,
            data_description=data_description,
            data_licence=data_licence,
        ),
        device=device or fastest_device(),
        start_from=start,
        teachers=Teachers(teacher, threads) if teacher else None,
        average_with=tuple(load_bundle(name) for name in average_with or ()),
        threads=threads,
        also=also,
    )
    check_output(job)
    _warn(*spacing_warnings(job))
    patches = read_training_data(job.data, job.valid, job.also)
    _warn(*patches.warnings)
    trainer = build_trainer(job, patches)
    _train(job, trainer)
    bundle = publish(job, trainer, patches, command=_command(context.obj))
    _print_result(bundle, patches.valid.name)


def _train(job: TrainingJob, trainer: Trainer[FastNet]) -> None:
    """Train to the end, a line an epoch."""
    from napari_fastnet.training.train import STATE, doubt, run_training

    epochs = job.fit.epochs
    begun = trainer.resume(job.log_folder / STATE)
    if begun:
        print(
            f"going on from epoch {begun} of {epochs}, in {job.log_folder}", flush=True
        )
    for result in run_training(job, trainer):
        print(_line(result, epochs), flush=True)
        _warn(doubt(result, job))
    if trainer.stopped:
        _warn(
            f"the training ended after epoch {trainer.progress.epoch}: {trainer.stopped}"
        )


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


def _print_result(bundle: ModelBundle, valid: str) -> None:
    """Say what was written, which epoch it is of, and how good it is."""
    metrics, facts = bundle.metrics, bundle.training
    kept = facts["kept_epoch"]
    if kept == 0:
        _warn(
            "no epoch was better than the model it began with, whose weights are kept; "
            "use a lower learning rate or more patches, and see that 1/ is tumor in both "
            "parts"
        )
    if metrics["auc"] < 0.5:
        _warn(
            f"the model is worse than chance on {valid}, AUC {metrics['auc']:.4f}: are "
            "0/ and 1/ exchanged? 1/ is tumor"
        )
    rows = [
        ("model", f"{bundle.name} {bundle.version}"),
        ("kept", f"epoch {kept} of {facts['epochs']}, the best by AUC on {valid}"),
        ("AUC", f"{metrics['auc']:.4f} on {valid}"),
    ]
    for part in metrics["also"]:
        before = part["auc_before"]
        words = "" if before is None else f", {before:.4f} of the model it began with"
        rows.append(("", f"{part['auc']:.4f} on {part['name']}{words}"))
    print_columns([*rows, ("wrote", str(bundle.folder))])


def _warn(*sentences: str | None) -> None:
    for words in sentences:
        if words is not None:
            print(f"warning: {words}", file=sys.stderr, flush=True)


def _cut_first(
    path: Path, output: Path, mpp: float | None, patch_px: int, per_slide: int
) -> Path:
    """Return data to train on: of a CAMELYON16 folder, patches cut beside the model."""
    from napari_fastnet.patches.camelyon import is_camelyon

    if not is_camelyon(path):
        return path
    from napari_fastnet.cli.patches import cut, print_report
    from napari_fastnet.patches.options import (
        PAPER_MPP,
        MakeOptions,
        PatchOptions,
        SamplingOptions,
    )

    patches = PatchOptions(PAPER_MPP if mpp is None else mpp, patch_px)
    # Other options are other patches: a second training may ask for them.
    name = f"{path.resolve().name}_{patches.spacing_um_px:g}um_{patch_px}px_{per_slide}"
    store = output.with_name(f"{output.name}-training") / f"{name}.zarr"
    options = MakeOptions(patches, SamplingOptions(per_slide=per_slide))
    print_report(cut(path, store, options))
    return store


def _stated(
    data: Sequence[Path], valid: Path | None, also: Sequence[Path], mpp: float | None
) -> tuple[Path, float]:
    """Return where to validate and the µm/px: as given, or as `patches` wrote."""
    from napari_fastnet.errors import DataError
    from napari_fastnet.patches.store import is_patch_store, open_patch_store
    from napari_fastnet.training.data import leaks

    for path in data:
        if not path.exists():
            raise DataError(f"{path}: no such file or folder; check the path")
    stores = [open_patch_store(path) for path in data if is_patch_store(path)]
    if valid is None:
        if not len(data) == len(stores) == 1:
            raise typer.BadParameter("give --valid: patches of other slides")
        valid = stores[0].folder
    if leaks(data, valid):
        _warn(
            f"{valid.name} was split by patches: training and validation share slides, "
            "and the figures will be too good"
        )
    judged = [open_patch_store(path) for path in (valid, *also) if is_patch_store(path)]
    spacings = {store.spacing_um_px for store in (*stores, *judged)}
    if mpp is not None:
        spacings.add(mpp)
    elif not all(is_patch_store(path) for path in (*data, valid, *also)):
        raise typer.BadParameter("give --mpp: the µm/px of the patches")
    if len(spacings) > 1:
        found = " and ".join(f"{spacing:g}" for spacing in sorted(spacings))
        raise typer.BadParameter(f"patches of {found} µm/px; give those of one")
    return valid, spacings.pop()


def _command(words: Sequence[str]) -> str:
    """Return the command line, files by their names only."""
    return shlex.join(["napari-fastnet", *map(_without_folders, words)])


def _without_folders(word: str) -> str:
    path = Path(word)
    try:
        is_path = path.is_absolute() or path.exists()
    except OSError:  # a text too long for a name
        is_path = False
    return path.resolve().name if is_path else word
