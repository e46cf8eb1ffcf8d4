"""A model on disk: model.json, weights.safetensors, model.onnx and MODEL_CARD.md.

Reading a bundle needs no torch and runs no code of its author: safetensors and ONNX hold
numbers. A pickle (.pt, .pth, .pkl) may hold anything and is refused. So is a TorchScript
program, unless the user has added it: see `model.user_models`.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any, Self

from napari_fastnet.errors import BundleError
from napari_fastnet.machine.json_text import parse_json
from napari_fastnet.model.description import (
    FASTNET,
    TORCHSCRIPT,
    ModelDescription,
    parse_description,
)

MODEL_FILE = "model.json"
CONFIG_FILE = "config.json"  # of a model for WSInfer
WEIGHTS_FILE = "weights.safetensors"
ONNX_FILE = "model.onnx"
CARD_FILE = "MODEL_CARD.md"
TORCHSCRIPT_FILE = "torchscript_model.pt"  # WSInfer's name for it
#: Files of each kind of model, besides its card; the digest of the first stands for it.
FILES = {FASTNET: (WEIGHTS_FILE, ONNX_FILE), TORCHSCRIPT: (TORCHSCRIPT_FILE,)}

PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")

_REMEDY = "copy the bundle again from its origin"
_SHIPPED = Path(str(resources.files("napari_fastnet.model.shipped")))

#: Environment variable with another folder of models, for example one of a group.
VARIABLE = "NAPARI_FASTNET_MODELS"


def models_folder() -> Path:
    """Return the folder of added models; it need not exist."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).expanduser()
    from platformdirs import user_data_path

    return user_data_path("napari-fastnet", appauthor=False) / "models"


def added_names() -> list[str]:
    """List the models that were added, by name."""
    try:
        folders = list(models_folder().iterdir())
    except OSError:  # there is none, or this user may not read it
        return []
    return sorted(
        folder.name
        for folder in folders
        if not folder.name.startswith(".") and (folder / MODEL_FILE).is_file()
    )


def shipped() -> list[str]:
    """List the models in the package, by name."""
    return sorted(file.parent.name for file in _SHIPPED.glob(f"*/{MODEL_FILE}"))


def available() -> list[str]:
    """List the models in the package, then those that were added, by name."""
    return [*shipped(), *(name for name in added_names() if name not in shipped())]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ModelBundle(ModelDescription):
    """A model's description and its files, as `load_bundle` checked them.

    Parameters
    ----------
    folder : Path
        Folder of the files.
    files : dict of str to str
        SHA-256 of each file, hexadecimal.
    """

    folder: Path
    files: dict[str, str]

    @classmethod
    def of(
        cls, description: ModelDescription, folder: Path, files: dict[str, str]
    ) -> Self:
        """Put a description and its files together."""
        names = (one.name for one in fields(ModelDescription))
        values = {name: getattr(description, name) for name in names}
        return cls(**values, folder=folder, files={k: str(v) for k, v in files.items()})

    def __repr__(self) -> str:
        return f"<ModelBundle {self.name} {self.version}, {self.spacing_um_px:g} µm/px>"

    def _repr_markdown_(self) -> str:
        """Return the model card, for notebooks."""
        return self.card()

    def card(self) -> str:
        """Read the model card, Markdown; BundleError if it cannot be read."""
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
        """File of FastNet's weights, safetensors."""
        return self._file(WEIGHTS_FILE)

    @property
    def onnx_path(self) -> Path:
        """File of the network from uint8 patches to probabilities, ONNX."""
        return self._file(ONNX_FILE)

    @property
    def torchscript_path(self) -> Path:
        """File of the TorchScript program from prepared patches to logits."""
        return self._file(TORCHSCRIPT_FILE)

    @property
    def sha256(self) -> str:
        """SHA-256 of the weights or the program, which stands for the model."""
        return self.files[FILES[self.kind][0]]

    def _file(self, name: str) -> Path:
        if name not in FILES[self.kind]:
            raise BundleError(
                f"the model {self.name} is a {self.kind} model without {name}; give one "
                "that has it"
            )
        return self.folder / name


def load_bundle(name_or_folder: str | Path) -> ModelBundle:
    """Read a model, and check its description and the SHA-256 of every file.

    Parameters
    ----------
    name_or_folder : str or Path
        Name of a model that is shipped or was added, or a folder. A name takes
        precedence over a folder of that name in the working directory; write ``./name``
        for the latter.

    Returns
    -------
    ModelBundle
        The model without its weights.

    Raises
    ------
    BundleError
        There is no such model, a file is missing or differs from its digest in
        model.json, a field is out of range, or the model is a pickle.
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
    return read_bundle(folder)


def model_of_digest(sha256: str) -> str | None:
    """Return the name of a model here that has these weights; None where none has."""
    for name in available():
        with suppress(BundleError):
            if load_bundle(name).sha256 == sha256:
                return name
    return None


def load_recorded(name: str, sha256: str) -> ModelBundle:
    """Load the model of a record, by its weights before its name.

    Parameters
    ----------
    name : str
        Its name when the record was made; by now another version may have it.
    sha256 : str
        Of its weights or program.

    Returns
    -------
    ModelBundle
        The model of that name where none here has these weights.

    Raises
    ------
    BundleError
        There is neither, or the model is damaged.
    """
    return load_bundle(model_of_digest(sha256) or name)


def read_bundle(folder: Path) -> ModelBundle:
    """Read the model in a folder, of any kind, and check it as `load_bundle` does."""
    path = folder / MODEL_FILE
    content = read_json(path)
    try:
        description = parse_description(content)
    except BundleError as error:
        raise BundleError(f"{path}: {error}; {_REMEDY}") from error
    files, names = content.get("files"), {*FILES[description.kind], CARD_FILE}
    if not (isinstance(files, dict) and set(files) == names):
        raise BundleError(
            f"{path}: files must give the SHA-256 of {', '.join(sorted(names))} and of "
            f"nothing else; {_REMEDY}"
        )
    bundle = ModelBundle.of(description, folder, files)
    for name, expected in bundle.files.items():
        found = sha256_of(folder / name)
        if found != expected:
            raise BundleError(
                f"{folder / name}: its SHA-256 is {found[:12]}..., {MODEL_FILE} says "
                f"{expected[:12]}...; the file was changed or damaged, {_REMEDY}"
            )
    return bundle


def _find(name_or_folder: str | Path) -> Path:
    """Find the folder of a model; it has a model.json."""
    if isinstance(name_or_folder, str):
        if name_or_folder in shipped():
            return _SHIPPED / name_or_folder
        if name_or_folder in added_names():
            return models_folder() / name_or_folder
    folder = Path(name_or_folder)
    if folder.is_file():
        if folder.suffix.lower() in PICKLES:
            raise _pickle_error(folder)
        raise BundleError(f"{folder} is a file; give the folder that has {MODEL_FILE}")
    if not folder.is_dir():
        raise BundleError(
            f"no model {str(name_or_folder)!r}: give a folder with {MODEL_FILE}, or "
            f"one of the models here: {', '.join(available()) or 'none'}"
        )
    if folder.absolute().parent != models_folder().absolute():
        _refuse_programs(folder)
    if not (folder / MODEL_FILE).is_file():
        raise BundleError(f"{folder} has no {MODEL_FILE}; give a model bundle's folder")
    return folder.absolute()


def _refuse_programs(folder: Path) -> None:
    """Raise BundleError if a folder that no user added holds a program or a pickle."""
    programs = sorted(p for p in folder.iterdir() if p.suffix.lower() in PICKLES)
    if not programs:
        return
    described = (folder / CONFIG_FILE).is_file() or (folder / MODEL_FILE).is_file()
    if described and programs[0].name == TORCHSCRIPT_FILE:
        raise BundleError(
            f"{programs[0]} is a program, which can do anything on this computer; if "
            "you trust who made it, take it in: napari-fastnet models add "
            f"{folder} --allow-torchscript"
        )
    raise _pickle_error(programs[0])


def _pickle_error(path: Path) -> BundleError:
    return BundleError(
        f"{path} is a pickle, which can run code when it is opened, and is refused; "
        f"use a bundle with {WEIGHTS_FILE} and {ONNX_FILE} and no pickle beside them"
    )


def read_json(path: Path) -> Any:
    """Parse a model's JSON file; every problem is a BundleError."""
    try:
        return parse_json(path.read_bytes(), strict=True)
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}; {_REMEDY}") from error
    except ValueError as error:
        raise BundleError(f"{path} is not valid JSON ({error}); {_REMEDY}") from error


def sha256_of(path: Path) -> str:
    """Compute a file's SHA-256, hexadecimal."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}; {_REMEDY}") from error
