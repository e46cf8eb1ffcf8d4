"""The choice of a network: model, back end, device and threads.

Free of numpy: the command line takes names, help and defaults from here.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from napari_fastnet.errors import OptionError

BackendName = Literal["auto", "onnx", "openvino", "torch"]

#: The model that is used where none is named.
DEFAULT_MODEL = "fastnet-pcam"


@dataclass(frozen=True, slots=True)
class NetworkChoice:
    """The network of a run and the means to compute it.

    Parameters
    ----------
    model : str or Path
        Model by its name (see `models list`) or its folder.
    backend : {"auto", "onnx", "openvino", "torch"}
        Library that runs the network; auto is the fastest installed, torch on a GPU.
    device : str or None
        cpu, cuda, cuda:1 or mps; None is the CPU, on torch the fastest.
    threads : int or None
        Threads that compute on a CPU; None is all cores.
    """

    model: str | Path = DEFAULT_MODEL
    backend: BackendName = "auto"
    device: str | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.backend not in get_args(BackendName):
            raise OptionError(
                f"backend is {self.backend!r}; use one of "
                f"{', '.join(get_args(BackendName))}"
            )
        if self.threads is not None and self.threads < 1:
            raise OptionError(f"threads is {self.threads}; use at least 1")
