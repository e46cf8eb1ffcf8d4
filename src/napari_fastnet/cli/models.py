"""``napari-fastnet models``: list, show, check, add and remove models."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from napari_fastnet.cli.options import with_options
from napari_fastnet.cli.output import print_columns, print_json
from napari_fastnet.errors import BundleError

if TYPE_CHECKING:
    from napari_fastnet.model.bundle import ModelBundle

models = typer.Typer(
    help="List, show, check, add and remove models.",
    invoke_without_command=True,
    rich_markup_mode=None,
)


@models.callback()
def _list_by_default(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List, show, check, add and remove models."""
    if context.invoked_subcommand is None:
        list_models(as_json=as_json)


@models.command(name="list")
@with_options
def list_models(as_json: bool = False) -> None:
    """List the models that come with the package and those that were added.

    Parameters
    ----------
    as_json : bool
        Print JSON.
    """
    from napari_fastnet.model.bundle import available

    found = [_read(name) for name in available()]
    if as_json:
        print_json([_facts(model) for model in found])
        return
    header = (
        "name",
        "version",
        "kind",
        "µm/px",
        "patch px",
        "threshold",
        "AUC",
        "folder",
    )
    print_columns([header, *map(_row, found)])


@models.command()
@with_options
def show(
    name: Annotated[str, typer.Argument(metavar="NAME|DIR")], as_json: bool = False
) -> None:
    """Show a model's description and its card.

    Parameters
    ----------
    name : str
        A model.
    as_json : bool
        Print JSON.
    """
    from napari_fastnet.model.bundle import load_bundle

    bundle = load_bundle(name)
    if as_json:
        print_json({**describe(bundle), "card": bundle.card()})
        return
    facts = describe(bundle)
    facts.pop("metrics")
    facts["class_names"] = ", ".join(facts["class_names"])
    print_columns([(key, str(value)) for key, value in facts.items()])
    print()
    print(bundle.card().rstrip())


@models.command()
@with_options
def add(
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
    name: str | None = None,
    positive: str | None = None,
    outputs: Literal["logits", "probabilities"] | None = None,
    allow_torchscript: bool = False,
) -> None:
    """Try a model and copy it to your models; its name suffices then.

    Parameters
    ----------
    folder : Path
        A bundle, or a model for WSInfer: config.json, torchscript_model.pt.
    name : str or None
        Name to give it; None is its own.
    positive : str or None
        Class to show, of a model for WSInfer.
    outputs : {"logits", "probabilities"} or None
        Output of a TorchScript program; None is recognised by its numbers.
    allow_torchscript : bool
        Take in a program that can do anything on this computer.
    """
    from napari_fastnet.evaluation.trial import take_in

    bundle, trial = take_in(
        folder,
        name=name,
        positive=positive,
        outputs=outputs,
        allow_torchscript=allow_torchscript,
    )
    for doubt in trial.doubts:
        print(f"warning: {folder}: {doubt}", file=sys.stderr)
    shown = bundle.class_names[bundle.positive_class]
    print_columns(
        [
            ("added", f"{bundle.name} {bundle.version}"),
            ("shows", f"the probability of {shown!r}"),
            ("tried", trial.words()),
            ("folder", str(bundle.folder)),
        ]
    )


@models.command()
@with_options
def remove(name: str) -> None:
    """Delete a model that was added.

    Parameters
    ----------
    name : str
        Name of a model that you added.
    """
    from napari_fastnet.model.user_models import remove_model

    remove_model(name)
    print(f"removed {name}")


@models.command()
@with_options
def verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME|DIR")] = None,
    as_json: bool = False,
) -> None:
    """Check each model's description and the SHA-256 of its files; 1 if one is damaged.

    Parameters
    ----------
    names : list of str
        Models to check; None is all.
    as_json : bool
        Print JSON.
    """
    from napari_fastnet.model.bundle import available

    found = [_read(name) for name in names or available()]
    faults = [model.error for model in found if isinstance(model, _Damaged)]
    if as_json:
        print_json([_facts(model) for model in found])
    else:
        print_columns(
            [
                (one.name, one.error if isinstance(one, _Damaged) else one.sha256)
                for one in found
            ]
        )
    if faults:
        raise BundleError(
            f"{len(faults)} of {len(found)} models cannot be used: {'; '.join(faults)}"
        )


def describe(bundle: ModelBundle) -> dict[str, Any]:
    """Return the facts of a bundle that ``models --json`` prints."""
    return {
        "name": bundle.name,
        "version": bundle.version,
        "kind": bundle.kind,
        "spacing_um_px": bundle.spacing_um_px,
        "patch_size_pixels": bundle.patch_size_pixels,
        "class_names": list(bundle.class_names),
        "threshold": bundle.threshold,
        "metrics": bundle.to_dict()["metrics"],
        "sha256": bundle.sha256,
        "folder": str(bundle.folder),
    }


@dataclass(frozen=True, slots=True)
class _Damaged:
    """A model that cannot be read."""

    name: str
    error: str


def _read(name: str) -> ModelBundle | _Damaged:
    from napari_fastnet.model.bundle import load_bundle

    try:
        return load_bundle(name)
    except BundleError as error:
        return _Damaged(name, str(error))


def _facts(model: ModelBundle | _Damaged) -> dict[str, Any]:
    return asdict(model) if isinstance(model, _Damaged) else describe(model)


def _row(model: ModelBundle | _Damaged) -> tuple[str, ...]:
    if isinstance(model, _Damaged):
        return (model.name, "damaged: see models verify")
    auc = model.metrics.auc
    return (
        model.name,
        model.version,
        model.kind,
        f"{model.spacing_um_px:g}",
        f"{model.patch_size_pixels}",
        f"{model.threshold:.3g}",
        "-" if auc is None else f"{auc:.4f}",
        str(model.folder),
    )
