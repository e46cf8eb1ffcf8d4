"""The status bar says the probability and the lesion under the mouse."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.regions import Region
from napari_fastnet.plugin.review.under_cursor import UnderCursor

REGION = Region(
    label=4,
    area_mm2=0.04,
    longest_axis_mm=0.3,
    max_probability=0.9,
    mean_probability=0.8,
    centroid=(10.0, 10.0),
    polygons=((np.array([(0, 0), (0, 20), (20, 20), (20, 0)], float),),),
)


@pytest.fixture
def workspace():
    """Return a workspace with one slide of 0.5 µm/px and a heatmap of two cells."""
    values = np.array([[0.25, np.nan]], np.float32)
    work = SimpleNamespace(
        heatmap=Heatmap(values, Grid((0, 0), (40, 40), (1, 2)), (0.5, 0.5)),
        layers=SimpleNamespace(veiled=False),
        slide=SimpleNamespace(require_mpp=lambda: (0.5, 0.5)),
        review=SimpleNamespace(
            reviewed=[SimpleNamespace(region=REGION, status="unsure")]
        ),
    )
    return SimpleNamespace(viewer=ViewerModel(), current=work)


@pytest.mark.parametrize(
    ("place_um", "words"),
    [
        ((5, 5), "tumor probability 0.25, lesion 4: 0.30 mm, unsure"),
        ((15, 15), "tumor probability 0.25"),
        ((5, 25), ""),  # not computed
        ((-5, 5), ""),
    ],
)
def test_what_is_there(workspace, place_um, words) -> None:
    assert UnderCursor(workspace).words(place_um) == words


def test_a_second_read_tells_nothing(workspace) -> None:
    workspace.current.layers.veiled = True
    assert UnderCursor(workspace).words((5, 5)) == ""


def test_the_help_of_the_layer_comes_back(workspace) -> None:
    watch, viewer = UnderCursor(workspace), workspace.viewer
    layer = viewer.add_image(np.zeros((8, 8)))
    layer.help = "its own"
    (moved,) = viewer.mouse_move_callbacks
    moved(viewer, SimpleNamespace(position=(5.0, 5.0)))
    assert layer.help.startswith("tumor probability")
    moved(viewer, SimpleNamespace(position=(-5.0, 5.0)))
    assert layer.help == "its own"
    watch.leave()
    assert not viewer.mouse_move_callbacks


def test_nothing_stays_with_a_layer_that_is_no_longer_selected(workspace) -> None:
    watch, viewer = UnderCursor(workspace), workspace.viewer
    first, second = (viewer.add_image(np.zeros((8, 8)), name=name) for name in "ab")
    first.help, second.help = "of a", "of b"
    (moved,) = viewer.mouse_move_callbacks
    for layer in (first, second, first):
        viewer.layers.selection.active = layer
        moved(viewer, SimpleNamespace(position=(5.0, 5.0)))
        assert layer.help.startswith("tumor probability")
    assert second.help == "of b"
    watch.forget()  # as a second read begins
    assert first.help == "of a"
    moved(viewer, SimpleNamespace(position=(5.0, 5.0)))
    watch.leave()
    assert first.help == "of a"


def test_in_the_grid_nothing_is_told(workspace) -> None:
    workspace.viewer.canvas.grid.enabled = True
    assert UnderCursor(workspace).words((5, 5)) == ""
