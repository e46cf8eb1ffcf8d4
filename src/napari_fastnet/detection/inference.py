"""Inference of blocks: from the pixels that were read to probabilities."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.dense import STEM_CELLS, STEM_VALUES
from napari_fastnet.detection.blocks import BlockReader, paste
from napari_fastnet.model.backends.backend import STEM_SHAPE, filled
from napari_fastnet.store.store import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_fastnet.core.dense import DenseScan
    from napari_fastnet.detection.blocks import BlockPixels, Part, StemTiles, Tile
    from napari_fastnet.detection.plan import Plan
    from napari_fastnet.model.backends.backend import Backend
    from napari_fastnet.slide.slide import Slide

#: Patches between two looks at the stop signal: two of the back ends' parts.
BATCH = 56
#: Tiles that go through the stem together.
AT_ONCE = STEM_SHAPE[0]
#: Tiles of the stem that are kept for the next blocks, 64 kB each.
MOST_TILES = 300

_NO_PIXELS = np.empty((0, 0, 3), np.uint8)


class BlockWork(BlockReader):
    """Reading and inference of one run, and the time that each took.

    Parameters
    ----------
    slide, plan, backend, should_stop
        As for `detection.compute.detect`.
    missing : (rows, columns) bool ndarray
        The cells of the run's grid to compute.

    Attributes
    ----------
    read_seconds, infer_seconds : float
        Time that each took.
    given_px : int
        px that the network was given, mirror images included.
    """

    def __init__(
        self,
        slide: Slide,
        plan: Plan,
        backend: Backend,
        missing: NDArray[np.bool_],
        should_stop: Callable[[], bool],
    ) -> None:
        super().__init__(slide, plan, missing)
        self.backend, self.should_stop = backend, should_stop
        self.infer_seconds, self.given_px = 0.0, 0
        self._shared = None
        if plan.dense is not None and backend.has_stem and not plan.flips:
            self._shared = SharedStem(backend, plan.dense, plan.picture_shape)

    def prepare(self, block: BlockPixels) -> BlockPixels:
        """Put the maps behind the stem in the place of the pixels, if the network can.

        So it is computed by the threads that read, while the rest of another block is inferred.
        """
        shared, stem = self._shared, block.stem
        if shared is None or stem is None:
            return block
        began = perf_counter()
        with shared.lock:  # the next block may want the same tiles
            groups = shared.missing(stem)
            found = list(self.backend.stem(_batch(stem, group) for group in groups))
            maps = shared.with_new(stem, groups, found)
        self.given_px += len(groups) * prod(STEM_SHAPE[:3])
        self.infer_seconds += perf_counter() - began
        parts = tuple(replace(part, pixels=_NO_PIXELS) for part in block.parts)
        return replace(block, parts=parts, stem=None, maps=maps)

    def infer(self, block: BlockPixels) -> NDArray[np.float32] | None:
        """Return the values of a block, or None if the run was stopped."""
        began = perf_counter()
        values = np.full(block.wanted.shape, np.nan, np.float32)
        wanted = block.wanted & ~block.unreadable
        if self.plan.dense is None:
            finished = all(
                self._infer_patches(
                    part.pixels, wanted[part.slices], values[part.slices]
                )
                for part in block.parts
            )
        else:
            finished = self._infer_pictures(self.plan.dense, block, wanted, values)
        values[block.unreadable] = UNREADABLE
        self.infer_seconds += perf_counter() - began
        return values if finished else None

    def _infer_pictures(
        self,
        dense: DenseScan,
        block: BlockPixels,
        wanted: NDArray[np.bool_],
        values: NDArray[np.float32],
    ) -> bool:
        """Put the values of a block in place; return False if stopped."""
        pictures: Iterable[NDArray[np.float32] | None]
        if self._shared is not None and block.maps is not None:
            if self.should_stop():
                return False
            pictures = self._shared.probabilities(block, block.maps)
        else:
            pictures = (self._whole(part) for part in block.parts)
        for part, found in zip(block.parts, pictures, strict=True):
            if found is None:
                return False
            here = wanted[part.slices]
            rows, columns = here.shape
            values[part.slices][here] = found[:rows, :columns][here]
        return True

    def _whole(self, part: Part) -> NDArray[np.float32] | None:
        """Return the values of a picture that goes through the network at once."""
        plan = self.plan
        assert plan.dense is not None
        if self.should_stop():
            return None
        # px beyond the picture are black: cells beyond the wanted ones are not used
        shape = plan.picture_shape(part.shape)
        sides = tuple(map(plan.dense.picture_px, shape))
        if self.backend.one_shape:
            sides = (plan.largest_picture_px,) * 2
        pixels = filled(part.pixels, sides)
        self.given_px += pixels[..., 0].size * (4 if plan.flips else 1)
        return self.backend.predict_densely(pixels, plan.dense, plan.flips)

    def _infer_patches(
        self,
        pixels: NDArray[np.uint8],
        wanted: NDArray[np.bool_],
        values: NDArray[np.float32],
    ) -> bool:
        """Put the values of a picture's patches in place; return False if stopped."""
        side = self.plan.patch_px
        cells = np.argwhere(wanted)
        for start in range(0, len(cells), BATCH):
            if self.should_stop():
                return False
            batch = cells[start : start + BATCH]
            patches = np.empty((len(batch), side, side, 3), np.uint8)
            for patch, (row, column) in zip(
                patches, batch * self.plan.stride_px, strict=True
            ):
                patch[:] = pixels[row : row + side, column : column + side]
            values[tuple(batch.T)] = self.backend.predict(patches, self.plan.flips)
            self.given_px += patches[..., 0].size * (4 if self.plan.flips else 1)
        return True


class SharedStem:
    """A network whose pictures share their stem: half of its time.

    Pictures overlap by 14 cells, and a rectangle around ragged tissue shows glass. The stem
    is computed in tiles, once for each on which a wanted value depends.

    Parameters
    ----------
    backend : Backend
        Has a stem.
    dense : DenseScan
        The place of a patch in the feature map.
    rounded : callable
        Rounds the (rows, columns) of a picture up to one of few.
    """

    def __init__(
        self,
        backend: Backend,
        dense: DenseScan,
        rounded: Callable[[tuple[int, int]], tuple[int, int]],
    ) -> None:
        self._backend, self._dense, self._rounded = backend, dense, rounded
        self._maps: dict[Tile, NDArray[np.float32]] = {}
        self.lock = Lock()  # for `missing` and `with_new` together
        # For joined maps: to fetch some MB from the system takes longer than to fill them.
        self._room = np.empty(0, np.float32)

    def missing(self, stem: StemTiles) -> list[list[Tile]]:
        """Return the tiles that are to be computed, in groups of as many as go at once."""
        new = [tile for tile in stem.tiles if tile not in self._maps]
        return [new[at : at + AT_ONCE] for at in range(0, len(new), AT_ONCE)]

    def with_new(
        self,
        stem: StemTiles,
        groups: Sequence[Sequence[Tile]],
        found: Sequence[NDArray[np.float32]],
    ) -> dict[Tile, NDArray[np.float32]]:
        """Return the maps of all tiles of a stem, and keep them for other blocks."""
        new = dict(
            pair
            for group, maps in zip(groups, found, strict=True)
            for pair in zip(group, maps, strict=False)
        )
        old = {tile: self._maps.pop(tile) for tile in stem.tiles if tile in self._maps}
        self._maps.update(old)  # last, and so the last to be dropped
        if not stem.damaged:
            # another block may read what this one could not, and must not be given white
            self._maps.update(new)
        while len(self._maps) > MOST_TILES:
            self._maps.pop(next(iter(self._maps)))  # the oldest
        return old | new

    def probabilities(
        self, block: BlockPixels, maps: Mapping[Tile, NDArray[np.float32]]
    ) -> list[NDArray[np.float32]]:
        """Return the values of each part of a block, and of some cells beyond it."""
        found = self._backend.behind_stem(
            self._joined(block, part, maps) for part in block.parts
        )
        return [self._dense.probabilities(margins) for margins in found]

    def _joined(
        self, block: BlockPixels, part: Part, maps: Mapping[Tile, NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """Join the maps of the tiles that a part's picture shows, (1, channels, h, w).

        Zero beside them, where no wanted value reaches.
        """
        rows, columns = (
            STEM_VALUES * (side + self._dense.overhead) + STEM_VALUES - 1
            for side in self._rounded(part.shape)
        )
        channels = len(next(iter(maps.values())))
        shape = self._backend.roomy((rows, columns))
        count = channels * prod(shape)
        if self._room.size < count:
            self._room = np.empty(count, np.float32)
        joined = self._room[:count].reshape(1, channels, *shape)
        joined[:] = 0
        first = [
            begin + side.start
            for begin, side in zip(block.block.first, part.slices, strict=True)
        ]
        for tile, values in maps.items():
            at = [
                STEM_VALUES * (index * side - begin)
                for index, side, begin in zip(tile, STEM_CELLS, first, strict=True)
            ]
            # the channels stand in front
            paste(values.transpose(1, 2, 0), joined[0].transpose(1, 2, 0), at)
        return joined


def _batch(stem: StemTiles, tiles: Sequence[Tile]) -> NDArray[np.uint8]:
    """Return the px of a few tiles in one array, black where there are too few."""
    batch = np.zeros(STEM_SHAPE, np.uint8)
    for place, tile in zip(batch, tiles, strict=False):
        place[:] = stem.of(tile)
    return batch
