"""Torch on a GPU or the CPU."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, ClassVar, TypeVar

import torch

from napari_fastnet.errors import DetectionError, OptionError
from napari_fastnet.model.backends.halves import DeviceFullError, InHalves, is_memory
from napari_fastnet.model.backends.parts import (
    GPU_PART_PX,
    PART_PX,
    margins_of,
    one_line,
    predict_in_parts,
)
from napari_fastnet.nn.checkpoint import load_weights
from napari_fastnet.nn.classifier import PatchClassifier

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from napari_fastnet.model.bundle import ModelBundle


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
        """Return what `model.backends.parts.predict_in_parts` does, in parts for this device.

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


class TorchBackend:
    """Torch on a GPU (CUDA, MPS) or the CPU, in single precision.

    What is too large for the device's memory is judged in halves.

    Parameters
    ----------
    bundle : ModelBundle
        The model.
    device : str, optional
        As torch names it; by default the fastest that is there.
    threads : int, optional
        As for `create_backend`; torch has one setting for the whole process.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        device: str | None = None,
        threads: int | None = None,
    ) -> None:
        self._device = Device(device)
        self.one_shape = self._device.is_gpu
        if threads is not None:
            torch.set_num_threads(threads)
        # TF32 keeps 10 bits of the mantissa, too few for 1e-4; also process-wide.
        torch.backends.cudnn.allow_tf32 = False
        self.name = f"torch on {self._device.name}"
        self._model = f"{bundle.name} {bundle.version}"
        self._in_halves = InHalves(self._device.give_back)
        classifier = PatchClassifier(
            load_weights(bundle.weights_path),
            calibration=bundle.calibration,
            normalisation=bundle.normalisation,
        )
        try:
            self._classifier = classifier.to(self._device.torch)
            if self._device.torch.type == "cuda":
                # a tenth faster, with the same result
                self._classifier.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        except RuntimeError as error:
            raise self._failure("cannot load the model") from error

    def predict(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (N,) float32 probabilities of (N, H, W, 3) uint8 patches."""
        return self._device.predict_in_parts(self._run, patches, self._model)

    def cell_margins(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the log odds of each cell, float32 (h, w), of a uint8 (H, W, 3)."""
        return margins_of(self._run_cells, picture, self._model)

    def release(self) -> None:
        """Give back the memory that computing took."""
        self._in_halves.forget()
        self._device.give_back()

    def _run(self, part: NDArray[np.uint8]) -> NDArray[np.float32]:
        run = partial(self._compute, self._classifier)
        return self._in_halves.patches(run, part)

    def _run_cells(self, part: NDArray[np.uint8]) -> NDArray[np.float32]:
        run = partial(self._compute, self._classifier.cell_margins)
        return self._in_halves.picture(run, part)

    def _compute(
        self, network: Callable[[torch.Tensor], torch.Tensor], part: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        def compute() -> NDArray[np.float32]:
            with torch.inference_mode():
                # Torch warns of arrays that must not be written to.
                writable = part if part.flags.writeable else part.copy()
                pixels = torch.from_numpy(writable).to(self._device.torch)
                found: NDArray[np.float32] = network(pixels).cpu().numpy()
                return found

        try:
            return self._device.run(compute)
        except RuntimeError as error:  # GUI workers would swallow it
            kind = error_kind(error)
            what = f"failed on {len(part)} patches ({one_line(error)})"
            raise self._failure(what, kind) from error

    def _failure(
        self, what: str, kind: type[DetectionError] = DetectionError
    ) -> DetectionError:
        return kind(
            f"{self.name} {what}; free some of its memory or use --backend onnx"
        )


def error_kind(error: RuntimeError) -> type[DetectionError]:
    """Return what an error of torch is to the user: memory, or anything else."""
    if isinstance(error, torch.OutOfMemoryError) or is_memory(error):
        return DeviceFullError
    return DetectionError
