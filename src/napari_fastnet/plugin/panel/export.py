"""The section that writes files which QuPath, ASAP, Fiji and scverse read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from pathlib import Path
from typing import Any

from magicgui.widgets import CheckBox, ComboBox, PushButton
from napari.utils.notifications import show_error, show_info, show_warning
from napari.viewer import Viewer
from qtpy.QtWidgets import QMenu

from napari_fastnet.plugin.threads.job import Job, Work
from napari_fastnet.plugin.widgets import section
from napari_fastnet.plugin.work import exporting
from napari_fastnet.results import result
from napari_fastnet.slide.notes import bounds_notes


class FormatMenu(PushButton):
    """The formats of an export; its text names those that are ticked.

    Parameters
    ----------
    names : collection of str
        Keys of `FORMATS`, in the order of the menu.
    chosen : collection of str
        Those ticked at first.
    """

    def __init__(self, names: Collection[str], chosen: Collection[str]) -> None:
        super().__init__(tooltip="In which formats; several can be ticked")
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
        """The formats that are ticked."""
        return tuple(name for name, item in self._actions.items() if item.isChecked())

    @formats.setter
    def formats(self, chosen: Collection[str]) -> None:
        for name, action in self._actions.items():
            action.setChecked(name in chosen)

    def _show(self, _: object = None) -> None:
        self.text = ", ".join(self.formats) or "no format"


TIPS = {
    "masks": "The three tissue masks and the region of interest",
    "heatmap": "One probability a patch, and where patches were not computed",
    "regions": "Outlines and measures",
    "overview": "overview.png: the slide with heatmap, outlines and scale bar",
}
#: The overview has a box of its own.
OVERVIEW = "png"


class ExportSection(section.Section):
    """Writes masks, heatmap, regions and an overview, all with the run's record.

    Parameters
    ----------
    napari_viewer : Viewer
        Its slides.

    Attributes
    ----------
    masks, heatmap, regions, overview : CheckBox
        What is written.
    formats : FormatMenu
        In which formats, besides the overview.
    which : ComboBox
        Which regions, by their size class.
    folder : FileEdit
        Where to.
    save : PushButton
        Writes.
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
            tooltip="Regions that are written and outlined, by size: macro is over 2 mm "
            "long, micro over 0.2 mm",
        )
        self.folder = section.folder_field("Files are put here")
        self.save = PushButton(text="Export", tooltip="Write the files")
        widgets = [
            section.row(self.masks, self.heatmap),
            section.row(self.regions, self.overview),
            section.row(self.which, label="which"),
            section.row(self.formats, label="as"),
            section.row(self.folder, label="to"),
            self.save,
        ]
        self._job: Job | None = None
        super().__init__(napari_viewer, "EXPORT", widgets)
        events = self.workspace.events
        for signal in (events.slides, events.spacing, events.tissue, events.heatmap):
            self.listen(signal, self._show)
        self.save.changed.connect(self._save)
        self._show()

    def leave(self) -> None:
        """Listen no more; files that are being written are finished."""
        super().leave()
        if self._job is not None:
            self._job.abandon()

    def _show(self, _: object = None) -> None:
        work = self.work
        something = work is not None and (work.editor or work.heatmap) is not None
        busy = self._job is not None and self._job.running
        self.save.enabled = something and not busy

    def _save(self) -> None:
        work, folder = self.work, section.chosen_path(self.folder)
        if folder is None:
            show_error("no folder to export to; choose one in the Export section")
            return
        if work is None:
            return
        parts: list[result.Part] = [
            name for name in result.PARTS if getattr(self, name).value
        ]
        formats = list(self.formats.formats) + [OVERVIEW] * self.overview.value
        snapshot = exporting.snapshot_of(work, self.which.value)
        notes = bounds_notes(work.slide) if "geojson" in formats else ()
        if words := exporting.unfinished(work):
            notes = (words, *notes)
        self._job = Job(
            writing(snapshot, folder, parts, formats),
            on_value=lambda paths: _tell(paths, folder, notes),
            on_end=self._show,
        )
        self._job.start()
        self._show()


def _tell(paths: list[Path], folder: Path, notes: tuple[str, ...]) -> None:
    told = f"{len(paths)} files written to {folder}"
    if notes:
        show_warning("\n".join((told, *notes)))
    else:
        show_info(told)


def writing(
    snapshot: Callable[[], result.Result],
    folder: Path,
    parts: list[result.Part],
    formats: list[str],
) -> Work:
    """Return writing files as `Job` takes it."""

    def work(should_stop: Callable[[], bool]) -> Generator[Any]:
        yield exporting.write_snapshot(snapshot(), folder, parts, formats)

    return work
