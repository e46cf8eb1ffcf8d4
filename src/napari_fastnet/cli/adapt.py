"""``napari-fastnet adapt RUN... --labels FILE... -o BUNDLE``: a model of a laboratory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from napari_fastnet.annotations.options import OutlineOptions
from napari_fastnet.cli.output import print_columns, print_json, print_notes, wrote
from napari_fastnet.errors import OptionError
from napari_fastnet.machine.progress import progress_bar
from napari_fastnet.training.adapt.options import AdaptOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.training.adapt.adapt import Adapted


ResultT = TypeVar("ResultT")
_AS_THEY_ARE = OutlineOptions()


def adapt(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...")],
    output: Path,
    options: AdaptOptions,
    outlines: OutlineOptions = _AS_THEY_ARE,
    labels: tuple[Path, ...] = (),
    name: str | None = None,
    base: str | None = None,
    as_json: bool = False,
) -> None:
    """Adapt a model to a laboratory by corrections, and write a model bundle.

    What was decided in the review and painted beside the runs teaches it, and so do files
    of labels. The model is written if it gains on the corrections, and loses next to
    nothing on what it knew before.

    Parameters
    ----------
    runs : list of Path
        Folders that detect left, or that hold such.
    output : Path
        Bundle to write, a folder.
    options : AdaptOptions
        Steps, seed and part.
    outlines : OutlineOptions
        For the outlines in files of labels.
    labels : tuple of Path
        GeoJSON or a project of QuPath, or ASAP's XML, with outlines of tumor and of normal
        tissue; may be repeated.
    name : str or None
        Name of the laboratory: the model is <base>@<name>; None is the folder's name.
    base : str or None
        Model to adapt; None is that of the runs.
    as_json : bool
        Print JSON.
    """
    # as of `--labels *.geojson`: the option takes the first
    kinds = (".geojson", ".xml", ".qpproj", ".qpdata")
    files = [path for path in runs if path.suffix.lower() in kinds]
    folders = [path for path in runs if path not in files]
    if not folders:
        raise OptionError("no run is given; give the folders that detect left")
    from napari_fastnet.case.listing import Runs
    from napari_fastnet.model.bundle import MODEL_FILE
    from napari_fastnet.model.writing import check_bundle_folder
    from napari_fastnet.training.adapt import adapt as work
    from napari_fastnet.training.adapt.examples import (
        Examples,
        gather,
        labelled_slides,
    )

    found = Runs.at(folders).all
    model = _base(base, found)
    work.require_network(model)
    called = name or output.absolute().name.rpartition("@")[2]
    work.adapted_name(model.name, called)
    check_bundle_folder(output)
    slides = labelled_slides(found, [*labels, *files], outlines)
    read = gather(slides, model, options.seed)
    examples = _finished(read, Examples, "labels", "patches")
    print_notes(examples.notes, "note: ")
    taught = work.adapt(model, examples, options)
    adapted = _finished(taught, work.Adapted, "adapt", "steps")
    replaces = (output / MODEL_FILE).exists()
    bundle = work.write_adapted(adapted, output, called)
    if replaces:
        print_notes([f"the model that was in {output} is replaced"], "note: ")
    if as_json:
        facts = bundle.to_dict()["adapted"]
        print_json({"name": bundle.name, "adapted": facts, "folder": bundle.folder})
        return
    print_columns([*_rows(adapted, bundle), *wrote([bundle.folder])])


def _base(name: str | None, runs: Sequence[Path]) -> ModelBundle:
    """Load the model to adapt, by default that of the runs."""
    from napari_fastnet.model.bundle import load_bundle, load_recorded
    from napari_fastnet.results.record import RECORD, read_record

    if name is not None:
        return load_bundle(name)
    records = [read_record(run / RECORD).model for run in runs]
    models = {model.sha256: model for model in records if model is not None}
    if len(models) != 1:
        names = ", ".join(model.name for model in models.values()) or "none"
        raise OptionError(
            f"the runs are of {len(models)} models ({names}); say which to adapt: --base"
        )
    (model,) = models.values()
    bundle = load_recorded(model.name, model.sha256)
    if bundle.sha256 != model.sha256:
        raise OptionError(
            f"the runs are of another model {model.name} than the one here; say which "
            "to adapt: --base"
        )
    return bundle


def _finished(
    steps: Iterator[Any], kind: type[ResultT], title: str, unit: str
) -> ResultT:
    """Show the progress of long work, and return what it yields last."""
    with progress_bar(title, unit=unit) as bar:
        for step in steps:
            if isinstance(step, kind):
                return step
            bar.show(step)
    raise AssertionError("work that nobody stops ends with its result")


def _rows(adapted: Adapted, bundle: ModelBundle) -> list[tuple[str, str]]:
    """Return the model, the labels and the gate's figures as rows of (name, text)."""
    from napari_fastnet.core.display import counted

    facts = bundle.adapted
    assert facts is not None
    rows = [
        ("model", f"{bundle.name} {bundle.version}"),
        (
            "labels",
            f"{facts.tumor:,} tumor and {facts.normal:,} normal cells, in "
            f"{counted(facts.places, 'place')} on {counted(facts.slides, 'slide')}; "
            f"{facts.taught:,} taught",
        ),
        ("AUC", adapted.words),
    ]
    if adapted.gate.optimistic:
        rows.append(("", "at home optimistic: the model before was trained on these"))
    return rows
