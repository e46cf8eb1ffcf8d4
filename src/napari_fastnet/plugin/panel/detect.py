"""The section that detects tumours, and shows how far it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from magicgui.widgets import (
    CheckBox,
    ComboBox,
    FloatSlider,
    Label,
    ProgressBar,
    PushButton,
)
from napari.utils import progress as activity
from napari.utils.notifications import show_error, show_info
from napari.viewer import Viewer

from napari_fastnet.engine.whole_slide import DEFAULT_MODEL
from napari_fastnet.errors import FastNetError
from napari_fastnet.io.bundle import shipped
from napari_fastnet.plugin.command_line import copy_to_clipboard, detect_command
from napari_fastnet.plugin.detection import Detection, Request
from napari_fastnet.plugin.panel.docking import UndockWatch
from napari_fastnet.plugin.panel.progress import per_cent, status_of
from napari_fastnet.plugin.panel.section import Section, chosen_path, folder_field, row
from napari_fastnet.plugin.settings import read_settings
from napari_fastnet.plugin.slide_work import SlideWork
from napari_fastnet.plugin.worker import Job

DETECT, PAUSE, RESUME = "Detect tumors", "Pause", "Resume"
FROM_FOLDER = "from a folder"
LEGEND = (
    '<span style="color:#0a9a5a">&#9632;</span> normal &nbsp; '
    '<span style="color:#e0c040">&#9632;</span> at the threshold &nbsp; '
    '<span style="color:#d02030">&#9632;</span> tumor<br>'
    "clear: glass, or not looked at yet"
)
STRIDES = [("patch", 1), ("half a patch", 2), ("a quarter", 4), ("an eighth", 8)]


class DetectSection(Section):
    """Runs the network over the tissue, what is on screen first.

    Parameters
    ----------
    napari_viewer : Viewer
        Its slides.

    Attributes
    ----------
    model, model_folder : ComboBox, FileEdit
        A shipped model, or the folder of a bundle.
    stride, backend, view_first : ComboBox, ComboBox, CheckBox
        How densely, with what, and in which order.
    results : FileEdit
        Where the run is kept; empty is the cache.
    start, cancel : PushButton
        ``start`` becomes pause and resume.
    progress, status : ProgressBar, Label
        How far it is.
    threshold, opacity : FloatSlider
        How the heatmap is shown; nothing is computed anew.
    copy : PushButton
        Copies the command line that does the same.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        settings = read_settings()
        self._make_choices(settings.backend)
        self.start = PushButton(text=DETECT, tooltip="Scan the tissue for tumours")
        self.cancel = PushButton(
            text="Cancel", tooltip="Stop; what was computed is kept"
        )
        self.progress = ProgressBar(min=0, max=100, value=0)
        self.status = Label(value="")
        self.copy = PushButton(
            text="copy as command",
            tooltip="Copy the command line that does the same without the viewer",
        )
        self.threshold = FloatSlider(
            value=0.5,
            max=1,
            step=0.01,
            tooltip="From this probability on a patch is tumour; display only",
        )
        self.opacity = FloatSlider(
            value=0.5, max=1, step=0.01, tooltip="Opacity of the heatmap"
        )
        widgets = [
            row(self.model, label="model"),
            self._folder_row,
            row(self.stride, self.backend, label="every"),
            self.view_first,
            row(self.results, label="keep in"),
            row(self.start, self.cancel),
            self.progress,
            row(self.status, self.copy),
            row(self.threshold, label="threshold"),
            row(self.opacity, label="opacity"),
            Label(value=LEGEND),
        ]
        self._bar: Any = None
        super().__init__(napari_viewer, "DETECT", widgets)
        self._choose_model(settings.model)
        self._connect()
        self._watch = UndockWatch(self.native, self.cancel_all)
        self._show()

    def _make_choices(self, backend: str) -> None:
        self.model = ComboBox(
            choices=[*shipped(), FROM_FOLDER], tooltip="The network that judges patches"
        )
        self.model_folder = folder_field("Folder with model.json")
        self._folder_row = row(self.model_folder, label="folder")
        self.stride = ComboBox(
            choices=STRIDES, tooltip="A value for every patch, or closer: finer, slower"
        )
        self.backend = ComboBox(
            choices=["auto", "onnx", "torch"],
            value=backend,
            tooltip="onnx is fast on processors, torch runs on GPUs",
        )
        self.view_first = CheckBox(
            value=True,
            text="what I see first",
            tooltip="Look at what is on screen first, also after panning",
        )
        self.results = folder_field(
            "Folder for the run and its files; empty: the cache"
        )

    def _connect(self) -> None:
        events = self.workspace.events
        for signal in (events.slides, events.spacing, events.tissue, events.run):
            self.listen(signal, self._show)
        self.start.changed.connect(self._start)
        self.cancel.changed.connect(self._cancel)
        self.copy.changed.connect(self._copy)
        self.model.changed.connect(self._show_folder)
        self.model_folder.changed.connect(self._take_folder)
        self.threshold.changed.connect(self._set_threshold)
        self.opacity.changed.connect(self._set_opacity)

    def leave(self) -> None:
        """Stop what is running: nobody could any more."""
        super().leave()
        self.workspace.stop()
        self._close_bar()

    def cancel_all(self) -> None:
        """Cancel every slide's run: the buttons are gone from the window."""
        for work in self.workspace.works:
            if work.detection is not None:
                work.detection.job.cancel()

    def request(self) -> Request:
        """Return what the widgets ask for."""
        settings = read_settings()
        chosen = chosen_path(self.results)
        model = self.model.value
        return Request(
            model=chosen_path(self.model_folder) or DEFAULT_MODEL
            if model == FROM_FOLDER
            else model,
            backend=self.backend.value,
            threads=settings.threads,
            strides_per_patch=self.stride.value,
            threshold=self.work.chosen_threshold if self.work else None,
            folder=chosen or settings.cache_folder,
            in_cache=chosen is None,
            view_first=self.view_first.value,
        )

    def _start(self) -> None:
        work = self.work
        if work is None or not work.ready:
            return
        job = running_job(work)
        if job is None:
            work.detection = Detection(work, self.request())
            work.detection.start()
        elif job.paused:
            job.resume()
        else:
            job.pause()
        self._show()

    def _cancel(self) -> None:
        if self.work is not None and self.work.detection is not None:
            self.work.detection.job.cancel()

    def _show(self, _: object = None) -> None:
        """Follow the current slide's run."""
        work = self.work
        running = work is not None and running_job(work) is not None
        self.start.enabled = work is not None and work.ready
        self.cancel.enabled = running
        self.start.text = _start_text(work)
        detection = None if work is None else work.detection
        self.copy.enabled = detection is not None and detection.run is not None
        self.status.value = status_of(detection)
        self.progress.value = per_cent(detection)
        if work is not None:
            with self.threshold.changed.blocked(), self.opacity.changed.blocked():
                self.threshold.value, self.opacity.value = work.threshold, work.opacity
        self._show_activity(detection if running else None)

    def _show_activity(self, detection: Detection | None) -> None:
        """Follow the run in napari's activity dock too."""
        progress = None if detection is None else detection.progress
        if progress is None:
            self._close_bar()
            return
        if self._bar is None:
            self._bar = activity(total=progress.total, desc=DETECT)
        self._bar.update(progress.done - self._bar.n)

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _set_threshold(self, value: float) -> None:
        if self.work is not None:
            self.work.set_threshold(value)

    def _set_opacity(self, value: float) -> None:
        if self.work is not None:
            self.work.set_opacity(value)

    def _choose_model(self, named: str | None) -> None:
        """Begin with the model of the settings."""
        name = named or DEFAULT_MODEL
        if name in self.model.choices:
            self.model.value = name
        elif named:
            self.model_folder.value = Path(named)
            self.model.value = FROM_FOLDER
        self._show_folder()

    def _show_folder(self) -> None:
        self._folder_row.visible = self.model.value == FROM_FOLDER

    def _take_folder(self) -> None:
        self.model.value = FROM_FOLDER

    def _copy(self) -> None:
        work = self.work
        if work is None or work.detection is None or work.detection.run is None:
            return
        try:
            command = detect_command(work.detection.run, work)
        except FastNetError as error:
            show_error(str(error))
            return
        copy_to_clipboard(command)
        show_info(f"copied: {command}")


def running_job(work: SlideWork) -> Job | None:
    """Return the detection that is going on, or standing still, if there is one."""
    job = None if work.detection is None else work.detection.job
    return job if job is not None and job.running else None


def _start_text(work: SlideWork | None) -> str:
    job = None if work is None else running_job(work)
    if job is None:
        return DETECT
    return RESUME if job.paused else PAUSE
