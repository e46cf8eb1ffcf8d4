"""The section that detects tumours, and shows how far it is."""

from __future__ import annotations

from contextlib import suppress
from typing import get_args

from magicgui.widgets import (
    CheckBox,
    ComboBox,
    ProgressBar,
    PushButton,
)
from napari.utils.notifications import show_error, show_info
from napari.viewer import Viewer
from superqt.utils import qdebounced, qthrottled

from napari_fastnet.errors import BundleError, FastNetError
from napari_fastnet.model.options import BackendName, NetworkChoice
from napari_fastnet.plugin.detection.ready_network import NETWORK
from napari_fastnet.plugin.detection.request import Density, Request
from napari_fastnet.plugin.panel import keys, progress
from napari_fastnet.plugin.panel.heatmap_look import HeatmapLook
from napari_fastnet.plugin.panel.model_choice import ModelChoice
from napari_fastnet.plugin.settings import read_settings
from napari_fastnet.plugin.threads.job import Job
from napari_fastnet.plugin.widgets import section
from napari_fastnet.plugin.work.command_line import copy_to_clipboard, detect_command
from napari_fastnet.plugin.work.workspace import workspace_of

DETECT, PAUSE, RESUME = "Detect tumors", "Pause", "Resume"
#: Of the button beside the status, px, which takes the rest of the line.
COPY_WIDTH = 136
#: The window has been left alone for so long, ms, before the network is got ready.
STILL_MS = 700
#: The activity dock follows a run at most so often.
ACTIVITY_MS = 1000
STRIDES: list[tuple[str, Density]] = [
    ("dense: a value every 16 px", "dense"),
    ("1 value a patch", 1),
    ("2 x 2 values a patch", 2),
    ("4 x 4 values a patch", 4),
    ("8 x 8 values a patch", 8),
]


class DetectSection(section.Section):
    """Runs the network over the tissue, what is on screen first.

    Parameters
    ----------
    napari_viewer : Viewer
        Its slides.

    Attributes
    ----------
    model, model_folder, card : ComboBox, FileEdit, PushButton
        A shipped model, or the folder of a bundle; ``card`` opens its model card.
    stride, backend, view_first : ComboBox, ComboBox, CheckBox
        How densely, with what, and in which order.
    results : FileEdit
        Where the run is kept; empty is the cache.
    start, cancel : PushButton
        ``start`` becomes pause and resume.
    progress, status : ProgressBar, Label
        How far it is.
    threshold, opacity : NumberSlider
        How the heatmap is shown; nothing is computed anew.
    copy : PushButton
        Copies the command line that does the same.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        settings = read_settings()
        self._choice = ModelChoice(settings.model)
        self.model, self.model_folder = self._choice.model, self._choice.folder
        self.card = self._choice.card
        self._make_choices(settings.backend)
        self.start = PushButton(
            text=DETECT,
            tooltip=f"Scan the tissue for tumours; pause, go on [{keys.DETECT}]",
        )
        self.cancel = PushButton(
            text="Cancel", tooltip=f"Stop; what was computed is kept [{keys.CANCEL}]"
        )
        self.progress = ProgressBar(
            min=0, max=100, value=0, tooltip="Patches looked at, of those in the tissue"
        )
        self.status = section.text_line()
        self.copy = PushButton(
            text="copy as command",
            tooltip="Copy the command line that does the same without the viewer",
        )
        self.copy.max_width = COPY_WIDTH
        self._look = HeatmapLook(workspace_of(napari_viewer))
        self.threshold, self.opacity = self._look.threshold, self._look.opacity
        widgets = [
            *self._choice.rows,
            section.row(self.stride, label="density"),
            section.row(self.backend, self.view_first, label="back end"),
            section.row(self.results, label="keep in"),
            section.row(self.start, self.cancel),
            self.progress,
            section.row(self.status, self.copy),
            *self._look.rows,
        ]
        # Never from within a signal: napari's bar lets other events happen meanwhile.
        self._show_activity_soon = qthrottled(
            self._show_activity, timeout=ACTIVITY_MS, leading=False
        )
        self._prepare_soon = qdebounced(self._prepare, timeout=STILL_MS)
        super().__init__(napari_viewer, "DETECT", widgets)
        self._activity = progress.ActivityBar(DETECT, self.native)
        self._choice.show()
        self._connect()
        self._show()

    def _make_choices(self, backend: str) -> None:
        self.stride = ComboBox(
            choices=STRIDES,
            tooltip="How far a value is from the next. Dense looks at large pictures and "
            "is the fastest; the others look at every patch, the closer the slower",
        )
        self.backend = ComboBox(
            choices=get_args(BackendName),
            value=backend,
            tooltip="What computes: onnx and openvino are fast on processors, torch runs "
            "on GPUs; auto chooses",
        )
        self.view_first = CheckBox(
            value=True,
            text="what I see first",
            tooltip="Look at what is on screen first, also after panning",
        )
        self.results = section.folder_field(
            "Folder for the run and its files; empty: the cache", when_empty="the cache"
        )

    def _connect(self) -> None:
        events = self.workspace.events
        for signal in (events.slides, events.spacing, events.tissue, events.run):
            self.listen(signal, self._show)
        for signal in (events.slides, events.spacing, events.tissue):
            self.listen(signal, self._prepare_later)
        for widget in (self.model, self.model_folder, self.backend, self.stride):
            widget.changed.connect(self._prepare_later)
        self.start.changed.connect(self._start)
        self.cancel.changed.connect(self._cancel)
        self.copy.changed.connect(self._copy)
        self.press_keys(
            {
                keys.DETECT: self._start,
                keys.CANCEL: self._cancel,
                keys.HEATMAP: self._look.toggle,
            }
        )

    def leave(self) -> None:
        """Stop what is running: nobody could any more."""
        super().leave()
        self.workspace.stop()
        self._show_activity_soon.cancel()
        self._prepare_soon.cancel()
        self._look.leave()
        self._activity.close()

    def undocked(self) -> None:
        """Stop what is running, and give the keys back."""
        super().undocked()
        for work in self.workspace.works:
            if work.detection is not None:
                work.detection.job.cancel()

    def request(self) -> Request:
        """Return what the widgets ask for.

        Raises
        ------
        BundleError
            The model is to come from a folder, and none is chosen.
        """
        settings = read_settings()
        chosen = section.chosen_path(self.results)
        return Request(
            network=NetworkChoice(
                self._choice.value, self.backend.value, threads=settings.threads
            ),
            density=self.stride.value,
            threshold=self.work.chosen_threshold if self.work else None,
            folder=chosen or settings.cache_folder,
            in_cache=chosen is None,
            view_first=self.view_first.value,
            colours=settings.colours,
            cache_limit_bytes=round(settings.cache_limit_gb * 1e9),
        )

    def _prepare_later(self, _: object = None) -> None:
        if not self.workspace.works:
            NETWORK.drop()  # it takes some more memory with every run
        # Not told what changed: it would keep a slide alive that is closed by then.
        self._prepare_soon()

    def _prepare(self) -> None:
        """Get the network ready: with a slide in the panel, a click is to be expected."""
        if self.work is not None and self.work.ready and self._job is None:
            with suppress(BundleError):  # told when it is asked for
                NETWORK.prepare(self.request())

    @property
    def _job(self) -> Job | None:
        """The job of a detection in progress, or paused."""
        job = self.detection and self.detection.job
        return job if job and job.running else None

    def _start(self) -> None:
        work, job = self.work, self._job
        if work is None or not work.ready:
            return
        if job is None:
            try:
                self.workspace.detect(work, self.request())
            except BundleError as error:
                show_error(str(error))
        elif job.paused:
            job.resume()
        else:
            job.pause()
        self._show()

    def _cancel(self) -> None:
        if self.detection is not None:
            self.detection.job.cancel()

    def _show(self, _: object = None) -> None:
        """Follow the current slide's run."""
        work, detection, job = self.work, self.detection, self._job
        self.start.enabled = work is not None and work.ready
        self.cancel.enabled = job is not None
        self.start.text = DETECT if job is None else RESUME if job.paused else PAUSE
        self.copy.enabled = detection is not None and detection.run is not None
        self.status.value = progress.status_of(detection)
        with progress.drawn_later(self.progress.native):
            self.progress.value = progress.per_cent(detection)
        if work is not None:
            self._look.show(work)
        self._show_activity_soon()

    def _show_activity(self) -> None:
        self._activity.follow(self.detection if self._job else None)

    def _copy(self) -> None:
        if self.detection is None or self.detection.run is None:
            return
        try:
            command = detect_command(self.detection)
        except FastNetError as error:
            show_error(str(error))
            return
        copy_to_clipboard(command)
        show_info(f"copied: {command}")
