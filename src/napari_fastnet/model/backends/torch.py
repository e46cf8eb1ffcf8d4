"""Torch on a GPU or the CPU."""

from __future__ import annotations

from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ClassVar

import torch

from napari_fastnet.errors import DetectionError, OptionError
from napari_fastnet.model.backends.backend import Backend, Output, one_line
from napari_fastnet.nn.checkpoint import load_weights
from napari_fastnet.nn.classifier import PatchClassifier

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_fastnet.model.bundle import ModelBundle

#: px of the patches that a GPU gets at a time: 227 patches of 96 px, 32 of 256 px. On a
#: large GPU the launches take the time, not the computing, up to four times as many.
GPU_PART_PX = 2**21
# Words for a lack of memory in errors of MPS, cuBLAS and the CPU, which have no type.
_FULL = ("out of memory", "alloc_failed", "not enough memory", "allocate memory")


class DeviceBackend(Backend):
    """Base class of torch's back ends, on a GPU (CUDA, MPS) or the CPU.

    cuDNN plans each convolution whenever a GPU meets a new shape, and keeps the plan for
    the current thread: 2 seconds for FastNet on an H100, where a slide takes some
    hundredths. So a GPU has one thread for good, and gets parts of few shapes.

    Parameters
    ----------
    kind : str
        The first word of the back end's name.
    bundle : ModelBundle
        The model.
    device : str, optional
        As torch names it; by default the fastest that is there.
    threads : int, optional
        As for `NetworkChoice`; torch has one setting for the whole process.

    Raises
    ------
    OptionError
        The device is not there.
    """

    errors: ClassVar[tuple[type[Exception], ...]] = (RuntimeError,)
    _gpu_threads: ClassVar[dict[str, ThreadPoolExecutor]] = {}

    def __init__(
        self, kind: str, bundle: ModelBundle, device: str | None, threads: int | None
    ) -> None:
        self._device_name = device or fastest_device()
        self._device = device_of(self._device_name)
        name, model = (
            f"{kind} on {self._device_name}",
            f"{bundle.name} {bundle.version}",
        )
        super().__init__(name, model)
        if threads is not None:
            torch.set_num_threads(threads)
        if self.one_shape:
            self.part_px = GPU_PART_PX

    @property
    def one_shape(self) -> bool:  # type: ignore[override]
        """Whether the device is a GPU."""
        return self._device.type != "cpu"

    def release(self) -> None:
        """Give back the memory that torch keeps for later."""
        super().release()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        elif self._device.type == "mps":
            torch.mps.empty_cache()

    @abstractmethod
    def _compute(self, output: Output, pixels: torch.Tensor) -> torch.Tensor:
        """Run the network on uint8 (N, H, W, 3) on the device; float32 comes out."""

    def _infer(self, output: Output, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        def compute() -> NDArray[np.float32]:
            with torch.inference_mode():
                # Torch warns of arrays that must not be written to.
                writable = pixels if pixels.flags.writeable else pixels.copy()
                given = torch.from_numpy(writable).to(self._device)
                found: NDArray[np.float32] = self._compute(output, given).cpu().numpy()
                return found

        if not self.one_shape:
            return compute()
        name = self._device_name
        thread = ThreadPoolExecutor(1, f"fastnet-{name}")  # begun when it is used
        return self._gpu_threads.setdefault(name, thread).submit(compute).result()

    def _is_full(self, error: Exception) -> bool:
        if isinstance(error, torch.OutOfMemoryError):
            return True
        return any(words in str(error).lower() for words in _FULL)


class TorchBackend(DeviceBackend):
    """FastNet in torch, in single precision.

    Parameters
    ----------
    bundle, device, threads
        As for `DeviceBackend`.
    """

    remedy = "free some of its memory or use --backend onnx"

    def __init__(
        self,
        bundle: ModelBundle,
        device: str | None = None,
        threads: int | None = None,
    ) -> None:
        super().__init__("torch", bundle, device, threads)
        # TF32 keeps 10 bits of the mantissa, too few for 1e-4; process-wide.
        torch.backends.cudnn.allow_tf32 = False
        classifier = PatchClassifier(
            load_weights(bundle.weights_path),
            calibration=bundle.calibration,
            normalisation=bundle.normalisation,
        )
        try:
            self._classifier = classifier.to(self._device)
            if self._device.type == "cuda":
                # a tenth faster, with the same result
                self._classifier.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        except RuntimeError as error:
            raise DetectionError(
                f"{self.name} cannot load the model ({one_line(error)}); {self.remedy}"
            ) from error

    def _compute(self, output: Output, pixels: torch.Tensor) -> torch.Tensor:
        if output == "probability":
            return self._classifier(pixels)  # type: ignore[no-any-return]
        return self._classifier.cell_margins(pixels)


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
