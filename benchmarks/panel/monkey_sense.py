"""What must hold after every act: nothing changed by itself, what is shown is used."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QApplication

#: Acts after which every choice of the panel is what it was before.
HARMLESS = (
    *("wheel_panel", "wheel_canvas", "drag_canvas", "click_canvas", "press_view"),
    *("toggle_layer", "rename_layer", "rest", "close_messages", "resize"),
    *("click_table", "press_key", "use_layer_controls", "drag_slider", "click_groove"),
)
#: Shown numbers have so many decimals.
CLOSE = 6e-5
GREY_CLOSE = 6e-3


def choices_of(panel: Any) -> dict[str, Any]:
    """Return what was chosen in a panel, but for numbers."""
    detect, export = panel.detect, panel.export
    return {
        "model": detect.model.value,
        "density": detect.stride.value,
        "back end": detect.backend.value,
        "what I see first": detect.view_first.value,
        "which": export.which.value,
        "formats": export.formats.formats,
        **{n: getattr(export, n).value for n in ("masks", "heatmap", "regions")},
    }


def numbers_of(panel: Any) -> dict[str, float]:
    """Return the numbers of a panel's sliders."""
    names = ("red", "green", "blue", "saturation", "low", "high")
    found = {name: getattr(panel.tissue, name).value for name in names}
    return found | {
        "threshold": panel.detect.threshold.value,
        "opacity": panel.detect.opacity.value,
    }


class Sense:
    """Compares a panel before and after each act.

    Parameters
    ----------
    life : Life
        Whose panel.
    """

    def __init__(self, life: Any) -> None:
        self._life = life
        self.look()

    def look(self) -> None:
        """Look at the panel before an act, once what the one before chose has come."""
        QApplication.processEvents()
        panel = self._life.panel
        self._panel, self._work = panel, panel.slide.work
        self._choices, self._numbers = choices_of(panel), numbers_of(panel)

    def wrong(self, act: str) -> list[str]:
        """Return what does not hold after an act."""
        panel = self._life.panel
        found = [*untrue_numbers(panel)]
        if panel is self._panel and panel.slide.work is self._work and act in HARMLESS:
            now = choices_of(panel)
            found += [
                f"{name} went from {self._choices[name]} to {now[name]} by {act}"
                for name in now
                if now[name] != self._choices[name]
            ]
        if act == "wheel_panel" and not _is_focused_inside(panel):
            now = numbers_of(panel)
            found += [
                f"{name} went from {self._numbers[name]} to {now[name]} by scrolling"
                for name in now
                if now[name] != self._numbers[name] and self._work is panel.slide.work
            ]
        return found


def untrue_numbers(panel: Any) -> list[str]:
    """Return the numbers that are shown and are not those that are used."""
    work = panel.slide.work
    if work is None:
        return []
    pairs = [("threshold", panel.detect.threshold, work.threshold, CLOSE)]
    heatmap = work.layers.get("heatmap")
    if heatmap is not None:
        pairs.append(("opacity", panel.detect.opacity, heatmap.opacity, CLOSE))
    if work.editor is not None:
        for name in ("red", "green", "blue", "saturation", "low", "high"):
            used = max(0.0, work.editor.threshold(name))
            pairs.append((name, getattr(panel.tissue, name), used, GREY_CLOSE))
    found = []
    for name, slider, used, close in pairs:
        shown = float(slider.box.text()) if not slider.box.hasFocus() else slider.value
        if abs(shown - used) > close or abs(slider.value - used) > close:
            found.append(f"{name} shows {shown} ({slider.value}), used is {used}")
    return found


def _is_focused_inside(panel: Any) -> bool:
    focused = QApplication.focusWidget()
    return focused is not None and panel.native.isAncestorOf(focused)
