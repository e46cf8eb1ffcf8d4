"""The heatmap of a model that was taught, beside the slide's own, until it is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from superqt.utils import qthrottled

from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.evidence import find_candidates, lesions_of
from napari_fastnet.plugin.layers.data import heatmap_colormap, heatmap_layer_data
from napari_fastnet.plugin.settings import read_settings
from napari_fastnet.plugin.teach.changes import changes
from napari_fastnet.plugin.threads.latest import Latest

if TYPE_CHECKING:
    from napari_fastnet.core.lesions.regions import Region
    from napari_fastnet.core.options import LesionRule
    from napari_fastnet.plugin.work.slide import SlideWork

TAUGHT_NAME = "tumor probability (taught)"
#: Pause after lesions were compared, as a multiple of the time that took.
REST = 4
#: Shortest time between two updates while the heatmap fills in, ms: of the layer, and of
#: the lesions.
SHOW_MS, COMPARE_MS = 500, 2000

Changes = tuple[list["Region"], set[int], int]


class Trial:
    """A heatmap to compare with that of the slide; only one of both is seen at a time.

    Parameters
    ----------
    work : SlideWork
        The slide, whose own heatmap and lesions stay as they are.

    Attributes
    ----------
    heatmap : Heatmap or None
        As shown; may be written to, then call `refresh`.
    found : int or None
        Number of its lesions, once they were compared.
    """

    def __init__(self, work: SlideWork) -> None:
        self._work = work
        self.heatmap: Heatmap | None = None
        self.found: int | None = None
        self._rule: LesionRule | None = None
        self._before: list[Region] = []  # compared with last
        self._comparing: Latest[Changes] = Latest(self._prepare, self._take, rest=REST)
        self._show_soon = qthrottled(self._draw, timeout=SHOW_MS)
        self._compare_soon = qthrottled(self._comparing.ask, timeout=COMPARE_MS)
        work.events.regions.connect(self._regions_changed)
        work.events.slides.connect(self._slide_changed)

    @property
    def shown(self) -> bool:
        """Whether the taught heatmap is seen, and not the slide's own."""
        layer = self._work.layers.get("taught")
        return layer is not None and bool(layer.visible)

    def show(self, heatmap: Heatmap, rule: LesionRule) -> None:
        """Show a heatmap in place of the slide's own, by a model's rule."""
        self.heatmap, self._rule = heatmap, rule
        work, colours = self._work, read_settings().colours
        data, keywords, kind = heatmap_layer_data(
            heatmap, work.slide.path.stem, work.opacity, colours=colours
        )
        keywords["name"], keywords["metadata"] = TAUGHT_NAME, {}
        keywords["colormap"] = heatmap_colormap(
            rule.threshold, colours, suspicious_only=work.suspicious_only
        )
        seen = self._work.layers.get("taught") is None or self.shown
        layer: Any = work.layers.put("taught", (data, keywords, kind))
        layer.colormap = keywords["colormap"]
        self.look(taught=seen)
        self._comparing.ask()

    def refresh(self, *, filling: bool = False) -> None:
        """Draw values that were written into the heatmap, and compare the lesions."""
        if filling:
            self._show_soon()
            self._compare_soon()
        else:
            self._draw()
            self._comparing.ask()

    def look(self, *, taught: bool) -> None:
        """Show the taught heatmap, or the slide's own."""
        layers = self._work.layers
        new, old = layers.get("taught"), layers.get("heatmap")
        if new is None:
            return
        new.visible = taught
        if old is not None:
            old.visible = not taught

    def close(self) -> None:
        """Take the heatmap out of the viewer, and show the slide's own again."""
        self._work.events.regions.disconnect(self._regions_changed, missing_ok=True)
        self._work.events.slides.disconnect(self._slide_changed, missing_ok=True)
        self._show_soon.cancel()
        self._compare_soon.cancel()
        self._comparing.drop()
        layer = self._work.layers.get("taught")
        self.look(taught=False)
        if layer is not None and layer in self._work.viewer.layers:
            self._work.viewer.layers.remove(layer)
        self.heatmap = None
        if self._work.appeared or self._work.gone:
            self._work.show_changes((), ())

    def _slide_changed(self) -> None:
        """Hide one of both heatmaps, which come back together with their slide."""
        if self.shown:
            self.look(taught=True)

    def _draw(self) -> None:
        layer = self._work.layers.get("taught")
        if layer is not None:
            layer.refresh(extent=False, highlight=False, thumbnail=False)

    def _regions_changed(self, work: SlideWork) -> None:
        """Compare again if the slide's own lesions are others: its threshold moved."""
        if work is self._work and not _same(work.regions, self._before):
            self._compare_soon()

    def _prepare(self) -> Callable[[], Changes] | None:
        heatmap, rule = self.heatmap, self._rule
        if heatmap is None or rule is None:
            return None
        before = self._before = list(self._work.regions)
        still = Heatmap(np.array(heatmap.probabilities), heatmap.grid, heatmap.mpp)

        def compare() -> Changes:
            after = lesions_of(find_candidates(still, rule), rule)
            return *changes(before, after, still), len(after)

        return compare

    def _take(self, found: Changes) -> None:
        if self.heatmap is not None:
            appeared, gone, self.found = found
            self._work.show_changes(appeared, gone)
            self._work.events.teaching.emit(self._work)


def _same(some: list[Region], others: list[Region]) -> bool:
    """Return whether two lists hold the same lesions."""
    return len(some) == len(others) and all(
        one.polygons is other.polygons for one, other in zip(some, others, strict=True)
    )
