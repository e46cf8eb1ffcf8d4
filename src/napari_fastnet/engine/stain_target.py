"""The colours that a model was trained on, from its bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_fastnet.core.stain import StainMethod, StainStatistics
from napari_fastnet.errors import OptionError

if TYPE_CHECKING:
    from napari_fastnet.io.bundle import ModelBundle


def stain_target(bundle: ModelBundle, method: StainMethod) -> StainStatistics | None:
    """Return the colours that a model was trained on.

    Raises
    ------
    OptionError
        The model does not state them for this method.
    """
    if method == "none":
        return None
    if method not in bundle.stain:
        known = ", ".join(["none", *bundle.stain])
        raise OptionError(
            f"stain is {method!r} and the model {bundle.name} states no such colours; "
            f"use one of {known}"
        )
    return StainStatistics.from_dict(bundle.stain[method])
