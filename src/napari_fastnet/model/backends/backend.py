"""Base class of the back ends, which run a network on patches and pictures.

A subclass implements `Backend._infer`. The base class checks the pixels, splits them into
parts, mirrors them, halves them if memory is short, and verifies the results.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import inf, prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from napari_fastnet.core.dense import (
    CELL_PX,
    SPOILT_CELLS,
    STEM_CELLS,
    STEM_RIM_PX,
    feature_cells,
)
from napari_fastnet.errors import DataError, DetectionError
from napari_fastnet.model.description import MINIMUM_PATCH_PX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from napari_fastnet.core.dense import DenseScan
    from napari_fastnet.model.bundle import ModelBundle

#: Outputs of a network: the probability of tumor of each patch, the log odds of each
#: cell of a picture's feature map (both are names in the ONNX graph), and the numbers
#: that a TorchScript program gives for each patch, one for each class.
Output = Literal["probability", "cell_margins", "scores"]

#: Side of a block of a dense scan, cells. Each block pays for its edges: with 96 cells
#: it costs 1.3 times as much as its cells alone.
DENSE_BLOCK_CELLS = 96
#: px of the patches that a CPU gets at a time (28 of 96 px, 4 of 256 px): their first
#: feature map takes 70 MB, and on two cores smaller parts were up to a tenth faster than
#: 64 patches at once.
PART_PX = 2**18
#: Shape of the tiles that go through a stem at a time. Two such tiles take 2 MB in its
#: largest map; four are 4 % faster, and the last ones of a block are oftener black.
STEM_SHAPE = (2, *(CELL_PX * cells + STEM_RIM_PX for cells in STEM_CELLS), 3)
#: Values of a map, one every 4 px, that are computed for nothing rather than that the
#: library gets ready for another shape: 2,000 cells.
SPARE_VALUES = 32_000
#: Axes of (..., height, width, 3) along which a patch is mirrored.
FLIPS: tuple[tuple[int, ...], ...] = ((), (-3,), (-2,), (-3, -2))
# A probability may leave 0..1 by this much: bfloat16 has steps of 0.004 below 1.
_ROUNDING = 0.01


class Backend(ABC):
    """A network ready to run; threads may share it.

    Parameters
    ----------
    name : str
        Library and device, for the run's record.
    model : str
        Name and version of the model, for error messages.
    threads : int, optional
        Parts that are inferred at a time.

    Attributes
    ----------
    one_shape : bool
        Whether all pictures should have one shape, because each new one costs seconds.
    has_stem : bool
        Whether `stem` and `behind_stem` work.
    part_px : int
        px of the patches in a part; a part has one patch at least.
    errors : tuple of type
        Exceptions that the library raises.
    remedy : str
        Advice for the user if the library fails.
    """

    errors: ClassVar[tuple[type[Exception], ...]] = ()
    remedy = "use another back end"
    one_shape = False
    has_stem = False
    part_px = PART_PX

    def __init__(self, name: str, model: str, threads: int = 1) -> None:
        self.name, self.model, self.threads = name, model, threads
        self._shapes: set[tuple[int, int]] = set()  # of maps that `roomy` gave
        # Values in an array that memory did not suffice for.
        self._too_large: float = inf

    @abstractmethod
    def _infer(self, output: Output, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run the network once.

        Parameters
        ----------
        output : {"probability", "cell_margins", "scores"}
            See `Output`.
        pixels : (N, H, W, 3) uint8 ndarray
            RGB, contiguous; a picture has N = 1.

        Returns
        -------
        (N,) or (1, h, w) float32 ndarray
            Probabilities of tumor, or log odds of each cell.
        """

    def _is_full(self, error: Exception) -> bool:
        """Return whether a library's error says that memory ran out."""
        return False

    def release(self) -> None:
        """Give back the memory that computing took; the next call takes it again."""
        self._too_large = inf  # others may have freed memory

    def predict(
        self, patches: NDArray[np.uint8], flips: bool = False
    ) -> NDArray[np.float32]:
        """Compute the probability of tumor of each patch.

        Parameters
        ----------
        patches : (N, H, W, 3) uint8 ndarray
            RGB at the model's µm/px; N may be 0, H and W are at least 31.
        flips : bool, optional
            Average over the patch and its three mirror images, at four times the cost.
            Tissue has no up and no left, so the four differ by chance only.

        Returns
        -------
        (N,) float32 ndarray
            0..1, the same for a patch whatever the others are (within 1e-6).

        Raises
        ------
        DataError
            The array is of another kind.
        DetectionError
            The library failed, or a probability is not a number from 0 to 1.
        """
        _check_pixels(patches)
        count = len(patches)
        if flips:
            patches = np.concatenate([np.flip(patches, axes) for axes in FLIPS])
        parts = self._parts(patches)
        inferred = self._infer_parts(parts) if parts else []
        for values, part in zip(inferred, parts, strict=True):
            if values.shape != (len(part),):
                raise DetectionError(
                    f"the model {self.model} gives {len(part)} patches numbers of shape "
                    f"{values.shape}; one probability a patch is needed, ({len(part)},): "
                    "use another model"
                )
        found = np.concatenate([np.empty(0, np.float32), *inferred])[: len(patches)]
        self._check_numbers(found)
        lowest, highest = found.min(initial=0), found.max(initial=1)
        if lowest < -_ROUNDING or highest > 1 + _ROUNDING:
            raise DetectionError(
                f"the model {self.model} gives probabilities from {found.min():.3g} to "
                f"{found.max():.3g}; they must lie from 0 to 1: perhaps these are logits, "
                "use another model"
            )
        if not flips:
            return found
        mean: NDArray[np.float32] = found.reshape(len(FLIPS), count).mean(axis=0)
        return mean

    def predict_densely(
        self, picture: NDArray[np.uint8], scan: DenseScan, flips: bool = False
    ) -> NDArray[np.float32]:
        """Compute the probability of each patch of a picture from its feature map.

        Parameters
        ----------
        picture : (H, W, 3) uint8 ndarray
            RGB at the model's µm/px; with flips, of a side that `scan` gives.
        scan : DenseScan
            The place of a patch in the feature map.
        flips : bool, optional
            As for `predict`.

        Returns
        -------
        (rows, columns) float32 ndarray
            0..1, one value every 16 px.

        Raises
        ------
        DataError, DetectionError
            As for `predict`.
        """
        views = []
        for axes in FLIPS if flips else FLIPS[:1]:
            pixels = _as_batch(np.flip(picture, axes))
            cells = self._verified(self._infer_part("cell_margins", pixels))
            back = tuple(axis + 1 for axis in axes)  # the map has no channels
            views.append(np.flip(scan.probabilities(cells), back))
        mean: NDArray[np.float32] = np.stack(views).mean(axis=0, dtype=np.float32)
        return mean

    def cell_margins(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute the log odds of tumor of each cell of a picture's feature map.

        The mean over the cells of a patch is the patch's log odds.

        Parameters
        ----------
        picture : (H, W, 3) uint8 ndarray
            RGB at the model's µm/px; H and W are at least 31.

        Returns
        -------
        (h, w) float32 ndarray
            One cell every 16 px.

        Raises
        ------
        DataError, DetectionError
            As for `predict`.
        """
        return self._verified(self._infer_part("cell_margins", _as_batch(picture)))

    def stem(
        self, batches: Iterable[NDArray[np.uint8]]
    ) -> Iterator[NDArray[np.float32]]:
        """Compute the maps behind the network's stem, see `core.dense.STEM_CELLS`.

        Where pictures overlap, their stem can so be computed once. The same maps come from
        a tile as from a picture around it, bit for bit.

        Parameters
        ----------
        batches : iterable of (N, H, W, 3) uint8 ndarray
            RGB, all of `STEM_SHAPE`. They are taken and copied one by one, while those
            before are computed.

        Yields
        ------
        (N, channels, h, w) float32 ndarray
            The maps of each batch.

        Raises
        ------
        DetectionError
            The library failed.
        """
        raise NotImplementedError

    def behind_stem(
        self, maps: Iterable[NDArray[np.float32]]
    ) -> Iterator[NDArray[np.float32]]:
        """Compute the log odds of cells, as `cell_margins`, from the maps of pictures.

        Parameters
        ----------
        maps : iterable of (1, channels, h, w) float32 ndarray
            Of pictures of any size, taken and copied likewise.

        Yields
        ------
        (rows, columns) float32 ndarray
            One cell every 16 px.

        Raises
        ------
        DetectionError
            The library failed, or a value is no number.
        """
        raise NotImplementedError

    def roomy(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Return a shape for maps, from (h, w) on, that is ready or worth getting ready.

        A library gets ready for each new shape (OpenVINO: 20 ms of a core), which pays
        from so many values on.
        """
        ready = [
            (height, width)
            for height, width in self._shapes
            if height >= shape[0]
            and width >= shape[1]
            and height * width - shape[0] * shape[1] <= SPARE_VALUES
        ]
        found = min(ready, key=prod, default=shape)
        self._shapes.add(found)
        return found

    def _verified(self, found: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (h, w) float32 log odds, if they are those of one picture's cells."""
        if found.ndim != 3 or len(found) != 1:
            raise DetectionError(
                f"the model {self.model} gives a picture numbers of shape {found.shape}; "
                "log odds of (1, rows, columns) cells are needed: use --stride patch or "
                "another model"
            )
        self._check_numbers(found)
        margins: NDArray[np.float32] = found[0]
        return margins

    def warm_up(
        self, bundle: ModelBundle, *, dense: bool, block_cells: int = DENSE_BLOCK_CELLS
    ) -> None:
        """Run the network once on white, since libraries compile on the first call.

        Parameters
        ----------
        bundle : ModelBundle
            The model.
        dense : bool
            Whether pictures will follow, not patches.
        block_cells : int, optional
            Side of the pictures' blocks in cells; see `detection.plan`.

        Raises
        ------
        DetectionError
            The library failed.
        """
        side = bundle.patch_size_pixels
        if self.one_shape and dense and bundle.dense_scan is not None:
            side = bundle.dense_scan.picture_px(block_cells)
        white = np.full((1, side, side, 3), 255, np.uint8)
        if dense and self.has_stem:
            list(self.stem([np.full(STEM_SHAPE, 255, np.uint8)]))
            list(self.behind_stem([]))
        elif dense:
            self.cell_margins(white[0])
        else:
            self.predict(white)

    def _parts(self, patches: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
        """Split patches into contiguous parts, at least one for each thread.

        If each new shape is costly, black patches fill the last part up to a quarter,
        half or all of a part.
        """
        count, height, width, _ = patches.shape
        step = max(1, self.part_px // (height * width))
        if self.threads > 1:
            step = min(step, max(1, -(-count // self.threads)))
        parts = [
            np.ascontiguousarray(patches[first : first + step])
            for first in range(0, count, step)
        ]
        if self.one_shape and parts:
            sizes = (max(1, step // 4), max(1, step // 2), step)
            size = next(size for size in sizes if size >= len(parts[-1]))
            parts[-1] = filled(parts[-1], (size, height, width))
        return parts

    def _infer_parts(self, parts: list[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        """Return the probabilities of each part, computed by as many threads as asked."""
        infer = partial(self._infer_part, "probability")
        if self.threads == 1 or len(parts) == 1:
            return list(map(infer, parts))
        with ThreadPoolExecutor(self.threads, "fastnet-infer") as pool:
            return list(pool.map(infer, parts))

    def _infer_part(
        self, output: Output, pixels: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        """Run the network, on halves if memory is short for all.

        A size that was too large once is not tried again until `release`.
        """
        is_picture = output == "cell_margins"
        if is_picture:  # halves overlap: those of a small picture are hardly smaller
            can_halve = feature_cells(max(pixels.shape[1:3])) // 2 > 2 * SPOILT_CELLS
        else:
            can_halve = len(pixels) > 1
        if pixels.size < self._too_large or not can_halve:
            try:
                return np.asarray(self._infer(output, pixels))
            except self.errors as error:
                if not (can_halve and self._is_full(error)):
                    raise self._failure(error, pixels) from error
            too_large = pixels.size
            # Not in the handler: the error's frames hold the memory of the attempt.
            self.release()
            self._too_large = too_large
        if is_picture:
            return self._infer_picture_halves(pixels)
        halves = np.array_split(pixels, 2)
        return np.concatenate([self._infer_part(output, half) for half in halves])

    def _infer_picture_halves(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run the network on both halves of a picture, (1, H, W, 3).

        The halves overlap by the cells that the zeros around a picture reach (see
        `core.dense`), so the cells are those of the whole picture, except for rounding.
        """
        axis = 1 if picture.shape[1] >= picture.shape[2] else 2
        middle = feature_cells(picture.shape[axis]) // 2

        def cut(
            array: NDArray[Any], begin: int | None, end: int | None
        ) -> NDArray[Any]:
            key = (slice(None),) * axis + (slice(begin, end),)
            return np.ascontiguousarray(array[key])

        end_px = CELL_PX * (middle + SPOILT_CELLS) + CELL_PX - 1
        begin_px = CELL_PX * (middle - SPOILT_CELLS)
        first = self._infer_part("cell_margins", cut(picture, None, end_px))
        second = self._infer_part("cell_margins", cut(picture, begin_px, None))
        halves = [cut(first, None, middle), cut(second, SPOILT_CELLS, None)]
        return np.concatenate(halves, axis)

    def _failure(self, error: Exception, pixels: NDArray[np.uint8]) -> DetectionError:
        """Return a library's error as the user's, in one line."""
        count, height, width, _ = pixels.shape
        return DetectionError(
            f"{self.name} failed on {count} patches of {height} x {width} px "
            f"({self._said(error)}); {self.remedy}"
        )

    def _said(self, error: Exception) -> str:
        return one_line(error)

    def _check_numbers(self, found: NDArray[np.float32]) -> None:
        wrong = np.count_nonzero(~np.isfinite(found))
        if wrong:
            raise DetectionError(
                f"the model {self.model} gave {wrong} of {found.size} patches no number; "
                "its weights are damaged or were trained to divergence: use another model"
            )


def _as_batch(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture as a contiguous batch of one; DataError if it is none."""
    pixels = np.ascontiguousarray(picture[np.newaxis])
    _check_pixels(pixels)
    return pixels


def _check_pixels(pixels: NDArray[np.uint8]) -> None:
    shape = pixels.shape
    is_rgb = pixels.dtype == np.uint8 and pixels.ndim == 4 and shape[-1] == 3
    if not is_rgb or min(shape[1:3]) < MINIMUM_PATCH_PX:
        raise DataError(
            f"patches are {pixels.dtype} {shape}; give uint8 (N, H, W, 3) with H and W "
            f"at least {MINIMUM_PATCH_PX} px"
        )


def filled(pixels: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return pixels with black behind them along the first axes, up to a shape."""
    have = pixels.shape[: len(shape)]
    if have == shape:
        return pixels
    whole = np.zeros((*shape, *pixels.shape[len(shape) :]), np.uint8)
    whole[tuple(map(slice, have))] = pixels
    return whole


def one_line(error: BaseException) -> str:
    """Return an error's text as a single line of at most 200 characters."""
    return " ".join(str(error).split())[:200]
