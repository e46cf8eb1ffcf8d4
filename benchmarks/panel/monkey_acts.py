"""What the monkey does: one method an act, each by events of mouse, wheel and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QTableWidget,
    QWidget,
)

from monkey_hands import PLAIN, click, double_click, drag, key, seen_point, wheel, write

if TYPE_CHECKING:
    from pathlib import Path

CONTROL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
#: What is typed into fields for numbers, sense and nonsense.
NUMBERS = (
    *("0.25", "0,25", "0.5", "1", "0", "-1", "1e-9", "1.000,5", "1,000.5", "250"),
    *("0.25 µm", "abc", "", "0.4999", "0,35", "99999999", "128", "٣", ".5", "5."),
)
NAMES = ("a", "tumor probability", "", "tissue ROI", "x y é", "tumor regions")
#: Keys on the canvas: the panel's, napari's of views and of layers.
KEYS = (
    *((name, SHIFT) for name in "DCMH"),
    *((name, PLAIN) for name in "1234567.,VBEQ"),
    *((name, CONTROL) for name in "ZYGTER"),
    ("Home", PLAIN),
)
#: Buttons below the layer list; the console is a program of its own.
VIEWS = (
    "ndisplayButton",
    "rollDimsButton",
    "transposeDimsButton",
    "gridViewButton",
    "resetViewButton",
)

#: How often each act is done, beside the others.
WEIGHTS = {
    "press_button": 14,
    "detect": 3,
    "drag_slider": 8,
    "click_groove": 4,
    "wheel_panel": 10,
    "wheel_canvas": 5,
    "drag_canvas": 7,
    "click_canvas": 3,
    "type_number": 8,
    "spin_by_keys": 3,
    "choose": 4,
    "press_key": 9,
    "click_table": 2,
    "select_layer": 6,
    "toggle_layer": 3,
    "rename_layer": 2,
    "remove_layer": 3,
    "press_view": 4,
    "open_file": 3,
    "use_layer_controls": 4,
    "redock": 1,
    "resize": 1,
    "close_messages": 3,
    "rest": 4,
}


class Acts:
    """What can be done in a window.

    Parameters
    ----------
    life : Life
        Its window, its panel, its files.
    rng : numpy Generator
        Chooses.
    """

    def __init__(self, life: Any, rng: np.random.Generator) -> None:
        self.life, self.rng = life, rng
        self._names = list(WEIGHTS)
        weights = np.array(list(WEIGHTS.values()), float)
        self._shares = weights / weights.sum()

    def next(self) -> tuple[str, str]:
        """Do one thing; return its name and what it was done to."""
        name = str(self.rng.choice(self._names, p=self._shares))
        return name, str(getattr(self, name)() or "")

    @property
    def panel(self) -> QWidget:
        """The panel's scroll area."""
        return self.life.panel.native  # type: ignore[no-any-return]

    @property
    def window(self) -> Any:
        """Of napari."""
        return self.life.viewer.window._qt_window  # noqa: SLF001

    @property
    def qt_viewer(self) -> Any:
        """Of napari."""
        return self.life.viewer.window._qt_viewer  # noqa: SLF001

    @property
    def canvas(self) -> QWidget:
        """Where the slide is drawn."""
        return self.qt_viewer.canvas.native  # type: ignore[no-any-return]

    def one_of(self, kind: Any, inside: QWidget | None = None) -> Any:
        """Return one of the widgets of a kind that are on screen, None for none."""
        found = (inside or self.panel).findChildren(kind)
        seen = [each for each in found if seen_point(each) is not None]
        return seen[int(self.rng.integers(len(seen)))] if seen else None

    def press_button(self) -> str:
        """Press a button of the panel."""
        button = self.one_of(QAbstractButton)
        if button is None:
            return ""
        click(button)
        return str(button.text())

    def detect(self) -> None:
        """Detect, if the button is on screen: else scroll there."""
        self.panel.ensureWidgetVisible(self.life.panel.detect.start.native)
        click(self.life.panel.detect.start.native)

    def drag_slider(self) -> str:
        """Press in a slider and drag."""
        slider = self.one_of(QAbstractSlider)
        if slider is None:
            return ""
        way = [seen_point(slider, self.rng) for _ in range(2)]
        if None in way:
            return ""
        start, end = way
        points = [start + (end - start) * i / 5 for i in range(6)]
        drag(slider, points)
        return name_of(slider)

    def click_groove(self) -> str:
        """Click in a slider."""
        slider = self.one_of(QAbstractSlider)
        if slider is not None:
            click(slider, seen_point(slider, self.rng))
        return name_of(slider)

    def wheel_panel(self) -> str:
        """Turn the wheel over the panel, wherever the pointer is."""
        inside = self.panel.viewport()
        at = seen_point(inside, self.rng)
        if at is None:
            return ""
        wheel(inside, at, int(self.rng.choice([-3, -2, -1, 1, 2, 3])))
        return name_of(inside.childAt(at))

    def wheel_canvas(self) -> None:
        """Zoom, now and then with a key held."""
        at = seen_point(self.canvas, self.rng)
        held = self.rng.choice([PLAIN, PLAIN, PLAIN, CONTROL, SHIFT])
        if at is not None:
            wheel(self.canvas, at, int(self.rng.choice([-4, -1, 1, 3])), held)

    def drag_canvas(self) -> str:
        """Pan, or paint with whatever tool a layer has."""
        way = [seen_point(self.canvas, self.rng) for _ in range(4)]
        if None not in way:
            drag(self.canvas, way)
        active = self.life.viewer.layers.selection.active
        return "" if active is None else f"{active.name} {getattr(active, 'mode', '')}"

    def click_canvas(self) -> None:
        """Click on the canvas."""
        at = seen_point(self.canvas, self.rng)
        if at is not None:
            click(self.canvas, at)

    def type_number(self) -> str:
        """Type a number, or what is none, into a field, and confirm or leave it."""
        field = self.one_of(QAbstractSpinBox)
        if field is None:
            return ""
        text = str(self.rng.choice(NUMBERS))
        inside = field.findChild(QLineEdit)
        click(inside if inside is not None else field)
        write(field, text)
        key(field, Qt.Key.Key_Return if self.rng.random() < 0.6 else Qt.Key.Key_Tab)
        return f"{name_of(field)} {text!r}"

    def spin_by_keys(self) -> str:
        """Press keys in a field for numbers or a slider."""
        field = self.one_of(
            QAbstractSpinBox if self.rng.random() < 0.5 else QAbstractSlider
        )
        if field is None:
            return ""
        click(field)
        keys = Qt.Key
        pressed = (keys.Key_Up, keys.Key_Down, keys.Key_PageUp, keys.Key_PageDown)
        key(field, *(pressed[int(i)] for i in self.rng.integers(0, 4, 3)))
        return name_of(field)

    def choose(self) -> str:
        """Open a list; what answers windows chooses from it."""
        box = self.one_of(QComboBox)
        if box is not None:
            click(box)
        return name_of(box)

    def press_key(self) -> str:
        """Press a key on the canvas."""
        name, held = KEYS[int(self.rng.integers(len(KEYS)))]
        self.canvas.setFocus()
        code = {".": "Period", ",": "Comma"}.get(name, name)
        key(self.canvas, getattr(Qt.Key, f"Key_{code}"), modifier=held)
        return name

    def click_table(self) -> None:
        """Click a row of the regions."""
        table = self.one_of(QTableWidget)
        if table is not None:
            inside = table.viewport()
            at = seen_point(inside, self.rng)
            if at is not None:
                click(inside, at)

    def _row(self) -> tuple[Any, Any] | None:
        """Return the layer list and the place of one of its rows."""
        view = self.qt_viewer.layers
        count = view.model().rowCount()
        if not count:
            return None
        rect = view.visualRect(view.model().index(int(self.rng.integers(count)), 0))
        seen = view.viewport().visibleRegion().boundingRect().intersected(rect)
        return (view.viewport(), seen) if seen.height() > 4 else None

    def select_layer(self) -> str:
        """Click a layer's row, alone or beside others."""
        found = self._row()
        if found is None:
            return ""
        view, rect = found
        held = self.rng.choice([PLAIN, PLAIN, PLAIN, SHIFT, CONTROL])
        click(view, QPoint(rect.left() + 90, rect.center().y()), held)
        return str(self.life.viewer.layers.selection.active)

    def toggle_layer(self) -> None:
        """Click a layer's eye."""
        found = self._row()
        if found is not None:
            view, rect = found
            click(view, QPoint(rect.left() + 14, rect.center().y()))

    def rename_layer(self) -> str:
        """Give a layer another name."""
        found = self._row()
        if found is None:
            return ""
        view, rect = found
        double_click(view, QPoint(rect.left() + 90, rect.center().y()))
        editor = view.findChild(QLineEdit)
        name = str(self.rng.choice(NAMES))
        if editor is not None:
            write(editor, name)
            key(view, Qt.Key.Key_Return)
        return name

    def remove_layer(self) -> str:
        """Remove what is selected, by key or by button."""
        self.select_layer()
        chosen = ", ".join(str(each) for each in self.life.viewer.layers.selection)
        if self.rng.random() < 0.5:
            click(self.qt_viewer.layerButtons.deleteButton)
        else:
            self.qt_viewer.layers.setFocus()
            key(self.qt_viewer.layers, Qt.Key.Key_Delete)
        return chosen

    def press_view(self) -> str:
        """Press one of napari's buttons for the view."""
        name = str(self.rng.choice(VIEWS))
        click(getattr(self.qt_viewer.viewerButtons, name))
        return name

    def open_file(self) -> str:
        """Open a slide or results, as a file that is dropped on the window."""
        path: Path = self.life.files[int(self.rng.integers(len(self.life.files)))]
        if len(self.life.viewer.layers) > 14 or not path.exists():
            return ""
        self.qt_viewer._qt_open(  # noqa: SLF001
            [str(path)], stack=False, plugin="napari-fastnet"
        )
        return path.name

    def use_layer_controls(self) -> str:
        """Drag or turn the wheel in napari's controls of a layer."""
        inside = self.qt_viewer.controls
        slider = self.one_of(QAbstractSlider, inside)
        if slider is None:
            return ""
        at = seen_point(slider, self.rng)
        if self.rng.random() < 0.5:
            click(slider, at)
        else:
            wheel(slider, at, int(self.rng.choice([-2, 1])))
        return name_of(slider)

    def redock(self) -> None:
        """Close the panel's dock, and open another."""
        self.life.redock()

    def resize(self) -> None:
        """Give the window another size."""
        self.window.resize(
            *(int(n) for n in self.rng.integers((760, 560), (1280, 1000)))
        )

    def close_messages(self) -> None:
        """Close what napari told."""
        self.life.close_messages()

    def rest(self) -> None:
        """Let what is going on go on for a while."""
        self.life.live(float(self.rng.uniform(0.3, 2.0)))


def name_of(widget: Any) -> str:
    """Return which widget it is, for the log."""
    if widget is None:
        return ""
    tip = ""
    above = widget
    while above is not None and not tip:
        tip, above = above.toolTip(), above.parentWidget()
    return f"{type(widget).__name__} ({tip[:40]})"
