"""Open a slide and its run in napari, decide by keys, and wait to be killed.

Run with the slide, the run's folder, and the number of decisions.
"""

from __future__ import annotations

import sys
import time

import napari
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

slide, run, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
viewer = napari.Viewer()
viewer.open(slide, plugin="napari-fastnet")
viewer.open(run, plugin="napari-fastnet")
_, panel = viewer.window.add_plugin_dock_widget("napari-fastnet", "FastNet")
application = QApplication.instance()
assert application is not None
end = time.monotonic() + 60
while not panel.slide.work.review.reviewed:
    application.processEvents()
    if time.monotonic() > end:
        sys.exit("no candidate was found")
canvas = viewer.window._qt_viewer.canvas.native
QTest.keyClick(canvas, Qt.Key.Key_N)
for _ in range(count):
    QTest.keyClick(canvas, Qt.Key.Key_J)
sys.stdout.write(f"{panel.review.progress.value}\n")
sys.stdout.flush()
napari.run()
