"""Scrolling over the panel changes nothing, nor do keys that are the viewer's."""

from __future__ import annotations

import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QFocusEvent, QWheelEvent
from qtpy.QtWidgets import (
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QScrollBar,
    QSlider,
    QWidget,
)

pytestmark = pytest.mark.gui

KEPT = ("slide.mpp", "slide.choice", "detect.model", "detect.stride", "detect.backend")
KEPT += ("detect.threshold", "detect.opacity", "detect.view_first", "export.which")
KEPT += ("tissue.red", "tissue.green", "tissue.blue", "tissue.saturation")
KEPT += ("tissue.low", "tissue.high", "tissue.edited")


def values(panel):
    """Return what every control holds."""
    found = {}
    for name in KEPT:
        section, control = name.split(".")
        found[name] = getattr(getattr(panel, section), control).value
    return found


def controls(panel):
    """Return the widgets that could change by a wheel."""
    kinds = (QComboBox, QAbstractSpinBox, QAbstractSlider)
    found = [w for kind in kinds for w in panel.native.widget().findChildren(kind)]
    return [w for w in found if not isinstance(w, QScrollBar)]


def turn(widget, notches=1, modifier=Qt.KeyboardModifier.NoModifier):
    """Turn the wheel over the middle of a widget.

    As the system's events go: what a widget does not take goes to the one it lies in. Qt
    itself does not pass on what a program sends.
    """
    at = widget.rect().center()
    for _ in range(abs(notches)):
        over = widget
        while over is not None:
            inside = QPointF(over.mapFromGlobal(widget.mapToGlobal(at)))
            event = QWheelEvent(
                inside,
                QPointF(widget.mapToGlobal(at)),
                QPoint(),
                QPoint(0, 120 if notches > 0 else -120),
                Qt.MouseButton.NoButton,
                modifier,
                Qt.ScrollPhase.NoScrollPhase,
                False,
            )
            QApplication.sendEvent(over, event)
            over = None if event.isAccepted() else over.parentWidget()


@pytest.fixture
def shown(panel, compute, qtbot):
    """Return the panel on screen, shorter than it is long, its masks computed."""
    compute(panel)
    window = panel.native
    window.resize(480, 500)
    with qtbot.waitExposed(window):
        window.show()
    window.activateWindow()
    # else the reason of the first focus is that the window became the active one
    qtbot.waitUntil(window.isActiveWindow, timeout=20_000)
    panel.slide._field.show()
    panel.export.which.value = "micro and macro"  # neither the first nor the last
    panel.detect.stride.value = 2
    return panel


def focus(widget, qtbot):
    """Give a widget the keys; another window of the screen may take them meanwhile."""

    def has_it():
        widget.window().activateWindow()
        widget.setFocus()
        return widget.hasFocus()

    qtbot.waitUntil(has_it, timeout=20_000)
    return True


@pytest.mark.parametrize("notches", [3, -3])
def test_three_notches_over_every_control_change_nothing(shown, notches) -> None:
    before = values(shown)
    found = controls(shown)
    assert len(found) > 20
    for widget in found:
        for modifier in (
            Qt.KeyboardModifier.NoModifier,
            Qt.KeyboardModifier.ControlModifier,
            Qt.KeyboardModifier.ShiftModifier,
        ):
            turn(widget, notches, modifier)
        assert values(shown) == before, widget


def test_the_wheel_scrolls_the_panel_over_every_control(shown) -> None:
    bar = shown.native.verticalScrollBar()
    for widget in controls(shown):
        if widget.isVisible():
            bar.setValue(0)
            turn(widget, -1)
            assert bar.value() > 0, widget


def test_a_wheel_over_a_control_does_not_take_the_keys(shown) -> None:
    for widget in controls(shown):
        assert (
            not widget.focusPolicy()
            & Qt.FocusPolicy.WheelFocus
            & ~(Qt.FocusPolicy.StrongFocus)
        ), widget


def test_a_list_that_was_just_used_is_not_turned_on(shown, qtbot) -> None:
    before = values(shown)
    for widget in shown.native.findChildren(QComboBox):
        if widget.isVisible() and widget.isEnabled():
            assert focus(widget, qtbot)
            turn(widget, 3)
            turn(widget, -3)
            assert values(shown) == before


def test_a_slider_that_was_clicked_follows_the_wheel_by_its_step(shown, qtbot) -> None:
    slider = shown.detect.threshold.native.findChild(QSlider)
    shown.detect.threshold.value = 0.5
    assert focus(slider, qtbot)
    turn(slider, -1)
    assert 0.4 < shown.detect.threshold.value < 0.5
    assert shown.detect.threshold.value == round(shown.detect.threshold.value, 2)


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        ("detect.stride", "dense", "2"),  # napari's brush; "2 x 2 values per patch"
        ("detect.stride", 4, "D"),  # detect
        ("export.which", "all regions", "M"),  # masks
        ("detect.backend", "auto", "O"),
    ],
)
def test_letters_and_digits_choose_nothing_of_a_closed_list(
    shown, qtbot, name, value, key
) -> None:
    section, control = name.split(".")
    widget = getattr(getattr(shown, section), control)
    widget.value = value
    assert focus(widget.native, qtbot)
    qtbot.keyClick(widget.native, key)
    assert widget.value == value
    qtbot.keyClick(widget.native, Qt.Key.Key_Down)  # an arrow is meant for it
    assert widget.value != value


def click(box, qtbot):
    """Click a check box on its square; beside its words it takes no click."""
    at = QPoint(8, box.height() // 2)
    qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=at)


def take_focus(widget, reason):
    """Tell a widget that it has the keys, as Qt does whether the window is active."""
    QApplication.sendEvent(widget, QFocusEvent(QEvent.Type.FocusIn, reason))


def test_the_space_bar_pans_and_presses_no_button_that_was_clicked(
    shown, qtbot
) -> None:
    button, pressed = shown.detect.view_first.native, []
    button.toggled.connect(pressed.append)
    click(button, qtbot)
    assert len(pressed) == 1
    qtbot.keyClick(button, Qt.Key.Key_Space)
    assert len(pressed) == 1


def test_a_window_that_was_left_and_is_back_presses_no_button_that_was_clicked(
    shown, qtbot
) -> None:
    button, pressed = shown.detect.view_first.native, []
    click(button, qtbot)
    button.toggled.connect(pressed.append)
    take_focus(button, Qt.FocusReason.ActiveWindowFocusReason)
    qtbot.keyClick(button, Qt.Key.Key_Space)
    assert pressed == []


def test_the_space_bar_presses_a_button_that_was_reached_by_tab(shown, qtbot) -> None:
    button, pressed = shown.detect.view_first.native, []
    click(button, qtbot)
    button.toggled.connect(pressed.append)
    take_focus(button, Qt.FocusReason.TabFocusReason)
    qtbot.keyClick(button, Qt.Key.Key_Space)
    assert len(pressed) == 1


def test_home_and_end_are_the_viewers_keys(shown, qtbot) -> None:
    slider = shown.detect.threshold.native.findChild(QSlider)
    assert focus(slider, qtbot)
    before = shown.detect.threshold.value
    for key in (Qt.Key.Key_Home, Qt.Key.Key_End):
        qtbot.keyClick(slider, key)
    assert shown.detect.threshold.value == before


def test_loaded_regions_stay_when_somebody_scrolls_over_the_threshold(
    shown, detect, tmp_path, qtbot
) -> None:
    work = detect(shown)
    qtbot.waitUntil(lambda: bool(work.regions), timeout=20_000)
    work.region_finder.outlines = outlines = object()
    for widget in [shown.detect.threshold.native, *controls(shown)]:
        turn(widget, 1)
    assert work.region_finder.outlines is outlines
    # a number that is confirmed and not another is no change either
    qtbot.keyClick(shown.detect.threshold.box, Qt.Key.Key_Return)
    assert work.region_finder.outlines is outlines
    work.region_finder.outlines = None


def test_a_part_of_the_panel_is_guarded_alone_as_well(
    viewer, make_panel, qtbot
) -> None:
    from napari_fastnet.plugin.panel.export import ExportSection

    section = ExportSection(viewer)
    try:
        section.which.value = "micro and macro"
        for widget in section.native.findChildren(QWidget):
            turn(widget, -3)
        assert section.which.value == "micro and macro"
    finally:
        section.leave()
        section.native.deleteLater()
