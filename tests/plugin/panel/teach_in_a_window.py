"""Open a slide in napari, detect, paint twenty strokes, teach, and wait to be killed.

Run with the slide and the folder of the results.
"""

from __future__ import annotations

import sys
from pathlib import Path

import napari
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

sys.path.insert(0, str(Path(__file__).parent))

from strokes import canvas_of, paint_twenty

viewer = napari.Viewer()
viewer.window.resize(1200, 900)
viewer.open(sys.argv[1], plugin="napari-fastnet")
_, panel = viewer.window.add_plugin_dock_widget("napari-fastnet", "FastNet")
QTest.qWait(500)
panel.detect.results.value = sys.argv[2]
panel.detect.start.native.click()
work = panel.slide.work
while work.detection.job.running:
    QTest.qWait(20)
viewer.reset_view()
panel.teach.brush.value = 30
paint_twenty(viewer)
QTest.keyClick(canvas_of(viewer), Qt.Key.Key_T, Qt.KeyboardModifier.ShiftModifier)
while "step" not in panel.teach.words.value:
    if not work.teaching.running:
        sys.exit(panel.teach.words.value)
    QTest.qWait(20)
sys.stdout.write(f"taught by {panel.teach.painted.value}\n")
sys.stdout.flush()
napari.run()
