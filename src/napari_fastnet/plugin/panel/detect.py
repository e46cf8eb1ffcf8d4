"""The section that detects tumors and shows the progress."""

from __future__ import annotations

from contextlib import suppress
from typing import get_args

from magicgui.widgets import CheckBox, ComboBox, ProgressBar
from napari.utils.notifications import show_error, show_info
from napari.viewer import Viewer
from superqt.utils import qdebounced, qthrottled

from napari_fastnet.core.appearance.summary import quality_words
from napari_fastnet.errors import BundleError, FastNetError
from napari_fastnet.model.options import BackendName, NetworkChoice
from napari_fastnet.plugin.detection.detection import Detection
from napari_fastnet.plugin.detection.ready_network import NETWORK
from napari_fastnet.plugin.detection.request import Density, Request
from napari_fastnet.plugin.keys import key_of
from napari_fastnet.plugin.panel import activity, heatmap_look
from napari_fastnet.plugin.panel.model_choice import ModelChoice
from napari_fastnet.plugin.settings import read_settings
from napari_fastnet.plugin.threads.job import Job
from napari_fastnet.plugin.widgets import section
from napari_fastnet.plugin.work.command_line import copy_to_clipboard, detect_command
from napari_fastnet.plugin.work.slide import SlideWork
from napari_fastnet.plugin.work.workspace import workspace_of

DETECT, PAUSE, RESUME = "Detect tumors", "Pause", "Resume"
#: Time without changes, ms, after which the network is prepared.
STILL_MS = 700
#: Shortest time between two updates of napari's activity dock, ms.
ACTIVITY_MS = 1000
STRIDES: list[tuple[str, Density]] = [
    ("dense: a value every 16 px", "dense"),
    ("1 value per patch", 1),
    ("2 x 2 values per patch", 2),
    ("4 x 4 values per patch", 4),
    ("8 x 8 values per patch", 8),
]


class DetectSection(section.Section):
    """Detection of tumors with a network, beginning with the visible part.

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer with the slides.

    Attributes
    ----------
    model, model_folder, card : ComboBox, FileEdit, PushButton
        A shipped model, or the folder of a bundle; ``card`` opens the model card.
    model_rows : list of Widget
        They stand under Advanced, as density, back end, ``results`` and ``view_first``.
    stride, backend, view_first : ComboBox, ComboBox, CheckBox
        Density of the values, back end, and whether the visible part comes first.
    results : FileEdit
        Folder of the run; empty is the cache.
    start, cancel : PushButton
        ``start`` becomes pause and resume.
    progress, status : ProgressBar, Label
        Progress in per cent and in words.
    threshold, evidence, opacity : NumberSlider
        Of outlines, of lesions, of the heatmap; nothing is computed again.
    alarms, display : ComboBox
        The lesion threshold by name, and the part of the heatmap that is shown.
    legend : Fold
        Colours, signs and flags.
    copy : PushButton
        Copies the equivalent command.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        settings = read_settings()
        self._choice = ModelChoice(settings.model)
        self.model, self.model_folder = self._choice.model, self._choice.folder
        self.card, self.model_rows = self._choice.card, self._choice.rows
        self._make_choices(settings.backend)
        self.start = section.button(
            DETECT, f"Detect tumors in the tissue; pause, resume [{key_of('detect')}]"
        )
        self.cancel = section.button(
            "Cancel", f"Stop; computed values are kept [{key_of('cancel')}]"
        )
        self.progress = ProgressBar(
            min=0, max=100, value=0, tooltip="Patches computed, of those in the tissue"
        )
        self.status = section.text_line()
        self.copy = section.button(
            "copy as command",
            "Copy the equivalent command for the terminal",
        )
        self._look = heatmap_look.HeatmapLook(workspace_of(napari_viewer))
        self.threshold, self.opacity = self._look.threshold, self._look.opacity
        self.evidence, self.alarms = self._look.evidence, self._look.alarms
        self.display, self.legend = self._look.display, self._look.fold
        widgets = [
            section.row(self.start, self.cancel),
            self.progress,
            self.status,
            *self._look.rows,
        ]
        # Never directly from a signal: napari's bar processes other events meanwhile.
        self._show_activity_soon = qthrottled(
            self._show_activity, timeout=ACTIVITY_MS, leading=False
        )
        self._prepare_soon = qdebounced(self._prepare, timeout=STILL_MS)
        super().__init__(napari_viewer, "Detect tumors", widgets)
        self._activity = activity.ActivityBar(DETECT, self.native)
        self._choice.show()
        self._connect()
        self._show()

    def _make_choices(self, backend: str) -> None:
        self.stride = ComboBox(
            choices=STRIDES,
            tooltip="Distance between values. Dense computes large images at once and is "
            "fastest; the others compute patch by patch, slower with more values",
        )
        self.backend = ComboBox(
            choices=get_args(BackendName),
            value=backend,
            tooltip="Library that runs the network: onnx and openvino are fast on CPUs, "
            "torch uses GPUs; auto chooses",
        )
        self.view_first = CheckBox(
            value=True,
            text="visible part first",
            tooltip="Compute the visible part of the slide first, also after panning",
        )
        self.results = section.folder_field(
            "Folder of the run and its files; empty: the cache", when_empty="the cache"
        )

    def _connect(self) -> None:
        events = self.workspace.events
        changes = (events.slides, events.spacing, events.tissue)
        self.listen(self._show, *changes, events.run)
        self.listen(self._prepare_later, *changes)
        marked = (events.slides, events.heatmap, events.regions, events.decisions)
        self.listen(self._look.show_marks, *marked)
        for widget in (self.model, self.model_folder, self.backend, self.stride):
            widget.changed.connect(self._prepare_later)
        self.start.changed.connect(self._start)
        self.cancel.changed.connect(self._cancel)
        self.copy.changed.connect(self._copy)
        self.press_keys(
            {
                "detect": self._start,
                "cancel": self._cancel,
                "heatmap": self._look.toggle,
                "display": self._look.next_display,
            }
        )
        tissue = self._look.tissue_only
        self.hold_key("tissue_only", tissue.hide, tissue.show)

    def leave(self) -> None:
        """Disconnect, and stop all jobs, which have no buttons any more."""
        super().leave()
        self.workspace.stop()
        self._show_activity_soon.cancel()
        self._prepare_soon.cancel()
        self._look.leave()
        self._activity.close()

    def undocked(self) -> None:
        """Stop all detections, and release the keys."""
        super().undocked()
        for work in self.workspace.works:
            if work.detection is not None:
                work.detection.job.cancel()

    def request(self) -> Request:
        """Return the options of a detection as the widgets show them.

        Raises
        ------
        BundleError
            The model comes from a folder, and none is chosen.
        """
        settings = read_settings()
        chosen = section.chosen_path(self.results)
        return Request(
            network=NetworkChoice(
                self._choice.value, self.backend.value, threads=settings.threads
            ),
            density=self.stride.value,
            threshold=self.work.chosen_threshold if self.work else None,
            lesion_threshold=self.work.chosen_lesion_threshold if self.work else None,
            folder=chosen or settings.cache_folder,
            in_cache=chosen is None,
            view_first=self.view_first.value,
            colours=settings.colours,
            cache_limit_bytes=round(settings.cache_limit_gb * 1e9),
        )

    def choose_model(self, name: str) -> None:
        """Choose a model by its name."""
        self._choice.choose(name)

    def _prepare_later(self, _: object = None) -> None:
        if not self.workspace.works:
            NETWORK.drop()  # its memory grows with every run
        # Without the argument: it would keep a slide alive that is closed meanwhile.
        self._prepare_soon()

    def _prepare(self) -> None:
        """Prepare the network, since a click is likely once a slide is open."""
        if self.work is not None and self.work.ready and self._job is None:
            with suppress(BundleError):  # reported after the click
                NETWORK.prepare(self.request())

    @property
    def detection(self) -> Detection | None:
        """The slide's detection, in progress or ended last."""
        detection: Detection | None = None if self.work is None else self.work.detection
        return detection

    @property
    def _job(self) -> Job | None:
        """The job of a detection that runs or is paused."""
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
        """Update buttons and progress from the current slide's run."""
        work, detection, job = self.work, self.detection, self._job
        self.start.enabled = work is not None and work.ready
        self.cancel.enabled = job is not None
        self.start.text = DETECT if job is None else RESUME if job.paused else PAUSE
        self.copy.enabled = detection is not None and detection.run is not None
        self.status.value = activity.status_of(detection) + doubts_about(work)
        if work is not None and not work.ready:
            self.status.value = "µm/px unknown: enter it in the section Slide"
        self.progress.visible = job is not None
        with section.drawn_later(self.progress.native):
            self.progress.value = activity.per_cent(detection)
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


def doubts_about(work: SlideWork | None) -> str:
    """Return the doubts about a slide that was scanned, to go behind its status."""
    if work is None or work.record is None:
        return ""
    quality = work.record.quality
    doubtful = quality.warn or quality.any
    words = [quality_words(quality)] if doubtful else []
    return "".join(f"; {each}" for each in (*words, *work.slide.reading_notes))
