"""What happens to the open slides, as signals."""

from __future__ import annotations

from psygnal import Signal


class WorkEvents:
    """What the sections of the panel listen to; each tells whose slide it is about."""

    #: Slides were opened or removed, or another is current. Tells nothing.
    slides = Signal()
    #: The µm/px is another.
    spacing = Signal(object)
    #: Masks are new.
    tissue = Signal(object)
    #: The heatmap is new, or looks otherwise.
    heatmap = Signal(object)
    #: A run that is going on has brought new values.
    filled = Signal(object)
    #: The regions are those of another threshold or heatmap.
    regions = Signal(object)
    #: A run began, went on, stood still or ended.
    run = Signal(object)
