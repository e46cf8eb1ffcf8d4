"""How well a model judges labelled patches, whatever their size and µm/px."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.core.metrics import (
    PatchMetrics,
    brier,
    calibration,
    evaluate_probabilities,
)
from napari_fastnet.core.operating_points import operating_points
from napari_fastnet.core.stain import STATISTICS_MPP, StainMatch, StainMethod, estimate
from napari_fastnet.engine.flips import predict_with_flips
from napari_fastnet.engine.stain_target import stain_target
from napari_fastnet.errors import DataError
from napari_fastnet.io.files import atomic_path
from napari_fastnet.io.model_rules import MINIMUM_PATCH_PX
from napari_fastnet.io.patches import Patch, iterate_patches, stored_spacing
from napari_fastnet.io.resample import resize
from napari_fastnet.io.spacing import Spacing

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.engine.backends import Backend
    from napari_fastnet.io.bundle import ModelBundle

_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """How patches are prepared and judged.

    Parameters
    ----------
    mpp : float or None
        µm/px of the patches; None is what a zarr states, and says of others that they
        are at the model's.
    part : {"train", "valid", "test"} or None
        Of a zarr, the part to judge; None is all.
    stain : {"none", "reinhard", "macenko", "density"}
        Match of the patches' colours to the model's, one for all patches, from all of
        their tissue, as a slide is matched.
    threshold : float or None
        Probability from which a patch is called tumour; None is the model's.
    bootstrap, seed : int
        Resamples for the 95 % intervals, and their seed.
    flips : bool or None
        Judge each patch and its three mirror images and take the mean; None is as
        the model says.
    """

    mpp: float | None = None
    stain: StainMethod = "none"
    threshold: float | None = None
    bootstrap: int = 1000
    seed: int = 0
    flips: bool | None = None
    part: str | None = None


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
    """

    metrics: PatchMetrics
    names: list[str]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    context: dict[str, Any]

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
        }


def evaluate_patches(
    data: Path,
    *,
    bundle: ModelBundle,
    backend: Backend,
    options: EvaluationOptions | None = None,
) -> Evaluation:
    """Judge the labelled patches of a tar or folder.

    A patch is resampled to the model's µm/px, where ``options.mpp`` says that it is at
    another, and its middle is cut out where it is larger than the model's patch. One
    that then is smaller is judged as it is: FastNet averages over whatever it sees, and
    surroundings made up by mirroring or padding would be judged along with it. So a
    256 px patch at 0.25 µm/px, 64 µm wide, is seen by a model at 0.972 µm/px as 66 px.

    Parameters
    ----------
    data : Path
        Tar or folder with images in 0/ (normal) and 1/ (tumour), or a zarr of patches;
        one class alone is allowed, and sizes may differ.
    bundle : ModelBundle
        The model.
    backend : Backend
        Its network.
    options : EvaluationOptions, optional
        How; patches as the model expects them by default.

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
        The µm/px given is absurd.
    OptionError
        The threshold is no probability, or the model has no colours for the stain
        method.
    DetectionError
        The network failed.
    """
    options = options or EvaluationOptions()
    spacing = (bundle.spacing_um_px, bundle.spacing_um_px)
    own = stored_spacing(data) if options.mpp is None else options.mpp
    if own is not None:
        spacing = Spacing.of_user(own).require(str(data))
    match = _stain_match(data, spacing, bundle, options)
    flips = bundle.flips if options.flips is None else options.flips
    judge = _Judge(backend, flips)
    names, labels = [], []
    for patch in iterate_patches(data, options.part):
        image = _as_the_model_sees(data, patch, spacing, bundle)
        judge.add(match.apply(image))
        names.append(patch.name)
        labels.append(patch.label)
    probabilities, truth = judge.finish(), np.array(labels, np.int64)
    threshold = bundle.threshold if options.threshold is None else options.threshold
    metrics = evaluate_probabilities(
        truth,
        probabilities,
        threshold=threshold,
        bootstrap=options.bootstrap,
        seed=options.seed,
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
    return Evaluation(metrics, names, truth, probabilities, context)


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
