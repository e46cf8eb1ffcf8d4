"""Which patches of a slide a model is to see, laid out before any is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_fastnet.core.grid import PatchGrid, patch_grid
from napari_fastnet.errors import OptionError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.stain import StainMatch
    from napari_fastnet.io.bundle import ModelBundle
    from napari_fastnet.io.slide import Slide

#: A block is about so wide, in px of the model: big enough to decode most file tiles
#: once, small enough that a few of them in memory do not matter.
BLOCK_PX = 1024
#: and no more cells than this a side, so that a block stays a second's work.
BLOCK_CELLS = 32
#: A patch is looked at when at least this share of it is tissue (Eq. 4).
KEEP = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """Which patches of a slide a model is to see.

    Parameters
    ----------
    patches : PatchGrid
        Cells, patch size and which are kept, level-0 px.
    stride_px : int
        Step between patches in px of the model.
    patch_px : int
        Side of a patch in px of the model.
    spacing : float
        µm/px of the model.
    keep : float
        Share of a patch that must be tissue.
    stain : StainMatch or None
        Match to the model's stain, applied to each block; None leaves colours alone.
    flips : bool
        Look at the mirror images of each patch too.
    """

    patches: PatchGrid
    stride_px: int
    patch_px: int
    spacing: float
    keep: float
    stain: StainMatch | None = None
    flips: bool = False

    @property
    def block_cells(self) -> int:
        """Side of a block in cells."""
        return max(1, min(BLOCK_CELLS, BLOCK_PX // self.stride_px))


def make_plan(
    slide: Slide,
    bundle: ModelBundle,
    roi: NDArray[np.bool_],
    *,
    stride: int | None = None,
    stain: StainMatch | None = None,
    flips: bool = False,
) -> Plan:
    """Lay the patch grid of Eqs. 1-4 over the tissue of a slide.

    Parameters
    ----------
    slide : Slide
        Its µm/px must be known.
    bundle : ModelBundle
        Gives the patch size and the µm/px.
    roi : ndarray
        bool (h, w): tissue, a mask of the whole slide at any scale.
    stride : int, optional
        px of the model between patches; a patch by default.
    stain : StainMatch, optional
        Match to the model's stain.
    flips : bool, optional
        Look at the mirror images of each patch too.

    Returns
    -------
    Plan
        With an empty grid where there is no tissue.

    Raises
    ------
    SpacingError
        The slide's µm/px is unknown or absurd.
    OptionError
        The stride lies outside 1..patch.
    """
    patch_px = bundle.patch_size_pixels
    stride_px = patch_px if stride is None else stride
    if not 1 <= stride_px <= patch_px:
        raise OptionError(
            f"stride is {stride_px} px; use 1 to {patch_px}, the model's patch"
        )
    # Level-0 px a model px, never rounded.
    scale = tuple(bundle.spacing_um_px / own for own in slide.require_mpp())
    mask_step = tuple(
        whole / part for whole, part in zip(slide.shape, roi.shape, strict=True)
    )
    patches = patch_grid(
        roi,
        mask_step=_pair(mask_step),
        patch=_pair(tuple(patch_px * s for s in scale)),
        stride=_pair(tuple(stride_px * s for s in scale)),
        keep=KEEP,
    )
    return Plan(patches, stride_px, patch_px, bundle.spacing_um_px, KEEP, stain, flips)


def _pair(values: tuple[float, ...]) -> Pair:
    y, x = values
    return y, x
