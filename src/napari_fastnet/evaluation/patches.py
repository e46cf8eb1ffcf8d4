"""Evaluation of a model on labelled patches of any size and µm/px."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_fastnet.core.appearance.stain import STATISTICS_MPP, StainMatch, estimate
from napari_fastnet.core.metrics import patches
from napari_fastnet.errors import DataError, SpacingError
from napari_fastnet.evaluation.options import EvaluationOptions
from napari_fastnet.machine.files import write_csv
from napari_fastnet.model.description import MINIMUM_PATCH_PX
from napari_fastnet.model.training_facts import patch_digest, set_digest
from napari_fastnet.patches.reading import Patch, iterate_patches, stored_spacing
from napari_fastnet.slide.resample import resize
from napari_fastnet.slide.spacing import Spacing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.model.backends.backend import Backend
    from napari_fastnet.model.bundle import ModelBundle

_BATCH = 64
# Relative difference below which two µm/px are the same.
_SAME_SPACING = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Result of `evaluate_patches`.

    Parameters
    ----------
    metrics : PatchMetrics
        Eqs. 8-11, AUC and their intervals.
    names : list of str
        Paths of the patches within the tar or folder.
    labels : (n,) int64 ndarray
        1 is tumor.
    probabilities : (n,) float32 ndarray
        Of tumor.
    context : dict
        Data, model, back end, options and stain match.
    warnings : tuple of str
        Reasons to doubt the metrics, a sentence each.
    """

    metrics: patches.PatchMetrics
    names: list[str]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    context: dict[str, Any]
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the document of ``evaluate patches --json``; undefined is None."""
        error = patches.expected_calibration_error(self.labels, self.probabilities)
        both = 0 < self.metrics.positives < self.metrics.n
        points = (
            patches.operating_points(self.labels, self.probabilities) if both else []
        )
        return {
            **self.metrics.to_dict(),
            "operating_points": [asdict(point) for point in points],
            "brier": patches.brier(self.labels, self.probabilities),
            "expected_calibration_error": error,
            **self.context,
            "warnings": list(self.warnings),
        }


class _Seen(NamedTuple):
    """Facts of a patch that are kept, the digest and colour of its own px."""

    name: str
    label: int
    slide: str | None
    digest: bytes | None
    side_px: int
    is_grey: bool


def evaluate_patches(
    data: Path,
    *,
    bundle: ModelBundle,
    backend: Backend,
    options: EvaluationOptions | None = None,
) -> Evaluation:
    """Evaluate a model on the labelled patches of a tar, zip, folder or zarr.

    A patch is resampled to the model's µm/px, and its middle is cut out where it is
    larger than the model's patch. A smaller one is evaluated as it is: FastNet averages
    over all it sees, so mirrored or padded surroundings would count, too. So a 256 px
    patch at 0.25 µm/px, 64 µm wide, is seen by a model at 0.972 µm/px as 66 px.

    Parameters
    ----------
    data : Path
        Tar, zip or folder with images in 0/ (normal) and 1/ (tumor), or a zarr of
        patches; one class alone is allowed, and sizes may differ.
    bundle : ModelBundle
        The model.
    backend : Backend
        Its network.
    options : EvaluationOptions, optional
        Preparation of the patches, threshold and intervals.

    Returns
    -------
    Evaluation
        Metrics, and a probability for each patch.

    Raises
    ------
    DataError
        There are no patches, one cannot be read, or it is less than 31 px wide at the
        model's µm/px.
    SpacingError
        The µm/px is neither given nor stated, contradicts what is stated, or is absurd.
    OptionError
        The threshold is no probability, or the model has no colours for the stain
        method.
    DetectionError
        The network failed.
    """
    options = options or EvaluationOptions()
    spacing = _spacing(data, options.mpp)
    match = _stain_match(data, spacing, bundle, options)
    flips = bundle.flips if options.flips is None else options.flips
    seen: list[_Seen] = []

    def images() -> Iterator[NDArray[np.uint8]]:
        for patch in iterate_patches(data, options.part):
            image = _as_the_model_sees(data, patch, spacing, bundle)
            digest, side = patch_digest(patch.image), min(image.shape[:2])
            grey = bool((patch.image == patch.image[..., :1]).all())
            seen.append(_Seen(patch.name, patch.label, patch.slide, digest, side, grey))
            yield match.apply(image)

    probabilities = _predicted(images(), partial(backend.predict, flips=flips))
    labels = np.array([patch.label for patch in seen], np.int64)
    threshold = bundle.threshold if options.threshold is None else options.threshold
    metrics = patches.evaluate_probabilities(
        labels,
        probabilities,
        threshold=threshold,
        bootstrap=options.bootstrap,
        seed=options.seed,
        slides=[patch.slide for patch in seen],
    )
    model = {name: getattr(bundle, name) for name in ("name", "version", "sha256")}
    used = {"threshold": threshold, "stain": match.to_dict(), "flips": flips}
    context = {
        "data": data.name,
        "model": model,
        "backend": backend.name,
        "options": asdict(options) | used,
    }
    names = [patch.name for patch in seen]
    warnings = tuple(_warnings(seen, metrics, bundle))
    return Evaluation(metrics, names, labels, probabilities, context, warnings)


def write_probabilities(path: Path, evaluation: Evaluation) -> None:
    """Write name, label and probability of each patch as CSV."""
    found = evaluation
    cells = zip(found.names, found.labels, found.probabilities, strict=True)
    rows = (
        {"name": name, "label": label, "probability": f"{value:.6f}"}
        for name, label, value in cells
    )
    write_csv(path, rows)


def _warnings(
    seen: list[_Seen], metrics: patches.PatchMetrics, bundle: ModelBundle
) -> Iterator[str]:
    """Yield the reasons to doubt the metrics, in sentences."""
    sides = [patch.side_px for patch in seen]
    smaller = sum(side < bundle.patch_size_pixels for side in sides)
    if smaller:
        least = min(sides) * bundle.spacing_um_px
        whole = bundle.patch_size_pixels * bundle.spacing_um_px
        yield (
            f"{smaller:,} of {len(seen):,} patches are narrower than what "
            f"{bundle.name} was trained on, the smallest {least:.0f} instead of "
            f"{whole:.0f} µm: it sees less than it needs; cut larger patches"
        )
    # A patch without digest is of one colour: glass is grey on every slide.
    grey = sum(patch.is_grey and patch.digest is not None for patch in seen)
    if grey:
        yield (
            f"{grey:,} of {len(seen):,} patches are grey: {bundle.name} looks at "
            "colours; give patches that have theirs"
        )
    digest = set_digest(
        [patch.digest for patch in seen], [patch.label for patch in seen]
    )
    part = bundle.known_data.get(digest)
    if part is not None:
        yield (
            f"{bundle.name} was {part} these very patches: the figures are better than "
            "on any others; evaluate it on patches of other slides"
        )
    interval = metrics.ci95["auc"]
    if metrics.auc is not None and interval is not None and interval[1] < 0.5:
        yield (
            f"the AUC is {metrics.auc:.4f}, worse than chance: are 0/ and 1/ exchanged? "
            "1/ is tumor"
        )


def _spacing(data: Path, given: float | None) -> Pair:
    """Return the patches' (y, x) µm/px: as a zarr states it, or as it is given."""
    stated = stored_spacing(data)
    own = stated if given is None else given
    if own is None:
        raise SpacingError(
            f"{data} does not say at which µm/px its patches are; give it with --mpp "
            "(of PatchCamelyon: --mpp 0.972)"
        )
    pair = Spacing.of_user(own).require(str(data))
    if stated is not None and abs(pair[0] / stated - 1) > _SAME_SPACING:
        raise SpacingError(
            f"{data} states {stated:g} µm/px and {own:g} is given; leave --mpp out"
        )
    return pair


def _predicted(
    images: Iterable[NDArray[np.uint8]],
    predict: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Return (n,) float32 probabilities, predicted in batches of one size of image."""
    waiting: dict[tuple[int, ...], dict[int, NDArray[np.uint8]]] = defaultdict(dict)
    found: dict[int, np.float32] = {}

    def take(batch: dict[int, NDArray[np.uint8]]) -> None:
        found.update(zip(batch, predict(np.stack([*batch.values()])), strict=True))

    for number, image in enumerate(images):
        batch = waiting[image.shape]
        batch[number] = image
        if len(batch) == _BATCH:
            take(waiting.pop(image.shape))
    for batch in waiting.values():
        take(batch)
    return np.array([found[number] for number in range(len(found))], np.float32)


def _as_the_model_sees(
    data: Path, patch: Patch, spacing: Pair, bundle: ModelBundle
) -> NDArray[np.uint8]:
    """Return the patch at the model's µm/px, its middle where it is larger."""
    size = _size_at(patch.image, spacing, bundle.spacing_um_px)
    if min(size) < MINIMUM_PATCH_PX:
        raise DataError(
            f"{data}: {patch.name} is {size[1]} x {size[0]} px at the model's "
            f"{bundle.spacing_um_px:g} µm/px and FastNet needs {MINIMUM_PATCH_PX}; give "
            "larger patches, or their right µm/px with --mpp"
        )
    image = resize(patch.image, size)
    side = bundle.patch_size_pixels
    top, left = (max(0, (length - side) // 2) for length in size)
    return image[top : top + side, left : left + side]


def _size_at(image: NDArray[np.uint8], spacing: Pair, wanted: float) -> tuple[int, int]:
    """Return (height, width) of an image at another µm/px, each at least 1."""
    height, width = (
        max(1, round(length * own / wanted))
        for length, own in zip(image.shape[:2], spacing, strict=True)
    )
    return height, width


def _stain_match(
    data: Path, spacing: Pair, bundle: ModelBundle, options: EvaluationOptions
) -> StainMatch:
    """Return one match for all patches, from the tissue of all of them.

    Patches, slides and training data are measured at the same µm/px.
    """
    method = options.stain
    if method == "none":
        return StainMatch(method)
    target = bundle.stain_target(method)
    small = [
        resize(patch.image, _size_at(patch.image, spacing, STATISTICS_MPP))
        for patch in iterate_patches(data, options.part)
    ]
    pixels = np.concatenate([image.reshape(-1, 3) for image in small])
    return StainMatch(method, estimate(pixels, method), target)
