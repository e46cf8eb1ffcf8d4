"""The layout of a run: the grid of patches over a slide, and blocks and pictures of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_fastnet.core.dense import CELL_PX, DenseScan
from napari_fastnet.core.geometry import Box
from napari_fastnet.core.grid import PatchGrid, slide_grid, tissue_grid, weigh_patches
from napari_fastnet.errors import OptionError
from napari_fastnet.model.backends.backend import DENSE_BLOCK_CELLS
from napari_fastnet.slide.spacing import pair_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_fastnet.core.appearance.stain import StainMatch
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.detection.options import Stride
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.slide.slide import Slide

#: Width of a block of patches, px of the model: big enough to decode most file tiles
#: once, small enough that a few blocks in memory do not matter.
BLOCK_PX = 1024
#: Most cells along its side, so that a block takes less than half a second: the order of
#: the remaining blocks changes between blocks. 32 cost 4 % less.
BLOCK_CELLS = 16
#: Whole-grid arrays grow with the slide. Above these cell counts smaller blocks of a
#: dense scan compensate: side 64 instead of 96 saves 140 MB and costs 7 % time.
SMALLER_BLOCKS = {500_000: 80, 1_000_000: 64}
#: Sides of dense pictures are multiples of this: 2 % more cells, fewer sizes.
SIZE_CELLS = 8
SMALLEST_PICTURE_CELLS = 8
#: Memory of a run besides the network's pictures, MB: libraries, tiles, overview.
BASE_MB = 300
# Bytes per cell of the slide: its part of masks, weights and probabilities.
_CELL_BYTES = 60
# Bytes per px of a picture in the network's first and largest feature maps.
_PX_BYTES = 128
#: Least share of a patch that must be tissue (Eq. 4).
KEEP = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """The patches of a slide that a model sees, and how they are read.

    Parameters
    ----------
    patches : PatchGrid
        Cells, patch size and which are kept, level-0 px.
    stride_px : int
        Step between patches in px of the model.
    patch_px : int
        Side of a patch in px of the model.
    spacing : float or tuple of float
        µm/px of the pictures: the model's, or (y, x) of a level that is near enough.
    stain : StainMatch or None
        Match to the model's stain, applied to each block; None leaves colours alone.
    flips : bool
        Average over the mirror images of each patch too.
    dense : DenseScan or None
        Run the network over large pictures and take the patches' values from their
        feature maps; None runs it on each patch.
    picture_cells : int
        Most cells along the side of a picture, to limit memory.
    fill : (rows, columns) bool ndarray or None
        Mask of what was never scanned, of the whole slide: the model sees white there.
    """

    patches: PatchGrid
    stride_px: int
    patch_px: int
    spacing: float | Pair
    stain: StainMatch | None = None
    flips: bool = False
    dense: DenseScan | None = None
    picture_cells: int = DENSE_BLOCK_CELLS
    fill: NDArray[np.bool_] | None = None

    @property
    def block_cells(self) -> int:
        """Side of a block in cells."""
        if self.dense is not None:
            return dense_block_cells(self.patches.kept.size)
        return max(1, min(BLOCK_CELLS, BLOCK_PX // self.stride_px))

    @property
    def overhead(self) -> int:
        """Cells along an axis that a picture costs on top of those it gives.

        A block of patches is read as one picture: only the patches cost.
        """
        return self.block_cells if self.dense is None else self.dense.overhead

    def within(self, memory_mb: int | None) -> Plan:
        """Limit the size of pictures so that the run fits in memory.

        Smaller pictures take longer and give the same map, in the same store.

        Parameters
        ----------
        memory_mb : int or None
            MB that the process may take; None is no limit.

        Returns
        -------
        Plan
            The same plan if it is no dense scan.

        Raises
        ------
        OptionError
            No picture is small enough.
        """
        dense = self.dense
        if dense is None or memory_mb is None:
            return self

        def needed_mb(cells: int) -> float:
            whole = BASE_MB + _CELL_BYTES * self.patches.kept.size / 1e6
            return whole + _PX_BYTES * float(dense.picture_px(cells)) ** 2 / 1e6

        for cells in range(DENSE_BLOCK_CELLS, SMALLEST_PICTURE_CELLS - 1, -1):
            if needed_mb(cells) <= memory_mb:
                return replace(self, picture_cells=cells)
        raise OptionError(
            f"memory is {memory_mb} MB; this slide needs at least "
            f"{needed_mb(SMALLEST_PICTURE_CELLS):.0f} MB"
        )

    def picture_shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Round wanted (rows, columns) of cells up to one of the few picture sizes.

        A library that meets a new size prepares for it first, and keeps what it needs
        for that (OpenVINO 4 MB each). Pictures of patches have any size.
        """
        if self.dense is None:
            return shape
        rows, columns = (
            min(-(-side // SIZE_CELLS) * SIZE_CELLS, max(side, self.picture_cells))
            for side in shape
        )
        return rows, columns

    @property
    def largest_picture_px(self) -> int:
        """Side of the largest picture of a dense scan, px of the model."""
        assert self.dense is not None
        cells = min(self.block_cells, self.picture_cells)
        return self.dense.picture_px(max(self.picture_shape((cells, cells))))

    def picture_box(self, first: tuple[int, int], shape: tuple[int, int]) -> Box:
        """Return the part of the slide that shows the patches of some cells.

        Parameters
        ----------
        first, shape : tuple of int
            First cell (row, column), and how many rows and columns.

        Returns
        -------
        Box
            Level-0 px; may leave the slide.
        """
        if self.dense is not None:
            return self.dense.picture_box(self.patches.grid, first, shape)
        (row, column), (rows, columns) = first, shape
        begin = self.patches.patch_box(row, column)
        end = self.patches.patch_box(row + rows - 1, column + columns - 1)
        return Box(begin.top, begin.left, end.bottom, end.right)


def dense_block_cells(cells: int) -> int:
    """Return the side of a dense scan's blocks on a slide with this many cells."""
    smaller = [side for least, side in SMALLER_BLOCKS.items() if cells >= least]
    return min([DENSE_BLOCK_CELLS, *smaller])


def dense_cells(slide: Slide, bundle: ModelBundle) -> int:
    """Count the cells of a dense scan of a slide; its µm/px must be known."""
    y, x = (CELL_PX * bundle.spacing_um_px / own for own in slide.require_mpp())
    rows, columns = slide_grid(slide.shape, stride=(y, x)).shape
    return rows * columns


def dense_scan_of(bundle: ModelBundle, stride: Stride) -> DenseScan | None:
    """Return the model's dense scan; None if another stride is asked for, or it has none."""
    return bundle.dense_scan if stride in ("dense", None) else None


def spacing_of(slide: Slide, bundle: ModelBundle, tolerance: float) -> float | Pair:
    """Return the µm/px to read a slide at: the model's, or those of a level near it.

    Parameters
    ----------
    slide : Slide
        Its µm/px must be known.
    bundle : ModelBundle
        The model.
    tolerance : float
        Share of the model's µm/px by which a level's may differ, along either axis.

    Returns
    -------
    float or (float, float)
        The model's; with a tolerance the (y, x) of the nearest level within it, if there
        is one.
    """
    own_y, own_x = slide.require_mpp()
    if not tolerance:
        return bundle.spacing_um_px
    levels = [
        (own_y * level.downsample[0], own_x * level.downsample[1])
        for level in slide.levels
    ]

    def off(mpp: Pair) -> float:
        return max(abs(value / bundle.spacing_um_px - 1) for value in mpp)

    nearest = min(levels, key=off)
    return nearest if off(nearest) <= tolerance else bundle.spacing_um_px


def make_plan(  # noqa: PLR0913  # each has its reason, all but three their default
    slide: Slide,
    bundle: ModelBundle,
    roi: NDArray[np.bool_],
    *,
    stride: Stride = None,
    anchor: Pair | None = None,
    stain: StainMatch | None = None,
    flips: bool = False,
    spacing_tolerance: float = 0.0,
) -> Plan:
    """Lay the patch grid of Eqs. 1-4 over a slide.

    The cells cover the whole slide and begin where Eqs. 1 and 2 say, at the corner of the
    tissue's bounding box.

    Parameters
    ----------
    slide : Slide
        Its µm/px must be known.
    bundle : ModelBundle
        Gives the patch size and the µm/px.
    roi : ndarray
        bool (h, w): tissue, a mask of the whole slide at any scale.
    stride : int, "patch", "dense" or None
        px of the model between patches. "dense" is a value every 16 px from one look
        at a large picture; by default that, or "patch" for models that cannot.
    anchor : tuple of float, optional
        (y, x) of a corner of a cell, level-0 px, so that another region of interest has
        the same cells; by default the corner of the tissue's bounding box, and the
        slide's own for dense scanning.
    stain : StainMatch, optional
        Match to the model's stain.
    flips : bool, optional
        Average over the mirror images of each patch too.
    spacing_tolerance : float, optional
        Read a level as it is if its µm/px is within this share of the model's.

    Returns
    -------
    Plan
        Keeps no patch if there is no tissue.

    Raises
    ------
    SpacingError
        The slide's µm/px is unknown or absurd.
    OptionError
        The stride lies outside 1..patch.
    """
    patch_px, dense = bundle.patch_size_pixels, dense_scan_of(bundle, stride)
    if stride == "dense" and dense is None:
        raise OptionError(
            f"stride is 'dense' and the model {bundle.name} judges whole patches only; "
            "use patch or a number of px"
        )
    stride_px = stride if isinstance(stride, int) else patch_px
    if dense is not None:
        stride_px = CELL_PX
    if not 1 <= stride_px <= patch_px:
        raise OptionError(
            f"stride is {stride_px} px; use 1 to {patch_px}, the model's patch"
        )
    spacing = spacing_of(slide, bundle, spacing_tolerance)
    # Level-0 px per px of the pictures, never rounded.
    y, x = (
        wanted / own
        for wanted, own in zip(pair_of(spacing), slide.require_mpp(), strict=True)
    )
    step = (stride_px * y, stride_px * x)
    mask_step = (slide.shape[0] / roi.shape[0], slide.shape[1] / roi.shape[1])
    if anchor is None and dense is None:
        anchor = tissue_grid(roi, mask_step=mask_step, stride=step).origin
        if spacing != bundle.spacing_um_px:  # at a whole px of the level
            anchor = (round(anchor[0] / y) * y, round(anchor[1] / x) * x)
    patches = weigh_patches(
        roi,
        mask_step=mask_step,
        patch=(patch_px * y, patch_px * x),
        grid=slide_grid(slide.shape, stride=step, anchor=anchor or (0.0, 0.0)),
        keep=KEEP,
    )
    return Plan(patches, stride_px, patch_px, spacing, stain, flips, dense)
