"""Which patches of a slide a model is to see, laid out before any is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from napari_fastnet.core.dense import CELL_PX, DenseScan
from napari_fastnet.core.geometry import Box
from napari_fastnet.core.grid import PatchGrid, slide_grid, tissue_grid, weigh_patches
from napari_fastnet.errors import OptionError
from napari_fastnet.model.backends.backend import DENSE_BLOCK_CELLS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_fastnet.core.appearance.stain import StainMatch
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.slide.slide import Slide

#: A block is about so wide, in px of the model: big enough to decode most file tiles
#: once, small enough that a few of them in memory do not matter.
BLOCK_PX = 1024
#: and no more cells than this a side, so that a block stays less than half a second's
#: work: the order of what is left changes between blocks. 32 cost 4 % less.
BLOCK_CELLS = 16
#: What is laid over all cells takes more of a large slide; smaller blocks, from so many
#: cells on, make up for it: 64 take 140 MB less than 96, and 7 % more time.
SMALLER_BLOCKS = {500_000: 80, 1_000_000: 64}
#: Sides of dense pictures are multiples of this: 4 % more cells, half as many sizes.
SIZE_CELLS = 16
SMALLEST_PICTURE_CELLS = 8
#: What a run takes besides the network's pictures, MB: libraries, tiles, overview.
BASE_MB = 300
# And for each cell of the slide, bytes: its part of masks, weights and probabilities.
_CELL_BYTES = 60
# Of each px of a picture, in the network's first and largest maps, bytes.
_PX_BYTES = 128
#: A patch is looked at when at least this share of it is tissue (Eq. 4).
KEEP = 0.5

#: px of the model from patch to patch; None is the model's own.
Stride = int | Literal["patch", "dense"] | None


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
    dense : DenseScan or None
        Look at large pictures instead of patches, and read the patches' values off
        their feature maps; None looks at each patch.
    picture_cells : int
        Side in cells that no picture may pass, for the sake of memory.
    fill : (rows, columns) bool ndarray or None
        Of the whole slide, what was never scanned: the model sees white there. None
        where there is none.
    """

    patches: PatchGrid
    stride_px: int
    patch_px: int
    spacing: float
    keep: float
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
        """Cells that a picture costs more than it gives, along an axis.

        A block of patches is read as one picture: only the patches cost.
        """
        return self.block_cells if self.dense is None else self.dense.overhead

    def within(self, memory_mb: int | None) -> Plan:
        """Return the plan with pictures so small that memory is enough.

        Smaller pictures take longer and give the same map, in the same store.

        Parameters
        ----------
        memory_mb : int or None
            MB that the process may take; None is no limit.

        Returns
        -------
        Plan
            The same where it is no dense scan.

        Raises
        ------
        OptionError
            No picture is small enough.
        """
        if self.dense is None or memory_mb is None:
            return self
        base_mb = BASE_MB + _CELL_BYTES * self.patches.kept.size / 1e6
        smallest_mb = base_mb + _picture_mb(SMALLEST_PICTURE_CELLS, self.dense)
        if memory_mb < smallest_mb:
            raise OptionError(
                f"memory is {memory_mb} MB; this slide needs at least "
                f"{smallest_mb:.0f} MB"
            )
        cells = DENSE_BLOCK_CELLS
        while base_mb + _picture_mb(cells, self.dense) > memory_mb:
            cells -= 1
        return replace(self, picture_cells=cells)

    def picture_shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Return how many cells a picture shows, of which so many are asked for.

        A dense scan's pictures have few sizes: a library that meets a new one gets
        ready for it first, and keeps what it needs for that (OpenVINO 4 MB each).

        Parameters
        ----------
        shape : tuple of int
            Rows and columns that are wanted, at most ``picture_cells``.
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
        """Side that no picture of a dense scan passes, px of the model."""
        assert self.dense is not None
        cells = min(self.block_cells, self.picture_cells)
        return self.dense.picture_px(max(self.picture_shape((cells, cells))))

    def picture_box(self, first: tuple[int, ...], shape: tuple[int, ...]) -> Box:
        """Return the part of the slide that shows some cells' patches.

        Parameters
        ----------
        first, shape : tuple of int
            First cell (row, column), and how many rows and columns.

        Returns
        -------
        Box
            Level-0 px; may leave the slide.
        """
        (row, column), (rows, columns) = first, shape
        if self.dense is not None:
            grid = self.patches.grid
            return self.dense.picture_box(grid, (row, column), (rows, columns))
        begin = self.patches.patch_box(row, column)
        end = self.patches.patch_box(row + rows - 1, column + columns - 1)
        return Box(begin.top, begin.left, end.bottom, end.right)

    def seen_box(self, row: int, column: int) -> Box:
        """Return the part of the slide on which one cell's value depends."""
        if self.dense is not None:
            return self.picture_box((row, column), (1, 1))
        return self.patches.patch_box(row, column)


def dense_block_cells(cells: int) -> int:
    """Return the side in cells of a dense scan's blocks, on a slide of so many cells."""
    smaller = [side for least, side in SMALLER_BLOCKS.items() if cells >= least]
    return min([DENSE_BLOCK_CELLS, *smaller])


def dense_cells(slide: Slide, bundle: ModelBundle) -> int:
    """Return how many cells a slide has to a dense scan; its µm/px must be known."""
    y, x = (CELL_PX * bundle.spacing_um_px / own for own in slide.require_mpp())
    rows, columns = slide_grid(slide.shape, stride=(y, x)).shape
    return rows * columns


def dense_scan_of(bundle: ModelBundle, stride: Stride) -> DenseScan | None:
    """Return how a model scans densely; None where it is not asked to, or cannot."""
    return bundle.dense_scan if stride in ("dense", None) else None


def make_plan(
    slide: Slide,
    bundle: ModelBundle,
    roi: NDArray[np.bool_],
    *,
    stride: Stride = None,
    anchor: Pair | None = None,
    stain: StainMatch | None = None,
    flips: bool = False,
) -> Plan:
    """Lay the patch grid of Eqs. 1-4 over a slide.

    The cells cover the whole slide; where they begin is what Eqs. 1 and 2 say, the
    corner of the tissue's bounding box.

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
        Look at the mirror images of each patch too.

    Returns
    -------
    Plan
        That keeps nothing where there is no tissue.

    Raises
    ------
    SpacingError
        The slide's µm/px is unknown or absurd.
    OptionError
        The stride lies outside 1..patch.
    """
    patch_px = bundle.patch_size_pixels
    dense = dense_scan_of(bundle, stride)
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
    # Level-0 px a model px, never rounded.
    scale = tuple(bundle.spacing_um_px / own for own in slide.require_mpp())
    mask_step = tuple(
        whole / part for whole, part in zip(slide.shape, roi.shape, strict=True)
    )
    patch = _pair(tuple(patch_px * s for s in scale))
    stride_0 = _pair(tuple(stride_px * s for s in scale))
    if anchor is None and dense is None:
        anchor = tissue_grid(roi, mask_step=_pair(mask_step), stride=stride_0).origin
    grid = slide_grid(slide.shape, stride=stride_0, anchor=anchor or (0.0, 0.0))
    patches = weigh_patches(
        roi, mask_step=_pair(mask_step), patch=patch, grid=grid, keep=KEEP
    )
    spacing = bundle.spacing_um_px
    return Plan(patches, stride_px, patch_px, spacing, KEEP, stain, flips, dense)


def _picture_mb(cells: int, dense: DenseScan) -> float:
    return float(_PX_BYTES * dense.picture_px(cells) ** 2 / 1e6)


def _pair(values: tuple[float, ...]) -> Pair:
    y, x = values
    return y, x
