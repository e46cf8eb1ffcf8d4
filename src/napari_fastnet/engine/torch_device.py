"""Where torch computes: a CPU, or a GPU and the one thread that talks to it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, ClassVar, TypeVar

import torch

from napari_fastnet.engine.inference import GPU_PART_PX, PART_PX, predict_in_parts
from napari_fastnet.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")


class Device:
    """Where torch computes, and in which thread.

    cuDNN makes a plan for each convolution whenever a GPU meets a new shape, and keeps it
    for the thread at hand: 2 seconds for FastNet on an H100, of which a slide takes some
    hundredths. So a GPU has one thread for good, and gets parts of few shapes.

    Parameters
    ----------
    name : str, optional
        As torch names it; by default the fastest that is there.

    Raises
    ------
    OptionError
        It is not there.
    """

    _threads: ClassVar[dict[str, ThreadPoolExecutor]] = {}

    def __init__(self, name: str | None) -> None:
        self.name = name or fastest_device()
        self.torch = device_of(self.name)

    @property
    def is_gpu(self) -> bool:
        """Whether it is none of the CPU's cores."""
        return self.torch.type != "cpu"

    @property
    def part_px(self) -> int:
        """About how many px of patches it gets at once."""
        return GPU_PART_PX if self.is_gpu else PART_PX

    def run(self, call: Callable[[], T]) -> T:
        """Return what a call gives; what it raises is raised here."""
        if not self.is_gpu:
            return call()
        thread = ThreadPoolExecutor(1, f"fastnet-{self.name}")  # begun when it is used
        return self._threads.setdefault(self.name, thread).submit(call).result()

    def predict_in_parts(
        self,
        run: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
        patches: NDArray[np.uint8],
        model: str,
    ) -> NDArray[np.float32]:
        """Return what `engine.inference.predict_in_parts` does, in parts for this device.

        Parameters
        ----------
        run : callable
            Maps a part, uint8 (n, H, W, 3), to float32 (n,).
        patches, model
            As there.
        """
        return predict_in_parts(
            partial(map, run), patches, self.part_px, model, filled_up=self.is_gpu
        )

    def give_back(self) -> None:
        """Give back the memory that torch keeps for what comes next."""
        if self.torch.type == "cuda":
            torch.cuda.empty_cache()
        elif self.torch.type == "mps":
            torch.mps.empty_cache()


def fastest_device() -> str:
    """Return the fastest device that torch sees here: "cuda", "mps" or "cpu"."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def device_of(device: str) -> torch.device:
    """Return torch's device of a name, if it is there."""
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise OptionError(
            f"device is {device!r}; use cpu, cuda, cuda:1 or mps"
        ) from error
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available()
        and (found.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(found.type, False):
        raise OptionError(
            f"device {device!r} is not there: torch {torch.__version__} sees "
            f"{', '.join(_devices())}; use one of those or install the torch "
            "build for your GPU"
        )
    return found


def _devices() -> list[str]:
    """Return the names of the devices that torch sees."""
    gpus = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return ["cpu", *gpus, *(["mps"] if torch.backends.mps.is_available() else [])]
