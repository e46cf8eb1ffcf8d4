"""The section that exports files for QuPath, ASAP, Fiji and scverse."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from pathlib import Path
from typing import Any

from magicgui.widgets import CheckBox, ComboBox, PushButton
from napari.utils.notifications import show_info, show_warning
from napari.viewer import Viewer
from qtpy.QtWidgets import QMenu

from napari_fastnet.plugin.panel.nodes import NodesDialog
from napari_fastnet.plugin.threads.job import Job
from napari_fastnet.plugin.widgets import section
from napari_fastnet.plugin.work import exporting
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
        Folder for the files.
    save : PushButton
        Writes the files.
    nodes : PushButton
        Opens the window that joins pieces of tissue to nodes.
    report : PushButton
        Writes the report of the slide as a case.
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
        self.folder = section.folder_field("Folder for the files")
        self.save = section.button("Export", "Write the files")
        self.nodes = section.button(
            "Nodes...", "Say which pieces of tissue are one lymph node"
        )
        self.report = section.button(
            "Report",
            "Write a page: nodes, largest deposit, suggested pN; prints to PDF",
        )
        widgets = [
            section.row(self.masks, self.heatmap),
            section.row(self.regions, self.overview),
            section.row(self.which, label="which"),
            section.row(self.formats, label="as"),
            section.row(self.folder, label="to"),
            self.save,
            section.row(self.nodes, self.report),
        ]
        self._job: Job | None = None
        super().__init__(napari_viewer, "EXPORT", widgets)
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
        busy = self._job is not None and self._job.running
        self.save.enabled = something and not busy
        self.nodes.enabled = work is not None and work.editor is not None
        self.report.enabled = work is not None and work.heatmap is not None and not busy

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

    def _folder(self) -> Path | None:
        """Return the chosen folder; ask if there is none. None if the user cancels."""
        if section.chosen_path(self.folder) is None:
            self.folder.choose_btn.native.click()
        return section.chosen_path(self.folder)

    def _report(self) -> None:
        work = self.work
        folder = None if work is None else self._folder()
        if work is None or folder is None:
            return
        snapshot, slide = exporting.snapshot_of(work), work.slide
        notes = tuple(filter(None, (exporting.unfinished(work),)))
        path = folder.absolute() / f"{slide.path.stem}-report.html"

        def write(should_stop: Callable[[], bool]) -> Generator[list[Path]]:
            exporting.write_case_report(path, snapshot(), slide)
            yield [path]

        # napari shows the first line of a message, and the others after a click
        self._start(write, f"{path}\nreport written", notes)

    def _save(self) -> None:
        work = self.work
        folder = None if work is None else self._folder()
        if work is None or folder is None:
            return
        parts: list[result.Part] = [
            name for name in result.PARTS if getattr(self, name).value
        ]
        formats = list(self.formats.formats) + [OVERVIEW] * self.overview.value
        snapshot = exporting.snapshot_of(work, self.which.value)
        notes = bounds_notes(work.slide) if "geojson" in formats else ()
        if words := exporting.unfinished(work):
            notes = (words, *notes)

        def write(should_stop: Callable[[], bool]) -> Generator[list[Path]]:
            yield exporting.write_snapshot(snapshot(), folder, parts, formats)

        self._start(write, f"{{}} files written to {folder}", notes)

    def _start(
        self,
        write: Callable[[Callable[[], bool]], Generator[list[Path]]],
        words: str,
        notes: Collection[str],
    ) -> None:
        """Write files in a thread, and say it; the words take their number."""

        def tell(paths: list[Path]) -> None:
            show = show_warning if notes else show_info
            show("\n".join((words.replace("{}", str(len(paths))), *notes)))

        self._job = Job(write, on_value=tell, on_end=self._show)
        self._job.start()
        self._show()
