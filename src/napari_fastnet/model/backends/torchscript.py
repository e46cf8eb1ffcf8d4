"""TorchScript programs as WSInfer runs them.

Loading a program lets it do anything, so only programs that a user has added get here:
see `napari_fastnet.model.user_models`.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import interpolate

from napari_fastnet.errors import DetectionError, OptionError
from napari_fastnet.model.backends.backend import Output, one_line
from napari_fastnet.model.backends.torch import DeviceBackend
from napari_fastnet.model.description import PROBABILITIES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_fastnet.model.bundle import ModelBundle


class TorchScriptBackend(DeviceBackend):
    """A program that maps (N, 3, H, W) to logits (N, classes) or (N,), or probabilities.

    Parameters
    ----------
    bundle : ModelBundle
        Its kind is "torchscript".
    device, threads
        As for `DeviceBackend`.

    Raises
    ------
    OptionError
        The device is not there.
    DetectionError
        The file is no TorchScript.
    """

    # Torch's own, and those of the program's author. Something else than a tensor shows
    # as a missing attribute or a wrong type.
    errors = (RuntimeError, torch.jit.Error, AttributeError, IndexError, TypeError)

    def __init__(
        self,
        bundle: ModelBundle,
        device: str | None = None,
        threads: int | None = None,
    ) -> None:
        super().__init__("torchscript", bundle, device, threads)
        self.remedy = (
            f"the model {self.model} is not for patches like these, not for this device, "
            "or short of memory"
        )
        self._positive = bundle.positive_class
        self._classes = len(bundle.class_names)
        self._side = bundle.transform.resized_px
        self._gives_probabilities = bundle.outputs == PROBABILITIES
        mean, std = (torch.tensor(part) for part in bundle.normalisation)
        self._mean = mean[:, None, None].to(self._device)
        self._std = std[:, None, None].to(self._device)
        try:
            # The user can do nothing about warnings of the program's author.
            warnings.filterwarnings("ignore", module=r"code/__torch__")
            with warnings.catch_warnings():  # torch advises torch.export instead
                warnings.filterwarnings("ignore", r".*torch\.jit")
                program = torch.jit.load(
                    str(bundle.torchscript_path), map_location=self._device
                )
        except (RuntimeError, ValueError) as error:
            raise DetectionError(
                f"{bundle.torchscript_path} is no TorchScript that torch "
                f"{torch.__version__} can load ({one_line(error)}); export it again"
            ) from error
        self._program = program.eval()
        kinds = (p.dtype for p in program.parameters() if p.is_floating_point())
        self._dtype = next(kinds, torch.float32)  # in halves or doubles, perhaps

    def cell_margins(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Refuse: the program's feature map is unknown."""
        raise OptionError(
            f"the model {self.model} sees whole patches only, and a picture of "
            f"{picture.shape[:2]} px was given; use stride patch"
        )

    def scores(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute the program's own output, (N, classes), of few patches.

        Raises
        ------
        DetectionError
            The program fails, or gives something else.
        """
        return self._infer_part("scores", patches)

    def _compute(self, output: Output, pixels: torch.Tensor) -> torch.Tensor:
        scores = self._one_a_class(self._program(self._prepared(pixels)), len(pixels))
        if output == "scores":
            return scores
        if self._gives_probabilities:
            return scores[:, self._positive]
        if self._classes == 1:
            return torch.sigmoid(scores[:, 0])
        return torch.softmax(scores, dim=1)[:, self._positive]

    def _prepared(self, patches: torch.Tensor) -> torch.Tensor:
        """Resize and normalise as WSInfer does; (N, 3, side, side) comes out."""
        images = patches.permute(0, 3, 1, 2).float()
        if self._side is not None and images.shape[-2:] != (self._side, self._side):
            # As Pillow does, which WSInfer uses, rounded to whole grey values.
            images = interpolate(
                images, (self._side, self._side), mode="bilinear", antialias=True
            ).round()
        prepared: torch.Tensor = (images / 255 - self._mean) / self._std
        return prepared.to(self._dtype)

    def _one_a_class(self, given: Any, patches: int) -> torch.Tensor:
        """Check the program's output and reshape it to float32 (N, classes)."""
        if not isinstance(given, torch.Tensor):
            size = f" of {len(given)}" if isinstance(given, tuple | list | dict) else ""
            raise DetectionError(
                f"the model {self.model} gives a {type(given).__name__}{size}; it must "
                "give one tensor of logits, one number a class: export it so"
            )
        if not given.is_floating_point():
            raise DetectionError(
                f"the model {self.model} gives numbers of {given.dtype}, such as the "
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
                f"the model {self.model} gives numbers of shape {tuple(given.shape)} "
                f"where ({patches}, {self._classes}) is needed, for its description has "
                f"{self._classes} classes; mend config.json and add it again"
            )
        return given.float().reshape(shape)

    def _said(self, error: Exception) -> str:
        """Return the last line of an error: TorchScript's begin with a traceback."""
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return one_line(Exception(lines[-1] if lines else type(error).__name__))
