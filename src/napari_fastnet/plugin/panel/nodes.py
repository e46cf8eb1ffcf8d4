"""The window in which a person joins pieces of tissue to nodes."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_fastnet.core.display import number_words

HELP = (
    "Pieces with one node number are one lymph node: give each of its sections (levels) "
    "a number of its own, and parts of one section the same. Nothing is summed over "
    "sections; the largest deposit of a node is the largest on any of them."
)
#: Rows that are seen without scrolling, px.
MOST_HEIGHT = 420


class NodesDialog(QDialog):
    """Node and section of each piece, to be chosen.

    Parameters
    ----------
    parent : QWidget
        Closing it closes the dialog.
    areas_mm2 : mapping of int to float
        Tissue of each piece, by its number on the slide.
    nodes : mapping of int to tuple of int
        Node and section of each as of now.

    Attributes
    ----------
    node, section : dict of int to QSpinBox
        By number of the piece.
    apart : QPushButton
        Makes each piece a node of its own.
    buttons : QDialogButtonBox
        OK and Cancel.
    """

    def __init__(
        self,
        parent: QWidget,
        areas_mm2: Mapping[int, float],
        nodes: Mapping[int, tuple[int, int]],
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Pieces of tissue and nodes")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.node: dict[int, QSpinBox] = {}
        self.section: dict[int, QSpinBox] = {}
        grid = QGridLayout()
        for column, words in enumerate(("piece", "tissue", "node", "section")):
            grid.addWidget(QLabel(f"<b>{words}</b>"), 0, column)
        for row, (number, area) in enumerate(areas_mm2.items(), 1):
            grid.addWidget(QLabel(str(number)), row, 0)
            grid.addWidget(QLabel(f"{number_words(area)} mm²"), row, 1)
            for column, boxes in ((2, self.node), (3, self.section)):
                boxes[number] = box = QSpinBox()
                box.setRange(1, 999)
                grid.addWidget(box, row, column)
        self._set(nodes)
        self.apart = QPushButton("Each its own node")
        self.apart.clicked.connect(
            lambda: self._set({number: (number, 1) for number in self.node})
        )
        standard = QDialogButtonBox.StandardButton
        self.buttons = QDialogButtonBox(standard.Ok | standard.Cancel)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self._lay_out(grid)

    @property
    def nodes(self) -> dict[int, tuple[int, int]]:
        """Node and section of each piece, as chosen."""
        return {
            number: (self.node[number].value(), self.section[number].value())
            for number in self.node
        }

    def _set(self, nodes: Mapping[int, tuple[int, int]]) -> None:
        for number, (node, section) in nodes.items():
            self.node[number].setValue(node)
            self.section[number].setValue(section)

    def _lay_out(self, grid: QGridLayout) -> None:
        words = QLabel(HELP)
        words.setWordWrap(True)
        rows = QWidget()
        rows.setLayout(grid)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(rows)
        area.setMinimumHeight(min(rows.sizeHint().height() + 4, MOST_HEIGHT))
        layout = QVBoxLayout(self)
        for widget in (words, area, self.apart, self.buttons):
            layout.addWidget(widget)
        self.setMinimumWidth(380)
