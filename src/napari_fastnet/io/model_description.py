"""What ``model.json`` says about a model, checked field by field.

Its first fields are those of WSInfer's model configuration (num_classes,
patch_size_pixels, spacing_um_px, class_names, transform), so that tools which know
that schema find what they need.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

from napari_fastnet.core.dense import DenseScan
from napari_fastnet.errors import BundleError
from napari_fastnet.io.spacing import HIGHEST_MPP, LOWEST_MPP

if TYPE_CHECKING:
    from collections.abc import Callable

SPEC_VERSION = "1.0"  # of WSInfer's schema
ARCHITECTURE = "fastnet"
#: FastNet gives no feature map of smaller images.
MINIMUM_PATCH_PX = 31
MAXIMUM_PATCH_PX = 4096

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    """What a model is, expects and achieved.

    Parameters
    ----------
    name, version : str
        As users call it.
    patch_size_pixels : int
        Side of the patches it was trained on, px.
    spacing_um_px : float
        µm/px of those patches.
    architecture : dict
        Options of `FastNetConfig`.
    class_names : tuple of str
        In the order of the logits: normal, tumour.
    positive_class : int
        Index of tumour among them.
    transform : list of dict
        WSInfer's steps from uint8 to what the network sees: ``ToTensor`` (to 0..1),
        then perhaps ``Normalize`` with ``mean`` and ``std`` a channel.
    threshold : float
        Probability from which a patch is called tumour.
    flips : bool
        Whether a patch is to be looked at in its mirror images too, and the mean
        taken; metrics and calibration are of that.
    calibration : dict
        ``scale`` and ``offset`` of the logit difference z: the probability is
        1 / (1 + exp(-(scale * z + offset))).
    stain : dict
        Colour statistics of the training data by method, the target of a stain match.
    training, metrics : dict
        Data, command and seed; what was measured on which patches.
    """

    name: str
    version: str
    patch_size_pixels: int
    spacing_um_px: float
    architecture: dict[str, Any] = field(default_factory=dict)
    class_names: tuple[str, ...] = ("normal", "tumour")
    positive_class: int = 1
    transform: list[dict[str, Any]] = field(
        default_factory=lambda: [{"name": "ToTensor"}]
    )
    threshold: float = 0.5
    flips: bool = False
    calibration: dict[str, float] = field(
        default_factory=lambda: {"scale": 1.0, "offset": 0.0}
    )
    stain: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)

    @property
    def normalisation(self) -> tuple[Triple, Triple]:
        """Mean and standard deviation a channel of 0..1 that the network expects."""
        for step in self.transform:
            if step["name"] == "Normalize":
                mean, std = (step["arguments"][key] for key in ("mean", "std"))
                return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])
        return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    @property
    def dense_scan(self) -> DenseScan:
        """How patches lie in the feature map of a large picture."""
        return DenseScan(self.patch_size_pixels, self.architecture.get("pool_cells"))

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``model.json`` without ``files``."""
        return {
            "spec_version": SPEC_VERSION,
            "name": self.name,
            "version": self.version,
            "architecture": ARCHITECTURE,
            "architecture_options": self.architecture,
            "num_classes": len(self.class_names),
            "patch_size_pixels": self.patch_size_pixels,
            "spacing_um_px": self.spacing_um_px,
            "class_names": list(self.class_names),
            "transform": self.transform,
            "positive_class": self.positive_class,
            "threshold": self.threshold,
            "flips": self.flips,
            "calibration": self.calibration,
            "stain": self.stain,
            "training": self.training,
            "metrics": self.metrics,
        }


def parse_description(content: Any) -> ModelDescription:
    """Return what the content of a ``model.json`` describes.

    Parameters
    ----------
    content : object
        As JSON gives it; fields that are not known are passed over.

    Returns
    -------
    ModelDescription
        With every field checked.

    Raises
    ------
    BundleError
        A field is missing or out of range; the text does not name the file.
    """
    if not isinstance(content, dict):
        raise BundleError("is not a JSON object")
    for name, (holds, rule) in _RULES.items():
        if name not in content:
            raise BundleError(f"lacks {name!r}, {rule}")
        if not holds(content[name]):
            raise BundleError(f"{name} is {_short(content[name])}; it must be {rule}")
    if len(content["class_names"]) != content["num_classes"]:
        raise BundleError(
            f"num_classes is {content['num_classes']} and class_names has "
            f"{len(content['class_names'])}; they must agree"
        )
    fields = {name: content[name] for name in _FIELDS}
    fields["class_names"] = tuple(fields["class_names"])
    return ModelDescription(architecture=content["architecture_options"], **fields)


def _short(value: Any) -> str:
    """Return a value as text that fits an error's one line."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != "" and value.isprintable()


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and isfinite(value)


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


def _is_transform(value: Any) -> bool:
    """Return whether it is ToTensor, then perhaps Normalize of three channels."""
    if not (isinstance(value, list) and value and all(map(_is_dict, value))):
        return False
    first, *rest = value
    if first.get("name") != "ToTensor" or len(rest) > 1:
        return False
    for step in rest:
        given = step.get("arguments")
        if step.get("name") != "Normalize" or not _is_dict(given):
            return False
        if not (_is_triple(given.get("mean")) and _is_triple(given.get("std"))):
            return False
        if min(given["std"]) <= 0:
            return False
    return True


# Name in model.json: what must hold, and that in words.
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (_is_text, "a text"),
    "version": (_is_text, "a text"),
    "architecture": (lambda value: value == ARCHITECTURE, repr(ARCHITECTURE)),
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
# Fields that model.json and ModelDescription call the same.
_FIELDS = _RULES.keys() - {"architecture", "architecture_options", "num_classes"}
