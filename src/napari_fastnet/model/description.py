"""The description of a model: the content of ``model.json``, checked field by field.

Its first fields are those of WSInfer's model configuration (num_classes,
patch_size_pixels, spacing_um_px, class_names, transform), for tools that know that
schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from napari_fastnet.core.appearance.flags import Gamut
from napari_fastnet.core.appearance.stain import ROWS, StainStatistics
from napari_fastnet.core.dense import DenseScan
from napari_fastnet.core.options import EvidenceScale
from napari_fastnet.errors import BundleError, OptionError
from napari_fastnet.machine.json_fields import JsonFields
from napari_fastnet.machine.json_text import plain
from napari_fastnet.model.training_facts import (
    AdaptedFacts,
    ModelMetrics,
    TrainingFacts,
)
from napari_fastnet.nn.options import FastNetConfig
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


def _config(value: Any) -> FastNetConfig:
    found: FastNetConfig = _OPTIONS.parsed(FastNetConfig, value, "architecture_options")
    return found


def _lesions(value: Any) -> EvidenceScale:
    found: EvidenceScale = _OPTIONS.section(EvidenceScale, value, "lesions.")
    return found


def _adapted(value: Any) -> AdaptedFacts:
    found: AdaptedFacts = _OPTIONS.section(AdaptedFacts, value, "adapted.")
    return found


def _stain(value: dict[str, Any]) -> dict[str, StainStatistics]:
    """Read the statistics of each known method; those of later versions may be anything."""
    known = [method for method in ROWS if method in value]
    return {method: StainStatistics.from_dict(value[method]) for method in known}


def _can(read: Callable[[Any], object]) -> Check:
    """Return a check that an object can be read."""

    def holds(value: Any) -> bool:
        try:
            return _is_dict(value) and read(value) is not None
        except (AttributeError, OptionError, ValueError):
            return False

    return holds


def _is_transform(value: Any) -> bool:
    found = Transform.of(value)
    return found is not None and found.resized_px is None


_FASTNET_RULES: Rules = {
    "name": (_is_text, "a text"),
    "version": (_is_text, "a text"),
    "architecture": (lambda value: value == FASTNET, f"{FASTNET!r} or {TORCHSCRIPT!r}"),
    "architecture_options": (
        _can(_config),
        "an object: convolution separable or standard, shortcut and normalise_depthwise "
        "true or false, pool_cells null or a whole number from 1",
    ),
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
    "stain": (
        _can(_stain),
        "an object of statistics by method, rows of 3 finite numbers",
    ),
    "training": (_is_dict, "an object"),
    "metrics": (_is_dict, "an object"),
}
#: Fields that may be absent.
_MORE_RULES: Rules = {
    "quality": (_is_dict, "an object"),
    "outputs": (lambda value: value in OUTPUTS, " or ".join(OUTPUTS)),
    "lesions": (
        lambda value: value is None or _can(_lesions)(value),
        "an object: scale (above 0), offset, beside, certain, and the thresholds fewer, "
        "balanced and more",
    ),
    "adapted": (
        lambda value: value is None or _can(_adapted)(value),
        "an object: parent, corrections, tumor, normal, slides, places, taught, steps, "
        "seed, part and gate",
    ),
}
_TORCHSCRIPT_RULES: Rules = _FASTNET_RULES | {
    "architecture": (lambda value: value == TORCHSCRIPT, repr(TORCHSCRIPT)),
    "architecture_options": (lambda value: value == {}, "an empty object"),
    "num_classes": (_whole(1), "1 or more"),
    "class_names": (_are_names, "as many different names"),
    "positive_class": (_whole(0), "a whole number"),
    "transform": (
        lambda value: Transform.of(value) is not None,
        "perhaps Resize to one size, ToTensor, perhaps Normalize with mean and std",
    ),
}


SPEC_VERSION = "1.0"  # of WSInfer's schema

Triple = tuple[float, float, float]

_OPTIONS = JsonFields()
# Nothing is computed from these, and other programs may state what they like.
_FACTS = JsonFields(
    may_be_empty=frozenset({"ModelMetrics", "TrainingFacts"}), lenient=True
)


@dataclass(frozen=True, slots=True)
class Transform:
    """The way from uint8 px to a network's input.

    Parameters
    ----------
    normalisation : tuple of tuples or None
        Mean and standard deviation by which each channel, 0..1, is normalised.
    resized_px : int or None
        Side to which patches are resized first, for TorchScript only.
    """

    normalisation: tuple[Triple, Triple] | None = None
    resized_px: int | None = None

    @classmethod
    def of(cls, steps: Any) -> Transform | None:
        """Read the steps of WSInfer; None where they are others than these three."""
        match steps:
            case [{"name": "Resize", "arguments": {"size": size}}, *rest]:
                found = cls.of(rest)
                if found and not found.resized_px and _whole(1, MAXIMUM_PATCH_PX)(size):
                    return replace(found, resized_px=size)
            case [{"name": "ToTensor"}]:
                return cls()
            case [
                {"name": "ToTensor"},
                {"name": "Normalize", "arguments": {"mean": mean, "std": std}},
            ] if _is_triple(mean) and _is_triple(std, SMALLEST):
                return cls((tuple(mean), tuple(std)))
        return None

    def steps(self) -> list[dict[str, Any]]:
        """Return the transform as steps of WSInfer."""
        steps: list[dict[str, Any]] = [{"name": "ToTensor"}]
        if self.resized_px is not None:
            resize = {"name": "Resize", "arguments": {"size": self.resized_px}}
            steps.insert(0, resize)
        if self.normalisation is not None:
            mean, std = map(list, self.normalisation)
            arguments = {"mean": mean, "std": std}
            steps.append({"name": "Normalize", "arguments": arguments})
        return steps


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
    architecture : FastNetConfig
        Variant of FastNet.
    class_names : tuple of str
        In the order of the logits: normal, tumor.
    positive_class : int
        Index of tumor among them.
    transform : Transform
        The way from uint8 to the network's input.
    threshold : float
        Probability from which a patch is called tumor.
    lesions : EvidenceScale or None
        The scale of evidence and the lesion thresholds; None where they were not
        measured, and then not in ``model.json``.
    flips : bool
        Whether to average over the mirror images of a patch; metrics and calibration
        hold for that.
    calibration : dict
        ``scale`` and ``offset`` of the logit difference z: the probability is
        1 / (1 + exp(-(scale * z + offset))).
    stain : mapping of str to StainStatistics
        Colours of the training data by method, the target of a stain match.
    gamut : Gamut or None
        Range of colours and sharpness in the training data; None if unknown, and then
        not in ``model.json``, where the key is ``quality``.
    training : TrainingFacts
        Data, command and recipe.
    metrics : ModelMetrics
        Measures on the validation patches.
    adapted : AdaptedFacts or None
        The adaptation to a laboratory that it comes from; None for other models, and
        then not in ``model.json``.
    outputs : {"logits", "probabilities"}
        Meaning of a TorchScript program's numbers; not in ``model.json`` for logits.
    source : mapping
        The JSON that the description was read from. Keys that only another writer knows
        are written again from here.
    """

    name: str
    version: str
    patch_size_pixels: int
    spacing_um_px: float
    kind: Kind = FASTNET
    architecture: FastNetConfig = field(default_factory=FastNetConfig)
    class_names: tuple[str, ...] = ("normal", "tumour")
    positive_class: int = 1
    transform: Transform = Transform()
    threshold: float = 0.5
    lesions: EvidenceScale | None = None
    flips: bool = False
    calibration: dict[str, float] = field(
        default_factory=lambda: {"scale": 1.0, "offset": 0.0}
    )
    stain: Mapping[str, StainStatistics] = field(default_factory=dict)
    gamut: Gamut | None = None
    training: TrainingFacts = field(default_factory=TrainingFacts)
    metrics: ModelMetrics = field(default_factory=ModelMetrics)
    adapted: AdaptedFacts | None = None
    outputs: Outputs = LOGITS
    source: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def normalisation(self) -> tuple[Triple, Triple]:
        """Mean and standard deviation by which each channel, 0..1, is normalised."""
        return self.transform.normalisation or ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    @property
    def _steps(self) -> Any:
        """Steps of the transform, as they were read with all that they state."""
        steps = self.source.get("transform")
        return (
            steps if Transform.of(steps) == self.transform else self.transform.steps()
        )

    @property
    def dense_scan(self) -> DenseScan | None:
        """Geometry of dense scanning; None if the model can only see patches."""
        if self.kind != FASTNET:
            return None
        return DenseScan(self.patch_size_pixels, self.architecture.pool_cells)

    @property
    def taken_for(self) -> dict[str, Any]:
        """Part of a run's key: the way from a TorchScript program to probabilities.

        The files of FastNet hold it; a program is the same file whatever its use.
        """
        if self.kind == FASTNET:
            return {}
        return {
            "positive_class": self.positive_class,
            "transform": self._steps,
            "outputs": self.outputs,
        }

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
        return self.stain[method]

    @property
    def known_data(self) -> dict[str, str]:
        """Use of each data set, by the SHA-256 of its patches; older models state none."""
        known = {data.sha256: "trained on" for data in self.training.datasets}
        if (valid := self.training.valid) is not None:
            known = {valid.sha256: "watched and calibrated on"} | known
        return known

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``model.json`` without ``files``."""
        before = self.source
        stain = {k: v for k, v in before.get("stain", {}).items() if k not in ROWS}
        stain |= {method: one.to_dict() for method, one in self.stain.items()}
        own = {
            "spec_version": SPEC_VERSION,
            "name": self.name,
            "version": self.version,
            "architecture": self.kind,
            "architecture_options": _OPTIONS.written(
                self.architecture, before.get("architecture_options")
            )
            if self.kind == FASTNET
            else {},
            "num_classes": len(self.class_names),
            "patch_size_pixels": self.patch_size_pixels,
            "spacing_um_px": self.spacing_um_px,
            "class_names": self.class_names,
            "transform": self._steps,
            "positive_class": self.positive_class,
            "threshold": self.threshold,
            "lesions": self.lesions
            and _OPTIONS.written(self.lesions, before.get("lesions")),
            "flips": self.flips,
            "calibration": self.calibration,
            "stain": stain,
            "quality": None if self.gamut is None else self.gamut.to_dict(),
            "outputs": None if self.outputs == LOGITS else self.outputs,
            "training": _written(self.training, before.get("training")),
            "metrics": _written(self.metrics, before.get("metrics")),
            "adapted": self.adapted
            and _OPTIONS.written(self.adapted, before.get("adapted")),
        }
        whole: dict[str, Any] = plain({**before, **own})
        for name in _MORE_RULES:
            if whole[name] is None:
                del whole[name]
        return whole


def _written(facts: TrainingFacts | ModelMetrics, source: Any) -> Any:
    """Convert facts to JSON; as they were read, also what was not understood."""
    if source is not None and _FACTS.section(type(facts), source, "") == facts:
        return source
    return _FACTS.written(facts, source)


def parse_description(content: Any) -> ModelDescription:
    """Check the content of a ``model.json``; unknown fields are kept as they are.

    Raises
    ------
    BundleError
        A field is missing or out of range; the text does not name the file.
    """
    if not isinstance(content, dict):
        raise BundleError("is not a JSON object")
    source = {name: value for name, value in content.items() if name != "files"}
    content = (
        {"outputs": LOGITS, "lesions": None, "adapted": None}
        | content
        | {"quality": content.get("quality") or {}}
    )
    kind = content.get("architecture")
    rules = _TORCHSCRIPT_RULES if kind == TORCHSCRIPT else _FASTNET_RULES
    for name, (holds, rule) in (rules | _MORE_RULES).items():
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
    values: dict[str, Any] = {
        "architecture": _config(content["architecture_options"]),
        "lesions": content["lesions"] and _lesions(content["lesions"]),
        "adapted": content["adapted"] and _adapted(content["adapted"]),
        "stain": _stain(content["stain"]),
        "training": _FACTS.section(TrainingFacts, content["training"], "training."),
        "metrics": _FACTS.section(ModelMetrics, content["metrics"], "metrics."),
    }
    try:
        if content["quality"]:
            values["gamut"] = Gamut.from_dict(content["quality"])
    except OptionError as error:
        raise BundleError(str(error)) from error
    own = {one.name for one in fields(ModelDescription)} - {"source"}
    return ModelDescription(
        **{name: content[name] for name in own & content.keys()}
        | values
        | {
            "kind": kind,
            "class_names": names,
            "transform": Transform.of(content["transform"]),
            "source": source,
        }
    )


def _short(value: Any) -> str:
    """Return a value as text of at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
