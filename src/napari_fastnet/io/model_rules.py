"""What each field of a ``model.json`` must be, for each kind of model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from napari_fastnet.io.spacing import HIGHEST_MPP, LOWEST_MPP

#: FastNet, or a network of anybody's that comes as a TorchScript program.
Kind = Literal["fastnet", "torchscript"]
FASTNET: Final = "fastnet"
TORCHSCRIPT: Final = "torchscript"
#: What a TorchScript program gives, a number a class.
Outputs = Literal["logits", "probabilities"]
LOGITS: Final = "logits"
PROBABILITIES: Final = "probabilities"
OUTPUTS: tuple[Outputs, ...] = (LOGITS, PROBABILITIES)
#: FastNet gives no feature map of smaller images.
MINIMUM_PATCH_PX = 31
MAXIMUM_PATCH_PX = 4096
#: No number of a description is anywhere near it.
LARGEST = 1e30

Rules = dict[str, tuple[Callable[[Any], bool], str]]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != "" and value.isprintable()


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # whole numbers of JSON have any length, and no float may hold them
    return is_number and abs(value) <= LARGEST


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def _is_options(value: Any) -> bool:
    cells = value.get("pool_cells") if _is_dict(value) else 0
    return cells is None or (type(cells) is int and cells >= 1)


def _is_triple(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(_is_number, value))


def _is_calibration(value: Any) -> bool:
    if not (_is_dict(value) and set(value) == {"scale", "offset"}):
        return False
    return all(map(_is_number, value.values())) and value["scale"] > 0


def _is_patch_size(value: Any) -> bool:
    return type(value) is int and MINIMUM_PATCH_PX <= value <= MAXIMUM_PATCH_PX


def _is_class_names(value: Any) -> bool:
    names = value if isinstance(value, list) else []
    return len(names) == len(set(map(str, names))) == 2 and all(map(_is_text, names))


def _are_class_names(value: Any) -> bool:
    names = value if isinstance(value, list) else []
    return 0 < len(names) == len(set(map(str, names))) and all(map(_is_text, names))


def _is_transform(value: Any) -> bool:
    """Return whether it is ToTensor, then perhaps Normalize of three channels."""
    if not (isinstance(value, list) and value and all(map(_is_dict, value))):
        return False
    first, *rest = value
    return first.get("name") == "ToTensor" and (
        not rest or (len(rest) == 1 and _is_normalize(rest[0]))
    )


def _is_normalize(step: dict[str, Any]) -> bool:
    given = step.get("arguments")
    if step.get("name") != "Normalize" or not isinstance(given, dict):
        return False
    if not (_is_triple(given.get("mean")) and _is_triple(given.get("std"))):
        return False
    return bool(min(given["std"]) > 0)


def _is_resizing_transform(value: Any) -> bool:
    """Return whether it is such a transform, perhaps with Resize in front."""
    if not (isinstance(value, list) and value and all(map(_is_dict, value))):
        return False
    first = value[0]
    if first.get("name") == "Resize":
        given = first.get("arguments")
        size = given.get("size") if isinstance(given, dict) else None
        return (
            type(size) is int
            and 0 < size <= MAXIMUM_PATCH_PX
            and _is_transform(value[1:])
        )
    return _is_transform(value)


_FASTNET_RULES: Rules = {
    "name": (_is_text, "a text"),
    "version": (_is_text, "a text"),
    "architecture": (
        lambda value: value == FASTNET,
        f"{FASTNET!r} or {TORCHSCRIPT!r}",
    ),
    "architecture_options": (_is_options, "an object of FastNet's options"),
    "num_classes": (lambda value: type(value) is int and value == 2, "2"),
    "patch_size_pixels": (
        _is_patch_size,
        f"a whole number from {MINIMUM_PATCH_PX} to {MAXIMUM_PATCH_PX}",
    ),
    "spacing_um_px": (
        lambda value: _is_number(value) and LOWEST_MPP <= value <= HIGHEST_MPP,
        f"a number from {LOWEST_MPP} to {HIGHEST_MPP}",
    ),
    "class_names": (_is_class_names, "two different names, normal first"),
    "transform": (_is_transform, "ToTensor, then perhaps Normalize with mean and std"),
    "positive_class": (lambda value: type(value) is int and value == 1, "1"),
    "threshold": (lambda value: _is_number(value) and 0 <= value <= 1, "0 to 1"),
    "flips": (lambda value: isinstance(value, bool), "true or false"),
    "calibration": (_is_calibration, "numbers scale (above 0) and offset"),
    "stain": (_is_dict, "an object"),
    "training": (_is_dict, "an object"),
    "metrics": (_is_dict, "an object"),
}
_TORCHSCRIPT_RULES: Rules = _FASTNET_RULES | {
    "architecture": (lambda value: value == TORCHSCRIPT, repr(TORCHSCRIPT)),
    "architecture_options": (lambda value: value == {}, "an empty object"),
    "num_classes": (lambda value: type(value) is int and value >= 1, "1 or more"),
    "class_names": (_are_class_names, "as many different names"),
    "positive_class": (
        lambda value: type(value) is int and value >= 0,
        "a whole number",
    ),
    "transform": (
        _is_resizing_transform,
        "perhaps Resize to one size, ToTensor, perhaps Normalize with mean and std",
    ),
}
#: By kind of model, name in model.json: what must hold, and that in words.
RULES: dict[str, Rules] = {FASTNET: _FASTNET_RULES, TORCHSCRIPT: _TORCHSCRIPT_RULES}
