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
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QToolButton, QWidget

from napari_fastnet.core.geometry import Pair
from napari_fastnet.plugin.keys import key_of
from napari_fastnet.plugin.settings import remember_folded, remembered_fold
from napari_fastnet.plugin.widgets import dialogs
from napari_fastnet.plugin.widgets.scroll_guard import ScrollGuard
from napari_fastnet.plugin.work.slide import SlideWork
from napari_fastnet.plugin.work.workspace import workspace_of

if TYPE_CHECKING:
    from napari.components import ViewerModel

#: Width of the labels in front of the sliders, px: the sliders line up.
LABEL_WIDTH = 76
#: Between the rows of a section.
ROW_PX = 3
#: Of a summary in a heading.
MOST_LETTERS = 28
#: Of headings, in napari's themes.
HEADING_STYLE = (
    "QToolButton {font-weight: bold; border: none; background: transparent; "
    "text-align: left; padding: 2px 0px}"
)


class Fold(Container[Widget]):
    """A heading that folds what is below it away; what the user did is remembered.

    Parameters
    ----------
    title : str
        Heading.
    widgets : sequence of Widget
        Below it, from top to bottom.
    folded : bool
        At first, until the user folds or unfolds it.

    Attributes
    ----------
    heading : QToolButton
        Checked while the rest is shown.
    body : Container
        Holds the widgets.
    """

    def __init__(self, title: str, widgets: Sequence[Widget], *, folded: bool) -> None:
        self.title = title
        self.body: Container[Widget] = Container(widgets=list(widgets), labels=False)
        self.body.margins = (0, 0, 0, 0)
        self.body.native.layout().setSpacing(ROW_PX)
        super().__init__(widgets=[self.body], labels=False)
        self.margins = (0, 0, 0, 0)
        self.heading = QToolButton()
        self.heading.setCheckable(True)
        self.heading.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.heading.setSizePolicy(
            QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed
        )
        self.heading.setStyleSheet(HEADING_STYLE)
        self.heading.clicked.connect(self._clicked)
        self._line = QHBoxLayout()
        self._line.addWidget(self.heading)
        self.native.layout().insertLayout(0, self._line)
        self._chosen, self._summary = remembered_fold(title), ""
        self.settle(folded)

    @property
    def folded(self) -> bool:
        """Whether only the heading is shown."""
        return not self.heading.isChecked()

    @folded.setter
    def folded(self, folded: bool) -> None:
        self.heading.setChecked(not folded)
        arrow = Qt.ArrowType.RightArrow if folded else Qt.ArrowType.DownArrow
        self.heading.setArrowType(arrow)
        self.body.visible = not folded
        self.say(self._summary)

    def put_beside(self, widget: QWidget) -> None:
        """Put a widget into the heading's line."""
        self._line.addWidget(widget)

    def say(self, summary: str) -> None:
        """Put a few words into the heading while the section is folded."""
        self._summary = summary
        if len(summary) > MOST_LETTERS:  # else it would widen the panel
            half = MOST_LETTERS // 2
            summary = f"{summary[:half]}…{summary[-half:]}"
        words = f": {summary}" if summary and self.folded else ""
        self.heading.setText(f"{self.title}{words}")
        self.heading.setToolTip(
            f"{self._summary or self.title}: fold or unfold; it stays so"
        )

    def settle(self, folded: bool) -> None:
        """Fold or unfold the section, unless the user has decided on that."""
        self.folded = folded if self._chosen is None else self._chosen

    def _clicked(self, shown: bool) -> None:
        self._chosen = self.folded = not shown
        remember_folded(self.title, not shown)


class Section(Container[Widget]):
    """A part of the panel that can also be opened as a widget of its own.

    Parameters
    ----------
    viewer : Viewer
        Sections of one viewer share its slides.
    title : str
        Heading; a click on it folds the section.
    widgets : sequence of Widget
        From top to bottom.
    folded : bool, optional
        Whether it is folded until the user unfolds it.

    Attributes
    ----------
    fold : Fold
        Heading and fold.
    """

    def __init__(
        self,
        viewer: Viewer,
        title: str,
        widgets: Sequence[Widget],
        *,
        folded: bool = False,
    ) -> None:
        self.workspace = workspace_of(viewer)
        self._listening: list[tuple[SignalInstance, Callable[..., Any]]] = []
        self._keys: dict[str, Callable[[ViewerModel], object]] = {}
        self.fold = Fold(title, widgets, folded=folded)
        super().__init__(widgets=[self.fold], labels=False)
        self.margins = (6, 0, 6, 0)
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

    def press_keys(self, methods: Mapping[str, Callable[[], object]]) -> None:
        """Bind the keys of actions to methods until the section is undocked.

        npe2 manifests can declare key bindings, but napari 0.9 does not read them.
        The methods' owner is not kept alive. A second section of the same kind takes
        the keys over.
        """
        for action, method in methods.items():
            self._bind(key_of(action), _press(method))

    def hold_key(
        self, action: str, begin: Callable[[], object], end: Callable[[], object]
    ) -> None:
        """Bind the key of an action that lasts as long as the key is held."""
        self._bind(key_of(action), _hold(_press(begin), _press(end)))

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
