"""Options of the benchmark, free of numpy: the command line reads them."""

from dataclasses import dataclass

from napari_fastnet.core.geometry import Pair
from napari_fastnet.detection.options import Stride
from napari_fastnet.errors import OptionError
from napari_fastnet.model.options import DEFAULT_MODEL, BackendName


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """Options of the benchmark.

    Parameters
    ----------
    gigapixels : float
        Size of the drawn slide, billions of px.
    tissue : float
        Share of the drawn slide that is tissue.
    mpp : float or tuple of float or None
        µm per level-0 px, where the file does not say or is wrong.
    model : str or Path
        Model by its name (see `models list`) or its folder.
    stride : int, "patch", "dense" or None
        Distance of the heatmap's cells, as for `detect`; None is dense where the model
        can.
    flips : bool or None
        Average over mirror images, at 4 times the cost; None is as the model says.
    backend : {"auto", "onnx", "openvino", "torch"}
        Library that runs the network, on the CPU; auto is the fastest installed.
    threads : int or None
        Threads of the network; None is all cores.
    memory_mb : int or None
        Most memory that `detect` may use, MB; None is about 600.
    seconds : float
        Seconds for each measurement; there are about twelve.
    """

    gigapixels: float = 0.5
    tissue: float = 0.3
    mpp: float | Pair | None = None
    model: str = DEFAULT_MODEL
    stride: Stride = None
    flips: bool | None = None
    backend: BackendName = "auto"
    threads: int | None = None
    memory_mb: int | None = None
    seconds: float = 4.0

    def __post_init__(self) -> None:
        if not 0 < self.seconds < float("inf"):
            raise OptionError(f"seconds is {self.seconds}; use a number above 0")
