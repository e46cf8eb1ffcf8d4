"""Keys of the panel's actions; napari's preferences change them."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import Any

from napari.utils.key_bindings import coerce_keybinding
from napari.utils.notifications import show_warning

from napari_fastnet.plugin.settings import plugin_settings

#: Of each action. napari uses none of them, in any mode of any layer.
KEYS = {
    "detect": "Shift+D",
    "cancel": "Shift+C",
    "masks": "Shift+M",
    "heatmap": "Shift+H",
    "display": "Shift+S",
    "tissue_only": "H",
    "tumor": "J",
    "not_tumor": "K",
    "unsure": "U",
    "undo": "Shift+Z",
    "next_undecided": "N",
    "next": ".",
    "previous": ",",
    "ruler": "Shift+R",
    "paint_tumor": "Shift+J",
    "paint_normal": "Shift+K",
    "paint_ignore": "Shift+U",
    "undo_stroke": "Shift+X",
    "teach": "Shift+T",
    "old_new": "W",
}


def key_of(action: str) -> str:
    """Return the key of an action, as the preferences have it."""
    return _usable(_chosen())[action]


def _chosen() -> tuple[tuple[str, str], ...]:
    """Return action and key of each, as typed into the preferences."""
    chosen: Any = plugin_settings()
    if chosen is None:
        return tuple(KEYS.items())
    return tuple((name, str(getattr(chosen.keys, name)).strip()) for name in KEYS)


@lru_cache(maxsize=1)
def _usable(chosen: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Return the keys; in place of one that napari does not know, or of two, its default."""
    keys = dict(chosen)
    counts = Counter(map(coerce_keybinding, keys.values()))
    for action, key in chosen:
        if key == KEYS[action]:
            continue
        binding = coerce_keybinding(key)
        if not _is_known(binding):
            _stays(action, key, "is none that napari knows")
        elif counts[binding] > 1:
            _stays(action, key, "has another action, too")
        elif binding in _of_napari():
            _stays(action, key, "is one of napari's own")
        else:
            continue
        keys[action] = KEYS[action]
    if len({*map(coerce_keybinding, keys.values())}) < len(keys):
        return KEYS  # a default that came back has been given to another action
    return keys


def _stays(action: str, key: str, why: str) -> None:
    show_warning(
        f"key {key!r} of {action.replace('_', ' ')!r} {why}, so it stays {KEYS[action]!r}; "
        "choose another in Preferences > Plugins > FastNet > Keys"
    )


def _is_known(binding: Any) -> bool:
    name = getattr(binding.part0.key, "name", None) if binding.parts else None
    return name not in (None, "UNKNOWN", "Shift", "Ctrl", "Alt", "Meta")


def _of_napari() -> set[Any]:
    """Return the keys that napari has for itself, in any mode of any layer."""
    from napari.layers import Image, Labels, Points, Shapes
    from napari.utils.shortcuts import default_shortcuts

    kinds = (Image, Labels, Points, Shapes)
    bound = {coerce_keybinding(key) for kind in kinds for key in kind.class_keymap}
    return bound | {
        coerce_keybinding(key) for keys in default_shortcuts.values() for key in keys
    }
