"""Creation of back ends: ONNX Runtime or OpenVINO on the CPU, torch on a GPU.

A library is imported only when a back end needs it.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from napari_fastnet.errors import DependencyError, OptionError
from napari_fastnet.model.backends.backend import one_line
from napari_fastnet.model.description import TORCHSCRIPT
from napari_fastnet.model.options import BackendName, NetworkChoice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_fastnet.model.backends.backend import Backend
    from napari_fastnet.model.bundle import ModelBundle


def create_backend(bundle: ModelBundle, choice: NetworkChoice | None = None) -> Backend:
    """Load a model's network, ready to run.

    Parameters
    ----------
    bundle : ModelBundle
        The model.
    choice : NetworkChoice, optional
        Back end, device and threads; its model is not read.

    Returns
    -------
    Backend
        The same probabilities from each, within 1e-4; from OpenVINO in bfloat16 some
        0.01 off.

    Raises
    ------
    OptionError
        There is no such device, or the back end does not run on it.
    DependencyError
        The library is not installed.
    DetectionError
        The library cannot load the model.
    """
    choice = choice or NetworkChoice()
    name, device, threads = choice.backend, choice.device, choice.threads
    if bundle.kind == TORCHSCRIPT:
        if name not in ("auto", "torch"):
            raise OptionError(
                f"backend is {name!r} and the model {bundle.name} is TorchScript, which "
                "torch runs; use backend torch"
            )
        with _needed("torch"):
            from napari_fastnet.model.backends.torchscript import TorchScriptBackend

            return TorchScriptBackend(bundle, device, threads)
    if name == "auto":
        name = _fastest_on_cpu() if device in (None, "cpu") else "torch"
    if name != "torch" and device not in (None, "cpu"):
        raise OptionError(
            f"device is {device!r} and the backend {name} runs on the cpu only; use "
            "backend torch or leave the device out"
        )
    if name == "torch":
        with _needed("torch"):
            from napari_fastnet.model.backends.torch import TorchBackend

            return TorchBackend(bundle, device, threads)
    model = f"{bundle.name} {bundle.version}"
    return network_on_cpu(bundle.onnx_path, model, name=name, threads=threads)


def uses_gpu(bundle: ModelBundle, choice: NetworkChoice) -> bool:
    """Return whether `create_backend` would let a GPU do the work."""
    if choice.device is not None:
        return choice.device != "cpu"
    if choice.backend != "torch" and bundle.kind != TORCHSCRIPT:
        return False
    with _needed("torch"):
        from napari_fastnet.model.backends.torch import fastest_device

        return fastest_device() != "cpu"


def network_on_cpu(
    path: Path,
    model: str,
    *,
    name: BackendName = "auto",
    threads: int | None = None,
) -> Backend:
    """Load a network from a file, ready to run on the CPU.

    Parameters
    ----------
    path : Path
        A bundle's model.onnx, or another network of the same input and output.
    model : str
        Its name in error messages.
    name, threads
        As for `NetworkChoice`; not "torch".

    Returns
    -------
    Backend
        Its `cell_margins` fail if the network has none.

    Raises
    ------
    DependencyError
        The library is not installed.
    DetectionError
        The library cannot load the network.
    """
    if name == "auto":
        name = _fastest_on_cpu()
    if name == "openvino":
        with _needed("openvino"):
            from napari_fastnet.model.backends.openvino import OpenVinoBackend

            return OpenVinoBackend(path, model, threads)
    with _needed("onnxruntime"):
        from napari_fastnet.model.backends.onnx import OnnxBackend

        return OnnxBackend(path, model, threads)


def _fastest_on_cpu() -> BackendName:
    """Return OpenVINO if it is there and computes in bfloat16, else ONNX Runtime.

    In single precision the two are equally fast.
    """
    if find_spec("openvino") is None:
        return "onnx"
    from napari_fastnet.model.backends.openvino import has_bfloat16

    return "openvino" if has_bfloat16() else "onnx"


@contextmanager
def _needed(package: str) -> Iterator[None]:
    """Turn a failed import into a DependencyError that names the package to install."""
    try:
        yield
    except ImportError as error:
        if isinstance(error, DependencyError):
            raise
        raise DependencyError(
            f"the backend needs {package}, which cannot be imported "
            f"({one_line(error)}); run: pip install {package}"
        ) from error
