"""Torch on a GPU or the CPU."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

from napari_fastnet.engine.inference import margins_of, one_line
from napari_fastnet.engine.short_of_memory import DeviceFullError, InHalves, is_memory
from napari_fastnet.engine.torch_device import Device
from napari_fastnet.errors import DetectionError
from napari_fastnet.nn.checkpoint import load_weights
from napari_fastnet.nn.classifier import PatchClassifier

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from napari_fastnet.io.bundle import ModelBundle


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
