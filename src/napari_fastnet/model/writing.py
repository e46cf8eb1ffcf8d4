"""Writing of model bundles: aside, checked, and renamed."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from napari_fastnet.errors import BundleError, OutputError
from napari_fastnet.machine.files import clear_leftovers, rename, temporary_beside
from napari_fastnet.model import bundle

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_fastnet.model.description import ModelDescription

#: Folder of a training's state and curves; it stays when a bundle is replaced.
TRAINING_FOLDER = "training"


def write_bundle(
    folder: Path,
    description: ModelDescription,
    *,
    sources: Mapping[str, Path],
    card: str,
) -> bundle.ModelBundle:
    """Write a bundle aside, check it as `load_bundle` does, and rename it.

    Parameters
    ----------
    folder : Path
        The bundle's folder. The files of an earlier bundle there are replaced, each
        whole; a folder that holds something else is refused.
    description : ModelDescription
        Content of model.json.
    sources : Mapping of str to Path
        Files to copy, by the names that `FILES` gives for the model's kind.
    card : str
        Text of MODEL_CARD.md, Markdown.

    Returns
    -------
    ModelBundle
        As `load_bundle` reads it.

    Raises
    ------
    OutputError
        The folder holds something else, or cannot be written.
    BundleError
        The description is out of range.
    """
    folder = folder.absolute()
    check_bundle_folder(folder)
    clear_leftovers(folder.parent)
    with temporary_beside(folder) as aside:
        aside.mkdir()
        for name, source in sources.items():
            shutil.copyfile(source, aside / name)
        try:
            _describe(aside, description, card)
        except (UnicodeEncodeError, RecursionError) as error:
            raise BundleError(
                f"{folder}: the model's description holds what cannot be written "
                f"({error}); correct it"
            ) from error
        bundle.load_bundle(aside)
        _move(aside, folder, (*bundle.FILES[description.kind], bundle.CARD_FILE))
    return bundle.load_bundle(folder)


def describe_anew(
    before: bundle.ModelBundle, description: ModelDescription, card: str
) -> bundle.ModelBundle:
    """Replace the description and the card of a bundle; its other files stay.

    Raises as `write_bundle`.
    """
    names = bundle.FILES[description.kind]
    sources = {name: before.folder / name for name in names}
    return write_bundle(before.folder, description, sources=sources, card=card)


def check_bundle_folder(folder: Path) -> None:
    """Refuse a folder that a bundle must not replace.

    Raises
    ------
    OutputError
        It holds something else, or cannot be looked into.
    """
    try:
        taken = folder.exists() and not _may_replace(folder)
    except OSError as error:
        raise OutputError(
            f"cannot look into {folder}: {error.strerror or error}; choose another "
            "output folder"
        ) from error
    if taken:
        raise OutputError(
            f"{folder} exists and is no model bundle; choose another output folder"
        )


def _may_replace(folder: Path) -> bool:
    """Return whether a folder is a bundle, or empty but for a training's log."""
    if not folder.is_dir():
        return False
    names = {path.name for path in folder.iterdir()}
    return bundle.MODEL_FILE in names or names <= {TRAINING_FOLDER}


def _describe(folder: Path, description: ModelDescription, card: str) -> None:
    """Write the card and, with the digests of all other files, model.json."""
    (folder / bundle.CARD_FILE).write_text(card, encoding="utf-8")
    names = (*bundle.FILES[description.kind], bundle.CARD_FILE)
    files = {name: bundle.sha256_of(folder / name) for name in names}
    content = {**description.to_dict(), "files": files}
    text = json.dumps(content, indent=2, ensure_ascii=False)
    (folder / bundle.MODEL_FILE).write_text(text + "\n", encoding="utf-8")


def _move(aside: Path, folder: Path, names: tuple[str, ...]) -> None:
    """Rename ``aside`` onto ``folder``, or its files onto those that are there."""
    if not folder.exists():
        rename(aside, folder)
        return
    # model.json comes last: until then its digests are those of other files, so a bundle
    # left half-way is refused.
    for name in (*names, bundle.MODEL_FILE):
        rename(aside / name, folder / name)
