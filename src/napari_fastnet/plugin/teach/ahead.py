"""Features of the cells that are seen and labelled, by which the head is taught at once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from math import inf
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.metrics.calibration import Calibration
from napari_fastnet.detection.plan import make_plan

if TYPE_CHECKING:
    from napari_fastnet.core.arrays import Floats, Singles
    from napari_fastnet.core.geometry import Box
    from napari_fastnet.core.labelled_cells import LabelledCells
    from napari_fastnet.detection.tissue import SlideTissue
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.slide.slide import Slide
    from napari_fastnet.training.adapt.head import Head, LabelledFeatures


class Ahead:
    """Features of one slide and one model for the head step, kept while they are looked at.

    Parameters
    ----------
    slide : Slide
        Open; stays open.
    bundle : ModelBundle
        The model to teach, with weights; to be loaded in a thread, as torch takes time.
    tissue : SlideTissue
        The masks.
    """

    def __init__(self, slide: Slide, bundle: ModelBundle, tissue: SlideTissue) -> None:
        from napari_fastnet.nn.checkpoint import load_weights
        from napari_fastnet.training.adapt.adapt import require_network
        from napari_fastnet.training.adapt.features import SlideFeatures

        require_network(bundle)
        self._bundle, self._roi, self._lock = bundle, tissue.masks.roi, Lock()
        self._network = load_weights(bundle.weights_path)
        plan = make_plan(slide, bundle, self._roi, stride="dense")
        self._grid, self._mpp = plan.patches.grid, slide.require_mpp()
        self._features = SlideFeatures(slide, plan, self._network, bundle.normalisation)
        #: Features of the cells labelled when it computed last, (n, k).
        self.labelled: Singles | None = None

    def serves(self, bundle: ModelBundle, tissue: SlideTissue | None) -> bool:
        """Return whether it is of this model and these masks; None is any."""
        same = tissue is None or np.array_equal(self._roi, tissue.masks.roi)
        return same and self._bundle.sha256 == bundle.sha256

    def compute(
        self,
        cells: LabelledCells,
        box: Box,
        stopped: Callable[[], bool],
        seconds: float = inf,
    ) -> None:
        """Compute the features of labelled cells, of home, and of what is seen.

        Parameters
        ----------
        cells : LabelledCells
            Of the slide.
        box : Box
            What is seen, level-0 px.
        stopped : callable
            Asked before each block.
        seconds : float, optional
            Time for what is seen, beginning in its middle; the others take theirs.
        """
        with self._lock:
            labelled = self._features.blocks_at(cells.centres)
            for _ in self._features.compute(labelled, stopped):
                pass
            self.labelled = self._features.at(cells.centres)
            if stopped():
                return
            _ = self._home
            until = perf_counter() + seconds
            for _ in self._features.compute(self._features.blocks_in(box), stopped):
                if perf_counter() > until:
                    return

    def at(self, points: Floats) -> Singles:
        """Return the features of cells that hold points, (y, x) in level-0 px; or NaN."""
        return self._features.at(points)

    def fit(self, cells: LabelledCells) -> Head | None:
        """Teach the head; None if no labelled cell of a class has features."""
        from napari_fastnet.training.adapt.features import head_of
        from napari_fastnet.training.adapt.head import LabelledFeatures, fit_head

        values = self._features.at(cells.centres)
        known = np.isfinite(values).all(axis=1)
        taught = LabelledFeatures(values[known], cells.tumor[known])
        if not 0 < taught.tumor.sum() < len(taught.tumor):
            return None
        start = head_of(self._network, Calibration(**self._bundle.calibration))
        return fit_head(start, taught, self._home)

    def heatmap(self, head: Head, box: Box) -> Heatmap:
        """Return a head's heatmap of the cells in a box that have features; else NaN."""
        values = np.full(self._grid.shape, np.nan, np.float32)
        with self._lock:
            for block in self._features.blocks_in(box):
                with suppress(KeyError):  # not computed, or no longer kept
                    found = head.log_odds(self._features.of(block))
                    values[block.slices] = expit(found)
        return Heatmap(values, self._grid, self._mpp)

    @cached_property
    def _home(self) -> LabelledFeatures:
        from napari_fastnet.training.adapt.features import home_features

        return home_features(self._network, self._bundle.normalisation)
