"""Marks on lesions that are as large on the screen at every zoom.

A metastasis of 0.3 mm is a few px on the whole slide. Markers show where lesions are and
what was decided about them; each leaves once its outline is large enough to be seen. A
frame marks the current lesion; lines show the longest axis of the largest deposit, what a
person has measured, and the ruler.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.core.geometry import Pair
from napari_fastnet.plugin.layers import data, screen_width
from napari_fastnet.plugin.layers.labelled import Labelled, LabelledLines
from napari_fastnet.plugin.layers.locked import Lock
from napari_fastnet.plugin.viewer_parts import camera_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from napari_fastnet.core.lesions.regions import Region
    from napari_fastnet.plugin.layers.shown import WorkLayers
    from napari_fastnet.results.reviewed import Reviewed

#: Diameter of a marker, px of the screen.
MARKER_PX = 12
#: Size of markers in the layer, times what the screen shows: napari clamps it, and the
#: zoom may change by that much before it is set anew. vispy draws borders at least half as
#: wide as the least size, so that this must not be the size itself.
SPARE = 3.0
#: Length of a lesion on the screen, px, from which its outline needs no marker.
SEEN_PX = 40
#: Shapes of markers by what was decided; their colours are those of outlines.
SYMBOLS = {
    "undecided": "disc",
    "tumor": "diamond",
    "not tumor": "x",
    "unsure": "triangle_up",
}
INK = "#101010"
#: Space between a lesion and its frame, and least side of a frame, px of the screen.
MARGIN_PX, LEAST_FRAME_PX = 8, 30


class LesionMarks:
    """Markers of one slide's lesions, the frame of the current one, and lines.

    Parameters
    ----------
    viewer : ViewerModel
        Its zoom is followed until `close`.
    layers : WorkLayers
        Hold the layers ``lesion markers``, ``current lesion`` and ``measures``.
    mpp : callable
        Returns the slide's (y, x) µm/px.
    """

    def __init__(
        self, viewer: ViewerModel, layers: WorkLayers, mpp: Callable[[], Pair]
    ) -> None:
        self._viewer, self._layers, self._mpp = viewer, layers, mpp
        self._reviewed: Sequence[Reviewed] = ()
        self._lesion_threshold = -np.inf
        self._current: tuple[Region, str] | None = None
        self._ruler_um: NDArray[np.float64] | None = None
        self._hidden, self._zoom = np.zeros(0, bool), 1.0
        self._lock = Lock(self._draw_markers)
        self._frame = LabelledLines(viewer, layers, "current", above=True)
        self._lines = LabelledLines(viewer, layers, "measures", above=False)
        self._stop: Callable[[], None] | None = None

    def show(self, reviewed: Sequence[Reviewed], lesion_threshold: float) -> None:
        """Mark the lesions of a slide.

        Parameters
        ----------
        reviewed : sequence of Reviewed
            Candidates and what was decided about them.
        lesion_threshold : float
            Undecided candidates of less evidence (log odds) are no lesions, and hollow.
        """
        self._reviewed, self._lesion_threshold = reviewed, lesion_threshold
        self._draw_markers()
        self._draw_lines()

    def show_current(self, region: Region | None, text: str = "") -> None:
        """Frame the current lesion, with a text such as "3 of 12"; None takes it away."""
        self._current = None if region is None else (region, text)
        self._draw_frame()
        self._draw_lines()

    def show_ruler(self, line_um: NDArray[np.float64] | None) -> None:
        """Show the line of the ruler, two points (y, x) in µm; None takes it away."""
        self._ruler_um = line_um
        self._draw_lines()

    def close(self) -> None:
        """Forget all, and no longer follow the zoom and the layers."""
        if self._stop is not None:
            self._stop()
            self._viewer.dims.events.ndisplay.disconnect(self._turned)
        self._stop, self._reviewed = None, ()
        self._current = self._ruler_um = None
        self._lock.release()
        self._frame.close()
        self._lines.close()

    def _follow(self) -> None:
        if self._stop is None:
            self._stop = screen_width.follow_zoom(self._viewer, self._fit, still=True)
            self._viewer.dims.events.ndisplay.connect(self._turned, position="last")

    def _is_lesion(self, one: Reviewed) -> bool:
        """Whether a person decided about it, or its evidence is enough."""
        evidence = one.region.evidence
        sure = isnan(evidence) or evidence >= self._lesion_threshold
        return sure or one.status != "undecided"

    def _draw_markers(self) -> None:
        layer: Any = self._layers.get("markers")
        if layer is None and not self._reviewed:
            return
        self._follow()
        centres = np.reshape([one.region.centroid for one in self._reviewed], (-1, 2))
        points = data.to_um(centres, self._mpp())
        looks = self._looks()
        with self._lock:
            if layer is None:
                layer = self._layers.put("markers", (points, _FIXED | looks, "points"))
            else:
                layer.selected_data = set()
                with layer.events.blocker_all():  # each would draw all markers
                    layer.data = points
                    for name, value in looks.items() if len(points) else ():
                        setattr(layer, name, value)
                layer.refresh(highlight=False, thumbnail=False)
        self._lock.guard(layer)

    def _looks(self) -> dict[str, Any]:
        statuses = [one.status for one in self._reviewed]
        lesions = np.array([self._is_lesion(one) for one in self._reviewed], bool)
        names, which = np.unique([*SYMBOLS, *statuses], return_inverse=True)
        which = which[len(SYMBOLS) :]
        colours = data.rgba([data.VERDICT_COLOURS[name] for name in names])[which]
        faces, borders = colours.copy(), colours
        faces[~lesions, 3] = 0
        borders[lesions] = data.rgba([INK])
        self._hidden, self._zoom = ~self._small(), camera_of(self._viewer).zoom
        # not by `shown`, which napari 0.9 ignores where all axes are displayed
        faces[self._hidden, 3] = borders[self._hidden, 3] = 0
        return {
            "symbol": np.array([SYMBOLS[name] for name in names])[which],
            "face_color": faces,
            "border_color": borders,
            "size": float(SPARE * MARKER_PX / self._zoom),
        }

    def _small(self) -> NDArray[np.bool_]:
        """Return the lesions that are so small on the screen that they need a marker."""
        longest_mm = np.array([one.region.longest_axis_mm for one in self._reviewed])
        px = longest_mm * 1000 * camera_of(self._viewer).zoom
        return np.asarray(px < SEEN_PX)

    def _draw_frame(self) -> None:
        if self._current is None:
            self._frame.show([])
            return
        self._follow()
        region, text = self._current
        ring = np.concatenate([polygon[0] for polygon in region.polygons])
        ring_um = data.to_um(ring, self._mpp())
        low, high = ring_um.min(axis=0), ring_um.max(axis=0)
        px = 1 / camera_of(self._viewer).zoom
        half = np.maximum((high - low) / 2 + MARGIN_PX * px, LEAST_FRAME_PX / 2 * px)
        (top, left), (bottom, right) = (low + high) / 2 - half, (low + high) / 2 + half
        corners = [(top, left), (top, right), (bottom, right), (bottom, left)]
        self._frame.show([(np.array([*corners, corners[0]]), text)])

    def _draw_lines(self) -> None:
        lines: list[Labelled] = []
        current = None if self._current is None else self._current[0]
        for axis, said in axes_of(self._reviewed, self._is_lesion, current):
            line = data.to_um(axis, self._mpp())
            lines.append((line, said.format(f"{length_mm(line):.2f} mm")))
        if self._ruler_um is not None:
            lines.append((self._ruler_um, f"{length_mm(self._ruler_um):.3f} mm"))
        if lines:
            self._follow()
        self._lines.show(lines)

    def _turned(self, event: object = None) -> None:
        self._frame.fit()
        self._lines.fit()

    def _fit(self) -> None:
        """Draw anew what depends on the zoom."""
        ratio = camera_of(self._viewer).zoom / self._zoom
        moved = not np.array_equal(self._hidden, ~self._small())
        if moved or not 1 / SPARE < ratio < SPARE:
            self._draw_markers()
        self._draw_frame()
        self._lines.fit()


_FIXED: dict[str, Any] = {
    "name": data.MARKERS_NAME,
    "canvas_size_limits": (2, MARKER_PX),
    "border_width": 0.12,
    "opacity": 1.0,
    "units": data.UM,
    "metadata": {},
}


def length_mm(line_um: NDArray[np.float64]) -> float:
    """Return the length of a line from one point to another, given in µm."""
    return float(np.hypot(*(line_um[1] - line_um[0]))) / 1000


def axes_of(
    reviewed: Sequence[Reviewed],
    is_lesion: Callable[[Reviewed], bool],
    current: Region | None = None,
) -> list[tuple[tuple[Pair, Pair], str]]:
    """Return the axes that are drawn, level-0 px, and what to say with their lengths.

    That of the largest deposit that nobody rejected, unless another lesion is current,
    whose frame and tag it could cover; and each line of a person, which takes the place
    of the computed one.
    """
    counted = [one for one in reviewed if is_lesion(one) and one.status != "not tumor"]
    largest = max(counted, key=lambda one: one.region.longest_axis_mm, default=None)
    if largest and current and largest.region.label != current.label:
        largest = None
    found = []
    for one in reviewed:
        measured = None if one.decision is None else one.decision.line
        axis = measured or (one.region.axis if one is largest else None)
        if axis is not None:
            said = "largest {}" if one is largest else "{}"
            found.append((axis, f"{said}, measured" if measured else said))
    return found
