"""What the panel asks of a detection."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_fastnet.core.options import DEFAULT_COLOURS, ColoursName
from napari_fastnet.model.options import NetworkChoice
from napari_fastnet.store.cache import LIMIT_BYTES, private_folder

if TYPE_CHECKING:
    from napari_fastnet.core.geometry import Grid, Pair
    from napari_fastnet.detection.options import Stride
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.slide.slide import Slide

#: Length of the model's and the slide's digests in the name of a run's folder.
DIGITS = 12

#: A value every 16 px from one look at a large picture, or so many a patch's side.
Density = Literal["dense"] | int


@dataclass(frozen=True, slots=True)
class Request:
    """What the panel asks for.

    Parameters
    ----------
    network : NetworkChoice
        Model, back end and threads.
    density : "dense" or int
        1: patch beside patch; 2: every half patch, and so on.
    threshold : float or None
        From which a patch is tumour; None is the model's.
    folder : Path
        The run is kept in ``folder/<slide>/``, or in a folder of its own inside
        ``cache`` if that is asked for.
    in_cache : bool
        Whether ``folder`` is the cache, shared by all slides and models.
    view_first : bool
        Whether what is on screen is looked at first.
    colours : {"red-green", "blue-orange"}
        Of the heatmap in pictures.
    cache_limit_bytes : int
        What the runs in the cache may take together.
    """

    network: NetworkChoice
    density: Density
    threshold: float | None
    folder: Path
    in_cache: bool
    view_first: bool
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
        """Return where cells are to begin so that they lie as those on screen do.

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
            (y, x) in level-0 px; None where there are none of the size asked for, and
            for dense scanning, whose cells begin at the slide's corner anyway.
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
        """Return what the command line would be given as ``-o``."""
        if not self.in_cache:
            return self.folder
        parts = (slide.fingerprint[:DIGITS], bundle.sha256[:DIGITS])
        return (
            private_folder(self.folder) / "runs" / "-".join((*parts, str(self.density)))
        )
