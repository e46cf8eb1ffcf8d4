"""A model on disk: model.json, weights.safetensors, model.onnx and MODEL_CARD.md.

Reading one needs no torch and runs no code of the model's maker: safetensors and ONNX
hold numbers, while a pickle (.pt, .pth, .pkl) may hold anything and is refused.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import NoReturn

from napari_fastnet.errors import BundleError, OutputError
from napari_fastnet.io.model_description import ModelDescription, parse_description
from napari_fastnet.io.record import plain

MODEL_FILE = "model.json"
WEIGHTS_FILE = "weights.safetensors"
ONNX_FILE = "model.onnx"
CARD_FILE = "MODEL_CARD.md"
#: Every file that model.json vouches for.
FILES = (WEIGHTS_FILE, ONNX_FILE, CARD_FILE)

#: Where a training keeps its state and curves; it stays when a bundle is replaced.
TRAINING_FOLDER = "training"

PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")

_MEND = "copy the bundle again from its origin"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ModelBundle(ModelDescription):
    """A model's description and where its files are, as `load_bundle` checked them.

    Parameters
    ----------
    folder : Path
        Folder of the files.
    files : dict of str to str
        SHA-256 of each of `FILES`, hexadecimal.
    """

    folder: Path
    files: dict[str, str]

    def __repr__(self) -> str:
        return f"<ModelBundle {self.name} {self.version}, {self.spacing_um_px:g} µm/px>"

    def _repr_markdown_(self) -> str:
        """Return the model card, which a notebook shows."""
        return self.card()

    def card(self) -> str:
        """Return the text of the model card, Markdown.

        Raises
        ------
        BundleError
            It cannot be read.
        """
        path = self.folder / CARD_FILE
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BundleError(
                f"{path}: the model has no card to read ({error}); ask where it came "
                "from"
            ) from error

    @property
    def weights_path(self) -> Path:
        """The weights, safetensors."""
        return self.folder / WEIGHTS_FILE

    @property
    def onnx_path(self) -> Path:
        """The network from uint8 patches to probabilities, ONNX."""
        return self.folder / ONNX_FILE

    @property
    def sha256(self) -> str:
        """The digest that stands for the model: that of the weights."""
        return self.files[WEIGHTS_FILE]


def shipped() -> list[str]:
    """Return the names of the models in the package, sorted."""
    return sorted(file.parent.name for file in _models_folder().glob(f"*/{MODEL_FILE}"))


def load_bundle(name_or_folder: str | Path) -> ModelBundle:
    """Return a model after checking its description and every file's SHA-256.

    Parameters
    ----------
    name_or_folder : str or Path
        Name of a shipped model, or a folder. A name goes before a folder of that
        name in the working directory; write ``./name`` for the latter.

    Returns
    -------
    ModelBundle
        Everything about the model but its weights.

    Raises
    ------
    BundleError
        There is no such model, a file is missing or not the one that model.json
        vouches for, a field is out of range, or the model is a pickle.
    """
    try:
        folder = _find(name_or_folder)
    except (OSError, ValueError) as error:  # no right to look, an impossible name
        if isinstance(error, BundleError):
            raise
        raise BundleError(
            f"cannot look for the model {str(name_or_folder)[:80]!r}: {error}; give a "
            "folder that can be read"
        ) from error
    description, files = _read_model_file(folder / MODEL_FILE)
    for name, expected in files.items():
        found = _sha256(folder / name)
        if found != expected:
            raise BundleError(
                f"{folder / name}: its SHA-256 is {found[:12]}..., {MODEL_FILE} says "
                f"{expected[:12]}...; the file was changed or damaged, {_MEND}"
            )
    return _bundle(description, folder, files)


def write_bundle(
    folder: Path, description: ModelDescription, *, weights: Path, onnx: Path, card: str
) -> ModelBundle:
    """Write a bundle aside, check it as `load_bundle` does, and rename it.

    Parameters
    ----------
    folder : Path
        Where it goes. The files of an earlier bundle there are replaced, each whole;
        a folder that holds something else is left alone.
    description : ModelDescription
        Content of model.json.
    weights, onnx : Path
        Files to copy.
    card : str
        Text of MODEL_CARD.md, Markdown.

    Returns
    -------
    ModelBundle
        What `load_bundle` gives of it.

    Raises
    ------
    OutputError
        The folder holds something else, or cannot be written.
    BundleError
        The description is out of range.
    """
    folder = folder.absolute()
    aside = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:12]}")
    try:
        if folder.exists() and not _may_replace(folder):
            raise OutputError(
                f"{folder} exists and is no model bundle; choose another output folder"
            )
        aside.mkdir(parents=True)
        shutil.copyfile(weights, aside / WEIGHTS_FILE)
        shutil.copyfile(onnx, aside / ONNX_FILE)
        (aside / CARD_FILE).write_text(card, encoding="utf-8")
        files = {name: _sha256(aside / name) for name in FILES}
        content = json.dumps(
            plain({**description.to_dict(), "files": files}),
            indent=2,
            ensure_ascii=False,
        )
        (aside / MODEL_FILE).write_text(content + "\n", encoding="utf-8")
        load_bundle(aside)
        _move(aside, folder)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(
            f"cannot write {folder}: {error.strerror or error}; free some space or "
            "choose another output folder"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return load_bundle(folder)


def _bundle(
    description: ModelDescription, folder: Path, files: dict[str, str]
) -> ModelBundle:
    """Return the description with the files that belong to it."""
    values = {f.name: getattr(description, f.name) for f in fields(ModelDescription)}
    return ModelBundle(**values, folder=folder, files=files)


def _models_folder() -> Path:
    return Path(str(resources.files("napari_fastnet.models")))


def _find(name_or_folder: str | Path) -> Path:
    """Return the folder of a model, which has a model.json."""
    names = shipped()
    if str(name_or_folder) in names and isinstance(name_or_folder, str):
        return _models_folder() / name_or_folder
    folder = Path(name_or_folder)
    if folder.is_file():
        if folder.suffix.lower() in PICKLES:
            raise _pickle_error(folder)
        raise BundleError(f"{folder} is a file; give the folder that has {MODEL_FILE}")
    if not folder.is_dir():
        raise BundleError(
            f"no model {str(name_or_folder)!r}: give a folder with {MODEL_FILE}, or "
            f"one of the shipped models: {', '.join(names) or 'none in this package'}"
        )
    pickles = sorted(p for p in folder.iterdir() if p.suffix.lower() in PICKLES)
    if pickles:
        raise _pickle_error(pickles[0])
    if not (folder / MODEL_FILE).is_file():
        raise BundleError(f"{folder} has no {MODEL_FILE}; give a model bundle's folder")
    return folder.absolute()


def _pickle_error(path: Path) -> BundleError:
    return BundleError(
        f"{path} is a pickle, which can run code when it is opened, and is refused; "
        f"use a bundle with {WEIGHTS_FILE} and {ONNX_FILE} and no pickle beside them"
    )


def _read_model_file(path: Path) -> tuple[ModelDescription, dict[str, str]]:
    """Return the description and the SHA-256 of each file."""
    try:
        content = json.loads(path.read_bytes(), parse_constant=_refuse_constant)
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}; {_MEND}") from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path} is not valid JSON ({error}); {_MEND}") from error
    try:
        description = parse_description(content)
    except BundleError as error:
        raise BundleError(f"{path}: {error}; {_MEND}") from error
    files = content.get("files")
    if not (isinstance(files, dict) and set(files) == set(FILES)):
        raise BundleError(
            f"{path}: files must give the SHA-256 of {', '.join(FILES)} and of "
            f"nothing else; {_MEND}"
        )
    return description, {name: str(files[name]) for name in FILES}


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _sha256(path: Path) -> str:
    """Return a file's SHA-256, hexadecimal."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}; {_MEND}") from error


def _may_replace(folder: Path) -> bool:
    """Return whether what is there is a bundle, or nothing but a training's log."""
    if not folder.is_dir():
        return False
    names = {path.name for path in folder.iterdir()}
    return MODEL_FILE in names or names <= {TRAINING_FOLDER}


def _move(aside: Path, folder: Path) -> None:
    """Rename ``aside`` onto ``folder``, or its files onto those that are there."""
    if not folder.exists():
        aside.rename(folder)
        return
    # model.json comes last: until then it vouches for other files, and a bundle left
    # half-way is refused.
    for name in (*FILES, MODEL_FILE):
        (aside / name).replace(folder / name)
