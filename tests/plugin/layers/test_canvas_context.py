"""Layers are taken out of a real window, which must outlive it.

In a process of its own: what goes wrong ends it.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.gui, pytest.mark.slow]

SCRIPT = """
import napari
from napari_fastnet.plugin.viewer_parts import camera_of
from qtpy.QtWidgets import QApplication

def draw():
    for _ in range(20):
        QApplication.processEvents()

viewer = napari.Viewer()
for _ in range(4):
    viewer.open("a.svs", plugin="napari-fastnet")
draw()
while len(viewer.layers) > 1:
    viewer.layers.pop()
viewer.reset_view()
draw()
camera_of(viewer).zoom *= 1.5
draw()
print("alive")
"""


def test_layers_that_were_opened_can_be_removed(tmp_path, texture, write_svs) -> None:
    write_svs(tmp_path / "a.svs", texture(300, 500), factors=(1, 4))
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
    )
    assert ended.stdout.endswith("alive\n"), ended.stderr[-2000:]
