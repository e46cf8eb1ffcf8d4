"""The plugin's settings: declared in napari.yaml, edited in napari's preferences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_fastnet.core.options import DEFAULT_COLOURS, ColoursName
from napari_fastnet.store.cache import LIMIT_BYTES, default_cache_folder

PLUGIN = "napari-fastnet"


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the preferences, or their defaults.

    Parameters
    ----------
    model : str or None
        Name of a shipped model or a bundle's folder; None is the shipped default.
    backend : {"auto", "onnx", "openvino", "torch"}
        Library that runs the network.
    threads : int or None
        For inference; None is one for each core.
    cache_folder : Path
        Folder of runs and sample slides.
    cache_limit_gb : float
        Largest total size of the runs in the cache, GB.
    colours : {"red-green", "blue-orange"}
        Of the heatmap.
    """

    model: str | None = None
    backend: str = "auto"
    threads: int | None = None
    cache_folder: Path = field(default_factory=default_cache_folder)
    cache_limit_gb: float = LIMIT_BYTES / 1e9
    colours: ColoursName = DEFAULT_COLOURS


def read_settings() -> Settings:
    """Return the current settings.

    Defaults if napari does not know the plugin: disabled, or used by a script without
    being installed.
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
        cache_limit_gb=chosen.storage.cache_limit_gb,
        colours=chosen.display.colours,
    )


def listen_to_colours(then: Callable[..., None]) -> None:
    """Call a method when the colours change, without keeping its owner alive."""
    chosen = _display()
    if chosen is not None:
        chosen.events.colours.connect(then)


def forget_colours(then: Callable[..., None]) -> None:
    """Stop calling a method when the colours change."""
    chosen = _display()
    if chosen is not None:
        chosen.events.colours.disconnect(then)


def _display() -> Any:
    from napari.settings import get_plugin_settings

    try:
        return get_plugin_settings(PLUGIN).display
    except KeyError:  # as in `read_settings`
        return None
