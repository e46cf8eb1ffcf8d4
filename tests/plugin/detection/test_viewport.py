"""What is on screen, and that it is looked at first."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fastnet.core.geometry import Box, Grid
from napari_fastnet.store.store import Block

pytest.importorskip("qtpy")
pytestmark = pytest.mark.gui


@pytest.fixture
def viewer():
    from napari.components import ViewerModel

    viewer = ViewerModel()
    # 400 x 600 px of 0.5 µm, its first px centred half a px from the corner.
    viewer.add_image(np.zeros((400, 600)), scale=(0.5, 0.5), translate=(0.25, 0.25))
    viewer.canvas.size = (100, 200)
    viewer.scene.camera.center = (0, 50, 60)
    viewer.scene.camera.zoom = 4
    return viewer


def edges(box: Box):
    return box.top, box.left, box.bottom, box.right


def test_the_view_is_told_in_level_0_px(viewer) -> None:
    from napari_fastnet.plugin.detection.viewport import visible_box

    # 100 x 200 px of canvas are 25 x 50 µm around (50, 60) µm: 50 x 100 px.
    seen = visible_box(viewer, viewer.layers[0])
    assert edges(seen) == pytest.approx((75, 70, 125, 170))


def test_the_view_may_reach_beyond_the_slide(viewer) -> None:
    from napari_fastnet.plugin.detection.viewport import visible_box

    viewer.scene.camera.center = (0, 0, 0)
    assert edges(visible_box(viewer, viewer.layers[0])) == pytest.approx(
        (-25, -50, 25, 50)
    )


def test_the_view_is_told_where_axes_are_transposed(viewer) -> None:
    from napari_fastnet.plugin.detection.viewport import visible_box

    viewer.dims.transpose()
    viewer.scene.camera.center = (0, 60, 50)  # rows are x by now
    viewer.scene.camera.zoom = 4
    assert edges(visible_box(viewer, viewer.layers[0])) == pytest.approx(
        (50, 95, 150, 145)
    )


def test_the_view_is_told_in_a_grid_of_layers(viewer) -> None:
    from napari_fastnet.plugin.detection.viewport import visible_box

    for _ in range(3):
        viewer.add_image(np.zeros((4, 6)))
    viewer.scene.camera.center, viewer.scene.camera.zoom = (0, 50, 60), 4
    viewer.canvas.grid.enabled = True  # 2 x 2 views, 50 x 100 px each
    assert edges(visible_box(viewer, viewer.layers[0])) == pytest.approx(
        (87.5, 95, 112.5, 145)
    )


def test_the_view_is_told_beside_an_image_with_more_axes(viewer) -> None:
    from napari_fastnet.plugin.detection.viewport import visible_box

    viewer.add_image(np.zeros((3, 4, 5)))
    viewer.scene.camera.center, viewer.scene.camera.zoom = (0, 50, 60), 4
    slide = viewer.layers[0]
    assert edges(visible_box(viewer, slide)) == pytest.approx((75, 70, 125, 170))
    viewer.dims.order = (2, 0, 1)  # along x nothing is seen: rows are z, columns y
    viewer.scene.camera.center, viewer.scene.camera.zoom = (0, 1, 50), 4
    box = edges(visible_box(viewer, slide))
    assert box == pytest.approx((50, 0, 150, 600), abs=0.5)


def seen_of(viewer, low, high):
    """Fly to a place, and return which share of the view it is high and wide."""
    from napari_fastnet.plugin.detection.viewport import fly_to, visible_box

    fly_to(viewer, low, high, 0.4)
    box, middle = visible_box(viewer, viewer.layers[0]), np.add(low, high) / 2 / 0.5
    assert box.centre == pytest.approx(tuple(middle))
    size = np.subtract(high, low) / 0.5
    return size[0] / (box.bottom - box.top), size[1] / (box.right - box.left)


@pytest.mark.parametrize("grid", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("three", [False, True])
def test_a_place_is_flown_to_however_it_is_looked_at(
    viewer, grid, transposed, three
) -> None:
    viewer.add_image(np.zeros((4, 6)))
    if three:
        viewer.dims.ndisplay = 3
    viewer.canvas.grid.enabled = grid
    if transposed:
        viewer.dims.transpose()
    shares = seen_of(viewer, (20.0, 130.0), (40.0, 140.0))
    assert max(shares) == pytest.approx(0.4)


@pytest.mark.parametrize(
    "change",
    [
        lambda viewer: viewer.dims.transpose(),
        lambda viewer: setattr(viewer.scene.camera, "center", (0, 80, 90)),
        lambda viewer: setattr(viewer.scene.camera, "zoom", 1),
    ],
    ids=["transpose", "pan", "zoom"],
)
def test_a_viewport_follows_within_half_a_second(qtbot, viewer, change) -> None:
    from napari_fastnet.plugin.detection.viewport import Viewport, visible_box

    viewport = Viewport(viewer, viewer.layers[0])
    before = viewport.box
    change(viewer)
    assert viewport.box == before  # not in the middle of a movement
    wanted = visible_box(viewer, viewer.layers[0])
    qtbot.waitUntil(lambda: viewport.box == wanted != before, timeout=20_000)
    viewport.close()


@pytest.mark.gui
@pytest.mark.slow
def test_a_viewport_follows_a_window_of_another_size(qtbot, make_napari_viewer) -> None:
    from napari_fastnet.plugin.detection.viewport import Viewport, visible_box

    viewer = make_napari_viewer(show=True)
    layer = viewer.add_image(np.zeros((64, 64)))
    viewport = Viewport(viewer, layer)
    before = viewport.box
    window = viewer.window._qt_window
    window.resize(window.width() - 150, window.height() - 100)
    qtbot.waitUntil(
        lambda: viewport.box == visible_box(viewer, layer) != before, timeout=20_000
    )
    viewport.close()


def test_a_hand_that_moves_the_view_is_noticed_until_it_rests(qtbot, viewer) -> None:
    from napari_fastnet.plugin.detection.viewport import Viewport

    viewport = Viewport(viewer, viewer.layers[0])
    assert not viewport.moving
    viewer.scene.camera.zoom *= 1.1
    assert viewport.moving
    qtbot.waitUntil(lambda: not viewport.moving, timeout=20_000)
    viewport.close()


def test_a_closed_viewport_listens_no_more(qtbot, viewer) -> None:
    from napari_fastnet.plugin.detection.viewport import Viewport

    viewport = Viewport(viewer, viewer.layers[0])
    before = viewport.box
    viewer.scene.camera.zoom = 9
    viewport.close()
    viewer.scene.camera.zoom = 1
    qtbot.wait(200)
    assert viewport.box == before
    assert not viewer.scene.camera.events.zoom.callbacks
    assert viewport._moved not in viewer.dims.events.order.callbacks


def test_blocks_in_view_come_first_and_the_middle_before_them() -> None:
    from napari_fastnet.plugin.detection.viewport import nearest_to_view

    grid = Grid((0, 0), (100, 100), (10, 10))
    view = Box(390, 390, 710, 710)
    rank = nearest_to_view(grid, lambda: view)
    blocks = [Block((r, c), (r + 1, c + 1)) for r in range(10) for c in range(10)]
    order = sorted(blocks, key=rank)
    inside = [b for b in blocks if 3 <= b.first[0] <= 7 and 3 <= b.first[1] <= 7]
    assert order[0].first == (5, 5)
    assert set(order[: len(inside)]) == set(inside)
    assert order[-1].first == (0, 0)


def test_a_block_that_covers_the_view_comes_before_a_nearer_one_outside() -> None:
    from napari_fastnet.plugin.detection.viewport import nearest_to_view

    grid = Grid((0, 0), (100, 100), (20, 20))
    rank = nearest_to_view(grid, lambda: Box(10, 1500, 20, 1510))
    covering, beside = Block((0, 0), (16, 16)), Block((0, 16), (1, 17))
    assert rank(covering) < rank(beside)


def test_the_order_follows_the_view_and_is_none_without_one() -> None:
    from napari_fastnet.plugin.detection.viewport import nearest_to_view

    seen: list[Box | None] = [None]
    rank = nearest_to_view(Grid((0, 0), (10, 10), (4, 4)), lambda: seen[0])
    first, last = Block((0, 0), (1, 1)), Block((3, 3), (4, 4))
    assert rank(first) == rank(last)
    seen[0] = Box(30, 30, 40, 40)
    assert rank(last) < rank(first)
    seen[0] = Box(0, 0, 10, 10)
    assert rank(first) < rank(last)
