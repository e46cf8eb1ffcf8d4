"""Models that a user adds: they are copied to the user's folder and get a name.

A TorchScript program can do anything when it is loaded. It is added only if the user
allows it, and from then on its SHA-256 is checked: only that file was allowed.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_fastnet.errors import BundleError, OptionError, OutputError
from napari_fastnet.machine.files import reason
from napari_fastnet.model.bundle import (
    CARD_FILE,
    CONFIG_FILE,
    FILES,
    MODEL_FILE,
    TORCHSCRIPT_FILE,
    ModelBundle,
    added_names,
    load_bundle,
    models_folder,
    read_bundle,
    read_json,
    shipped,
)
from napari_fastnet.model.description import (
    FASTNET,
    TORCHSCRIPT,
    ModelDescription,
    parse_description,
)
from napari_fastnet.model.writing import write_bundle

if TYPE_CHECKING:
    from pathlib import Path

#: Names of the tumor class in known models.
TUMOR_NAMES = frozenset({
    "tumor", "tumour", "tumors", "tumours", "mets", "metastasis", "metastases", "cancer",
    "malignant", "carcinoma", "adenocarcinoma", "neoplasm", "metastase", "metastasen",
    "karzinom", "tumeur", "tumore", "cáncer",
})  # fmt: skip
#: Names of the other class; of two classes, the one without such a name is shown.
OTHER_NAMES = frozenset({
    "normal", "benign", "negative", "other", "background", "healthy", "nomets",
    "nontumor", "non-tumor", "non_tumor", "notumor", "no-tumor", "no_tumor",
})  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A model to add, still in its own folder.

    Parameters
    ----------
    bundle : ModelBundle
        Its description, under its new name; the files are not copied yet.
    card : str
        Text of its card, Markdown.
    doubts : tuple of str
        Warnings for the user, a line each.
    """

    bundle: ModelBundle
    card: str
    doubts: tuple[str, ...] = ()


def read_candidate(
    folder: Path,
    *,
    name: str | None = None,
    positive: str | None = None,
    allow_torchscript: bool = False,
) -> Candidate:
    """Read a model to add, and check its description and files.

    Parameters
    ----------
    folder : Path
        A bundle, with ``model.json``, or a model for WSInfer: ``config.json`` and
        ``torchscript_model.pt``.
    name : str, optional
        Its new name; by default its own, or that of its folder.
    positive : str, optional
        The class whose probability the heatmap shows; by default the bundle's, and of a
        model for WSInfer the one with a name of tumor, or the second of two.
    allow_torchscript : bool
        Allow a TorchScript program, which can run any code.

    Raises
    ------
    BundleError
        The model is damaged, or a program that was not allowed.
    OptionError
        There is a model of that name, or no such class.
    """
    if (folder / MODEL_FILE).is_file():
        description, card = _bundle_in(folder, positive, allow_torchscript)
    else:
        description, card = _wsinfer_model_in(folder, positive, allow_torchscript)
    called = _checked_name(name or description.name)
    doubts = () if positive is not None else _doubts(description)
    bundle = ModelBundle.of(description, folder.absolute(), {})
    return Candidate(replace(bundle, name=called), card, doubts)


def keep(candidate: Candidate) -> ModelBundle:
    """Copy a model to the user's own; OutputError if it cannot be written."""
    bundle = candidate.bundle
    return write_bundle(
        models_folder() / bundle.name,
        bundle,
        sources={name: bundle.folder / name for name in FILES[bundle.kind]},
        card=candidate.card,
    )


def remove_model(name: str) -> None:
    """Delete a model that was added.

    Raises
    ------
    OptionError
        No model of that name was added.
    OutputError
        It cannot be deleted.
    """
    if name not in added_names():
        raise OptionError(
            f"no model {name!r} was added; these were: "
            f"{', '.join(added_names()) or 'none'}"
        )
    try:
        shutil.rmtree(models_folder() / name)
    except OSError as error:
        raise OutputError(
            f"cannot delete {models_folder() / name}: {reason(error)}"
        ) from error


def _bundle_in(
    folder: Path, positive: str | None, allow_torchscript: bool
) -> tuple[ModelDescription, str]:
    """Read description and card of a bundle."""
    if (folder / TORCHSCRIPT_FILE).is_file():
        _require_allowed(folder, allow_torchscript)
        bundle = read_bundle(folder)
    else:
        bundle = load_bundle(folder)
    if positive is None:
        return bundle, bundle.card()
    index = _positive_class(list(bundle.class_names), positive)
    if bundle.kind == FASTNET and index != bundle.positive_class:
        raise OptionError(
            f"class is {positive!r}, and {bundle.name} is a FastNet model, which shows "
            f"its second class, {bundle.class_names[1]!r}; leave --positive out"
        )
    return replace(bundle, positive_class=index), bundle.card()


def _wsinfer_model_in(
    folder: Path, positive: str | None, allow_torchscript: bool
) -> tuple[ModelDescription, str]:
    """Read description and card of a model for WSInfer."""
    for name in (CONFIG_FILE, TORCHSCRIPT_FILE):
        if not (folder / name).is_file():
            raise BundleError(
                f"{folder} has no {name}; give a folder with {MODEL_FILE}, or one with "
                f"{CONFIG_FILE} and {TORCHSCRIPT_FILE} as WSInfer has them"
            )
    _require_allowed(folder, allow_torchscript)
    config = read_json(folder / CONFIG_FILE)
    if not isinstance(config, dict):
        raise BundleError(f"{folder / CONFIG_FILE} is not a JSON object")
    named = config.get("class_names")
    content = {
        "name": folder.absolute().name,
        "version": "wsinfer",
        "architecture_options": {},
        "positive_class": _positive_class(
            named if isinstance(named, list) else [], positive
        ),
        "threshold": 0.5,
        "flips": False,
        "calibration": {"scale": 1.0, "offset": 0.0},
        "stain": {},
        "training": {"architecture": config.get("architecture")},
        "metrics": {},
        **{key: config[key] for key in _CONFIG_KEYS if key in config},
        "architecture": TORCHSCRIPT,
    }
    try:
        description = parse_description(content)
    except BundleError as error:
        raise BundleError(f"{folder / CONFIG_FILE}: {error}") from error
    return description, _card(folder, description)


_CONFIG_KEYS = (
    "num_classes",
    "patch_size_pixels",
    "spacing_um_px",
    "class_names",
    "transform",
)


def _require_allowed(folder: Path, allowed: bool) -> None:
    if not allowed:
        raise BundleError(
            f"{folder / TORCHSCRIPT_FILE} is a program, which can do anything on this "
            "computer; if you trust who made it, add --allow-torchscript"
        )


def _positive_class(names: list[Any], wanted: str | None) -> int:
    """Return the index of the class to show."""
    if wanted is not None:
        if wanted not in names:
            raise OptionError(
                f"class is {wanted!r}; the model has {', '.join(map(str, names))}"
            )
        return names.index(wanted)
    if len(names) == 1:
        return 0
    known = [index for index, name in enumerate(names) if _is_in(name, TUMOR_NAMES)]
    if len(known) == 1:
        return known[0]
    if len(names) == 2:
        return 0 if _is_in(names[1], OTHER_NAMES) else 1
    raise OptionError(
        "which of the classes is tumor? say --positive with one of "
        f"{', '.join(map(str, names))}"
    )


def _doubts(description: ModelDescription) -> tuple[str, ...]:
    """Warn if the name of the class that is shown does not say tumor."""
    names = description.class_names
    shown = names[description.positive_class]
    if _is_in(shown, TUMOR_NAMES):
        return ()
    others = ", ".join(repr(name) for name in names if name != shown)
    instead = f"; if it is not, say --positive with one of {others}" if others else ""
    return (f"the class {shown!r} is not surely tumor{instead}",)


def _is_in(name: Any, names: frozenset[str]) -> bool:
    return str(name).strip().casefold() in names


def _checked_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", name):
        raise OptionError(
            f"name is {name!r}; use up to 64 letters, digits, points, dashes: --name"
        )
    if name in shipped() or name in added_names():
        raise OptionError(
            f"there is a model {name!r}; choose another --name, or remove that one"
        )
    return name


def _card(folder: Path, description: ModelDescription) -> str:
    """Read the card of a model for WSInfer; without one, write it from its config."""
    for name in (CARD_FILE, "README.md"):
        if (folder / name).is_file():
            text = (folder / name).read_text(encoding="utf-8", errors="replace")
            # Without the metadata of model hubs, between dashes at the top.
            return re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    classes = json.dumps(description.class_names, ensure_ascii=False)
    return (
        f"# {description.name}\n\nA model for WSInfer that came without a card. Classes "
        f"{classes}, patches of {description.patch_size_pixels} px at "
        f"{description.spacing_um_px:g} µm/px.\n"
    )
