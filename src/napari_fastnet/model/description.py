"""The description of a model: the content of ``model.json``, checked field by field.

Its first fields are those of WSInfer's model configuration (num_classes,
patch_size_pixels, spacing_um_px, class_names, transform), for tools that know that
schema.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Literal

from napari_fastnet.core.appearance.flags import Gamut
from napari_fastnet.core.appearance.stain import StainStatistics
from napari_fastnet.core.dense import DenseScan
from napari_fastnet.errors import BundleError, OptionError
from napari_fastnet.slide.spacing import HIGHEST_MPP, LOWEST_MPP

if TYPE_CHECKING:
    from napari_fastnet.core.options import StainMethod

#: FastNet, or any network that comes as a TorchScript program.
Kind = Literal["fastnet", "torchscript"]
FASTNET: Final = "fastnet"
TORCHSCRIPT: Final = "torchscript"
#: Meaning of a TorchScript program's numbers, one for each class.
Outputs = Literal["logits", "probabilities"]
LOGITS: Final = "logits"
PROBABILITIES: Final = "probabilities"
OUTPUTS: tuple[Outputs, ...] = (LOGITS, PROBABILITIES)
#: FastNet gives no feature map of smaller images.
MINIMUM_PATCH_PX = 31
MAXIMUM_PATCH_PX = 4096
#: Limits for any number: whole numbers of JSON have any length, and no float may hold them.
LARGEST, SMALLEST = 1e30, 1e-30

Check = Callable[[Any], bool]
#: By name in model.json: what must hold, and the same in words.
Rules = dict[str, tuple[Check, str]]


def _number(lowest: float, highest: float = LARGEST) -> Check:
    # Not isinstance: a truth value is an int in Python.
    return lambda value: type(value) in (int, float) and lowest <= value <= highest


def _whole(lowest: int, highest: float = LARGEST) -> Check:
    return lambda value: type(value) is int and lowest <= value <= highest


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != "" and value.isprintable()


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def _is_options(value: Any) -> bool:
    cells = value.get("pool_cells") if isinstance(value, dict) else 0
    return cells is None or _whole(1)(cells)


def _is_triple(value: Any, lowest: float = -LARGEST) -> bool:
    is_three = isinstance(value, list) and len(value) == 3
    return is_three and all(map(_number(lowest), value))


def _is_calibration(value: Any) -> bool:
    if not (isinstance(value, dict) and set(value) == {"scale", "offset"}):
        return False
    return _number(SMALLEST)(value["scale"]) and _number(-LARGEST)(value["offset"])


def _are_names(value: Any) -> bool:
    """Return whether it is a list of one or more different names."""
    if not (isinstance(value, list) and value and all(map(_is_text, value))):
        return False
    return len(set(value)) == len(value)


def _is_transform(value: Any) -> bool:
    """Return whether it is ToTensor, then perhaps Normalize of three channels."""
    match value:
        case [{"name": "ToTensor"}]:
            return True
        case [
            {"name": "ToTensor"},
            {"name": "Normalize", "arguments": {"mean": mean, "std": std}},
        ]:
            return _is_triple(mean) and _is_triple(std, SMALLEST)
    return False


def _is_resizing_transform(value: Any) -> bool:
    """Return whether it is such a transform, perhaps with Resize in front."""
    match value:
        case [{"name": "Resize", "arguments": {"size": size}}, *rest]:
            return _whole(1, MAXIMUM_PATCH_PX)(size) and _is_transform(rest)
    return _is_transform(value)


_FASTNET_RULES: Rules = {
    "name": (_is_text, "a text"),
    "version": (_is_text, "a text"),
    "architecture": (lambda value: value == FASTNET, f"{FASTNET!r} or {TORCHSCRIPT!r}"),
    "architecture_options": (_is_options, "an object of FastNet's options"),
    "num_classes": (_whole(2, 2), "2"),
    "patch_size_pixels": (
        _whole(MINIMUM_PATCH_PX, MAXIMUM_PATCH_PX),
        f"a whole number from {MINIMUM_PATCH_PX} to {MAXIMUM_PATCH_PX}",
    ),
    "spacing_um_px": (
        _number(LOWEST_MPP, HIGHEST_MPP),
        f"a number from {LOWEST_MPP} to {HIGHEST_MPP}",
    ),
    "class_names": (
        lambda value: _are_names(value) and len(value) == 2,
        "two different names, normal first",
    ),
    "transform": (_is_transform, "ToTensor, then perhaps Normalize with mean and std"),
    "positive_class": (_whole(1, 1), "1"),
    "threshold": (_number(0, 1), "0 to 1"),
    "flips": (lambda value: isinstance(value, bool), "true or false"),
    "calibration": (_is_calibration, "numbers scale (above 0) and offset"),
    "stain": (_is_dict, "an object"),
    "training": (_is_dict, "an object"),
    "metrics": (_is_dict, "an object"),
}
_TORCHSCRIPT_RULES: Rules = _FASTNET_RULES | {
    "architecture": (lambda value: value == TORCHSCRIPT, repr(TORCHSCRIPT)),
    "architecture_options": (lambda value: value == {}, "an empty object"),
    "num_classes": (_whole(1), "1 or more"),
    "class_names": (_are_names, "as many different names"),
    "positive_class": (_whole(0), "a whole number"),
    "transform": (
        _is_resizing_transform,
        "perhaps Resize to one size, ToTensor, perhaps Normalize with mean and std",
    ),
}


SPEC_VERSION = "1.0"  # of WSInfer's schema

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    """A model: what it is, expects and achieved.

    Parameters
    ----------
    name, version : str
        For users.
    kind : {"fastnet", "torchscript"}
        The kind of its files.
    patch_size_pixels : int
        Side of the patches it was trained on, px.
    spacing_um_px : float
        µm/px of those patches.
    architecture : dict
        Options of `FastNetConfig`.
    class_names : tuple of str
        In the order of the logits: normal, tumor.
    positive_class : int
        Index of tumor among them.
    transform : list of dict
        WSInfer's steps from uint8 to the network's input: for TorchScript perhaps
        ``Resize`` to ``size`` px, then ``ToTensor`` (to 0..1), then perhaps
        ``Normalize`` with ``mean`` and ``std`` of each channel.
    threshold : float
        Probability from which a patch is called tumor.
    flips : bool
        Whether to average over the mirror images of a patch; metrics and calibration
        hold for that.
    calibration : dict
        ``scale`` and ``offset`` of the logit difference z: the probability is
        1 / (1 + exp(-(scale * z + offset))).
    stain : dict
        Colour statistics of the training data by method, the target of a stain match.
    quality : dict
        The `Gamut` of the training data; empty if unknown, and then not in
        ``model.json``.
    training, metrics : dict
        Data, command and seed; measures, and the patches they were measured on.
    outputs : {"logits", "probabilities"}
        Meaning of a TorchScript program's numbers; not in ``model.json`` for logits.
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
        """Mean and standard deviation by which each channel, 0..1, is normalised."""
        last = self.transform[-1]
        if last["name"] != "Normalize":
            return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        return tuple(last["arguments"]["mean"]), tuple(last["arguments"]["std"])

    @property
    def resized_px(self) -> int | None:
        """Side to which patches are resized first; None leaves them as they are."""
        first = self.transform[0]
        return first["arguments"]["size"] if first["name"] == "Resize" else None

    @property
    def dense_scan(self) -> DenseScan | None:
        """Geometry of dense scanning; None if the model can only see patches."""
        if self.kind != FASTNET:
            return None
        return DenseScan(self.patch_size_pixels, self.architecture.get("pool_cells"))

    @property
    def taken_for(self) -> dict[str, Any]:
        """Part of a run's key: the way from a TorchScript program to probabilities.

        The files of FastNet hold it; a program is the same file whatever its use.
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
        """Range of colours and sharpness in the training data; None if unknown."""
        return Gamut.from_dict(self.quality) if self.quality else None

    def stain_target(self, method: StainMethod) -> StainStatistics | None:
        """Return the colours of the training data, the target of a stain match.

        Raises
        ------
        OptionError
            The model does not state them for this method.
        """
        if method == "none":
            return None
        if method not in self.stain:
            known = ", ".join(["none", *self.stain])
            raise OptionError(
                f"stain is {method!r} and the model {self.name} states no such colours; "
                f"use one of {known}"
            )
        return StainStatistics.from_dict(self.stain[method])

    @property
    def known_data(self) -> dict[str, str]:
        """Use of each data set, by the SHA-256 of its patches; older models state none."""
        trained = self.training.get("datasets")
        uses = [("watched and calibrated on", self.training.get("valid"))]
        if isinstance(trained, list):
            uses += [("trained on", data) for data in trained]
        return {
            str(data["sha256"]): use
            for use, data in uses
            if isinstance(data, dict) and "sha256" in data
        }

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
    """Check the content of a ``model.json``; unknown fields are skipped.

    Raises
    ------
    BundleError
        A field is missing or out of range; the text does not name the file.
    """
    if not isinstance(content, dict):
        raise BundleError("is not a JSON object")
    kind = content.get("architecture")
    rules = _TORCHSCRIPT_RULES if kind == TORCHSCRIPT else _FASTNET_RULES
    for name, (holds, rule) in rules.items():
        if name not in content:
            raise BundleError(f"lacks {name!r}, {rule}")
        if not holds(content[name]):
            raise BundleError(f"{name} is {_short(content[name])}; it must be {rule}")
    classes, names = content["num_classes"], tuple(content["class_names"])
    if len(names) != classes:
        raise BundleError(
            f"num_classes is {classes} and class_names has {len(names)}; they must agree"
        )
    if content["positive_class"] >= classes:
        raise BundleError(
            f"positive_class is {content['positive_class']} of {classes} classes, counted "
            "from 0"
        )
    quality, outputs = content.get("quality") or {}, content.get("outputs", LOGITS)
    if not isinstance(quality, dict):
        raise BundleError(f"quality is {_short(quality)}; it must be an object")
    if outputs not in OUTPUTS:
        raise BundleError(
            f"outputs is {_short(outputs)}; it must be {' or '.join(OUTPUTS)}"
        )
    try:
        quality = Gamut.from_dict(quality).to_dict() if quality else {}
    except OptionError as error:
        raise BundleError(str(error)) from error
    known = {one.name for one in fields(ModelDescription)} & content.keys()
    return ModelDescription(
        **{
            **{name: content[name] for name in known},
            "kind": kind,
            "architecture": content["architecture_options"],
            "class_names": names,
            "quality": quality,
            "outputs": outputs,
        }
    )


def _short(value: Any) -> str:
    """Return a value as text of at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
