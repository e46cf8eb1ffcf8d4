"""Features of cells and patches: a network's last feature map, averaged as its head sees it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from napari_fastnet.core.dense import SPOILT_CELLS
from napari_fastnet.detection.blocks import BlockReader
from napari_fastnet.detection.slide_checks import require_present, require_unchanged
from napari_fastnet.nn.classifier import PatchClassifier
from napari_fastnet.nn.network import TUMOR
from napari_fastnet.store.store import Block
from napari_fastnet.training.adapt.head import Head, LabelledFeatures
from napari_fastnet.training.adapt.home import home_patches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_fastnet.core.arrays import Bytes, Floats, Singles
    from napari_fastnet.core.geometry import Box
    from napari_fastnet.core.metrics.calibration import Calibration
    from napari_fastnet.detection.plan import Plan
    from napari_fastnet.nn.classifier import Triple
    from napari_fastnet.nn.fastnet import FastNet
    from napari_fastnet.slide.slide import Slide

#: Side of a block of features in cells: half a second on two cores.
BLOCK_CELLS = 32
#: Blocks that are kept: 2 million cells, 134 MB.
MOST_BLOCKS = 2048
# Patches at a time.
_BATCH = 28


def head_of(network: FastNet, calibration: Calibration) -> Head:
    """Return a network's head, with which features give calibrated log odds."""
    weight, bias = (
        tensor.detach().cpu().double().numpy()
        for tensor in (network.classify.weight, network.classify.bias)
    )
    difference = weight[TUMOR] - weight[1 - TUMOR]
    offset = float(bias[TUMOR] - bias[1 - TUMOR])
    scale = calibration.scale
    return Head(scale * difference, scale * offset + calibration.offset)


def with_head(network: FastNet, head: Head, calibration: Calibration) -> FastNet:
    """Return a copy of a network that has another head.

    Calibrated in the same way, it gives the head's log odds.
    """
    changed = copy.deepcopy(network)
    old, scale = head_of(network, calibration), calibration.scale
    half = torch.from_numpy(head.weights - old.weights) / (2 * scale)
    half_offset = (head.offset - old.offset) / (2 * scale)
    with torch.no_grad():
        # both logits move alike, in opposite directions
        for row, sign in ((TUMOR, 1), (1 - TUMOR, -1)):
            changed.classify.weight[row] += sign * half
            changed.classify.bias[row] += sign * half_offset
    return changed.eval()


def patch_features(
    network: FastNet, normalisation: tuple[Triple, Triple], patches: Bytes
) -> Singles:
    """Compute the features, (n, k), of patches, (n, side, side, 3)."""
    classifier = PatchClassifier(network, normalisation=normalisation)
    with torch.inference_mode():
        found = [
            network.pool(classifier.feature_map(part))
            for part in torch.tensor(patches).split(_BATCH)
        ]
        values: Singles = torch.cat(found).numpy()
    return values


def home_features(
    network: FastNet, normalisation: tuple[Triple, Triple]
) -> LabelledFeatures:
    """Compute the features of the patches of home to mix in: some seconds."""
    home = home_patches("mixing")
    return LabelledFeatures(
        patch_features(network, normalisation, home.images), home.tumor
    )


class SlideFeatures:
    """Features of a slide's cells, computed where they are asked for, and kept.

    Parameters
    ----------
    slide : Slide
        Open; stays open.
    plan : Plan
        Of a dense scan: its cells, its stain match. Mirror images are not averaged.
    network : FastNet
        In evaluation mode.
    normalisation : tuple of tuples
        Mean and standard deviation of each channel in 0..1.
    """

    def __init__(
        self,
        slide: Slide,
        plan: Plan,
        network: FastNet,
        normalisation: tuple[Triple, Triple],
    ) -> None:
        assert plan.dense is not None
        self._dense, self._grid = plan.dense, plan.patches.grid
        self._reader = BlockReader(slide, plan, plan.patches.kept)
        self._classifier = PatchClassifier(network, normalisation=normalisation)
        self._size = network.classify.in_features
        self._kept: dict[Block, NDArray[np.float16]] = {}

    def blocks_in(self, box: Box) -> list[Block]:
        """Return the blocks that meet a box, the nearest to its centre first."""
        grid = self._grid
        low, high = (
            (np.array(corner) - grid.origin) / grid.step
            for corner in ((box.top, box.left), (box.bottom, box.right))
        )
        first = np.maximum(np.floor(low / BLOCK_CELLS), 0).astype(int)
        last = -(-np.array(grid.shape) // BLOCK_CELLS)
        end = np.minimum(np.ceil(high / BLOCK_CELLS), last).astype(int)
        middle = (low + high) / 2
        blocks = [
            self._block(row, column)
            for row in range(first[0], end[0])
            for column in range(first[1], end[1])
        ]
        return sorted(
            blocks,
            key=lambda block: float(
                np.hypot(*(np.array([block.first, block.end]).mean(axis=0) - middle))
            ),
        )

    def blocks_at(self, points: Floats) -> list[Block]:
        """Return the blocks that hold points, (n, 2), (y, x) of level-0 px."""
        cells, inside = self._cells(points)
        held = np.unique(cells[inside] // BLOCK_CELLS, axis=0)
        return [self._block(int(row), int(column)) for row, column in held]

    def compute(
        self, blocks: Iterable[Block], stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[Block]:
        """Compute the features of blocks that are not kept yet; yield each that is there.

        Parameters
        ----------
        blocks : iterable of Block
            In the order of computing.
        stopped : callable, optional
            Asked before each block; once it returns True, nothing more is yielded.

        Yields
        ------
        Block
            Its features are kept: see `of`.

        Raises
        ------
        SlideNotFoundError
            The slide's file vanished or changed.
        DriveError
            The slide's drive fails.
        """
        for block in blocks:
            if stopped():
                return
            if block not in self._kept:
                found = self._computed(block)
                while len(self._kept) >= MOST_BLOCKS:  # the oldest goes first
                    self._kept.pop(next(iter(self._kept)))
                self._kept[block] = found
            yield block

    def of(self, block: Block) -> NDArray[np.float16]:
        """Return the features, (rows, columns, k), of a block that was computed.

        NaN where a cell is not scanned or cannot be read.
        """
        return self._kept[block]

    def at(self, points: Floats) -> Singles:
        """Return the features, (n, k), of the cells that hold points.

        NaN outside the slide and where none are kept.
        """
        found = np.full((len(points), self._size), np.nan, np.float32)
        cells, inside = self._cells(points)
        held, within = np.divmod(cells, BLOCK_CELLS)
        for row, column in np.unique(held[inside], axis=0):
            kept = self._kept.get(self._block(int(row), int(column)))
            if kept is not None:
                here = inside & (held == (row, column)).all(axis=1)
                found[here] = kept[tuple(within[here].T)]
        return found

    def _cells(self, points: Floats) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return the (row, column) of points, and whether it is in the grid."""
        cells = np.floor((points - self._grid.origin) / self._grid.step).astype(np.intp)
        inside = np.all((cells >= 0) & (cells < self._grid.shape), axis=1)
        return cells, np.asarray(inside)

    def _block(self, row: int, column: int) -> Block:
        rows, columns = self._grid.shape
        top, left = row * BLOCK_CELLS, column * BLOCK_CELLS
        bottom, right = min(top + BLOCK_CELLS, rows), min(left + BLOCK_CELLS, columns)
        return Block((top, left), (bottom, right))

    def _computed(self, block: Block) -> NDArray[np.float16]:
        pixels = self._reader.read(block)
        require_unchanged(self._reader.slide)
        if pixels.unreadable.any():
            require_present(self._reader.slide)
        shape = (*pixels.wanted.shape, self._size)
        found = np.full(shape, np.nan, np.float16)
        wanted = pixels.wanted & ~pixels.unreadable
        for part in pixels.parts:
            here = wanted[part.slices]
            rows, columns = here.shape
            values = self._features(torch.tensor(part.pixels))
            found[part.slices][here] = values[:rows, :columns][here]
        return found

    def _features(self, picture: Tensor) -> Singles:
        """Return the features of a picture's patches, (rows, columns, k)."""
        rim = slice(SPOILT_CELLS, -SPOILT_CELLS)
        with torch.inference_mode():
            cells = self._classifier.feature_map(picture[None])[..., rim, rim]
            mean = functional.avg_pool2d(cells, self._dense.window, stride=1)
        values: Singles = mean[0].permute(1, 2, 0).numpy()
        return values
