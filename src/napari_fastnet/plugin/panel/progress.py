"""How far a detection is, in numbers and in words."""

from __future__ import annotations

from napari_fastnet.plugin.detection import Detection


def per_cent(detection: Detection | None) -> int:
    """Return how much of a run is done, 0..100."""
    if detection is None:
        return 0
    if detection.result is not None:
        return 100
    progress = detection.progress
    return int(100 * progress.done / progress.total) if progress else 0


def status_of(detection: Detection | None) -> str:
    """Return how far a run is: per cent, speed, time left; or how it ended."""
    if detection is None:
        return ""
    progress, running = detection.progress, detection.job.running
    if detection.result is not None:
        counts = detection.result.record.counts
        assert counts is not None
        failed = f", {counts.failed:,} not readable" if counts.failed else ""
        if not counts.kept:
            return "no tissue, nothing to look at"
        return f"done: {counts.computed:,} patches{failed}"
    if progress is None:
        return "getting ready …" if running else "stopped"
    share = f"{progress.done / progress.total:.0%}"
    if not running:
        return f"stopped at {share}; start goes on"
    if progress.done == progress.total:
        return f"{share}  writing the results …"
    speed = detection.patches_per_second
    left = int((progress.total - progress.done) / max(speed, 1e-3))
    return f"{share}  {speed:.0f} patches/s  {left // 60}:{left % 60:02d} left"
