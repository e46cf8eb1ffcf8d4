"""How well a model judges labelled patches, whatever their size and µm/px."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.core.appearance.stain import STATISTICS_MPP, StainMatch, estimate
from napari_fastnet.core.metrics.patches import (
    PatchMetrics,
    brier,
    calibration,
    evaluate_probabilities,
    operating_points,
)
from napari_fastnet.errors import DataError, SpacingError
from napari_fastnet.evaluation.options import EvaluationOptions
from napari_fastnet.machine.files import atomic_path
from napari_fastnet.model.backends.flips import predict_with_flips
from napari_fastnet.model.bundle import stain_target
from napari_fastnet.model.description import MINIMUM_PATCH_PX
from napari_fastnet.model.training_facts import known_data, patch_digest, set_digest
from napari_fastnet.patches.reading import Patch, iterate_patches, stored_spacing
from napari_fastnet.slide.resample import resize
from napari_fastnet.slide.spacing import Spacing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.model.backends.backend import Backend
    from napari_fastnet.model.bundle import ModelBundle

_BATCH = 64
# µm/px that differ by less, relative to each other, are the same.
_SAME_SPACING = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What `evaluate_patches` found.

    Parameters
    ----------
    metrics : PatchMetrics
        Eqs. 8-11, AUC and their intervals.
    names : list of str
        Paths of the patches within the tar or folder.
    labels : (n,) int64 ndarray
        1 is tumour.
    probabilities : (n,) float32 ndarray
        Of tumour.
    context : dict
        Data, model, back end, options and stain match.
    warnings : tuple of str
        What to know before believing the metrics, a sentence each.
    """

    metrics: PatchMetrics
    names: list[str]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    context: dict[str, Any]
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return what ``evaluate patches --json`` prints; undefined is None."""
        table = calibration(self.labels, self.probabilities)
        both = 0 < self.metrics.positives < self.metrics.n
        points = operating_points(self.labels, self.probabilities) if both else []
        return {
            **self.metrics.to_dict(),
            "operating_points": [asdict(point) for point in points],
            "brier": brier(self.labels, self.probabilities),
            "expected_calibration_error": table.expected_calibration_error,
            **self.context,
            "warnings": list(self.warnings),
        }


def evaluate_patches(
    data: Path,
    *,
    bundle: ModelBundle,
    backend: Backend,
    options: EvaluationOptions | None = None,
) -> Evaluation:
    """Judge the labelled patches of a tar, zip, folder or zarr.

    A patch is resampled to the model's µm/px, and its middle is cut out where it is larger than the model's patch. One
    that then is smaller is judged as it is: FastNet averages over whatever it sees, and
    surroundings made up by mirroring or padding would be judged along with it. So a
    256 px patch at 0.25 µm/px, 64 µm wide, is seen by a model at 0.972 µm/px as 66 px.

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
        How.

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
    judge = _Judge(backend, flips)
    seen = _Seen()
    for patch in iterate_patches(data, options.part):
        image = _as_the_model_sees(data, patch, spacing, bundle)
        judge.add(match.apply(image))
        seen.add(patch, image)
    probabilities, truth = judge.finish(), np.array(seen.labels, np.int64)
    threshold = bundle.threshold if options.threshold is None else options.threshold
    metrics = evaluate_probabilities(
        truth,
        probabilities,
        threshold=threshold,
        bootstrap=options.bootstrap,
        seed=options.seed,
        slides=seen.slides,
    )
    context = {
        "data": data.name,
        "model": {
            "name": bundle.name,
            "version": bundle.version,
            "sha256": bundle.sha256,
        },
        "backend": backend.name,
        "options": asdict(options)
        | {"threshold": threshold, "stain": match.to_dict(), "flips": flips},
    }
    warnings = (*seen.warnings(bundle), *_of_exchanged_labels(metrics))
    return Evaluation(metrics, seen.names, truth, probabilities, context, warnings)


def write_probabilities(path: Path, evaluation: Evaluation) -> None:
    """Write name, label and probability of each patch as CSV.

    Parameters
    ----------
    path : Path
        File to write, aside and renamed.
    evaluation : Evaluation
        What to write.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    rows = zip(
        evaluation.names, evaluation.labels, evaluation.probabilities, strict=True
    )
    with (
        atomic_path(path) as aside,
        aside.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(("name", "label", "probability"))
        writer.writerows((name, label, f"{value:.6f}") for name, label, value in rows)


class _Seen:
    """What is noted of each patch as it passes."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.labels: list[int] = []
        self.slides: list[str | None] = []
        self._digests: list[bytes | None] = []
        self._sides: list[int] = []
        self._grey = 0

    def add(self, patch: Patch, as_seen: NDArray[np.uint8]) -> None:
        """Take one more patch, as it is and as the model sees it."""
        self.names.append(patch.name)
        self.labels.append(patch.label)
        self.slides.append(patch.slide)
        self._digests.append(patch_digest(patch.image))
        self._grey += self._digests[-1] is not None and _is_grey(patch.image)
        self._sides.append(min(as_seen.shape[:2]))

    def warnings(self, bundle: ModelBundle) -> Iterator[str]:
        """Yield what the patches are not, in sentences."""
        smaller = sum(side < bundle.patch_size_pixels for side in self._sides)
        if smaller:
            least = min(self._sides) * bundle.spacing_um_px
            whole = bundle.patch_size_pixels * bundle.spacing_um_px
            yield (
                f"{smaller:,} of {len(self._sides):,} patches are narrower than what "
                f"{bundle.name} was trained on, the smallest {least:.0f} instead of "
                f"{whole:.0f} µm: it sees less than it needs; cut larger patches"
            )
        if self._grey:
            yield (
                f"{self._grey:,} of {len(self._sides):,} patches are grey: {bundle.name} "
                "looks at colours; give patches that have theirs"
            )
        known = known_data(bundle.training)
        part = known.get(set_digest(self._digests, self.labels))
        if part is not None:
            yield (
                f"{bundle.name} was {part} these very patches: the figures are better "
                "than on any others; judge it on patches of other slides"
            )


def _is_grey(image: NDArray[np.uint8]) -> bool:
    """Return whether a picture has no colour."""
    return bool((image == image[..., :1]).all())


def _of_exchanged_labels(metrics: PatchMetrics) -> Iterator[str]:
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


class _Judge:
    """Gathers patches into batches of one size and keeps their order."""

    def __init__(self, backend: Backend, flips: bool) -> None:
        self._backend = backend
        self._flips = flips
        self._waiting: dict[tuple[int, ...], list[tuple[int, NDArray[np.uint8]]]] = {}
        self._found: dict[int, np.float32] = {}
        self._count = 0

    def add(self, image: NDArray[np.uint8]) -> None:
        """Take one more patch."""
        waiting = self._waiting.setdefault(image.shape, [])
        waiting.append((self._count, image))
        self._count += 1
        if len(waiting) == _BATCH:
            self._judge(waiting)

    def finish(self) -> NDArray[np.float32]:
        """Return (n,) float32 probabilities in the order the patches came."""
        for waiting in self._waiting.values():
            self._judge(waiting)
        return np.array([self._found[i] for i in range(self._count)], np.float32)

    def _judge(self, waiting: list[tuple[int, NDArray[np.uint8]]]) -> None:
        """Judge a batch and empty it."""
        if not waiting:
            return
        patches = np.stack([image for _, image in waiting])
        values = predict_with_flips(self._backend.predict, patches, self._flips)
        self._found.update(zip((i for i, _ in waiting), values, strict=True))
        waiting.clear()


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

    They are measured at the µm/px at which slides and training data are.
    """
    method = options.stain
    if method == "none":
        return StainMatch(method)
    target = stain_target(bundle, method)
    small = [
        resize(patch.image, _size_at(patch.image, spacing, STATISTICS_MPP))
        for patch in iterate_patches(data, options.part)
    ]
    pixels = np.concatenate([image.reshape(-1, 3) for image in small])
    return StainMatch(method, estimate(pixels, method), target)
