"""Keys of the viewer that press the panel's buttons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from weakref import WeakMethod

if TYPE_CHECKING:
    from napari.components import ViewerModel

#: What each key does, and for the tool tips how it is called. None of them is napari's.
DETECT, CANCEL, MASKS, HEATMAP = "Shift+D", "Shift+C", "Shift+M", "Shift+H"
NEXT_REGION, PREVIOUS_REGION = ".", ","


class Keys:
    """Keys that a section listens to, on the canvas and on the panel.

    npe2 knows keybindings in a manifest, napari 0.9 does not read them.

    Parameters
    ----------
    viewer : ViewerModel
        Its keys.
    actions : mapping of str to method
        What a key calls, without arguments; does not keep the method's owner alive. A
        key that another section of the same kind has taken goes to the newer one.
    """

    def __init__(
        self, viewer: ViewerModel, actions: Mapping[str, Callable[[], object]]
    ) -> None:
        self._viewer = viewer
        self._bound = {key: _called(action) for key, action in actions.items()}
        for key, press in self._bound.items():
            viewer.bind_key(key, press, overwrite=True)

    def release(self) -> None:
        """Give the keys back, those of them that are not another's by now."""
        for key, press in self._bound.items():
            owner = self._viewer.bind_key(key, None)
            if owner is not None and owner is not press:
                self._viewer.bind_key(key, owner)
        self._bound.clear()


def _called(action: Callable[[], object]) -> Callable[[ViewerModel], None]:
    """Return a method as napari calls it."""
    method = WeakMethod(action)

    def press(_: ViewerModel) -> None:
        if (alive := method()) is not None:
            alive()

    return press
