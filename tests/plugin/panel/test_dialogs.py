"""Questions beside the panel, answered as a user would."""

from __future__ import annotations

from pathlib import Path

import pytest
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QMessageBox, QWidget

from napari_fastnet.core.geometry import Box
from napari_fastnet.plugin.widgets.dialogs import ask_origin

pytestmark = pytest.mark.gui

SCANNED = Box(96.0, 160.0, 500.0, 600.0)


@pytest.fixture
def parent(qtbot):
    widget = QWidget()
    qtbot.addWidget(widget)
    return widget


def press(words):
    """Press a button of the question once it is there."""

    def answer():
        question = QApplication.activeModalWidget()
        if not isinstance(question, QMessageBox):
            QTimer.singleShot(20, answer)
            return
        buttons = [b for b in question.buttons() if words in b.text()]
        (buttons or question.buttons())[-1].click()  # another one: the test fails

    QTimer.singleShot(0, answer)


@pytest.mark.parametrize(
    ("words", "offset"),
    [("QuPath", (96.0, 160.0)), ("Corner", (0.0, 0.0)), ("Cancel", None)],
)
def test_where_outlines_count_from_is_asked(parent, words, offset) -> None:
    press(words)
    assert ask_origin(parent, Path("a.geojson"), SCANNED) == offset


@pytest.mark.parametrize(
    ("name", "bounds"),
    [("a.geojson", None), ("a.geojson", Box(0, 0, 9, 9)), ("mask.png", SCANNED)],
)
def test_nothing_is_asked_where_it_makes_no_difference(parent, name, bounds) -> None:
    assert ask_origin(parent, Path(name), bounds) == (0.0, 0.0)
