"""Trial of a model before it is added: on drawn glass, normal tissue and tumor.

A model with a wrong description still gives a heatmap, which looks like any other. Sure
faults are refused here, and doubts are returned as warnings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.errors import DetectionError, OptionError
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.description import LOGITS, PROBABILITIES, TORCHSCRIPT
from napari_fastnet.model.user_models import keep, read_candidate
from napari_fastnet.synthetic.texture import sample_patches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.model.description import Outputs

#: Probabilities that differ by less are taken for equal.
ALIKE = 0.01
#: Least difference in probability between drawn tumor and drawn normal tissue.
APART = 0.1


@dataclass(frozen=True, slots=True)
class Trial:
    """Probabilities of tumor that a model gave drawn patches.

    Parameters
    ----------
    white, normal, tumor : float
        Of glass, and the means over patches of either tissue.
    doubts : tuple of str
        Warnings for the user, a line each.
    """

    white: float
    normal: float
    tumor: float
    doubts: tuple[str, ...] = ()

    def words(self) -> str:
        """Return the probabilities in words."""
        return (
            f"on drawn patches: glass {self.white:.2f}, normal tissue "
            f"{self.normal:.2f}, tumor {self.tumor:.2f}"
        )


def take_in(
    folder: Path,
    *,
    name: str | None = None,
    positive: str | None = None,
    allow_torchscript: bool = False,
    outputs: Outputs | None = None,
) -> tuple[ModelBundle, Trial]:
    """Try a model on drawn patches and copy it to the user's own models.

    Parameters
    ----------
    folder, name, positive, allow_torchscript
        As for `model.user_models.read_candidate`.
    outputs : {"logits", "probabilities"}, optional
        Outputs of a TorchScript program; by default they are recognised by their range.

    Returns
    -------
    ModelBundle and Trial
        As added, and its probabilities with the doubts about its description.

    Raises
    ------
    BundleError, OptionError, OutputError
        As for `model.user_models.read_candidate` and `keep`, or the outputs of the
        program cannot be recognised.
    DetectionError
        The model cannot be run, gives no probabilities, or gives a patch another one
        among others than alone.
    """
    candidate = read_candidate(
        folder, name=name, positive=positive, allow_torchscript=allow_torchscript
    )
    bundle = candidate.bundle
    drawn = sample_patches(bundle.patch_size_pixels, bundle.spacing_um_px)
    patches = np.concatenate([drawn.white, drawn.normal, drawn.tumor])
    if bundle.kind == TORCHSCRIPT:
        bundle = replace(
            bundle, outputs=outputs or _recognised_outputs(bundle, patches)
        )
        candidate = replace(candidate, bundle=bundle)
    elif outputs is not None:
        raise OptionError(
            f"outputs is {outputs!r}, and {bundle.name} is no TorchScript program, which "
            "alone may give either; leave --outputs out"
        )
    found = _probabilities(bundle, patches)
    white, normal, tumor = np.split(found, [1, 1 + len(drawn.normal)])
    trial = Trial(float(white[0]), float(normal.mean()), float(tumor.mean()))
    doubts = (*candidate.doubts, *_doubts(bundle, trial, float(np.ptp(found))))
    return keep(candidate), replace(trial, doubts=doubts)


def _probabilities(
    bundle: ModelBundle, patches: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Return the model's probabilities; DetectionError where they depend on the batch."""
    backend = create_backend(bundle)
    together = backend.predict(patches)
    (alone,) = backend.predict(patches[-1:])
    if abs(alone - together[-1]) > ALIKE:
        raise DetectionError(
            f"the model {bundle.name} gives the same patch {together[-1]:.3g} among "
            f"others and {alone:.3g} alone; it was exported while in training: export it "
            "after model.eval()"
        )
    if bundle.dense_scan is not None:
        backend.cell_margins(patches[-1])
    return together


def _recognised_outputs(bundle: ModelBundle, patches: NDArray[np.uint8]) -> Outputs:
    """Return the kind of a program's outputs by their range.

    Numbers from 0 to 1 that sum to 1 over the classes are a softmax's; logits are not
    all from 0 to 1 for glass, normal tissue and tumor alike.
    """
    from napari_fastnet.model.backends.torchscript import TorchScriptBackend

    numbers = TorchScriptBackend(bundle).scores(patches)
    if not np.isfinite(numbers).all():
        return LOGITS  # `_probabilities` then refuses them with the right words
    inside = numbers.min() > -1e-3 and numbers.max() < 1 + 1e-3
    if not inside or np.ptp(numbers, axis=0).max() == 0:
        return LOGITS
    if numbers.shape[1] > 1 and np.abs(numbers.sum(axis=1) - 1).max() < 1e-3:
        return PROBABILITIES
    raise OptionError(
        f"the model {bundle.name} gives drawn patches numbers from {numbers.min():.3g} "
        f"to {numbers.max():.3g}, which may be logits or probabilities; say --outputs "
        f"{LOGITS} or --outputs {PROBABILITIES}"
    )


def _doubts(bundle: ModelBundle, trial: Trial, spread: float) -> Iterator[str]:
    """Yield a warning for each odd probability."""
    shown = bundle.class_names[bundle.positive_class]
    if spread < ALIKE:
        yield (
            f"the model gives {trial.white:.3g} to glass and to all drawn tissue: it "
            "tells nothing apart"
        )
        return
    if trial.white >= bundle.threshold:
        yield (
            f"the model calls glass tumor ({trial.white:.2f}): see whether its transform "
            "is described rightly"
        )
    if trial.tumor < trial.normal - ALIKE:
        yield (
            f"the model finds {shown!r} in drawn normal tissue ({trial.normal:.2f}) "
            f"rather than in drawn tumor ({trial.tumor:.2f}): see whether that class is "
            "tumor"
        )
    elif trial.tumor < trial.normal + APART:
        yield (
            f"the model hardly tells drawn tumor ({trial.tumor:.2f}) from drawn normal "
            f"tissue of a lymph node ({trial.normal:.2f}): it may be for other tissue"
        )
