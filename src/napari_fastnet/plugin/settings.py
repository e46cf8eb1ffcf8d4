"""The plugin's settings: declared in napari.yaml, edited in napari's preferences."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_fastnet.io.cache import default_cache_folder

PLUGIN = "napari-fastnet"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the preferences say; defaults where the user changed nothing.

    Parameters
    ----------
    model : str or None
        Name of a shipped model or a bundle's folder; None is the shipped default.
    backend : {"auto", "onnx", "torch"}
        What computes.
    threads : int or None
        For inference; None is one a core.
    cache_folder : Path
        Where unfinished runs and sample slides are kept.
    """

    model: str | None = None
    backend: str = "auto"
    threads: int | None = None
    cache_folder: Path = field(default_factory=default_cache_folder)


def read_settings() -> Settings:
    """Return the settings as they are now.

    The defaults, where napari does not know the plugin: disabled, or used from a script
    without being installed.
    """
    from napari.settings import get_plugin_settings

    try:
        chosen: Any = get_plugin_settings(PLUGIN)
    except KeyError:
        return Settings()
    folder = chosen.storage.cache_folder.strip()
    return Settings(
        model=chosen.detection.model.strip() or None,
        backend=chosen.detection.backend,
        threads=chosen.detection.threads or None,
        cache_folder=Path(folder).expanduser() if folder else default_cache_folder(),
    )
