"""Soft labels: what trained models say of the training patches, seen from all sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from napari_fastnet.core.calibration import logit_of
from napari_fastnet.engine.backends import create_backend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_fastnet.io.bundle import ModelBundle

_BATCH = 512


def teach(
    images: NDArray[np.uint8], teachers: Sequence[ModelBundle], threads: int | None
) -> NDArray[np.float32]:
    """Return the teachers' common probability of each patch.

    Each teacher judges a patch in its eight orientations; the logits of all are
    averaged. That is better than any single look, and one network can learn it.

    Parameters
    ----------
    images : (n, side, side, 3) ndarray of uint8
        Square patches at the teachers' µm/px.
    teachers : sequence of ModelBundle
        At least one.
    threads : int or None
        Of the CPU; None is all cores.

    Returns
    -------
    (n,) ndarray of float32
        Probabilities of tumour.
    """
    networks = [create_backend(bundle, threads=threads) for bundle in teachers]
    found = np.empty(len(images), np.float32)
    for start in range(0, len(images), _BATCH):
        batch = images[start : start + _BATCH]
        views = [
            np.rot90(side, turns, (1, 2))
            for side in (batch, batch[:, :, ::-1])
            for turns in range(4)
        ]
        logits = [
            logit_of(network.predict(np.ascontiguousarray(view)))
            for network in networks
            for view in views
        ]
        found[start : start + _BATCH] = expit(np.mean(logits, axis=0))
    return found
