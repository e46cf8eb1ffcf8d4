"""Commands of napari's menus and command palette; each says what it lacks.

napari calls them with the current viewer, whatever is open in it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Signature
from typing import TYPE_CHECKING, Any, TypeVar, cast

from napari.utils.notifications import show_info, show_warning
from napari.viewer import Viewer

from napari_fastnet.plugin.settings import PLUGIN
from napari_fastnet.plugin.widgets.place import dock_of

if TYPE_CHECKING:
    from napari_fastnet.plugin.panel.panel import FastNetPanel

F = TypeVar("F", bound=Callable[..., Any])
#: Name of the panel in the manifest.
PANEL = "FastNet"
OPEN_A_SLIDE = (
    "no slide is open: drop one onto the window and choose FastNet as its reader, or use "
    "File > Open Sample > FastNet"
)
WRITING = "files of {} are being written; try again in a moment"
NO_SPACING = "the µm/px of {} is unknown: enter it in the panel's section Slide"
NO_HEATMAP = "no tumors were sought in {}: run 'Find tumors in this slide' first"


def say_without_file(words: str, instead: Any) -> Callable[[F], F]:
    """Make a reader or writer say words, and return something, if called without a file.

    napari lists all commands of a plugin in its palette, and calls these without one.
    """

    def decorate(function: F) -> F:
        @wraps(function)
        def called(*given: Any, **named: Any) -> Any:
            if given or named:
                return function(*given, **named)
            show_info(words)
            return instead

        called.__signature__ = Signature()  # type: ignore[attr-defined]  # asks for nothing
        return cast(F, called)

    return decorate


def show_panel(viewer: Viewer) -> FastNetPanel:
    """Open the panel, or bring the one that is open to the front."""
    from napari_fastnet.plugin.panel.panel import panel_of

    panel = panel_of(viewer)
    if panel is None:
        _, panel = viewer.window.add_plugin_dock_widget(PLUGIN, PANEL)
    if (dock := dock_of(panel.native)) is not None:
        dock.show()
        dock.raise_()
    return panel


def _with_panel(
    act: Callable[[FastNetPanel], str | None],
) -> Callable[[Viewer], None]:
    """Make a command: open the panel, look for a slide, and tell the reason of a refusal."""

    @wraps(act)
    def command(viewer: Viewer) -> None:
        panel = show_panel(viewer)
        work = panel.slide.work
        if work is None:
            show_info(OPEN_A_SLIDE)
        elif not work.ready:
            show_warning(NO_SPACING.format(work.layer.name))
        elif refusal := act(panel):
            show_info(refusal.format(work.layer.name))

    # napari gives what these ask for
    command.__annotations__ = {"viewer": Viewer, "return": None}
    del command.__wrapped__  # else napari asks it for what to give
    return command


@_with_panel
def find_tumors(panel: FastNetPanel) -> str | None:
    """Find the tumors of the current slide, its masks included."""
    detection = panel.detect.detection
    job = None if detection is None else detection.job
    if job is not None and job.running and not job.paused:
        return "tumors are being sought in {} already"
    panel.detect.start.native.click()
    return None


@_with_panel
def compute_masks(panel: FastNetPanel) -> str | None:
    """Compute the tissue masks of the current slide."""
    if not panel.tissue.compute.enabled:
        return "the masks of {} are being computed already"
    panel.tissue.compute.native.click()
    return None


@_with_panel
def next_lesion(panel: FastNetPanel) -> str | None:
    """Show the next lesion without a verdict."""
    work = panel.slide.work
    if work is not None and work.layers.veiled:
        return "second read is on: note your verdict on {} first"
    if work is None or work.heatmap is None:
        return NO_HEATMAP
    if not work.review.reviewed:
        return "no lesion was found in {}"
    panel.review.go_on()
    return None


@_with_panel
def export(panel: FastNetPanel) -> str | None:
    """Export masks, heatmap and lesions of the current slide."""
    if panel.export.writing:
        return WRITING
    if not panel.export.save.enabled:
        return "{} has neither masks nor a heatmap to export yet"
    panel.export.save.native.click()
    return None


@_with_panel
def write_report(panel: FastNetPanel) -> str | None:
    """Write the report of the current slide; the message that follows opens it."""
    if panel.export.writing:
        return WRITING
    if not panel.export.report.enabled:
        return NO_HEATMAP
    panel.export.report.native.click()
    return None
