"""What the sections of the panel have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from magicgui.types import FileDialogMode
from magicgui.widgets import Container, FileEdit, Label
from magicgui.widgets.bases import Widget
from napari.viewer import Viewer
from psygnal import SignalInstance
from qtpy.QtWidgets import QSizePolicy

from napari_fastnet.plugin.detection.detection import Detection
from napari_fastnet.plugin.panel.keys import Keys
from napari_fastnet.plugin.widgets.dialogs import UndockWatch
from napari_fastnet.plugin.widgets.scroll_guard import ScrollGuard
from napari_fastnet.plugin.work.slide import SlideWork
from napari_fastnet.plugin.work.workspace import workspace_of


class Section(Container[Widget]):
    """A part of the panel that is also a widget of its own.

    Parameters
    ----------
    viewer : Viewer
        Sections of one viewer share its slides.
    title : str
        Heading.
    widgets : sequence of Widget
        From top to bottom.
    """

    def __init__(self, viewer: Viewer, title: str, widgets: Sequence[Widget]) -> None:
        self.workspace = workspace_of(viewer)
        self._listening: list[tuple[SignalInstance, Callable[..., Any]]] = []
        self._keys: list[Keys] = []
        heading = Label(value=f"<b>{title}</b>")
        super().__init__(widgets=[heading, *widgets], labels=False)
        self.margins = (6, 2, 6, 2)
        self.native.destroyed.connect(self.leave)
        self._watch = UndockWatch(self.native, self.undocked)
        self._guard = ScrollGuard(self.native)

    @property
    def work(self) -> SlideWork | None:
        """The slide that the section is about."""
        return self.workspace.current

    @property
    def detection(self) -> Detection | None:
        """The slide's detection, in progress or ended last."""
        detection: Detection | None = None
        if self.work is not None:
            detection = self.work.detection
        return detection

    def listen(self, signal: SignalInstance, then: Callable[..., Any]) -> None:
        """Connect a signal until the section is deleted."""
        signal.connect(then)
        self._listening.append((signal, then))

    def press_keys(self, actions: Mapping[str, Callable[[], object]]) -> None:
        """Let keys of the viewer do something until the section is deleted."""
        self._keys.append(Keys(self.workspace.viewer, actions))

    def undocked(self) -> None:
        """Give the keys back: the section is no more in the window."""
        for keys in self._keys:
            keys.release()
        self._keys.clear()

    def leave(self) -> None:
        """Listen no more: the section's widgets are gone."""
        Section.undocked(self)
        for signal, then in self._listening:
            signal.disconnect(then, missing_ok=True)
        self._listening.clear()


def row(*widgets: Widget, label: str = "") -> Container[Widget]:
    """Return widgets side by side; with a label in front, if one is given."""
    shown: list[Widget] = [Label(value=label, name="label")] if label else []
    line: Container[Widget] = Container(
        widgets=[*shown, *widgets], layout="horizontal", labels=False
    )
    line.margins = (0, 0, 0, 0)
    for widget in widgets:
        # a slider's own tool tip leaves out the number beside it
        widget.native.setToolTip(widget.tooltip or "")
    if label:
        line[0].min_width = line[0].max_width = LABEL_WIDTH
    return line


def text_line() -> Label:
    """Return a text that takes the room there is, and wraps rather than ask for more."""
    line = Label(value="")
    line.native.setWordWrap(True)
    line.native.setSizePolicy(
        QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred
    )
    return line


def folder_field(tooltip: str, *, when_empty: str = "") -> FileEdit:
    """Return a field for a folder, empty at first; says what it means to be so."""
    field = FileEdit(
        mode=FileDialogMode.EXISTING_DIRECTORY, nullable=True, tooltip=tooltip
    )
    field.choose_btn.text = "choose"
    field.line_edit.native.setPlaceholderText(when_empty)
    return field


def chosen_path(field: FileEdit) -> Path | None:
    """Return the path in a field, None where nothing was chosen."""
    # an empty field's path is that of the working directory
    value = str(field.value).strip()
    return None if value in ("None", "", ".") else Path(value).expanduser()


#: Of the labels in front of the sliders, px, so that the sliders stand in line.
LABEL_WIDTH = 76
