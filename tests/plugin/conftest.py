"""What tests of the plugin need: settings of their own, a viewer model, results."""

from __future__ import annotations

import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

# before napari is imported: tests neither read nor change the user's settings
os.environ.setdefault(
    "NAPARI_CONFIG", str(Path(tempfile.mkdtemp(prefix="napari-")) / "settings.yaml")
)
os.environ.setdefault("XDG_DATA_HOME", tempfile.mkdtemp(prefix="napari-"))


NAPARI = tuple(map(int, version("napari").split(".")[:2]))


def pytest_configure():
    """Give viewers of an older napari the names of 0.9, by which the tests ask."""
    if NAPARI >= (0, 9):
        return
    from napari.components import ViewerModel

    ViewerModel.scene = property(lambda viewer: SimpleNamespace(camera=viewer.camera))
    ViewerModel.canvas = property(_Canvas)


class _Canvas:
    """The canvas of a viewer before napari 0.9."""

    def __init__(self, viewer):
        vars(self)["viewer"] = viewer

    def __setattr__(self, name, value):
        assert name == "size", name
        self.viewer._canvas_size = value

    @property
    def size(self):
        return self.viewer._canvas_size

    @property
    def grid(self):
        return self.viewer.grid

    @property
    def overlays(self):
        return SimpleNamespace(scale_bar=self.viewer.scale_bar)


def pytest_runtest_setup(item):
    drawn = item.get_closest_marker("gui") is not None
    if drawn and sys.platform == "linux" and not os.environ.get("DISPLAY"):
        pytest.skip("no display; `make test` brings its own")


@pytest.fixture
def with_settings():
    """Skip where napari has no settings of plugins."""
    if NAPARI < (0, 9):
        pytest.skip("they came with napari 0.9")


@pytest.fixture
def viewer_model():
    """Return a viewer without a window: layers, but no Qt."""
    from napari.components import ViewerModel

    return ViewerModel()


@pytest.fixture
def add(viewer_model):
    """Return a function that adds layer data to the viewer model."""

    def add(data):
        (layer,) = viewer_model._add_layer_from_data(*data)
        return layer

    return add


@pytest.fixture
def slide(tmp_path, texture, write_svs):
    """Return an open slide of 300 x 500 px, 0.25 µm/px."""
    from napari_fastnet.slide.slide import open_slide

    path = write_svs(tmp_path / "tumor_026.svs", texture(300, 500), factors=(1, 4))
    with open_slide(path) as slide:
        yield slide


@pytest.fixture
def heatmap():
    """Return a function that makes a heatmap of random values, some not computed."""
    from napari_fastnet.core.geometry import Grid
    from napari_fastnet.core.heatmap import Heatmap

    def make(shape=(4, 6), origin=(20.0, -10.0), step=(64.5, 80.25), mpp=(0.25, 0.253)):
        values = np.random.default_rng(3).random(shape).astype(np.float32)
        values[:, :1] = np.nan
        return Heatmap(values, Grid(origin, step, shape), mpp)

    return make
