"""Keys press the buttons, and go back to the viewer with the panel."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fastnet.plugin.panel.detect import CANCEL_KEY, DETECT_KEY, DetectSection
from napari_fastnet.plugin.panel.heatmap_look import (
    DISPLAY_KEY,
    HEATMAP_KEY,
    TISSUE_KEY,
)
from napari_fastnet.plugin.panel.tissue import MASKS_KEY
from napari_fastnet.plugin.review import ruler, tools
from napari_fastnet.plugin.teach import tools as teach_tools

pytestmark = pytest.mark.gui

REVIEW_KEYS = {
    tools.TUMOR_KEY: "tumor",
    tools.NOT_TUMOR_KEY: "not_tumor",
    tools.UNSURE_KEY: "unsure",
    tools.UNDO_KEY: "undo",
    tools.UNDECIDED_KEY: "next_undecided",
    tools.NEXT_KEY: "next",
    tools.PREVIOUS_KEY: "previous",
    ruler.RULER_KEY: "ruler",
}
TEACH_KEYS = {
    teach_tools.PAINT_KEYS["tumor"]: "paint_tumor",
    teach_tools.PAINT_KEYS["normal"]: "paint_normal",
    teach_tools.PAINT_KEYS["ignore"]: "ignore",
    teach_tools.UNDO_KEY: "undo",
    teach_tools.TEACH_KEY: "start",
    teach_tools.BLINK_KEY: "blink",
}
ALL = (
    DETECT_KEY,
    CANCEL_KEY,
    MASKS_KEY,
    HEATMAP_KEY,
    DISPLAY_KEY,
    TISSUE_KEY,
    *REVIEW_KEYS,
    *TEACH_KEYS,
)


def test_keys_do_the_work(qtbot, viewer, panel, press) -> None:
    work = panel.slide.work
    press(viewer, MASKS_KEY)
    qtbot.waitUntil(lambda: work.editor is not None, timeout=20_000)
    press(viewer, DETECT_KEY)
    assert panel.detect.start.text == "Pause"
    press(viewer, DETECT_KEY)
    assert panel.detect.start.text == "Resume"
    press(viewer, CANCEL_KEY)
    qtbot.waitUntil(lambda: not work.detection.job.running, timeout=20_000)
    assert panel.detect.start.text == "Detect tumors"


def test_a_key_shows_and_hides_the_heatmap(viewer, panel, detect, press) -> None:
    press(viewer, HEATMAP_KEY)  # there is none
    detect(panel)
    layer = viewer.layers["tumor probability"]
    press(viewer, HEATMAP_KEY)
    assert not layer.visible
    press(viewer, HEATMAP_KEY)
    assert layer.visible


def test_keys_without_a_slide_do_nothing(viewer, make_panel, press) -> None:
    panel = make_panel(viewer)
    for key in ALL:
        press(viewer, key)
    assert panel.slide.work is None


def test_no_key_is_napari_s() -> None:
    from napari.utils.key_bindings import coerce_keybinding
    from napari.utils.shortcuts import default_shortcuts

    theirs = {
        coerce_keybinding(key) for keys_ in default_shortcuts.values() for key in keys_
    }
    assert not theirs & {coerce_keybinding(key) for key in ALL}


def test_the_keys_go_with_the_panel(viewer, panel, press) -> None:
    assert len(viewer.keymap) == len(ALL)
    for section in (panel.tissue, panel.detect, panel.review, panel.teach):
        section.leave()
    assert len(viewer.keymap) == 0


def test_the_newer_of_two_sections_has_the_keys_and_keeps_them(viewer, panel) -> None:
    newer = DetectSection(viewer)
    mine = dict(viewer.keymap)
    panel.detect.leave()
    assert dict(viewer.keymap) == mine
    newer.leave()
    assert len(viewer.keymap) == len(ALL) - 5


def test_the_tool_tips_say_the_keys(panel) -> None:
    tips = [
        panel.detect.start.tooltip,
        panel.detect.cancel.tooltip,
        panel.tissue.compute.tooltip,
        panel.detect.opacity.tooltip,
        panel.detect.display.tooltip,
        panel.detect.display.tooltip,
        *(getattr(panel.review, name).tooltip for name in REVIEW_KEYS.values()),
        *(getattr(panel.teach, name).tooltip for name in TEACH_KEYS.values()),
    ]
    for key, tip in zip(ALL, tips, strict=True):
        assert f"[{key}]" in tip


def interactive(panel):
    from qtpy.QtWidgets import (
        QAbstractButton,
        QAbstractSlider,
        QAbstractSpinBox,
        QComboBox,
        QLineEdit,
        QProgressBar,
        QTableView,
    )

    kinds = (
        QAbstractButton,
        QAbstractSlider,
        QAbstractSpinBox,
        QComboBox,
        QLineEdit,
        QProgressBar,
        QTableView,
    )
    found = [w for kind in kinds for w in panel.native.findChildren(kind)]
    # not the parts of a table or a scroll area
    return [
        w
        for w in found
        if not any(
            part in type(ancestor).__name__
            for ancestor in ancestors(w)
            for part in ("QTable", "HeaderView", "ScrollBar")
        )
        and "ScrollBar" not in type(w).__name__
    ]


def ancestors(widget):
    while widget.parent() is not None:
        widget = widget.parent()
        yield widget


def test_every_control_has_a_tool_tip(panel) -> None:
    controls = interactive(panel)
    assert len(controls) > 40
    for control in controls:
        # Qt asks the parents of a widget that has none
        tips = [w.toolTip() for w in (control, *ancestors(control)) if w.toolTip()]
        assert tips, (type(control).__name__, control.objectName())


def test_tab_goes_from_top_to_bottom(qtbot, panel) -> None:
    window = panel.native
    window.resize(420, 1400)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitExposed(window)
    order, widget, controls = [], panel.slide.choice.native, interactive(panel)
    for _ in range(300):
        if widget in controls and widget.isVisible():
            order.append(widget)
        widget = widget.nextInFocusChain()
        if widget is panel.slide.choice.native:
            break
    tops = [w.mapTo(window, w.rect().center()).y() for w in order]
    assert len(order) > 30
    assert (np.diff(tops) > -12).all(), tops
    assert order[-1] is panel.export.report.native
