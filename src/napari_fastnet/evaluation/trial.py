"""Try a model before it is taken in: on glass, on normal tissue, on tumor, all drawn.

A model that is described wrongly gives a heatmap all the same, and it looks like any
other. What is surely wrong is refused here, and what may be is told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.errors import DetectionError, OptionError
from napari_fastnet.model.backends.backend import create_backend
from napari_fastnet.model.description import LOGITS, PROBABILITIES, TORCHSCRIPT
from napari_fastnet.model.user_models import keep, read_candidate
from napari_fastnet.synthetic.sample_patches import sample_patches

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.model.description import Outputs
    from napari_fastnet.model.user_models import Candidate
    from napari_fastnet.synthetic.sample_patches import SamplePatches

#: Probabilities that differ by less are alike.
ALIKE = 0.01
#: Tumor that is not so much more probable in drawn tumor is hardly told apart.
APART = 0.1


@dataclass(frozen=True, slots=True)
class Trial:
    """Probabilities of tumor that a model gave drawn patches.

    Parameters
    ----------
    white, normal, tumor : float
        Of glass, and the means over patches of either tissue.
    doubts : tuple of str
        What the user should be told, a line each.
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
    """Try a model and copy it to the user's own.

    Parameters
    ----------
    folder, name, positive, allow_torchscript
        As for `model.user_models.read_candidate`.
    outputs : {"logits", "probabilities"}, optional
        What a TorchScript program gives; by default it is seen from its numbers.

    Returns
    -------
    ModelBundle and Trial
        As it was added, and how it fared, doubts of its description among it.

    Raises
    ------
    BundleError, OptionError, OutputError
        As for `model.user_models.add_model`, or what the program gives cannot be seen.
    DetectionError
        The model cannot be run, or gives what is no probability.
    """
    candidate = read_candidate(
        folder, name=name, positive=positive, allow_torchscript=allow_torchscript
    )
    bundle = candidate.bundle
    patches = sample_patches(bundle.patch_size_pixels, bundle.spacing_um_px)
    if bundle.kind == TORCHSCRIPT:
        found = outputs or _outputs_seen(bundle, patches)
        candidate = replace(candidate, bundle=replace(bundle, outputs=found))
    elif outputs is not None:
        raise OptionError(
            f"outputs is {outputs!r}, and {bundle.name} is no TorchScript program, which "
            "alone may give either; leave --outputs out"
        )
    trial = try_model(candidate, patches)
    return keep(candidate), trial


def try_model(candidate: Candidate, patches: SamplePatches) -> Trial:
    """Let a model judge drawn patches.

    Parameters
    ----------
    candidate : Candidate
        The model.
    patches : SamplePatches
        Of its size and µm/px.

    Returns
    -------
    Trial
        How it fared.

    Raises
    ------
    DetectionError
        It cannot be run, gives what is no probability, or judges a patch otherwise
        among others than alone.
    """
    bundle = candidate.bundle
    backend = create_backend(bundle)
    everything = _together(patches)
    judged = backend.predict(everything)
    (alone,) = backend.predict(everything[-1:])
    if abs(alone - judged[-1]) > ALIKE:
        raise DetectionError(
            f"the model {bundle.name} gives the same patch {judged[-1]:.3g} among others "
            f"and {alone:.3g} alone; it was exported while in training: export it after "
            "model.eval()"
        )
    if bundle.dense_scan is not None:
        backend.cell_margins(everything[-1])
    count = len(patches.normal)
    white, normal, tumor = judged[0], judged[1 : 1 + count], judged[1 + count :]
    trial = Trial(float(white), float(normal.mean()), float(tumor.mean()))
    return replace(
        trial,
        doubts=(*candidate.doubts, *_doubts(bundle, trial, float(np.ptp(judged)))),
    )


def _together(patches: SamplePatches) -> NDArray[np.uint8]:
    return np.concatenate([patches.white, patches.normal, patches.tumor])


def _outputs_seen(bundle: ModelBundle, patches: SamplePatches) -> Outputs:
    """Return what a program gives, where its numbers tell it.

    Numbers from 0 to 1 that come to 1 over the classes are a softmax's; logits are not
    all from 0 to 1 for glass, normal tissue and tumor alike.
    """
    from napari_fastnet.model.backends.torchscript import TorchScriptBackend

    numbers = TorchScriptBackend(bundle).numbers(_together(patches))
    if not np.isfinite(numbers).all():
        return LOGITS  # which the trial refuses, with the right words
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


def _doubts(bundle: ModelBundle, trial: Trial, spread: float) -> list[str]:
    """Return what is odd about the probabilities."""
    shown = bundle.class_names[bundle.positive_class]
    if spread < ALIKE:
        return [
            f"the model gives {trial.white:.3g} to glass and to all drawn tissue: it "
            "tells nothing apart"
        ]
    said = []
    if trial.white >= bundle.threshold:
        said.append(
            f"the model calls glass tumor ({trial.white:.2f}): see whether its transform "
            "is described rightly"
        )
    if trial.tumor < trial.normal - ALIKE:
        said.append(
            f"the model finds {shown!r} in drawn normal tissue ({trial.normal:.2f}) "
            f"rather than in drawn tumor ({trial.tumor:.2f}): see whether that class is "
            "tumor"
        )
    elif trial.tumor < trial.normal + APART:
        said.append(
            f"the model hardly tells drawn tumor ({trial.tumor:.2f}) from drawn normal "
            f"tissue of a lymph node ({trial.normal:.2f}): it may be for other tissue"
        )
    return said
