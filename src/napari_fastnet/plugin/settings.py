"""The plugin's settings: declared in napari.yaml, edited in napari's preferences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from napari_fastnet.core.options import DEFAULT_COLOURS, ColoursName
from napari_fastnet.machine.files import default_cache_folder
from napari_fastnet.plugin import viewer_parts
from napari_fastnet.store.cache import LIMIT_BYTES

PLUGIN = "napari-fastnet"
FOLDED, UNFOLDED = "folded", "unfolded"
Side = Literal["left", "right"]


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
    """Return the current settings, or defaults without those of `plugin_settings`."""
    chosen = plugin_settings()
    if chosen is None:
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


def plugin_settings() -> Any:
    """Return napari's settings of this plugin, which are saved when they change, or None."""
    return viewer_parts.plugin_settings(PLUGIN)


def remembered_fold(section: str) -> bool | None:
    """Return whether a person has folded a section; None if never touched."""
    return _folded().get(section)


def remember_folded(section: str, folded: bool) -> None:
    """Remember that a person has folded a section, or unfolded it."""
    chosen = plugin_settings()
    if chosen is not None:
        states = _folded() | {section: folded}
        chosen.panel.sections = ", ".join(
            f"{name} {FOLDED if is_folded else UNFOLDED}"
            for name, is_folded in states.items()
        )


def _folded() -> dict[str, bool]:
    """Return the sections that a person has folded or unfolded, by name."""
    chosen = plugin_settings()
    words = "" if chosen is None else chosen.panel.sections
    pairs = (part.strip().rpartition(" ") for part in words.split(","))
    return {
        name: word == FOLDED for name, _, word in pairs if word in (FOLDED, UNFOLDED)
    }


def chosen_side() -> Side:
    """Return the side of the window on which the panel belongs."""
    chosen = plugin_settings()
    side: Side = "left" if chosen is None else chosen.panel.place
    return side


def remember_side(side: Side) -> None:
    """Remember the side of the window on which the panel is."""
    chosen = plugin_settings()
    if chosen is not None and chosen.panel.place != side:
        chosen.panel.place = side


def may_offer() -> bool:
    """Return whether the panel may be offered to a person who opens a slide."""
    chosen = plugin_settings()
    return chosen is not None and bool(chosen.panel.offer)


def forget_offer() -> None:
    """Remember that the panel has been offered."""
    chosen = plugin_settings()
    if chosen is not None:
        chosen.panel.offer = False


def listen_to_colours(then: Callable[..., None]) -> None:
    """Call a method when the colours change, without keeping its owner alive."""
    chosen = plugin_settings()
    if chosen is not None:
        chosen.display.events.colours.connect(then)


def forget_colours(then: Callable[..., None]) -> None:
    """Stop calling a method when the colours change."""
    chosen = plugin_settings()
    if chosen is not None:
        chosen.display.events.colours.disconnect(then)
