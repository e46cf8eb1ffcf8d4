"""Facts about a model's training, its data and its measures, as ``model.json`` has them.

Each may be unknown, None or empty: other programs and earlier versions state fewer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping  # noqa: TC003  # read with the annotations
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray


def patch_digest(image: NDArray[np.uint8]) -> bytes | None:
    """Compute the SHA-256 of a patch's px, (height, width, 3) uint8.

    None for a patch of a single colour: bare glass is alike on every slide.
    """
    if (image == image[:1, :1]).all():
        return None
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).digest()


def set_digest(digests: Iterable[bytes | None], labels: Iterable[int]) -> str:
    """Compute the SHA-256, hexadecimal, of patches and labels in any order.

    Parameters
    ----------
    digests : iterable of bytes or None
        From `patch_digest`.
    labels : iterable of int
        One for each patch, 0 or 1.
    """
    each = sorted(
        (digest or b"") + bytes([label])
        for digest, label in zip(digests, labels, strict=True)
    )
    return hashlib.sha256(b"".join(each)).hexdigest()


Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class DataFacts:
    """Facts about a tar, zip, folder or part of a zarr of labelled patches.

    Parameters
    ----------
    name : str
        Of the file or folder, without its path.
    normal, tumour : int
        Patches of each class.
    distinct : int
        Patches with different px; each patch of a single colour counts.
    slides : int or None
        Number of slides they come from; None if unknown.
    sha256 : str
        From `set_digest`.
    """

    name: str = ""
    normal: int = 0
    tumour: int = 0
    distinct: int = 0
    slides: int | None = None
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class StartFacts:
    """The model that a training began with, and two sections of its card."""

    name: str
    version: str
    spacing_um_px: float
    training: str | None = None
    licence: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFacts:
    """The training of a model.

    Parameters
    ----------
    command : str
        Command line, its files without folders.
    data, datasets : tuple
        Names of the data trained on; the facts about each.
    normal, tumour : int or None
        Patches of each class trained on.
    valid : DataFacts or None
        The validation patches.
    slides_apart : bool or None
        Whether these are of other slides; None if unknown.
    data_description, data_licence : str or None
        Words of the one who trained.
    epochs, kept_epoch : int or None
        Epochs finished, and the one whose weights are kept.
    stopped : str or None
        Reason why it ended early.
    options : mapping
        The recipe, `training.options.FitOptions` by name.
    teachers, averaged_with : tuple of str
        SHA-256 of the teachers, and of the models averaged with.
    teachers_share : float or None
        Share of the teachers' probabilities in the labels.
    started_from, start : str, StartFacts or None
        SHA-256 of the model it began with; the facts about that model.
    held_back : tuple of str
        SHA-256 of patches that neither this training nor those before it used.
    torch, python, machine : str
        Versions, and the kind of processor.
    """

    command: str = ""
    data: tuple[str, ...] = ()
    normal: int | None = None
    tumour: int | None = None
    datasets: tuple[DataFacts, ...] = ()
    valid: DataFacts | None = None
    slides_apart: bool | None = None
    data_description: str | None = None
    data_licence: str | None = None
    epochs: int | None = None
    kept_epoch: int | None = None
    stopped: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    teachers: tuple[str, ...] = ()
    teachers_share: float | None = None
    averaged_with: tuple[str, ...] = ()
    started_from: str | None = None
    start: StartFacts | None = None
    held_back: tuple[str, ...] = ()
    torch: str = ""
    python: str = ""
    machine: str = ""


@dataclass(frozen=True, slots=True)
class PointFacts:
    """A threshold and its metrics, see `core.metrics.patches.OperatingPoint`."""

    at_least: float
    threshold: float
    recall: float
    specificity: float
    precision: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherMetrics(DataFacts):
    """Metrics on patches that nothing was chosen by, see `ModelMetrics`.

    ``auc_before`` is that of the model that the training began with.
    """

    n: int
    positives: int
    threshold: float
    auc: float | None = None
    accuracy: float | None = None
    recall: float | None = None
    precision: float | None = None
    f1: float | None = None
    specificity: float | None = None
    ci95: Mapping[str, Interval | None] = field(default_factory=dict)
    ci95_by: str = "patches"
    confusion: Mapping[str, int] = field(default_factory=dict)
    auc_before: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelMetrics:
    """Size of a model, and its metrics on the validation patches ``data``.

    From ``n`` to ``slides`` the fields are those of `core.metrics.patches.PatchMetrics`.
    """

    data: str = ""
    parameters: int | None = None
    flops_256px: int | None = None
    n: int | None = None
    positives: int | None = None
    threshold: float | None = None
    true_positives: int | None = None
    false_positives: int | None = None
    true_negatives: int | None = None
    false_negatives: int | None = None
    auc: float | None = None
    accuracy: float | None = None
    recall: float | None = None
    precision: float | None = None
    f1: float | None = None
    specificity: float | None = None
    ci95: Mapping[str, Interval | None] = field(default_factory=dict)
    slides: int | None = None
    operating_points: tuple[PointFacts, ...] = ()
    also: tuple[OtherMetrics, ...] = ()


@dataclass(frozen=True, slots=True)
class ParentFacts:
    """The model that another was adapted from."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFacts:
    """Figures of a model before and after it was adapted.

    Parameters
    ----------
    corrections_before, corrections_after : float or None
        AUC on the labelled cells; after, by networks that were not taught their place.
        None where the labels of a class lie in one place.
    right_before, right_after : float or None
        Mean share of both classes that is on the right side of the threshold, 0 to 1.
    home_before, home_after : float
        AUC on the patches of home for this; before, of the first model of a line of adapted
        ones, so that small losses do not add up.
    taught_before : bool
        Whether the model before was itself adapted, perhaps by these corrections.
    folds : int
        Groups of places that were held out in turn; 0 where that cannot be.
    optimistic : bool
        Whether the model before was trained on these patches of home.
    """

    corrections_before: float | None
    corrections_after: float | None
    home_before: float
    home_after: float
    folds: int
    optimistic: bool
    right_before: float | None = None
    right_after: float | None = None
    taught_before: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptedFacts:
    """The adaptation of a model to a laboratory.

    Parameters
    ----------
    parent : ParentFacts
        The model before.
    corrections : str
        SHA-256 of the corrections.
    tumor, normal : int
        Labelled cells of each class.
    slides, places : int
        Slides, and groups of cells close together, on which they lie.
    taught : int
        Patches around them that were taught.
    steps, seed : int
        Of the teaching; steps of the head are 0.
    part : str
        The part taught, ``"network"`` or ``"head"``.
    gate : GateFacts
        Figures before and after.
    refusal : str or None
        Reason why the gate refused the model, which was written all the same.
    """

    parent: ParentFacts
    corrections: str
    tumor: int
    normal: int
    slides: int
    places: int
    taught: int
    steps: int
    seed: int
    part: str
    gate: GateFacts
    refusal: str | None = None


def data_facts(
    name: str,
    digests: Sequence[bytes | None],
    labels: Sequence[int],
    slides: Sequence[str | None],
) -> DataFacts:
    """Collect the facts about some patches.

    Parameters
    ----------
    name : str
        Of their file or folder.
    digests : sequence of bytes or None
        From `patch_digest`.
    labels : sequence of int
        1 is tumor.
    slides : sequence of str or None
        The slide of each patch.
    """
    tumor = sum(labels)
    blank = sum(digest is None for digest in digests)
    return DataFacts(
        name=name,
        normal=len(labels) - tumor,
        tumour=tumor,
        distinct=len(set(digests) - {None}) + blank,
        slides=None if None in slides else len(set(slides)),
        sha256=set_digest(digests, labels),
    )
