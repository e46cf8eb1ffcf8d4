"""Keys press the buttons, and go back to the viewer with the panel."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fastnet.plugin import keys
from napari_fastnet.plugin.keys import KEYS, key_of
from napari_fastnet.plugin.panel.detect import DetectSection

pytestmark = pytest.mark.gui

ALL = tuple(KEYS.values())


def widgets_of(panel):
    """Return the widget whose tool tip says the key, by action."""
    review, teach, detect = panel.review, panel.teach, panel.detect
    return {
        "detect": detect.start,
        "cancel": detect.cancel,
        "masks": panel.tissue.compute,
        "heatmap": detect.opacity,
        "display": detect.display,
        "tissue_only": detect.display,
        **{
            name: getattr(review, name)
            for name in ("tumor", "not_tumor", "unsure", "undo", "next_undecided")
        },
        **{name: getattr(review, name) for name in ("next", "previous", "ruler")},
        "paint_tumor": teach.paint_tumor,
        "paint_normal": teach.paint_normal,
        "paint_ignore": teach.ignore,
        "undo_stroke": teach.undo,
        "teach": teach.start,
        "old_new": teach.blink,
    }


def test_keys_do_the_work(qtbot, viewer, panel, press) -> None:
    work = panel.slide.work
    press(viewer, KEYS["masks"])
    qtbot.waitUntil(lambda: work.editor is not None, timeout=20_000)
    press(viewer, KEYS["detect"])
    assert panel.detect.start.text == "Pause"
    press(viewer, KEYS["detect"])
    assert panel.detect.start.text == "Resume"
    press(viewer, KEYS["cancel"])
    qtbot.waitUntil(lambda: not work.detection.job.running, timeout=20_000)
    assert panel.detect.start.text == "Detect tumors"


def test_a_key_shows_and_hides_the_heatmap(viewer, panel, detect, press) -> None:
    press(viewer, KEYS["heatmap"])  # there is none
    detect(panel)
    layer = viewer.layers["tumor probability"]
    press(viewer, KEYS["heatmap"])
    assert not layer.visible
    press(viewer, KEYS["heatmap"])
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
    widgets = widgets_of(panel)
    assert widgets.keys() == KEYS.keys()
    for action, widget in widgets.items():
        key, tip = KEYS[action], widget.tooltip
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
    first = panel.slide.fold.heading
    order, widget, controls = [], first, interactive(panel)
    for _ in range(300):
        if widget in controls and widget.isVisible():
            order.append(widget)
        widget = widget.nextInFocusChain()
        if widget is first:
            break
    tops = [w.mapTo(window, w.rect().center()).y() for w in order]
    assert len(order) > 30
    assert (np.diff(tops) > -12).all(), tops
    assert order[-1] is panel.advanced.fold.heading


@pytest.fixture
def chosen(monkeypatch):
    """Return a function that sets keys as napari's preferences have them."""

    def choose(**others):
        pairs = tuple({**KEYS, **others}.items())
        monkeypatch.setattr(keys, "_chosen", lambda: pairs)

    yield choose
    keys._usable.cache_clear()


def test_a_key_of_the_preferences_takes_the_place_of_its_own(
    qtbot, viewer, add_slide, square_svs, make_panel, press, chosen
) -> None:
    chosen(masks="Shift+Y", tumor="G")
    add_slide(viewer, square_svs)
    panel = make_panel(viewer)
    assert "[Shift+Y]" in panel.tissue.compute.tooltip
    assert panel.review.tumor.text == "✓ tumor [G]"
    press(viewer, "Shift+Y")
    qtbot.waitUntil(lambda: panel.slide.work.editor is not None, timeout=20_000)


def test_two_actions_may_change_their_keys(chosen, warned) -> None:
    chosen(tumor="K", not_tumor="J")
    assert (key_of("tumor"), key_of("not_tumor")) == ("K", "J")
    assert not warned


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("K", "has another action, too"),
        ("Hyper", "is none that napari knows"),
        ("", "is none that napari knows"),
        ("Shift", "is none that napari knows"),
        ("Space", "is one of napari's own"),
        ("Ctrl+Z", "is one of napari's own"),
    ],
)
def test_a_key_that_cannot_be_is_said_and_stays(chosen, warned, key, words) -> None:
    chosen(tumor=key)
    assert key_of("tumor") == "J"
    assert key_of("not_tumor") == "K"
    assert len(warned) == 1
    assert words in warned[0]
    assert repr(key) in warned[0]


def test_a_default_given_to_another_action_brings_all_defaults_back(chosen) -> None:
    chosen(tumor="Hyper", unsure="J")
    assert {action: key_of(action) for action in KEYS} == KEYS
