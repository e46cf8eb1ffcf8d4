"""Patches of home: what the shipped model was trained for, to mix in and to judge by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_fastnet.errors import BundleError
from napari_fastnet.model.training_facts import DataFacts, data_facts, patch_digest
from napari_fastnet.patches.reading import iterate_patches

if TYPE_CHECKING:
    from napari_fastnet.core.arrays import Bools, Bytes
    from napari_fastnet.model.description import ModelDescription

#: Side and µm/px of the patches.
PATCH_PX, SPACING_UM_PX = 96, 0.972

_FOLDER = Path(str(resources.files("napari_fastnet.training.adapt"))) / "home"


@dataclass(frozen=True, slots=True, eq=False)
class HomePatches:
    """Labelled patches of home.

    Parameters
    ----------
    images : (n, 96, 96, 3) ndarray of uint8
        RGB at 0.972 µm/px.
    tumor : (n,) ndarray of bool
        Their labels, half of them True.
    facts : DataFacts
        Name, numbers and SHA-256.
    """

    images: Bytes
    tumor: Bools
    facts: DataFacts


@cache
def home_patches(name: Literal["mixing", "gate"]) -> HomePatches:
    """Read the 500 patches to mix in, or the 300 others of the gate."""
    patches = list(iterate_patches(_FOLDER / f"{name}.tar"))
    labels = [patch.label for patch in patches]
    return HomePatches(
        np.stack([patch.image for patch in patches]),
        np.array(labels) == 1,
        data_facts(
            f"home/{name}.tar",
            [patch_digest(patch.image) for patch in patches],
            labels,
            [None] * len(patches),
        ),
    )


def require_home(model: ModelDescription) -> None:
    """Raise BundleError for a model of another patch or µm/px than home's."""
    same_side = model.patch_size_pixels == PATCH_PX
    if not same_side or abs(model.spacing_um_px / SPACING_UM_PX - 1) > 0.01:
        raise BundleError(
            f"the model {model.name} is for patches of {model.patch_size_pixels} px at "
            f"{model.spacing_um_px:g} µm/px, and those that are mixed in have {PATCH_PX} "
            f"px at {SPACING_UM_PX} µm/px; adapt a model of these, such as fastnet-pcam"
        )
