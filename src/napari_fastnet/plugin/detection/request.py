"""Options of a detection in the panel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_fastnet.core.options import DEFAULT_COLOURS, ColoursName
from napari_fastnet.machine.files import private_folder
from napari_fastnet.model.options import NetworkChoice
from napari_fastnet.store.cache import LIMIT_BYTES

if TYPE_CHECKING:
    from napari_fastnet.core.geometry import Grid, Pair
    from napari_fastnet.detection.options import Stride
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.slide.slide import Slide

#: Digits of the slide's and the model's digests in the name of a run's folder.
DIGITS = 12

#: Cells every 16 px computed from large pictures, or a number of cells per patch side.
Density = Literal["dense"] | int


@dataclass(frozen=True, slots=True)
class Request:
    """Options of a detection, read from the panel's widgets and settings.

    Parameters
    ----------
    network : NetworkChoice
        Model, back end and threads.
    density : "dense" or int
        1: patch beside patch; 2: every half patch, and so on.
    threshold, lesion_threshold : float or None
        Thresholds of outlines and of lesions; None is the model's.
    folder : Path
        The run is kept in ``folder/<slide>/``; in the cache, in a folder of its own.
    in_cache : bool
        Whether ``folder`` is the cache, which all slides and models share.
    view_first : bool
        Whether patches on screen are computed first.
    colours : {"red-green", "blue-orange"}
        Of the heatmap in pictures.
    cache_limit_bytes : int
        Limit for all runs in the cache together.
    """

    network: NetworkChoice
    density: Density
    threshold: float | None
    folder: Path
    in_cache: bool
    view_first: bool
    lesion_threshold: float | None = None
    colours: ColoursName = DEFAULT_COLOURS
    cache_limit_bytes: int = LIMIT_BYTES

    def stride(self, bundle: ModelBundle) -> Stride:
        """Return the stride as `RunOptions` takes it."""
        if self.density == "dense" and bundle.dense_scan is not None:
            return "dense"
        if self.density in ("dense", 1):
            return "patch"
        return max(1, bundle.patch_size_pixels // int(self.density))

    def anchor(
        self, slide: Slide, bundle: ModelBundle, shown: Grid | None
    ) -> Pair | None:
        """Return the origin of the grid on screen if a new grid can lie on it.

        Parameters
        ----------
        slide : Slide
            Its µm/px must be known.
        bundle : ModelBundle
            The model.
        shown : Grid or None
            Of the heatmap on screen.

        Returns
        -------
        tuple of float or None
            (y, x) in level-0 px; None if its cells have another size, and for dense
            scanning, whose grids begin at the slide's corner anyway.
        """
        stride = self.stride(bundle)
        if shown is None or stride == "dense":
            return None
        stride_px = stride if isinstance(stride, int) else bundle.patch_size_pixels
        step = np.divide(stride_px * bundle.spacing_um_px, slide.require_mpp())
        return (
            shown.origin if np.allclose(step, shown.step, rtol=1e-9, atol=0) else None
        )

    def output_folder(self, slide: Slide, bundle: ModelBundle) -> Path:
        """Return the folder that the command line would get as ``-o``."""
        if not self.in_cache:
            return self.folder
        parts = (slide.fingerprint[:DIGITS], bundle.sha256[:DIGITS])
        return (
            private_folder(self.folder) / "runs" / "-".join((*parts, str(self.density)))
        )
