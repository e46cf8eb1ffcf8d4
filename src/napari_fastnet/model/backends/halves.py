"""A device that is short of memory: what it cannot do at once, it does in halves."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from napari_fastnet.core.dense import CELL_PX, SPOILT_CELLS, feature_cells
from napari_fastnet.errors import DetectionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

Kind = TypeVar("Kind", np.uint8, np.float32)

#: What torch says of memory where it has no error of its own for that: MPS, cuBLAS, CPU.
_SAYINGS = ("out of memory", "alloc_failed", "not enough memory", "allocate memory")


class DeviceFullError(DetectionError):
    """The device has not enough memory for what it was given."""


def is_memory(error: BaseException) -> bool:
    """Return whether a library's error says that memory ran out."""
    said = str(error).lower()
    return any(saying in said for saying in _SAYINGS)


class InHalves:
    """Runs a network on as much at once as the device's memory allows.

    What was too large once is not tried again until `forget`.

    Parameters
    ----------
    give_back : callable
        Frees what an attempt that failed took.
    """

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back = give_back
        self._too_large: float = inf

    def forget(self) -> None:
        """Try everything again: others may have freed memory."""
        self._too_large = inf

    def patches(self, run: Run, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Judge patches at once, or half of them at a time as often as it takes.

        Parameters
        ----------
        run : callable
            Maps uint8 (n, H, W, 3) to float32 (n,); raises `DeviceFullError`.
        patches : (N, H, W, 3) uint8 ndarray
            At least one.

        Returns
        -------
        (N,) float32 ndarray
            As ``run`` gives it.

        Raises
        ------
        DeviceFullError
            Not even one patch fits.
        """
        found = self._attempt(run, patches, final=len(patches) == 1)
        if found is not None:
            return found
        halves = np.array_split(patches, 2)
        return np.concatenate([self.patches(run, half) for half in halves])

    def picture(self, run: Run, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Judge a picture's cells at once, or half of them at a time.

        The halves overlap by what the zeros around a picture reach (see `core.dense`),
        so that the cells are those of the whole picture.

        Parameters
        ----------
        run : callable
            Maps uint8 (1, H, W, 3) to float32 (1, h, w); raises `DeviceFullError`.
        picture : (1, H, W, 3) uint8 ndarray
            At least 31 px a side.

        Returns
        -------
        (1, h, w) float32 ndarray
            As ``run`` gives it, except for rounding.

        Raises
        ------
        DeviceFullError
            Not even a picture fits whose halves would be hardly smaller.
        """
        axis = 1 if picture.shape[1] >= picture.shape[2] else 2
        at = feature_cells(picture.shape[axis]) // 2
        found = self._attempt(run, picture, final=at <= 2 * SPOILT_CELLS)
        if found is not None:
            return found
        end_px = CELL_PX * (at + SPOILT_CELLS) + CELL_PX - 1
        begin_px = CELL_PX * (at - SPOILT_CELLS)
        first = self.picture(run, _cut(picture, axis, slice(None, end_px)))
        second = self.picture(run, _cut(picture, axis, slice(begin_px, None)))
        return np.concatenate(
            [
                _cut(first, axis, slice(None, at)),
                _cut(second, axis, slice(SPOILT_CELLS, None)),
            ],
            axis,
        )

    def _attempt(
        self, run: Run, pixels: NDArray[np.uint8], *, final: bool
    ) -> NDArray[np.float32] | None:
        """Return what a run gives, None where it needs too much memory.

        A final attempt is made in any case, and its error raised.
        """
        if pixels.size >= self._too_large and not final:
            return None
        try:
            return run(pixels)
        except DeviceFullError:
            if final:
                raise
        # Out of the handler: the error's frames hold what the attempt took.
        self._too_large = pixels.size
        self._give_back()
        return None


def _cut(array: NDArray[Kind], axis: int, part: slice) -> NDArray[Kind]:
    key = [slice(None)] * array.ndim
    key[axis] = part
    return np.ascontiguousarray(array[tuple(key)])
