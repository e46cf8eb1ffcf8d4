"""Find tumours in whole-slide images with FastNet; research use only.

What is named here is public. Everything is loaded when it is first used, so that
importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_fastnet.core.geometry import Box, Grid, Level
    from napari_fastnet.errors import FastNetError

__version__ = "0.1.0"

__all__ = ["Box", "FastNetError", "Grid", "Level", "__version__"]

_HOME = {
    "Box": "core.geometry",
    "FastNetError": "errors",
    "Grid": "core.geometry",
    "Level": "core.geometry",
}


def __getattr__(name: str) -> Any:
    """Return a public name from the module it lives in."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return __all__
