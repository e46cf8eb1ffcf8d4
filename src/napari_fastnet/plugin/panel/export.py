"""The section that exports files for QuPath, ASAP, Fiji and scverse."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from pathlib import Path
from typing import Any

from magicgui.widgets import CheckBox, ComboBox, PushButton
from napari.utils.notifications import Notification, notification_manager, show_info
from napari.viewer import Viewer
from qtpy.QtWidgets import QMenu

from napari_fastnet.plugin.panel.export_folder import (
    FolderDialog,
    belongs_to_another,
    proposed_folder,
    show_path,
)
from napari_fastnet.plugin.panel.nodes import NodesDialog
from napari_fastnet.plugin.threads.job import Job
from napari_fastnet.plugin.widgets import section
from napari_fastnet.plugin.work import exporting
from napari_fastnet.plugin.work.slide import SlideWork
from napari_fastnet.results import result
from napari_fastnet.slide.notes import bounds_notes


class FormatMenu(PushButton):
    """A menu of export formats; its text lists those that are ticked.

    Parameters
    ----------
    names : collection of str
        Keys of `result.FORMATS`, in the order of the menu.
    chosen : collection of str
        Formats that are ticked at first.
    """

    def __init__(self, names: Collection[str], chosen: Collection[str]) -> None:
        super().__init__(tooltip="File formats; tick any number")
        menu = QMenu(self.native)
        menu.setToolTipsVisible(True)
        self._actions: dict[str, Any] = {n: menu.addAction(n) for n in names}
        for name, action in self._actions.items():
            action.setCheckable(True)
            action.setChecked(name in chosen)
            action.setToolTip(result.FORMATS[name].about)
            action.toggled.connect(self._show)
        self.native.setMenu(menu)
        self._show()

    @property
    def formats(self) -> tuple[str, ...]:
        """The ticked formats."""
        return tuple(name for name, item in self._actions.items() if item.isChecked())

    @formats.setter
    def formats(self, chosen: Collection[str]) -> None:
        for name, action in self._actions.items():
            action.setChecked(name in chosen)

    def _show(self, _: object = None) -> None:
        self.text = ", ".join(self.formats) or "no format"


TIPS = {
    "masks": "Three tissue masks and the region of interest",
    "heatmap": "Tumor probabilities; NaN where none was computed",
    "regions": "Outlines and measures of the tumor regions",
    "overview": "overview.png: the slide with heatmap, outlines and scale bar",
}
#: Format of the overview, which has a check box instead of a place in the menu.
OVERVIEW = "png"


class _Told(Notification):  # type: ignore[misc]  # has no types
    """A message with a button, beside which napari writes its source."""

    source = "FastNet"


class ExportSection(section.Section):
    """Export of masks, heatmap, regions and an overview, all with the run's record.

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer with the slides.

    Attributes
    ----------
    masks, heatmap, regions, overview : CheckBox
        Parts to write.
    formats : FormatMenu
        Formats, besides the overview.
    which : ComboBox
        Size classes of the regions to write.
    folder : FileEdit
        Folder for the files; while it is empty, one is proposed when they are written.
    save : PushButton
        Writes the files.
    nodes : PushButton
        Opens the window that joins pieces of tissue to nodes.
    report : PushButton
        Writes the report of the slide as a case.
    files : Fold
        Holds the choices of files.
    question : FolderDialog or None
        The latest question for a folder.
    """

    masks: CheckBox
    heatmap: CheckBox
    regions: CheckBox
    overview: CheckBox

    def __init__(self, napari_viewer: Viewer) -> None:
        for name in TIPS:
            setattr(self, name, CheckBox(value=True, text=name, tooltip=TIPS[name]))
        names = [name for name in result.FORMATS if name != OVERVIEW]
        self.formats = FormatMenu(names, result.DETECT_FORMATS)
        self.which = ComboBox(
            choices=list(exporting.WHICH),
            tooltip="Regions to write and outline, by size: macro is longer than 2 mm, "
            "micro longer than 0.2 mm",
        )
        self.folder = section.folder_field(
            "Folder for the files", when_empty="asked for"
        )
        self.save = section.button("Export", "Write the files")
        self.nodes = section.button(
            "Nodes...", "Say which pieces of tissue are one lymph node"
        )
        self.report = section.button(
            "Report",
            "Write a page: nodes, largest deposit, suggested pN; prints to PDF",
        )
        self.files = section.Fold(
            "Files",
            [
                section.row(self.masks, self.heatmap),
                section.row(self.regions, self.overview),
                section.row(self.which, label="which"),
                section.row(self.formats, label="as"),
                section.row(self.folder, label="to"),
            ],
            folded=True,
        )
        self.question: FolderDialog | None = None
        self._job: Job | None = None
        super().__init__(
            napari_viewer,
            "Report and export",
            [section.row(self.save, self.report, self.nodes), self.files],
        )
        events = self.workspace.events
        changes = (events.slides, events.spacing, events.tissue, events.heatmap)
        self.listen(self._show, *changes)
        self.save.changed.connect(self._save)
        self.nodes.changed.connect(self._ask_nodes)
        self.report.changed.connect(self._report)
        self._show()

    def leave(self) -> None:
        """Disconnect; an export in progress finishes its files."""
        super().leave()
        if self._job is not None:
            self._job.abandon()

    def _show(self, _: object = None) -> None:
        work = self.work
        something = work is not None and (work.editor or work.heatmap) is not None
        busy = self.writing
        self.save.enabled = something and not busy
        self.nodes.enabled = work is not None and work.editor is not None
        self.report.enabled = work is not None and work.heatmap is not None and not busy

    @property
    def writing(self) -> bool:
        """Whether files are being written."""
        return self._job is not None and self._job.running

    def _ask_nodes(self) -> None:
        work = self.work
        pieces = None if work is None else work.pieces.pieces
        if work is None or pieces is None:
            show_info("the pieces of tissue are being found; try again in a moment")
            return
        if len(pieces.areas_mm2) < 2:
            show_info("the tissue is one piece, and so one node")
            return
        areas = dict(zip(pieces.numbers, pieces.areas_mm2, strict=True))
        dialog = NodesDialog(self.native, areas, work.pieces.nodes)
        dialog.accepted.connect(lambda: work.pieces.join(dialog.nodes))
        dialog.open()

    def _to_folder(self, words: str, write: Callable[[SlideWork, Path], None]) -> None:
        """Write files of the current slide into the chosen folder; ask if there is none."""
        work = self.work
        if work is None:
            return
        folder = section.chosen_path(self.folder)
        if folder is not None and not belongs_to_another(folder, work.slide):
            write(work, folder)
            return
        self.question = FolderDialog(
            self.native,
            f"{words} of {work.layer.name}",
            f"{words} will be written to this folder:",
            proposed_folder(work.slide),
            lambda folder: write(work, folder),
            lambda folder: belongs_to_another(folder, work.slide),
        )
        self.question.open()

    def _report(self) -> None:
        self._to_folder("The report", self._write_report)

    def _write_report(self, work: SlideWork, folder: Path) -> None:
        snapshot, slide = exporting.snapshot_of(work), work.slide
        notes = tuple(filter(None, (exporting.unfinished(work),)))
        path = folder.absolute() / f"{slide.path.stem}-report.html"

        def write(should_stop: Callable[[], bool]) -> Generator[list[Path]]:
            path.parent.mkdir(parents=True, exist_ok=True)
            exporting.write_case_report(path, snapshot(), slide)
            yield [path]

        # napari shows the first line of a message, and the others after a click
        opens = ("open report", path)
        self._start(write, f"{path}\nreport written", notes, opens)

    def _save(self) -> None:
        self._to_folder(f"Files ({', '.join(self._formats())})", self._write_files)

    def _formats(self) -> list[str]:
        return list(self.formats.formats) + [OVERVIEW] * self.overview.value

    def _write_files(self, work: SlideWork, folder: Path) -> None:
        parts: list[result.Part] = [
            name for name in result.PARTS if getattr(self, name).value
        ]
        formats = self._formats()
        snapshot = exporting.snapshot_of(work, self.which.value)
        notes = bounds_notes(work.slide) if "geojson" in formats else ()
        if words := exporting.unfinished(work):
            notes = (words, *notes)

        def write(should_stop: Callable[[], bool]) -> Generator[list[Path]]:
            yield exporting.write_snapshot(snapshot(), folder, parts, formats)

        opens = ("open folder", folder.absolute())
        self._start(write, f"{{}} files written to {folder}", notes, opens)

    def _start(
        self,
        write: Callable[[Callable[[], bool]], Generator[list[Path]]],
        words: str,
        notes: Collection[str],
        opens: tuple[str, Path],
    ) -> None:
        """Write files in a thread, and say it; the words take their number.

        The message has a button that opens something.
        """
        name, target = opens

        def tell(paths: list[Path]) -> None:
            severity = "warning" if notes else "info"
            said = "\n".join((words.replace("{}", str(len(paths))), *notes))
            button = (name, lambda _: show_path(target))
            notification_manager.dispatch(_Told(said, severity, (button,)))

        self._job = Job(write, on_value=tell, on_end=self._show)
        self._job.start()
        self._show()
