"""Review in a real window: by keys alone, whatever layer is active, killed in between."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import shapely
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

pytestmark = [pytest.mark.gui, pytest.mark.slow]

SCRIPT = Path(__file__).with_name("decide_in_a_window.py")
ON_THE_BOARD = {
    "J": "tumor",
    "K": "not tumor",
    "U": "unsure",
}


@pytest.fixture(scope="session")
def spots_svs(tmp_path_factory, write_svs):
    """Return a slide: pink on glass, with thirty dark squares; 1 µm/px."""
    image = np.full((1600, 2000, 3), 244, np.uint8)
    image[200:1400, 200:1800] = (170, 90, 150)
    for index in range(30):
        row, column = divmod(index, 6)
        top, left = 260 + 220 * row, 260 + 250 * column
        image[top : top + 120, left : left + 120] = (60, 30, 60)
    noise = np.random.default_rng(0).integers(-6, 7, image.shape)
    image = np.clip(image + noise, 0, 255).astype(np.uint8)
    folder = tmp_path_factory.mktemp("spots")
    return write_svs(folder / "spots.svs", image, factors=(1, 4), mpp=1.0)


def press(viewer, key):
    canvas = viewer.window._qt_viewer.canvas.native
    shift = Qt.KeyboardModifier.ShiftModifier
    none = Qt.KeyboardModifier.NoModifier
    names = {".": "Period", ",": "Comma"}
    name = names.get(key, key.removeprefix("Shift+"))
    held = shift if key.startswith("Shift+") else none
    QTest.keyClick(canvas, getattr(Qt.Key, f"Key_{name}"), held)


def statuses(panel):
    return [one.status for one in panel.slide.work.review.reviewed]


def test_keys_work_with_every_kind_of_layer_and_change_none(
    qtbot, open_window, square_svs, show_candidates
) -> None:
    viewer, panel = open_window(square_svs)
    show_candidates(panel, 3)
    square = np.array([[0, 0], [0, 90], [90, 90], [90, 0]])
    layers = [
        viewer.layers["square"],
        viewer.add_labels(np.ones((9, 9), np.uint8), name="labels"),
        viewer.add_points(square, name="points"),
        viewer.add_shapes([square], name="shapes"),
        viewer.layers["tumor regions"],
    ]
    for layer in layers:
        viewer.layers.selection.active = layer
        for mode in {
            "pan_zoom",
            "select" if hasattr(layer, "selected_data") else "pan_zoom",
        }:
            layer.mode = mode
            before = np.array(layer.data[0] if layer.name != "square" else 0)
            press(viewer, "N")
            for key, status in ON_THE_BOARD.items():
                number = panel.review.current.region.label
                press(viewer, key)
                assert statuses(panel)[number - 1] == status, (layer, mode, key)
            press(viewer, ",")
            here = panel.review.current.region.label
            press(viewer, ".")
            assert panel.review.current.region.label == here + 1
            for _ in ON_THE_BOARD:
                press(viewer, "Shift+Z")
            assert set(statuses(panel)) == {"undecided"}, (layer, mode)
            assert layer.mode in (mode, "pan_zoom")
            now = np.array(layer.data[0] if layer.name != "square" else 0)
            np.testing.assert_array_equal(now, before)


def test_thirty_are_decided_by_keys_alone_through_a_kill(
    qtbot, open_window, spots_svs, dark_bundle, tmp_path
) -> None:
    import napari_fastnet
    from napari_fastnet.results.decisions import Decisions

    out = tmp_path / "out" / "spots"
    found = napari_fastnet.detect(spots_svs, model=dark_bundle)
    found.save(out.parent)
    assert len(found.candidates) == 30

    command = [sys.executable, str(SCRIPT), str(spots_svs), str(out), "14"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        said = next(line for line in child.stdout if "decided" in line)
        child.kill()  # SIGKILL: nothing is cleaned up
    assert said.strip().endswith(" · 14 of 30 decided")

    viewer, panel = open_window(spots_svs, out)
    qtbot.waitUntil(lambda: len(statuses(panel)) == 30, timeout=20_000)
    assert statuses(panel) == ["tumor"] * 14 + ["undecided"] * 16
    actions = 15
    press(viewer, "N")
    for key in "K" * 10 + "U" * 6:
        press(viewer, key)
        actions += 1
    assert actions + 1 < 60
    assert panel.review.progress.value.endswith(" · 24 of 30 decided, 6 unsure")
    wanted = ["tumor"] * 14 + ["not tumor"] * 10 + ["unsure"] * 6
    kept = Decisions.open(out / "decisions.json", panel.slide.work.fingerprint)
    assert [decision.verdict for decision in kept.decisions] == wanted

    panel.export.folder.value = tmp_path / "export"
    panel.export.save.native.click()
    qtbot.waitUntil(lambda: panel.export.save.enabled, timeout=30_000)
    collection = json.loads((tmp_path / "export" / "regions.geojson").read_text())
    classes = {}
    for feature in collection["features"]:
        assert shapely.from_geojson(json.dumps(feature["geometry"])).is_valid
        properties = feature["properties"]
        name = properties["classification"]["name"]
        classes[name] = classes.get(name, 0) + 1
        assert properties["isLocked"]
    assert classes == {"Tumor": 14, "Not tumor": 10, "Unsure": 6}
