"""A TorchScript program as a back end, as WSInfer runs it.

Loading one lets it do anything, so only programs that a user has taken in get here: see
`napari_fastnet.io.added_models`.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import interpolate

from napari_fastnet.engine.inference import one_line
from napari_fastnet.engine.short_of_memory import InHalves
from napari_fastnet.engine.torch_backend import error_kind
from napari_fastnet.engine.torch_device import Device
from napari_fastnet.errors import DetectionError, OptionError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_fastnet.io.bundle import ModelBundle


class TorchScriptBackend:
    """A program that maps float32 (N, 3, H, W) to logits (N, classes) or (N,).

    Parameters
    ----------
    bundle : ModelBundle
        Its kind is "torchscript".
    device : str, optional
        As torch names it; by default the fastest that is there.
    threads : int, optional
        As for `create_backend`; torch has one setting for the whole process.

    Raises
    ------
    OptionError
        The device is not there.
    DetectionError
        The file is no TorchScript.
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
        self.name = f"torchscript on {self._device.name}"
        self._model = f"{bundle.name} {bundle.version}"
        self._in_halves = InHalves(self._device.give_back)
        self._positive = bundle.positive_class
        self._classes = len(bundle.class_names)
        self._side = bundle.resized_px
        mean, std = (torch.tensor(part) for part in bundle.normalisation)
        self._mean = mean[:, None, None].to(self._device.torch)
        self._std = std[:, None, None].to(self._device.torch)
        try:
            with warnings.catch_warnings():  # torch would rather have torch.export
                warnings.filterwarnings("ignore", r".*torch\.jit")
                program = torch.jit.load(
                    str(bundle.torchscript_path), map_location=self._device.torch
                )
        except (RuntimeError, ValueError) as error:
            raise DetectionError(
                f"{bundle.torchscript_path} is no TorchScript that torch "
                f"{torch.__version__} can load ({one_line(error)}); export it again"
            ) from error
        self._program = program.eval()

    def predict(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (N,) float32 probabilities of (N, H, W, 3) uint8 patches."""
        return self._device.predict_in_parts(self._run, patches, self._model)

    def cell_margins(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Refuse: such a network has no cells that are known."""
        raise OptionError(
            f"the model {self._model} judges whole patches only, and a picture of "
            f"{picture.shape[:2]} px was given; use stride patch"
        )

    def release(self) -> None:
        """Give back the memory that computing took."""
        self._in_halves.forget()
        self._device.give_back()

    def _run(self, part: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._in_halves.patches(self._compute, part)

    def _compute(self, part: NDArray[np.uint8]) -> NDArray[np.float32]:
        def compute() -> NDArray[np.float32]:
            with torch.inference_mode():
                logits = self._program(self._prepared(torch.from_numpy(part.copy())))
                found: NDArray[np.float32] = (
                    self._probabilities(logits, len(part)).cpu().numpy()
                )
                return found

        try:
            return self._device.run(compute)
        except RuntimeError as error:
            raise error_kind(error)(
                f"the model {self._model} failed on {len(part)} patches "
                f"({one_line(error)}); it is not for patches like these, or short of "
                "memory"
            ) from error

    def _prepared(self, patches: torch.Tensor) -> torch.Tensor:
        """Return what the program sees: resized, 0..1, normalised."""
        images = patches.to(self._device.torch).permute(0, 3, 1, 2).float()
        if self._side is not None and images.shape[-2:] != (self._side, self._side):
            # as Pillow, on which WSInfer relies, and rounded to whole grey values as there
            images = interpolate(
                images, (self._side, self._side), mode="bilinear", antialias=True
            ).round()
        prepared: torch.Tensor = (images / 255 - self._mean) / self._std
        return prepared

    def _probabilities(self, logits: torch.Tensor, patches: int) -> torch.Tensor:
        """Return the positive class's probability: softmax, or sigmoid of one logit."""
        logits = logits.float().reshape(patches, -1)
        if logits.shape[1] != self._classes:
            raise DetectionError(
                f"the model {self._model} gives {logits.shape[1]} numbers a patch and "
                f"its description has {self._classes} classes; mend config.json and add "
                "it again"
            )
        if self._classes == 1:
            return torch.sigmoid(logits[:, 0])
        return torch.softmax(logits, dim=1)[:, self._positive]
