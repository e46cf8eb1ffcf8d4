"""The tour: five steps through the panel, beside what they are about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QRubberBand,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)


class Step(NamedTuple):
    """A step: the part of the panel it is about, a title, and what to do there."""

    about: QWidget
    title: str
    words: str


#: Width of the tour's window, px.
WIDTH = 330
#: px between it and the panel.
GAP = 12
#: px around the part that is framed.
MARGIN = 3


class Tour(QDialog):
    """A small window that explains the panel step by step; everything stays usable.

    Parameters
    ----------
    panel : QScrollArea
        Scrolled to each part; closing it closes the tour.
    steps : sequence of Step
        At least one.

    Attributes
    ----------
    text : QLabel
        The current step.
    back, next : QPushButton
        Another step; after the last, ``next`` closes the tour.
    """

    def __init__(self, panel: QScrollArea, steps: Sequence[Step]) -> None:
        super().__init__(panel)
        self.setWindowTitle("FastNet in five steps")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._panel, self._steps, self._at = panel, steps, 0
        self._frame = QRubberBand(QRubberBand.Shape.Rectangle, panel.widget())
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.back, self.next = QPushButton("Back"), QPushButton("Next")
        self.next.setDefault(True)
        self.back.clicked.connect(lambda: self._go(-1))
        self.next.clicked.connect(lambda: self._go(1))
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.back)
        buttons.addWidget(self.next)
        layout = QVBoxLayout(self)
        layout.addWidget(self.text, 1)
        layout.addLayout(buttons)
        self.setFixedWidth(WIDTH)
        self.finished.connect(self._frame.hide)
        self.destroyed.connect(self._frame.deleteLater)
        self._show()

    def _go(self, by: int) -> None:
        if self._at + by == len(self._steps):
            self.accept()
            return
        self._at += by
        self._show()

    def _show(self) -> None:
        step, count = self._steps[self._at], len(self._steps)
        self.text.setText(
            f"<b>{self._at + 1} of {count}: {step.title}</b><br><br>{step.words}"
        )
        self.back.setEnabled(self._at > 0)
        self.next.setText("Next" if self._at + 1 < count else "Close")
        self._panel.ensureWidgetVisible(step.about, 0, MARGIN)
        content = self._panel.widget()
        assert content is not None
        place = step.about.mapTo(content, step.about.rect().topLeft())
        framed = step.about.rect().translated(place)
        self._frame.setGeometry(framed.adjusted(-MARGIN, -MARGIN, MARGIN, MARGIN))
        self._frame.show()
        self.adjustSize()
        place = self._panel.mapToGlobal(self._panel.rect().topLeft())
        beside = place.x() + self._panel.width() + GAP
        screen = self.screen()
        if screen is not None and beside + WIDTH > screen.geometry().right():
            beside = place.x() - WIDTH - GAP  # a panel on the right
        self.move(beside, place.y() + 40)
