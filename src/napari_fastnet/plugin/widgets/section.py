"""The base class of the panel's sections, and the widgets they share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

from magicgui.types import FileDialogMode
from magicgui.widgets import Container, FileEdit, Label, PushButton
from magicgui.widgets.bases import Widget
from napari.viewer import Viewer
from psygnal import SignalInstance
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_fastnet.core.geometry import Pair
from napari_fastnet.plugin.widgets import dialogs
from napari_fastnet.plugin.widgets.scroll_guard import ScrollGuard
from napari_fastnet.plugin.work.slide import SlideWork
from napari_fastnet.plugin.work.workspace import workspace_of

if TYPE_CHECKING:
    from napari.components import ViewerModel

#: Width of the labels in front of the sliders, px: the sliders line up.
LABEL_WIDTH = 76


class Section(Container[Widget]):
    """A part of the panel that can also be opened as a widget of its own.

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
        self._keys: dict[str, Callable[[ViewerModel], object]] = {}
        heading = Label(value=f"<b>{title}</b>")
        super().__init__(widgets=[heading, *widgets], labels=False)
        self.margins = (6, 2, 6, 2)
        self.native.destroyed.connect(self.leave)
        self._watch = dialogs.UndockWatch(self.native, self.undocked)
        self._guard = ScrollGuard(self.native)

    @property
    def work(self) -> SlideWork | None:
        """The current slide, None if none is open."""
        return self.workspace.current

    def listen(self, then: Callable[..., Any], *signals: SignalInstance) -> None:
        """Connect a method to signals until the section is deleted."""
        for signal in signals:
            signal.connect(then)
            self._listening.append((signal, then))

    def press_keys(self, actions: Mapping[str, Callable[[], object]]) -> None:
        """Bind keys of the viewer to methods until the section is undocked.

        npe2 manifests can declare key bindings, but napari 0.9 does not read them.
        The methods' owner is not kept alive. A second section of the same kind takes
        the keys over.
        """
        for key, action in actions.items():
            self._bind(key, _press(action))

    def hold_key(
        self, key: str, begin: Callable[[], object], end: Callable[[], object]
    ) -> None:
        """Bind a key that does something only as long as it is held."""
        self._bind(key, _hold(_press(begin), _press(end)))

    def _bind(self, key: str, press: Callable[[ViewerModel], object]) -> None:
        self._keys[key] = press
        self.workspace.viewer.bind_key(key, press, overwrite=True)

    def ask_file(
        self, title: str, suffixes: str, then: Callable[[Path, Pair], None]
    ) -> None:
        """Ask for a file and the origin of its outlines; pass both on."""
        if self.work is not None:
            chosen = dialogs.ask_file(self.native, title, self.work.slide, suffixes)
            if chosen is not None:
                then(*chosen)

    def undocked(self) -> None:
        """Release the keys, except those that another section has taken over."""
        viewer = self.workspace.viewer
        for key, press in self._keys.items():
            owner = viewer.bind_key(key, None)
            if owner is not None and owner is not press:
                viewer.bind_key(key, owner)
        self._keys.clear()

    def leave(self) -> None:
        """Disconnect all signals and keys: the section's widgets are gone."""
        Section.undocked(self)
        for signal, then in self._listening:
            signal.disconnect(then, missing_ok=True)
        self._listening.clear()


def _press(action: Callable[[], object]) -> Callable[[ViewerModel], None]:
    """Return a method as napari calls it for a key, without keeping its owner alive."""
    method = WeakMethod(action)

    def press(_: ViewerModel) -> None:
        if (alive := method()) is not None:
            alive()

    return press


def _hold(
    begin: Callable[[ViewerModel], None], end: Callable[[ViewerModel], None]
) -> Callable[[ViewerModel], Iterator[None]]:
    """Return two functions as napari calls them: the rest when the key is released."""

    def hold(viewer: ViewerModel) -> Iterator[None]:
        begin(viewer)
        yield
        end(viewer)

    return hold


def row(*widgets: Widget, label: str = "") -> Container[Widget]:
    """Return widgets side by side, with an optional label in front."""
    shown: list[Widget] = [Label(value=label, name="label")] if label else []
    line: Container[Widget] = Container(
        widgets=[*shown, *widgets], layout="horizontal", labels=False
    )
    line.margins = (0, 0, 0, 0)
    for widget in widgets:
        # a slider's own tooltip does not cover the number beside it
        widget.native.setToolTip(widget.tooltip or "")
    if label:
        line[0].min_width = line[0].max_width = LABEL_WIDTH
    return line


def button(text: str, tooltip: str, *, max_width: int | None = None) -> PushButton:
    """Return a push button, at most so many px wide."""
    made = PushButton(text=text, tooltip=tooltip)
    if max_width is not None:
        made.max_width = max_width
    return made


def text_line() -> Label:
    """Return a text that fills the row and wraps instead of widening the panel."""
    line = Label(value="")
    line.native.setWordWrap(True)
    line.native.setSizePolicy(
        QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred
    )
    return line


@contextmanager
def drawn_later(widget: QWidget) -> Iterator[None]:
    """Delay the drawing of a widget until the window is drawn next.

    A Qt progress bar draws itself at once, and with it the whole window.
    """
    widget.setUpdatesEnabled(False)
    try:
        yield
    finally:
        widget.setUpdatesEnabled(True)


def folder_field(tooltip: str, *, when_empty: str = "") -> FileEdit:
    """Return an empty field for a folder; ``when_empty`` is its placeholder text."""
    field = FileEdit(
        mode=FileDialogMode.EXISTING_DIRECTORY, nullable=True, tooltip=tooltip
    )
    field.choose_btn.text = "choose"
    field.line_edit.native.setPlaceholderText(when_empty)
    return field


def chosen_path(field: FileEdit) -> Path | None:
    """Return the path in a field, None if the field is empty."""
    # an empty field's path is that of the working directory
    value = str(field.value).strip()
    return None if value in ("None", "", ".") else Path(value).expanduser()
