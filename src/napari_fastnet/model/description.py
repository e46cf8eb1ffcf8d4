"""What ``model.json`` says about a model, checked field by field.

Its first fields are those of WSInfer's model configuration (num_classes,
patch_size_pixels, spacing_um_px, class_names, transform), so that tools which know
that schema find what they need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from napari_fastnet.core.appearance.flags import Gamut
from napari_fastnet.core.dense import DenseScan
from napari_fastnet.errors import BundleError, OptionError
from napari_fastnet.slide.spacing import HIGHEST_MPP, LOWEST_MPP

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


SPEC_VERSION = "1.0"  # of WSInfer's schema
# Fields of model.json that ModelDescription calls otherwise, or works out.
_NAMED_OTHERWISE = {"architecture", "architecture_options", "num_classes"}

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    """What a model is, expects and achieved.

    Parameters
    ----------
    name, version : str
        As users call it.
    kind : {"fastnet", "torchscript"}
        What is in its files.
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
        WSInfer's steps from uint8 to what the network sees: for TorchScript perhaps
        ``Resize`` to ``size`` px, then ``ToTensor`` (to 0..1), then perhaps
        ``Normalize`` with ``mean`` and ``std`` a channel.
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
    quality : dict
        Of `Gamut`: how the training data look, to tell what is unlike them. Empty where
        the model does not say; ``model.json`` then lacks the field.
    training, metrics : dict
        Data, command and seed; what was measured on which patches.
    outputs : {"logits", "probabilities"}
        What a TorchScript program gives. ``model.json`` lacks the field where it is
        logits.
    """

    name: str
    version: str
    patch_size_pixels: int
    spacing_um_px: float
    kind: Kind = FASTNET
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
    quality: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    outputs: Outputs = LOGITS

    @property
    def normalisation(self) -> tuple[Triple, Triple]:
        """Mean and standard deviation a channel of 0..1 that the network expects."""
        for step in self.transform:
            if step["name"] == "Normalize":
                mean, std = (step["arguments"][key] for key in ("mean", "std"))
                return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])
        return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    @property
    def resized_px(self) -> int | None:
        """Side to which patches are resized first; None leaves them as they are."""
        first = self.transform[0]
        return first["arguments"]["size"] if first["name"] == "Resize" else None

    @property
    def dense_scan(self) -> DenseScan | None:
        """How patches lie in the feature map of a large picture; None: in none."""
        if self.kind != FASTNET:
            return None
        return DenseScan(self.patch_size_pixels, self.architecture.get("pool_cells"))

    @property
    def taken_for(self) -> dict[str, Any]:
        """How a TorchScript program's numbers become probabilities, for a run's key.

        Of FastNet that is in its files; a program is the same file however it is used.
        """
        if self.kind == FASTNET:
            return {}
        return {
            "positive_class": self.positive_class,
            "transform": self.transform,
            "outputs": self.outputs,
        }

    @property
    def gamut(self) -> Gamut | None:
        """How the training data look; None where the model does not say."""
        return Gamut.from_dict(self.quality) if self.quality else None

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``model.json`` without ``files``."""
        quality = {"quality": self.quality} if self.quality else {}
        outputs = {"outputs": self.outputs} if self.outputs != LOGITS else {}
        return {
            "spec_version": SPEC_VERSION,
            "name": self.name,
            "version": self.version,
            "architecture": self.kind,
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
            **quality,
            **outputs,
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
    kind = content.get("architecture")
    rules = RULES[TORCHSCRIPT if kind == TORCHSCRIPT else FASTNET]
    for name, (holds, rule) in rules.items():
        if name not in content:
            raise BundleError(f"lacks {name!r}, {rule}")
        if not holds(content[name]):
            raise BundleError(f"{name} is {_short(content[name])}; it must be {rule}")
    if len(content["class_names"]) != content["num_classes"]:
        raise BundleError(
            f"num_classes is {content['num_classes']} and class_names has "
            f"{len(content['class_names'])}; they must agree"
        )
    if content["positive_class"] >= content["num_classes"]:
        raise BundleError(
            f"positive_class is {content['positive_class']} of "
            f"{content['num_classes']} classes, counted from 0"
        )
    fields = {name: content[name] for name in rules.keys() - _NAMED_OTHERWISE}
    fields["class_names"] = tuple(fields["class_names"])
    return ModelDescription(
        kind=content["architecture"],
        architecture=content["architecture_options"],
        quality=_quality(content.get("quality") or {}),
        outputs=_outputs(content.get("outputs", LOGITS)),
        **fields,
    )


def _quality(value: Any) -> dict[str, Any]:
    """Return the optional field as it is, once it is known to be a gamut."""
    if not isinstance(value, dict):
        raise BundleError(f"quality is {_short(value)}; it must be an object")
    try:
        return Gamut.from_dict(value).to_dict() if value else {}
    except OptionError as error:
        raise BundleError(str(error)) from error


def _outputs(value: Any) -> Outputs:
    """Return the optional field, checked."""
    for known in OUTPUTS:
        if value == known:
            return known
    raise BundleError(f"outputs is {_short(value)}; it must be {' or '.join(OUTPUTS)}")


def _short(value: Any) -> str:
    """Return a value as text that fits an error's one line."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
