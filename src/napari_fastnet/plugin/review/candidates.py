"""The candidates of a slide as a Qt model: gallery and table show the same rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan, log10
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt
from qtpy.QtGui import QColor

from napari_fastnet.plugin.layers.data import VERDICT_COLOURS

if TYPE_CHECKING:
    from napari_fastnet.core.lesions.regions import Region
    from napari_fastnet.results.decision_events import Verdict
    from napari_fastnet.results.reviewed import Reviewed

Role = Qt.ItemDataRole
#: Values to sort by, where those shown are words.
SORT_ROLE = int(Role.UserRole)
#: Words of candidates without a verdict.
UNDECIDED = "undecided"
#: Colours of the verdicts; each has a sign as well, for those who see no red or green.
COLOURS = VERDICT_COLOURS  # as on the slide
SIGNS = {"tumor": "✓", "not tumor": "✗", "unsure": "?"}
#: Choices of the filters: words shown, and what they ask of a candidate.
ALL = "all"
VERDICTS = (ALL, UNDECIDED, "tumor", "not tumor", "unsure")
SIZES = ("all sizes", "macro", "micro", "ITC")
#: Choices of the order: by rank of suspicion, or what to label next.
ORDERS = SUSPICIOUS, TEACH = ("suspicious first", "to teach")
FAINT = QColor(128, 128, 128)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row: a candidate, what the machine says of it, and what the person says.

    Parameters
    ----------
    reviewed : Reviewed
        The outline as found or drawn, and the decision on it.
    lesion : bool
        Whether the machine counts it as a lesion; else it is a possible one.
    confidence : str
        Share of such candidates that were tumor in validation, in words; may be empty.
    node : str
        Node of its piece of tissue; empty if unknown.
    change : {"", "appeared", "gone"}
        Whether only the model that was taught finds it, or only the one before.
    """

    reviewed: Reviewed
    lesion: bool
    confidence: str = ""
    node: str = ""
    change: str = ""

    @property
    def region(self) -> Region:
        """Its outline and measures."""
        return self.reviewed.region

    @property
    def verdict(self) -> Verdict | None:
        """The person's verdict, None while undecided."""
        decision = self.reviewed.decision
        return None if decision is None else decision.verdict

    @property
    def said(self) -> tuple[str, ...]:
        """The person's verdict and note, to compare with those before."""
        decision = self.reviewed.decision
        if decision is None:
            return ()
        return (decision.kind, decision.verdict or "", decision.note, decision.made)

    @property
    def note(self) -> str:
        """The person's note."""
        return self.reviewed.note

    @property
    def longest(self) -> str:
        """Its longest axis, mm; said to be the person's if it was measured by hand."""
        return _number(self.region.longest_axis_mm, 2) + self.by_whom

    @property
    def by_whom(self) -> str:
        """Words behind a size that the person measured; else empty."""
        decision = self.reviewed.decision
        return "" if decision is None or decision.line is None else " (yours)"

    @property
    def source(self) -> str:
        """The machine's word, lesion or possible, or that the person drew it."""
        if self.change:
            return self.change
        if self.reviewed.kind != "found":
            return f"{self.reviewed.kind} by you"
        return "lesion" if self.lesion else "possible"


def area_words(area_mm2: float) -> str:
    """Return an area with two significant digits, at least two decimals."""
    decimals = 2 if area_mm2 <= 0 else max(2, 1 - int(log10(area_mm2) // 1))
    return f"{area_mm2:.{min(decimals, 5)}f}"


def _number(value: float, decimals: int) -> str:
    return "" if isnan(value) else f"{value:.{decimals}f}"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table."""

    title: str
    text: Callable[[Candidate], str]
    key: Callable[[Candidate], Any]
    tip: str


def _sign(row: Candidate) -> str:
    return UNDECIDED if row.verdict is None else f"{SIGNS[row.verdict]} {row.verdict}"


COLUMNS = (
    Column(
        "no.",
        lambda row: str(row.region.label),
        lambda row: row.region.label,
        "Rank of suspicion, as in the exported files; 1 is the most suspicious",
    ),
    Column("you", _sign, lambda row: row.verdict or "", "Your verdict"),
    Column(
        "FastNet",
        lambda row: row.source,
        lambda row: row.source,
        "Counted as a lesion at the chosen evidence, or only a possible one; or who drew "
        "it. Appeared, or gone: with the model that was taught",
    ),
    Column(
        "evidence",
        lambda row: _number(row.region.evidence, 1),
        lambda row: (isnan(row.region.evidence), -row.region.evidence),
        "Log odds of the most suspicious spot; higher is surer",
    ),
    Column(
        "of ten such",
        lambda row: row.confidence,
        lambda row: (isnan(row.region.evidence), -row.region.evidence),
        "How many of ten such candidates were tumor on the validation mosaics",
    ),
    Column(
        "size",
        lambda row: row.region.size_class,
        lambda row: -row.region.longest_axis_mm,
        "Class of the longest axis: ITC up to 0.2 mm, micro up to 2 mm, macro beyond. A "
        "size, not a diagnosis",
    ),
    Column(
        "longest mm",
        lambda row: row.longest,
        lambda row: -row.region.longest_axis_mm,
        "Longest axis, or your line",
    ),
    Column(
        "area mm²",
        lambda row: area_words(row.region.area_mm2),
        lambda row: -row.region.area_mm2,
        "Area without holes",
    ),
    Column(
        "piece",
        lambda row: str(row.region.piece or ""),
        lambda row: row.region.piece or 10**6,
        "Piece of tissue, as numbered on the slide",
    ),
    Column("node", lambda row: row.node, lambda row: row.node, "Node of the piece"),
    Column("note", lambda row: row.note, lambda row: row.note.lower(), "Your note"),
)


class CandidateModel(QAbstractTableModel):
    """The candidates, most suspicious first."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Candidate] = []

    def show(self, rows: Sequence[Candidate]) -> bool:
        """Show rows, and return whether they are others than before.

        Those of the same regions keep their place and selection.
        """
        before = [row.region.label for row in self.rows]
        same = before == [row.region.label for row in rows]
        if not same:
            self.beginResetModel()
        self.rows = list(rows)
        if not same:
            self.endResetModel()
        elif rows:
            last = self.index(len(rows) - 1, len(COLUMNS) - 1)
            self.dataChanged.emit(self.index(0, 0), last)
        return not same

    def rowCount(self, parent: Any = None) -> int:  # noqa: N802 - Qt's name
        """Return the number of candidates."""
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: Any = None) -> int:  # noqa: N802 - Qt's name
        """Return the number of columns."""
        return len(COLUMNS)

    def data(self, index: Any, role: int = int(Role.DisplayRole)) -> Any:
        """Return text, colour or sorting value of a cell."""
        row, column = self.rows[index.row()], COLUMNS[index.column()]
        if role == Role.DisplayRole:
            return column.text(row)
        if role == SORT_ROLE:
            return index.row() if index.column() == 0 else column.key(row)
        if role == Role.ForegroundRole:
            if column.title == "you" and row.verdict is not None:
                return QColor(COLOURS[row.verdict])
            return None if row.lesion or row.source != "possible" else FAINT
        if role == Role.ToolTipRole and column.title == "note":
            return row.note
        return None

    def headerData(  # noqa: N802 - Qt's name
        self, section: int, orientation: Any, role: int = int(Role.DisplayRole)
    ) -> Any:
        """Return title and tool tip of a column."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Role.DisplayRole:
            return COLUMNS[section].title
        return COLUMNS[section].tip if role == Role.ToolTipRole else None


class CandidateView(QSortFilterProxyModel):
    """The rows that the filters let through, in the chosen order.

    Parameters
    ----------
    model : CandidateModel
        All rows.

    Attributes
    ----------
    verdict, size, text : str
        The filters: one of `VERDICTS`, one of `SIZES`, words in the notes.
    """

    def __init__(self, model: CandidateModel) -> None:
        super().__init__()
        self.setSourceModel(model)
        self.model = model
        self.verdict, self.size, self.text = VERDICTS[0], SIZES[0], ""

    def ask(self, verdict: str, size: str, text: str) -> None:
        """Filter anew."""
        self.verdict, self.size, self.text = verdict, size, text.strip().lower()
        self.invalidateFilter()

    def filterAcceptsRow(self, row: int, parent: Any) -> bool:  # noqa: N802 - Qt's name
        """Return whether the filters let a row through."""
        candidate = self.model.rows[row]
        return (
            self.verdict in (ALL, candidate.verdict or UNDECIDED)
            and self.size in (SIZES[0], candidate.region.size_class)
            and self.text in candidate.note.lower()
        )

    def lessThan(self, left: Any, right: Any) -> bool:  # noqa: N802 - Qt's name
        """Compare the sorting values; Python's tuples are no Qt values."""
        one, other = (self.model.data(index, SORT_ROLE) for index in (left, right))
        return bool(one < other)

    def candidate(self, row: int) -> Candidate:
        """Return the candidate of a shown row."""
        return self.model.rows[self.mapToSource(self.index(row, 0)).row()]

    def shown(self) -> list[Candidate]:
        """Return the candidates in the order shown."""
        return [self.candidate(row) for row in range(self.rowCount())]

    def index_of(self, label: int) -> QModelIndex:
        """Return the index of a candidate by its number; invalid if it is filtered out."""
        for row, candidate in enumerate(self.model.rows):
            if candidate.region.label == label:
                return self.mapFromSource(self.model.index(row, 0))
        return QModelIndex()
