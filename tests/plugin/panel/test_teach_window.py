"""Teaching in a real window: strokes of the mouse, a kill in the middle, old beside new."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_fastnet.cli.app import main
from napari_fastnet.core.labelled_cells import NORMAL, TUMOR
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.training.adapt.options import AdaptOptions

pytestmark = [pytest.mark.gui, pytest.mark.slow]

SCRIPT = Path(__file__).with_name("teach_in_a_window.py")
STEPS = 2
OLD, NEW = "tumor probability", "tumor probability (taught)"


def shown(viewer):
    return [
        name
        for name in (OLD, NEW)
        if name in viewer.layers and viewer.layers[name].visible
    ]


def press(viewer, key, *, shift=True):
    from strokes import canvas_of

    modifiers = Qt.KeyboardModifier
    held = modifiers.ShiftModifier if shift else modifiers.NoModifier
    QTest.keyClick(canvas_of(viewer), getattr(Qt.Key, f"Key_{key}"), held)


def test_twenty_strokes_make_a_model_through_a_kill(
    qtbot, open_window, lab_svs, tmp_path, monkeypatch
) -> None:
    monkeypatch.syspath_prepend(SCRIPT.parent)
    models, out = tmp_path / "models", tmp_path / "out"
    monkeypatch.setenv("NAPARI_FASTNET_MODELS", str(models))
    slide, other = lab_svs
    command = [sys.executable, str(SCRIPT), str(slide), str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        said = next(line for line in child.stdout if "taught by" in line)
        child.kill()  # SIGKILL in the middle of teaching
    assert not models.exists()

    viewer, panel = open_window(slide, out / "lab")
    viewer.window.resize(1200, 900)
    qtbot.waitUntil(lambda: "corrections" in viewer.layers, timeout=20_000)
    assert said.strip() == f"taught by {panel.teach.painted.value}"
    check_strokes(viewer.layers["corrections"].data, out / "lab")
    one_more_is_taken_back(qtbot, viewer, panel)
    old_lies_beside_new(qtbot, viewer, panel)
    kept_it_is_that_of_the_command_line(qtbot, panel, out / "lab", tmp_path)

    viewer.open(other, plugin="napari-fastnet")
    panel.detect.start.native.click()
    job = panel.slide.work.detection.job
    qtbot.waitUntil(lambda: not job.running, timeout=60_000)
    assert panel.slide.work.record.model.name == "fastnet-pcam@my-lab"
    assert panel.slide.work.heatmap.computed.sum() > 1000


def check_strokes(cells, run) -> None:
    """Check that tumor is painted on the left, normal on the right, as in the file."""
    left, right = np.split(cells, [cells.shape[1] // 2], axis=1)
    assert set(np.unique(left)) == {0, TUMOR}
    assert set(np.unique(right)) == {0, NORMAL}
    assert min((left > 0).sum(), (right > 0).sum()) > 50
    document = json.loads((run / "corrections.geojson").read_text())
    classes = [
        one["properties"]["classification"]["name"] for one in document["features"]
    ]
    assert sorted(classes) == ["Normal"] * 10 + ["Tumor"] * 10


def one_more_is_taken_back(qtbot, viewer, panel) -> None:
    from strokes import stroke

    layer, teach = viewer.layers["corrections"], panel.teach
    painted = layer.data.copy()
    QTest.qWait(500)  # the window has its size
    viewer.reset_view()
    press(viewer, "U")
    assert teach.ignore.native.isChecked()
    stroke(viewer, (540, 890), (540, 980), pause_ms=400)
    qtbot.waitUntil(lambda: "ignore" in teach.painted.value, timeout=20_000)
    press(viewer, "X")
    qtbot.waitUntil(lambda: np.array_equal(layer.data, painted), timeout=20_000)
    press(viewer, "U")
    assert layer.mode == "pan_zoom"


def old_lies_beside_new(qtbot, viewer, panel) -> None:
    teach, work = panel.teach, panel.slide.work
    old = viewer.layers["tumor probability"].data.copy()
    teach.adapt_options = AdaptOptions(steps=STEPS)
    press(viewer, "T")
    teaching = teach.teaching
    # the head alone, of what is seen
    qtbot.waitUntil(lambda: teaching.trial.heatmap is not None, timeout=180_000)
    assert teaching.adapted is None
    assert shown(viewer) == [NEW]
    press(viewer, "W", shift=False)
    assert shown(viewer) == [OLD]
    # the network
    qtbot.waitUntil(lambda: not teaching.running, timeout=300_000)
    assert shown(viewer) == [OLD]
    press(viewer, "W", shift=False)
    assert shown(viewer) == [NEW]
    words = f"fastnet-pcam was taught: {teaching.adapted.words}"
    assert teach.words.value.startswith(words)
    new = teaching.trial.heatmap
    assert new.computed.sum() == work.heatmap.computed.sum() > 1000
    assert np.nanmax(np.abs(new.probabilities - old)) > 0.01
    np.testing.assert_array_equal(viewer.layers[OLD].data, old)


def kept_it_is_that_of_the_command_line(qtbot, panel, run, tmp_path) -> None:
    teach, work, teaching = panel.teach, panel.slide.work, panel.teach.teaching
    new = teaching.trial.heatmap.probabilities
    teach.keep.native.click()
    if teaching.adapted.gate.refusal is not None:
        teach._question.anyway.click()
    qtbot.waitUntil(lambda: teach.teaching is None, timeout=60_000)
    assert panel.detect.model.value == "fastnet-pcam@my-lab"
    np.testing.assert_array_equal(work.heatmap.probabilities, new)
    assert work.layers.get("taught") is None
    assert work.record.model.name == "fastnet-pcam@my-lab"
    argv = ["adapt", str(run), "-o", str(tmp_path / "bundle"), "--name", "my-lab"]
    assert (
        main([*argv, "--base", "fastnet-pcam", "--steps", str(STEPS), "--anyway"]) == 0
    )
    kept, written = load_bundle("fastnet-pcam@my-lab"), load_bundle(tmp_path / "bundle")
    assert kept.files == written.files
    assert kept.to_dict() == written.to_dict()
