"""Strokes of a brush on the canvas of a window, by real mouse events."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_fastnet.plugin.viewer_parts import camera_of

#: Where the tests paint on the slide of `lab_svs`, µm: ten places of tumor, ten without.
TUMOR = [(y, x) for y in (370, 710) for x in (265, 405, 545, 685, 825)]
NORMAL = [(y, x + 760) for y, x in TUMOR]


def canvas_of(viewer):
    """Return the widget that gets mouse and keys."""
    return viewer.window._qt_viewer.canvas.native


def point(viewer, place_um):
    """Return the place of the canvas that shows a place of the slide, (y, x) in µm."""
    camera, size = camera_of(viewer), canvas_of(viewer).size()
    away = (np.array(place_um) - camera.center[-2:]) * camera.zoom
    return QPoint(round(size.width() / 2 + away[1]), round(size.height() / 2 + away[0]))


def stroke(viewer, begin_um, end_um, pause_ms=5):
    """Draw with the mouse from one place to another, with pauses on the way."""
    canvas, left, none = (
        canvas_of(viewer),
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    begin, end = point(viewer, begin_um), point(viewer, end_um)
    QTest.mousePress(canvas, left, none, begin)
    for share in (0.5, 1.0):
        QTest.mouseMove(canvas, begin + (end - begin) * share)
        QTest.qWait(pause_ms)
    QTest.mouseRelease(canvas, left, none, end)
    QTest.qWait(5)


def paint_twenty(viewer):
    """Paint ten strokes of tumor and ten of normal tissue, by keys and mouse."""
    shift = Qt.KeyboardModifier.ShiftModifier
    for key, places in ((Qt.Key.Key_J, TUMOR), (Qt.Key.Key_K, NORMAL)):
        QTest.keyClick(canvas_of(viewer), key, shift)
        for y, x in places:
            stroke(viewer, (y, x), (y + 20, x + 20))
