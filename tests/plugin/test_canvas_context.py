"""Layers are taken out of a real window, which must outlive it.

In a process of its own: what goes wrong ends it.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

pytestmark = [pytest.mark.gui, pytest.mark.slow]

BEGIN = """
import napari, numpy as np
from qtpy.QtWidgets import QApplication

def draw():
    for _ in range(20):
        QApplication.processEvents()

viewer = napari.Viewer()
"""
END = """
while len(viewer.layers) > 1:
    viewer.layers.pop()
viewer.reset_view()
draw()
viewer.scene.camera.zoom *= 1.5
draw()
print("alive")
"""


def run(tmp_path, middle):
    script = BEGIN + textwrap.dedent(middle) + END
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=None,
        cwd=tmp_path,
    )


def test_all_layers_but_one_are_removed_and_the_view_is_reset(tmp_path) -> None:
    ended = run(
        tmp_path,
        """
        from napari_fastnet.plugin.canvas_context import make_removal_safe
        make_removal_safe(viewer)
        for _ in range(5):
            viewer.add_labels(np.ones((64, 64), np.uint8))
        draw()
        """,
    )
    assert ended.stdout.endswith("alive\n"), ended.stderr[-2000:]


def test_results_that_were_opened_without_the_panel_can_be_removed(
    tmp_path, texture, write_svs
) -> None:
    write_svs(tmp_path / "a.svs", texture(300, 500), factors=(1, 4))
    ended = run(
        tmp_path,
        """
        for _ in range(4):
            viewer.open("a.svs", plugin="napari-fastnet")
        draw()
        """,
    )
    assert ended.stdout.endswith("alive\n"), ended.stderr[-2000:]
