"""A TorchScript program as a back end, as WSInfer runs it.

Loading one lets it do anything, so only programs that a user has taken in get here: see
`napari_fastnet.model.user_models`.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import interpolate

from napari_fastnet.errors import DetectionError, OptionError
from napari_fastnet.model.backends.halves import InHalves
from napari_fastnet.model.backends.parts import one_line
from napari_fastnet.model.backends.torch import Device, error_kind
from napari_fastnet.model.description import PROBABILITIES

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from napari_fastnet.model.bundle import ModelBundle


# What a program raises: torch's own, and what its maker wrote. What is no tensor where
# one is needed shows as a missing attribute or a wrong type.
_ERRORS = (RuntimeError, torch.jit.Error, AttributeError, IndexError, TypeError)


class TorchScriptBackend:
    """A program that maps (N, 3, H, W) to logits (N, classes) or (N,), or probabilities.

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
        self._gives_probabilities = bundle.outputs == PROBABILITIES
        mean, std = (torch.tensor(part) for part in bundle.normalisation)
        self._mean = mean[:, None, None].to(self._device.torch)
        self._std = std[:, None, None].to(self._device.torch)
        try:
            # what its maker warns of is nothing that its user can mend
            warnings.filterwarnings("ignore", module=r"code/__torch__")
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
        kinds = (p.dtype for p in program.parameters() if p.is_floating_point())
        self._dtype = next(kinds, torch.float32)  # in halves or doubles, perhaps

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

    def numbers(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return what the program itself gives: (N, classes) float32.

        Parameters
        ----------
        patches : (N, H, W, 3) uint8 ndarray
            So few that all are judged at once.

        Raises
        ------
        DetectionError
            The program fails, or gives something else.
        """
        return self._compute(lambda numbers: numbers, patches)

    def _run(self, part: NDArray[np.uint8]) -> NDArray[np.float32]:
        judge = partial(self._compute, self._probabilities)
        return self._in_halves.patches(judge, part)

    def _compute(
        self,
        finish: Callable[[torch.Tensor], torch.Tensor],
        part: NDArray[np.uint8],
    ) -> NDArray[np.float32]:
        def compute() -> NDArray[np.float32]:
            with torch.inference_mode():
                given = self._program(self._prepared(torch.from_numpy(part.copy())))
                numbers = self._one_a_class(given, len(part))
                found: NDArray[np.float32] = finish(numbers).cpu().numpy()
                return found

        try:
            return self._device.run(compute)
        except _ERRORS as error:
            kind = (
                error_kind(error) if isinstance(error, RuntimeError) else DetectionError
            )
            raise kind(
                f"the model {self._model} failed on {len(part)} patches of "
                f"{part.shape[1]} px ({_telling(error)}); it is not for patches like "
                "these, not for this device, or short of memory"
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
        return prepared.to(self._dtype)

    def _one_a_class(self, given: Any, patches: int) -> torch.Tensor:
        """Return what the program gave as float32 (N, classes), if it is that."""
        if not isinstance(given, torch.Tensor):
            raise DetectionError(
                f"the model {self._model} gives {_kind(given)}; it must give one tensor "
                "of logits, one number a class: export it so"
            )
        if not given.is_floating_point():
            raise DetectionError(
                f"the model {self._model} gives numbers of {given.dtype}, such as the "
                "classes have; it must give logits, a floating one a class: export it so"
            )
        shape = tuple(given.shape)
        if patches == 1 and shape == (self._classes,):  # squeezed
            shape = (1, *shape)
        while len(shape) > 2 and shape[-1] == 1:
            shape = shape[:-1]
        shape = shape if len(shape) > 1 else (*shape, 1)
        if shape != (patches, self._classes):
            raise DetectionError(
                f"the model {self._model} gives numbers of shape {tuple(given.shape)} "
                f"where ({patches}, {self._classes}) is needed, for its description has "
                f"{self._classes} classes; mend config.json and add it again"
            )
        return given.float().reshape(shape)

    def _probabilities(self, numbers: torch.Tensor) -> torch.Tensor:
        """Return the positive class's probability: softmax, or sigmoid of one logit."""
        if self._gives_probabilities:
            return numbers[:, self._positive]
        if self._classes == 1:
            return torch.sigmoid(numbers[:, 0])
        return torch.softmax(numbers, dim=1)[:, self._positive]


def _kind(given: Any) -> str:
    """Return in words what is no tensor."""
    if isinstance(given, tuple | list | dict):
        return f"a {type(given).__name__} of {len(given)}"
    return f"a {type(given).__name__}"


def _telling(error: BaseException) -> str:
    """Return the last line of an error: TorchScript's begin with its own traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return one_line(Exception(lines[-1] if lines else type(error).__name__))
