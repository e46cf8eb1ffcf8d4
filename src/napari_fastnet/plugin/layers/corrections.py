"""Labels that a person paints on a slide, in a layer of cells, kept on the disk.

The layer has a value for each cell: 1 tumor, 2 normal, 3 ignore. A stroke is written in a
thread as soon as it ends; the window does not wait for the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtCore import QTimer

from napari_fastnet.core.labelled_cells import CELL_UM, KINDS
from napari_fastnet.errors import FastNetError, SpacingError
from napari_fastnet.plugin.layers.data import UM, LayerData, placement
from napari_fastnet.plugin.threads.latest import Latest
from napari_fastnet.results.corrections import Corrections, corrections_path

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from napari_fastnet.core.labelled_cells import Kind
    from napari_fastnet.plugin.layers.shown import WorkLayers
    from napari_fastnet.slide.slide import Slide

CORRECTIONS_NAME = "corrections"
#: Neither stained tissue nor the heatmap has them, nor do masks; told apart by the colour
#: blind.
CORRECTION_COLOURS: dict[Kind, str] = {
    "tumor": "#ff00c8",
    "normal": "#00d5ff",
    "ignore": "#303030",
}
#: The tissue below is to be seen.
OPACITY = 0.55
#: Time without a change by a script or an undo before it is kept, ms; a stroke is at once.
STILL_MS = 300
#: Brush of a new layer, µm.
BRUSH_UM = 120.0
NO_OTHERS = (
    "corrections have the labels 1 tumor, 2 normal and 3 ignore; others are dropped"
)


def corrections_layer_data(cells: NDArray[np.uint8]) -> LayerData:
    """Return corrections as a paintable Labels layer.

    Parameters
    ----------
    cells : (rows, columns) uint8 ndarray
        Copied. The first cell begins at the slide's corner.

    Returns
    -------
    tuple
        The cells, keywords, "labels".
    """
    from napari.utils.colormaps import DirectLabelColormap

    colours: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    colours |= {KINDS.index(kind) + 1: CORRECTION_COLOURS[kind] for kind in KINDS}
    keywords = {
        "name": CORRECTIONS_NAME,
        "colormap": DirectLabelColormap(color_dict=colours),
        "opacity": OPACITY,
        "metadata": {},
        **placement((0.0, 0.0), (CELL_UM, CELL_UM), UM),
    }
    return cells.copy(), keywords, "labels"


class SlideCorrections:
    """The corrections of one slide, and the layer in which they are painted.

    Parameters
    ----------
    viewer : ViewerModel
        Its active layer is the one that a brush paints in.
    layers : WorkLayers
        Hold the layer.
    slide : callable
        Returns the slide, which is another object after its µm/px was given.
    changed : callable
        Called without arguments when labels or brush changed.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        layers: WorkLayers,
        slide: Callable[[], Slide],
        changed: Callable[[], None],
    ) -> None:
        self._viewer, self._layers = viewer, layers
        self._slide, self._changed = slide, changed
        self._run: Path | None = None
        self._store: Corrections | None = None
        self._layer: Any = None  # that is followed
        self._brush_um = BRUSH_UM
        self._touched = self._unheard = self._dragged = False
        self._back = 0  # strokes to take back
        self._taken_back = Event()  # set unless one is being taken back
        self._taken_back.set()
        self._writing = Lock()
        self._writes: Latest[str] = Latest(self._next, self._written)
        self._soon = QTimer()
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._painted)
        self._show_soon = QTimer()  # not while napari adds the slide's layer
        self._show_soon.setSingleShot(True)
        self._show_soon.timeout.connect(self.show)
        self._show_soon.start()

    # --- labels -------------------------------------------------------------------

    @property
    def store(self) -> Corrections | None:
        """The labels on the disk, opened with the first use; None without a µm/px."""
        if self._store is None and self._is_ready():
            self._store = self._open(self._run)
        return self._store

    @property
    def cells(self) -> NDArray[np.uint8] | None:
        """The labels as painted by now, also those not yet on the disk."""
        layer: Any = self._layers.get("corrections")
        if layer is not None and layer is self._layer:
            return np.asarray(layer.data, np.uint8)
        return None if self.store is None else self.store.cells

    def counts(self) -> dict[Kind, int]:
        """Count the labelled cells of each kind."""
        cells = self.cells
        if cells is None:
            return dict.fromkeys(KINDS, 0)
        found = np.bincount(cells.ravel(), minlength=len(KINDS) + 1)
        return {kind: int(found[value]) for value, kind in enumerate(KINDS, 1)}

    def keep_with(self, run: Path | None) -> None:
        """Keep the labels beside a run from now on, with those painted before.

        Parameters
        ----------
        run : Path or None
            Its folder; None for one in the cache, or none yet.
        """
        before = self.store
        self._run = run
        if before is None or self._place(run) == before.path:
            return
        self.flush()
        with self._writing:
            _said(lambda: before.copy_to(self._place(run)))
            self._store = self._open(run)
        self.show()
        self._changed()

    def flush(self) -> None:
        """Write labels that are not on the disk yet, now."""
        _said(self.to_disk())

    def to_disk(self) -> Callable[[], Corrections | None]:
        """Return a function that writes what is painted by now, in any thread.

        It returns the labels on the disk; None without a µm/px.
        """
        store, layer = self.store, self._layer
        cells = None
        if self._touched and store is not None and layer is not None:
            self._touched, cells = False, self._checked(layer)

        def write() -> Corrections | None:
            with self._writing:
                if store is not None and cells is not None:
                    store.paint(cells)
                return store

        return write

    def undo(self) -> None:
        """Take the last stroke back."""
        if self.store is not None:
            self._back += 1
            self._writes.ask()

    def settle(self) -> None:
        """Wait until what was asked to be taken back is taken back on the disk."""
        self._taken_back.wait()
        while self._back and (step := self._next()) is not None:
            self._written(step())

    def forget(self) -> None:
        """Drop the labels from memory; those on the disk stay."""
        self.close()
        self._store = None

    def close(self) -> None:
        """Write labels that are not on the disk yet, and no longer follow the layer."""
        self._soon.stop()
        self._show_soon.stop()
        self._writes.drop()
        self.flush()
        self._follow(None)

    # --- layer --------------------------------------------------------------------

    @property
    def painting(self) -> Kind | None:
        """Kind of label that the brush paints now; None while it is put away."""
        layer, active = self._layer, self._viewer.layers.selection.active
        if layer is None or layer is not active or layer.mode != "paint":
            return None
        value = int(layer.selected_label)
        return KINDS[value - 1] if 1 <= value <= len(KINDS) else None

    @property
    def brush_um(self) -> float:
        """Diameter of the brush, µm."""
        return self._brush_um

    @brush_um.setter
    def brush_um(self, value: float) -> None:
        self._brush_um = value
        if self._layer is not None:
            self._layer.brush_size = _brush_cells(value)

    def paint(self, kind: Kind) -> None:
        """Take up a brush that paints labels of a kind."""
        if self.store is None:
            return
        layer = self._shown()
        layer.visible = True
        self._viewer.layers.selection.active = layer
        layer.selected_label = KINDS.index(kind) + 1
        layer.brush_size = _brush_cells(self._brush_um)
        layer.mode = "paint"

    def put_away(self) -> None:
        """Put the brush away: dragging moves the slide again."""
        if self._layer is not None:
            self._layer.mode = "pan_zoom"

    def show(self) -> None:
        """Show the labels, if there are any or there is a layer for them."""
        store = self.store
        there = self._layers.get("corrections") is not None
        if store is not None and (there or store.cells.any()):
            layer = self._shown()
            if not np.array_equal(layer.data, store.cells):
                self._put(store.cells)
            self._changed()

    def _shown(self) -> Any:
        """Return the layer, put back if it was removed."""
        layer = self._layers.get("corrections")
        if layer is None or layer is not self._layer:
            assert self.store is not None
            layer = self._put(self.store.cells)
        return layer

    def _put(self, cells: NDArray[np.uint8]) -> Any:
        before: Any = self._layers.get("corrections")
        mode = "pan_zoom" if before is None else before.mode
        with self._by_the_panel():
            layer: Any = self._layers.put("corrections", corrections_layer_data(cells))
            layer.editable = False  # napari forgets what it could undo: other cells
            layer.editable = True
            layer.mode = mode
        layer.brush_size = _brush_cells(self._brush_um)
        self._touched = False
        self._follow(layer)
        return layer

    def _follow(self, layer: Any) -> None:
        """Listen to one layer, or to none."""
        for one, connected in ((self._layer, False), (layer, True)):
            if one is None:
                continue
            events = one.events
            pairs = (
                (events.paint, self._stroke),
                (events.set_data, self._edited),
                (events.labels_update, self._edited),
                (events.mode, self._told),
                (events.selected_label, self._told),
                (events.brush_size, self._brushed),
            )
            for signal, then in pairs:
                signal.disconnect(then)
                if connected:
                    signal.connect(then)
            if self._drag in one.mouse_drag_callbacks:
                one.mouse_drag_callbacks.remove(self._drag)
            if connected:
                one.mouse_drag_callbacks.append(self._drag)
        self._layer, self._dragged = layer, False

    @contextmanager
    def _by_the_panel(self) -> Iterator[None]:
        """Do not take the panel's own changes for strokes."""
        self._unheard, before = True, self._unheard
        try:
            yield
        finally:
            self._unheard = before

    def _drag(self, layer: object, event: Any) -> Iterator[None]:
        """Wait for the end of a stroke: a half one would be taken back by halves."""
        self._dragged = True
        yield
        while event.type == "mouse_move":
            yield
        self._dragged = False
        self._soon.start(0)

    def _stroke(self, event: object) -> None:
        # napari may be about to write the cells
        self._touched = True
        self._soon.start(0)

    def _edited(self, event: object) -> None:
        if not self._unheard:
            self._touched = True
            self._soon.start(STILL_MS)

    def _painted(self) -> None:
        self._changed()
        self._writes.ask()

    def _told(self, event: object) -> None:
        self._changed()

    def _brushed(self, event: object) -> None:
        """Take a size that napari's own control or a key has set."""
        if self._layer.brush_size != _brush_cells(self._brush_um):
            self._brush_um = self._layer.brush_size * CELL_UM
            self._changed()

    # --- writing ------------------------------------------------------------------

    def _next(self) -> Callable[[], str] | None:
        """Return the next change to make on the disk."""
        store, layer = self.store, self._layer
        if store is None or self._dragged:
            return None
        if self._touched and layer is not None:
            return _guarded(self.to_disk())
        if self._back:
            self._back -= 1
            self._taken_back.clear()
            return _guarded(partial(self._take_back, store))
        return None

    def _checked(self, layer: Any) -> NDArray[np.uint8]:
        """Return a copy of the layer's cells; other labels are dropped, and it is said."""
        cells = np.array(layer.data, np.uint8)
        others = cells > len(KINDS)
        if others.any():
            cells[others] = 0
            with self._by_the_panel():
                layer.data[others] = 0
                layer.refresh(extent=False, highlight=False, thumbnail=False)
            show_info(NO_OTHERS)
        return cells

    def _take_back(self, store: Corrections) -> None:
        try:
            with self._writing:
                store.undo()
        finally:
            self._taken_back.set()

    def _written(self, error: str) -> None:
        if error:
            show_error(f"{error}; what you painted stays in the window meanwhile")
        elif not self._touched:  # taken back, or painted in another window, too
            self.show()
        self._changed()
        if self._touched or self._back:
            self._writes.ask()

    def _is_ready(self) -> bool:
        try:
            self._slide().require_mpp()
        except SpacingError:
            return False
        return True

    def _place(self, run: Path | None) -> Path:
        slide = self._slide()
        return corrections_path(run or Path(), run is None, slide.fingerprint)

    def _open(self, run: Path | None) -> Corrections:
        slide = self._slide()
        store = Corrections.open(
            self._place(run),
            slide.fingerprint,
            slide.shape,
            slide.require_mpp(),
            slide.path.name,
        )
        if store.notes:
            show_warning("\n".join(store.notes))
        return store


def _brush_cells(size_um: float) -> int:
    return max(1, round(size_um / CELL_UM))


def _guarded(change: Callable[[], object]) -> Callable[[], str]:
    """Return a function that returns what went wrong in words."""

    def act() -> str:
        try:
            change()
        except FastNetError as error:
            return str(error)
        return ""

    return act


def _said(change: Callable[[], object]) -> None:
    """Change what is on the disk; what goes wrong is said."""
    if error := _guarded(change)():
        show_error(error)
