"""The progress of a detection, in numbers and in words."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from napari.utils import progress as activity
from qtpy.QtWidgets import QLabel, QWidget

from napari_fastnet.plugin.detection.detection import Detection

#: Share of an animation's own speed, per cent: a few frames per second.
CALM_PER_CENT = 12


def per_cent(detection: Detection | None) -> int:
    """Return the computed share of a run, 0..100."""
    if detection is None:
        return 0
    if detection.result is not None:
        return 100
    return int(100 * detection.done / detection.total) if detection.total else 0


def status_of(detection: Detection | None) -> str:
    """Return the state of a run in words: share, speed, time left; or its end."""
    if detection is None:
        return ""
    if detection.result is not None:
        counts = detection.result.record.counts
        assert counts is not None
        failed = f", {counts.failed:,} unreadable" if counts.failed else ""
        if not counts.kept:
            return "no tissue, nothing to compute"
        return f"done: {counts.computed:,} patches{failed}"
    running, left = detection.job.running, detection.total - detection.done
    if not detection.total:
        return "getting ready …" if running else "stopped"
    share = f"{detection.done / detection.total:.0%}"
    if not running:
        return f"stopped at {share}; start to continue"
    if not left:
        return f"{share}  writing the results …"
    if detection.progress is None:
        return f"{share}  getting ready …"
    speed = detection.patches_per_second
    seconds = int(left / max(speed, 1e-3))
    return f"{share}  {speed:.0f} patches/s  {seconds // 60}:{seconds % 60:02d} left"


def set_animations(window: QWidget | None, per_cent: int) -> None:
    """Set the speed of a window's animations.

    napari shows a turning wheel in its status bar beside a progress bar. Each of its
    frames redraws the whole window, 30 times per second: without a graphics card, this
    took a third of two cores.
    """
    labels = [] if window is None else window.findChildren(QLabel)
    for label in labels:
        if (movie := label.movie()) is not None:
            movie.setSpeed(per_cent)


class ActivityBar:
    """A bar in napari's activity dock for the run of the current slide.

    Parameters
    ----------
    description : str
        Text in front of the bar.
    inside : QWidget
        Any widget of the window.
    """

    def __init__(self, description: str, inside: QWidget) -> None:
        self._description, self._inside = description, inside
        self._bar: Any = None
        self._of: tuple[Detection, int] | None = None

    def follow(self, detection: Detection | None) -> None:
        """Show the progress of a run; None removes the bar."""
        if detection is None or not detection.total:
            self.close()
            return
        # another slide's run, or one that was extended, has another length
        if self._of != (detection, detection.total):
            self.close()
            self._bar = activity(total=detection.total, desc=self._description)
            self._of = (detection, detection.total)
            with suppress(RuntimeError):  # the window is gone
                set_animations(self._inside.window(), CALM_PER_CENT)
        self._bar.update(detection.done - self._bar.n)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            with suppress(RuntimeError):  # the window is gone
                set_animations(self._inside.window(), 100)
        self._bar, self._of = None, None
