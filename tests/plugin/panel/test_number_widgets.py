"""Sliders: a hand gives round values, and what is shown is what is used."""

from __future__ import annotations

import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractSlider, QSlider, QStyle, QStyleOptionSlider

from napari_fastnet.plugin.widgets.numbers import NumberSlider

pytestmark = pytest.mark.gui
ACTION = QAbstractSlider.SliderAction


@pytest.fixture
def slider(qtbot):
    """Return a slider from 0 to 1 at 0.5, on screen, and the values it told."""
    made = NumberSlider("threshold", value=0.5, max=1, step=0.01, page=0.05)
    made.told = []
    made.changed.connect(made.told.append)
    qtbot.addWidget(made.native)
    made.native.resize(300, 30)
    made.native.show()
    made.part = made.native.findChild(QSlider)
    return made


def handle(part):
    """Return the middle of a slider's handle."""
    option = QStyleOptionSlider()
    part.initStyleOption(option)
    control, sub = (
        QStyle.ComplexControl.CC_Slider,
        QStyle.SubControl.SC_SliderHandle,
    )
    return part.style().subControlRect(control, option, sub, part).center()


def test_a_click_in_the_groove_is_a_page(slider, qtbot) -> None:
    at = handle(slider.part) + QPoint(60, 0)
    qtbot.mouseClick(slider.part, Qt.MouseButton.LeftButton, pos=at)
    assert slider.value == 0.55
    assert slider.told == [0.55]
    assert slider.box.text() == "0.55"


def test_five_grey_values_are_a_page(panel, compute) -> None:
    work = compute(panel)
    panel.tissue.low.native.findChild(QSlider).triggerAction(ACTION.SliderPageStepAdd)
    assert work.editor.threshold("low") == 55.0
    assert panel.tissue.low.box.text() == "55.0"


@pytest.mark.parametrize("far", [7, 23, -31, 400])
def test_a_drag_gives_what_is_shown(slider, far) -> None:
    part, at = slider.part, handle(slider.part)
    QTest.mousePress(part, Qt.MouseButton.LeftButton, pos=at)
    for share in (0.3, 0.7, 1.0):
        QTest.mouseMove(part, at + QPoint(round(far * share), 0))
    QTest.mouseRelease(part, Qt.MouseButton.LeftButton, pos=at + QPoint(far, 0))
    assert slider.told
    for value in slider.told:
        assert value == round(value, 2)
    assert len(set(slider.told)) == len(slider.told)  # no change is told twice
    assert slider.box.text() == f"{slider.value:.2f}"


def test_arrow_keys_in_the_number_are_used_at_once(slider, qtbot) -> None:
    qtbot.keyClick(slider.box, Qt.Key.Key_Up)
    assert slider.box.text() == "0.51"
    assert slider.value == 0.51
    assert slider.part.value() == 510_000


def test_a_value_comes_back_as_it_was_given(slider) -> None:
    for hundredths in range(101):
        slider.value = hundredths / 100
        assert slider.value == hundredths / 100


def test_a_number_between_the_steps_is_shown_and_kept(slider, qtbot) -> None:
    slider.value = 0.497123
    slider.told.clear()
    assert slider.box.text() == "0.4971"
    slider.box.selectAll()
    qtbot.keyClick(slider.box, Qt.Key.Key_Return)  # confirmed, not changed
    assert slider.value == 0.497123
    assert slider.told == []
    slider.part.triggerAction(ACTION.SliderSingleStepAdd)
    assert slider.told == [0.51]


def test_the_number_has_room_for_all_its_decimals(slider) -> None:
    slider.value = 0.4971
    line = slider.box.lineEdit()
    width = line.fontMetrics().horizontalAdvance(slider.box.text())
    assert line.width() >= width


def test_a_press_without_a_movement_is_no_change(slider, qtbot) -> None:
    slider.value = 0.497
    slider.told.clear()
    qtbot.mouseClick(slider.part, Qt.MouseButton.LeftButton, pos=handle(slider.part))
    assert slider.told == []
    assert slider.value == 0.497
