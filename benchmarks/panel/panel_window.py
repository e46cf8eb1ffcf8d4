"""A napari window with a slide and the FastNet panel, for benchmarks to drive."""

from __future__ import annotations

import os
import platform
import tempfile
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Before napari is imported: a benchmark neither reads nor changes the user's settings.
os.environ["NAPARI_CONFIG"] = str(Path(tempfile.mkdtemp()) / "settings.yaml")
os.environ["XDG_DATA_HOME"] = tempfile.mkdtemp()  # of decisions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import napari

    from napari_fastnet.plugin.panel.panel import FastNetPanel

#: Of the window, px.
SIZE = (1280, 960)


@contextmanager
def napari_window() -> Iterator[napari.Viewer]:
    """Open a window, and close it in the end."""
    import napari

    viewer = napari.Viewer()
    viewer.window.resize(*SIZE)
    live(0.2)
    yield viewer
    viewer.close()
    live(0.2)


def add_slide(viewer: napari.Viewer, path: Path) -> Any:
    """Open a slide and return its layer."""
    (layer,) = viewer.open(path, plugin="napari-fastnet")
    live(0.5)
    return layer


def add_panel(viewer: napari.Viewer, model: str | None) -> FastNetPanel:
    """Dock the panel and return it, a model chosen where one is named."""
    _, panel = viewer.window.add_plugin_dock_widget("napari-fastnet", "FastNet")
    if model is not None and model in panel.detect.model.choices:
        panel.detect.model.value = model
    elif model is not None:
        panel.detect.model_folder.value = Path(model)
    live(0.2)
    return panel


def live(seconds: float) -> None:
    """Let Qt's own loop run; QTest.qWait would sleep on the way."""
    from qtpy.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    QTimer.singleShot(round(seconds * 1e3), loop.quit)
    loop.exec()


def wait_until(condition: Callable[[], bool], seconds: float = 600) -> None:
    """Let the window live until something has happened."""
    for _ in range(int(seconds * 50)):
        if condition():
            return
        live(0.02)
    raise TimeoutError(f"waited {seconds:g} s in vain")


def machine() -> str:
    """Return in words what a benchmark ran on."""
    from qtpy import API_NAME, QT_VERSION

    cores = len(os.sched_getaffinity(0))
    system = f"{platform.system()} {platform.machine()}"
    python = f"Python {platform.python_version()}"
    window = f"napari {version('napari')}, {API_NAME} {QT_VERSION}"
    return f"{cores} cores, {system}, {python}, {window}"
