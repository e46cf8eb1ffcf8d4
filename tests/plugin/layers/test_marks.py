"""Marks on lesions: as large on the screen at every zoom, and not edited by accident."""

from __future__ import annotations

from dataclasses import replace
from math import nan
from time import perf_counter

import numpy as np
import pytest

from napari_fastnet.core.lesions.regions import Region
from napari_fastnet.plugin.layers.data import (
    REGION_COLOUR,
    VERDICT_COLOURS,
    regions_layer_data,
    rgba,
    to_px,
)
from napari_fastnet.plugin.layers.marks import SEEN_PX, LesionMarks
from napari_fastnet.plugin.layers.regions import regions_of
from napari_fastnet.plugin.layers.shown import WorkLayers
from napari_fastnet.plugin.writer import write_folder
from napari_fastnet.results.decision_events import Decision
from napari_fastnet.results.reviewed import Reviewed

pytestmark = pytest.mark.gui

MPP = (0.25, 0.5)


def region(label, top, left, side=400.0, evidence=5.0):
    """Return a square region; its diagonal is its axis."""
    ring = np.array([[0, 0], [0, 1], [1, 1], [1, 0]]) * side + (top, left)
    length_mm = np.hypot(*(np.multiply(side, MPP))) / 1000
    axis = ((top, left), (top + side, left + side))
    centre = (top + side / 2, left + side / 2)
    area = side * side * MPP[0] * MPP[1] / 1e6
    return Region(
        label=label,
        area_mm2=area,
        longest_axis_mm=length_mm,
        max_probability=0.9,
        mean_probability=0.8,
        centroid=centre,
        polygons=((ring,),),
        axis=axis,
        evidence=evidence,
    )


def decided(one, verdict, **more):
    return Reviewed(one, Decision(polygons=one.polygons, verdict=verdict, **more))


@pytest.fixture
def marks(qapp, viewer_model):
    viewer_model.add_image(np.zeros((9, 9)), name="slide", units=("um", "um"))
    viewer_model.scene.camera.zoom = 0.01
    marks = LesionMarks(viewer_model, WorkLayers(viewer_model), lambda: MPP)
    yield marks
    marks.close()


def texts(layer):
    return [text for text in layer.features["text"] if text]


def test_markers_tell_what_was_decided_by_colour_and_by_shape(
    viewer_model, marks
) -> None:
    regions = [region(n, 3000.0 * n, 1000.0, evidence=6.0 - n) for n in range(1, 6)]
    reviewed = [
        Reviewed(regions[0]),
        decided(regions[1], "tumor"),
        decided(regions[2], "not tumor"),
        decided(regions[3], "unsure"),
        Reviewed(regions[4]),
    ]
    marks.show(reviewed, lesion_threshold=2.5)
    layer = viewer_model.layers["lesion markers"]
    np.testing.assert_allclose(
        layer.data, np.multiply([r.centroid for r in regions], MPP)
    )
    wanted = rgba([VERDICT_COLOURS[one.status] for one in reviewed])
    np.testing.assert_allclose(layer.face_color[:4], wanted[:4], atol=0.01)
    assert layer.face_color[4, 3] == 0  # too little evidence: hollow
    np.testing.assert_allclose(layer.border_color[4], wanted[4], atol=0.01)
    assert len({str(symbol) for symbol in layer.symbol}) == 4
    assert layer.symbol[0] == layer.symbol[4]

    marks.show(reviewed[:2], lesion_threshold=2.5)
    assert len(layer.data) == 2
    marks.show([], lesion_threshold=2.5)
    assert len(layer.data) == 0
    assert viewer_model.layers["lesion markers"] is layer


def test_a_marker_leaves_once_its_outline_is_seen(qtbot, viewer_model, marks) -> None:
    small, large = region(1, 0.0, 0.0, 100.0), region(2, 9000.0, 9000.0, 4000.0)
    marks.show([Reviewed(small), Reviewed(large)], 0.0)
    layer, camera = viewer_model.layers["lesion markers"], viewer_model.scene.camera

    def seen():
        return (layer.border_color[:, 3] > 0).tolist()

    assert seen() == [True, True]
    for factor, wanted in ((0.9, [True, True]), (1.1, [True, False])):
        camera.zoom = factor * SEEN_PX / (large.longest_axis_mm * 1000)
        qtbot.waitUntil(lambda wanted=wanted: seen() == wanted, timeout=20_000)
    low, high = layer.canvas_size_limits
    for zoom in (0.01, 50.0, 0.01):
        camera.zoom = zoom
        qtbot.waitUntil(
            lambda: layer.size[0] * camera.zoom >= high, timeout=20_000
        )  # clamped
    qtbot.waitUntil(lambda: seen() == [True, True], timeout=20_000)
    assert low <= 2  # else vispy draws borders as wide as the marker


def test_marks_that_are_deleted_come_back(viewer_model, marks) -> None:
    marks.show([Reviewed(region(1, 0.0, 0.0)), Reviewed(region(2, 9e3, 0.0))], 0.0)
    marks.show_current(region(1, 0.0, 0.0), "1 of 2")
    layer, frame = (
        viewer_model.layers[n] for n in ("lesion markers", "current lesion")
    )
    layer.mode = frame.mode = "select"
    assert layer.mode == frame.mode == "pan_zoom"
    layer.selected_data = {0, 1}
    layer.remove_selected()
    assert len(layer.data) == 2
    count = frame.nshapes
    frame.selected_data = {0}
    frame.remove_selected()
    assert frame.nshapes == count
    viewer_model.dims.ndisplay = 3
    viewer_model.dims.ndisplay = 2
    assert not layer.editable  # napari unlocks
    assert not frame.editable


def test_the_current_lesion_is_framed_and_named(qtbot, viewer_model, marks) -> None:
    marks.show_current(None)
    assert len(viewer_model.layers) == 1
    one = region(3, 1000.0, 2000.0)
    marks.show_current(one, "3 of 12")
    frame, camera = viewer_model.layers["current lesion"], viewer_model.scene.camera
    assert texts(frame) == ["3 of 12"]

    def corners():
        return frame.data[0].min(axis=0), frame.data[0].max(axis=0)

    low, high = np.multiply(((1000, 2000), (1400, 2400)), MPP)
    (top, _), (bottom, _) = corners()
    assert (bottom - top) * camera.zoom == pytest.approx(30)  # of a speck
    camera.zoom = 2.0
    qtbot.waitUntil(
        lambda: np.allclose(corners(), [low - 4, high + 4]), timeout=20_000
    )  # 8 px
    marks.show_current(None)
    assert frame.nshapes == 0


def test_the_largest_deposit_and_measured_ones_have_lines(viewer_model, marks) -> None:
    small, middle, large = (
        region(n, 9e3 * n, 0.0, side) for n, side in enumerate((200.0, 800.0, 1600.0))
    )
    marks.show([Reviewed(small), Reviewed(middle), Reviewed(large)], 0.0)
    lines = viewer_model.layers["measures"]
    assert texts(lines) == [f"largest {large.longest_axis_mm:.2f} mm"]
    np.testing.assert_allclose(lines.data[0], np.multiply(large.axis, MPP))

    hand = ((0.0, 0.0), (0.0, 400.0))
    by_hand = replace(small, longest_axis_mm=0.2)
    marks.show(
        [
            decided(by_hand, None, line=hand),
            Reviewed(middle),
            decided(large, "not tumor"),
        ],
        0.0,
    )
    assert texts(lines) == [
        "0.20 mm, measured",
        f"largest {middle.longest_axis_mm:.2f} mm",
    ]
    marks.show([decided(by_hand, "tumor", line=hand)], 0.0)
    assert texts(lines) == ["largest 0.20 mm, measured"]
    marks.show_ruler(np.array([[0.0, 0.0], [300.0, 400.0]]))
    assert texts(lines)[1] == "0.500 mm"
    marks.show([], 0.0)
    marks.show_ruler(None)
    assert lines.nshapes == 0


def test_the_largest_line_gives_way_to_another_lesion_that_is_current(
    viewer_model, marks
) -> None:
    small, large = region(1, 0.0, 0.0, 200.0), region(2, 9e3, 0.0, 1600.0)
    reviewed = [Reviewed(small), Reviewed(large)]
    marks.show(reviewed, 0.0)
    lines = viewer_model.layers["measures"]
    said = [f"largest {large.longest_axis_mm:.2f} mm"]
    for current, wanted in ((small, []), (large, said), (small, []), (None, said)):
        marks.show_current(current, "1 of 2")
        assert texts(lines) == wanted

    hand = ((9e3, 0.0), (9e3, 400.0))  # a person's line stays
    marks.show([reviewed[0], decided(large, "tumor", line=hand)], 0.0)
    marks.show_current(small, "1 of 2")
    assert texts(lines) == ["0.20 mm, measured"]


def test_outlines_of_decided_lesions_have_their_colours(viewer_model, add) -> None:
    regions = [region(1, 0.0, 0.0), region(2, 9e3, 0.0, evidence=nan)]
    plain = add(regions_layer_data(regions, MPP, "a"))
    np.testing.assert_allclose(plain.edge_color, rgba([REGION_COLOUR] * 2), atol=0.01)
    coloured = regions_layer_data(regions, MPP, "a", statuses=["undecided", "tumor"])
    wanted = rgba([REGION_COLOUR, VERDICT_COLOURS["tumor"]])
    np.testing.assert_allclose(add(coloured).edge_color, wanted, atol=0.01)


def test_a_saved_layer_has_evidence_and_axis_but_nothing_that_was_rejected(add) -> None:
    regions = [region(1, 0.0, 0.0, evidence=1.5), region(2, 9e3, 0.0)]
    layer = add(regions_layer_data(regions, MPP, "a", statuses=["tumor", "not tumor"]))
    (back,) = regions_of([to_px(r, MPP) for r in layer.data], layer.features, MPP)
    assert (back.label, back.evidence, back.axis) == (1, 1.5, regions[0].axis)


def test_three_thousand_markers_follow_a_slider(viewer_model, marks) -> None:
    rng = np.random.default_rng(0)
    places = rng.random((3000, 2)) * 80_000
    regions = [
        region(n, *place, evidence=9 - n / 300) for n, place in enumerate(places)
    ]
    reviewed = [Reviewed(one) for one in regions]
    marks.show(reviewed, 0.0)
    seconds = []
    for threshold in np.linspace(-1, 8, 7):
        began = perf_counter()
        marks.show(reviewed, threshold)
        seconds.append(perf_counter() - began)
    assert np.median(seconds) < 1  # 0.02 here; a loop over markers would take seconds


def test_marks_are_saved_with_the_results_and_open_again(
    tmp_path, viewer_model, marks
) -> None:
    from npe2 import PluginManager

    PluginManager.instance().discover()
    regions = [region(1, 0.0, 0.0), region(2, 9e3, 0.0)]
    marks.show([Reviewed(one) for one in regions], 0.0)
    marks.show_current(regions[0], "1 of 2")
    layers = [viewer_model.layers[n] for n in ("lesion markers", "current lesion")]
    written = write_folder(
        str(tmp_path / "saved"), [layer.as_layer_data_tuple() for layer in layers]
    )
    markers, frame = (
        viewer_model.open(path, plugin="napari")[0] for path in sorted(written)[::-1]
    )
    np.testing.assert_allclose(markers.data, layers[0].data)
    assert frame.nshapes == layers[1].nshapes


def test_outlines_in_um_are_not_scaled_with_the_spacing(viewer_model) -> None:
    layers = WorkLayers(viewer_model)
    layer = layers.put("regions", regions_layer_data([region(1, 0.0, 0.0)], MPP, "a"))
    layers.empty_and_scale((2.0, 2.0))
    assert layer.nshapes == 0
    twice = (2 * MPP[0], 2 * MPP[1])
    again = layers.put("regions", regions_layer_data([region(1, 0, 0)], twice, "a"))
    assert again is layer
    corner = layer.data_to_world(layer.data[0].max(axis=0))
    np.testing.assert_allclose(corner, np.multiply(400.0, twice))
