"""A button that opens a menu of formats, of which several can be ticked."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from magicgui.widgets import PushButton
from qtpy.QtWidgets import QMenu

from napari_fastnet.io.formats import FORMATS


class FormatMenu(PushButton):
    """The formats of an export; its text names those that are ticked.

    Parameters
    ----------
    names : collection of str
        Keys of `FORMATS`, in the order of the menu.
    chosen : collection of str
        Those ticked at first.
    """

    def __init__(self, names: Collection[str], chosen: Collection[str]) -> None:
        super().__init__(tooltip="In which formats; several can be ticked")
        menu = QMenu(self.native)
        menu.setToolTipsVisible(True)
        self._actions: dict[str, Any] = {n: menu.addAction(n) for n in names}
        for name, action in self._actions.items():
            action.setCheckable(True)
            action.setChecked(name in chosen)
            action.setToolTip(FORMATS[name].about)
            action.toggled.connect(self._show)
        self.native.setMenu(menu)
        self._show()

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats that are ticked."""
        return tuple(name for name, item in self._actions.items() if item.isChecked())

    @formats.setter
    def formats(self, chosen: Collection[str]) -> None:
        for name, action in self._actions.items():
            action.setChecked(name in chosen)

    def _show(self, _: object = None) -> None:
        self.text = ", ".join(self.formats) or "no format"
