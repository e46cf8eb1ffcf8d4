"""Numbers: either decimal sign, in every language; what is none is refused with a word."""

from __future__ import annotations

import pytest
from qtpy.QtCore import QLocale, Qt

from napari_fastnet.plugin.widgets.numbers import NumberBox, number_in

pytestmark = pytest.mark.gui


@pytest.fixture(params=["en_US", "de_DE", "de_CH", "ar_EG", "C"])
def language(request, qapp):
    """Let Qt write as in some country."""
    before = QLocale()
    QLocale.setDefault(QLocale(request.param))
    yield request.param
    QLocale.setDefault(before)


def type_in(qtbot, box, text, end=Qt.Key.Key_Return):
    """Type over what a box holds."""
    box.selectAll()
    line = box.lineEdit()
    line.insert("")
    for letter in text:
        line.insert(letter)
        line.textEdited.emit(line.text())
    qtbot.keyClick(box, end)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.25", 0.25),
        ("0,25", 0.25),
        (" ,5 ", 0.5),
        ("5.", 5.0),
        ("-0.5", -0.5),
        ("2.5e-1", 0.25),
        ("0.25 µm", 0.25),
        ("0,2431µm/px", 0.2431),
        ("1.000,5", None),
        ("1,000.5", None),
        ("0.2.5", None),
        ("0.25 mm", None),
        ("25 %", None),
        ("1e999", None),
        ("nan", None),
        ("inf", None),
        ("1_0", None),
        ("0x1", None),
        ("", None),
        (".", None),
    ],
)
def test_what_is_a_number(text, value) -> None:
    assert number_in(text) == value


@pytest.mark.parametrize("text", ["0,35", "0.35"])
def test_a_threshold_is_taken_with_either_sign(
    qtbot, language, viewer, make_panel, text
) -> None:
    threshold = make_panel(viewer).detect.threshold
    assert threshold.box.text() == "0.50"
    type_in(qtbot, threshold.box, text)
    assert threshold.value == 0.35
    assert threshold.box.text() == "0.35"


@pytest.mark.parametrize("text", ["0,25", "0.25", "0.25 µm"])
def test_um_per_px_are_taken_with_either_sign(
    qtbot, language, panel, text, tmp_path
) -> None:
    field = panel.slide.mpp
    assert field.box.text() == "1.0000"
    type_in(qtbot, field.box, text, end=Qt.Key.Key_Tab)
    panel.slide.use.native.click()
    assert panel.slide.work.slide.mpp == (0.25, 0.25)


def test_what_is_typed_is_used_though_nobody_pressed_enter(qtbot, panel) -> None:
    """On macOS a button that is clicked leaves the cursor where it was."""
    field = panel.slide.mpp
    field.box.lineEdit().setText("0,5")
    panel.slide.use.native.click()
    assert panel.slide.work.slide.mpp == (0.5, 0.5)


@pytest.mark.parametrize("text", ["abc", "1.000,5", "-1", "2", "0.3.5"])
def test_what_is_no_number_is_refused_with_a_word(
    qtbot, language, viewer, make_panel, warned, text
) -> None:
    threshold = make_panel(viewer).detect.threshold
    changes = []
    threshold.changed.connect(changes.append)
    type_in(qtbot, threshold.box, text)
    assert threshold.box.text() == "0.50"
    assert threshold.value == 0.5
    assert changes == []
    assert warned == [f'threshold: "{text}" is no number from 0 to 1; 0.50 stays']


def test_an_emptied_field_gets_its_number_back_without_a_word(
    qtbot, viewer, make_panel, warned
) -> None:
    threshold = make_panel(viewer).detect.threshold
    type_in(qtbot, threshold.box, "")
    threshold.box.lineEdit().clear()
    qtbot.keyClick(threshold.box, Qt.Key.Key_Return)
    assert threshold.box.text() == "0.50"
    assert warned == []


def test_a_language_changes_no_number_of_the_panel(language, panel, compute) -> None:
    compute(panel)
    panel.detect.progress.value = 42
    assert panel.detect.progress.native.text() == "42%"
    assert panel.tissue.low.box.text() == "50.0"
    assert "1,600 x 1,200 px" in panel.slide.facts.value


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.50"), (0.497, "0.497"), (0.49712, "0.4971"), (0.0, "0.00"), (1, "1.00")],
)
def test_as_many_decimals_are_shown_as_there_are(qapp, value, text) -> None:
    box = NumberBox()
    box.setRange(0, 1)
    box.show_decimals(2, 4)
    box.setValue(value)
    assert box.text() == text
