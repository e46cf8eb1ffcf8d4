"""OpenVINO on an x86 CPU, in bfloat16 where the processor computes with it."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.errors import DetectionError
from napari_fastnet.machine.memory import physical_cores
from napari_fastnet.machine.private_imports import openvino
from napari_fastnet.model.backends.backend import Backend, Output, one_line

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

settings = openvino.properties
hints = openvino.properties.hint

_DEVICE = "CPU"


class OpenVinoBackend(Backend):
    """OpenVINO on the CPU; with bfloat16 about twice as fast as ONNX Runtime.

    bfloat16 keeps 8 bits of a number: probabilities differ by some 0.01 (seldom 0.05) from single
    precision, and their AUC by less than 0.001. A picture is computed by all threads,
    each part of the patches by one: a fifth faster than all threads on one part after
    the other.

    Parameters
    ----------
    path : Path
        A bundle's model.onnx, or another network of the same input and output.
    model : str
        Name and version, for error messages.
    threads : int, optional
        As for `NetworkChoice`.
    """

    errors = (RuntimeError,)
    remedy = "give it more memory or use --backend onnx"

    def __init__(self, path: Path, model: str, threads: int | None = None) -> None:
        precision = openvino.Type.bf16 if has_bfloat16() else openvino.Type.f32
        name = f"openvino on cpu, {precision.to_string()}"
        super().__init__(name, model, threads or physical_cores())
        self._path = path
        self._options = {
            hints.inference_precision: precision,
            hints.enable_cpu_pinning: False,  # threads that read want the cores too
            settings.inference_num_threads: self.threads,
            # Preparations for a picture shape are kept for the next time it comes: some
            # 70 parts and 4.4 MB a shape. A large slide has pictures of fifty shapes, so
            # OpenVINO's own limit of 5000 parts is too high.
            "CPU_RUNTIME_CACHE_CAPACITY": 400,
        }
        self._core = openvino.Core()
        try:
            self._network = self._core.read_model(path)
        except RuntimeError as error:
            raise self._cannot_load(error) from error
        kinds = [port.get_element_type() for port in self._network.inputs]
        if kinds != [openvino.Type.u8]:  # OpenVINO would convert px silently
            raise DetectionError(
                f"{path} wants {', '.join(kind.to_string() for kind in kinds)} where it "
                "is given uint8 patches; export the model again"
            )
        # The requests of each output; made on its first use.
        self._queues: dict[Output, openvino.AsyncInferQueue] = {}
        self._lock = Lock()  # a queue serves one caller at a time

    def release(self) -> None:
        """Give back the memory that computing took."""
        with self._lock:
            for queue in self._queues.values():
                queue[0].get_compiled_model().release_memory()

    def _infer(self, output: Output, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._infer_all(output, [pixels])[0]

    def _infer_parts(self, parts: list[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        """Infer the parts by the library's own threads.

        Requests that threads of Python start can wait for each other for ever: one has
        Python's lock, the other the library's.
        """
        try:
            return self._infer_all("probability", parts)
        except RuntimeError as error:
            raise self._failure(error, parts[0]) from error

    def _infer_all(
        self, output: Output, arrays: list[NDArray[np.uint8]]
    ) -> list[NDArray[np.float32]]:
        found = [np.empty(0, np.float32)] * len(arrays)

        def keep(request: openvino.InferRequest, index: int) -> None:
            # A copy: the next call overwrites the tensor.
            found[index] = np.array(request.get_output_tensor().data, np.float32)

        with self._lock:
            if output not in self._queues:
                self._queues[output] = self._compiled(output)
            queue = self._queues[output]
            queue.set_callback(keep)
            for index, pixels in enumerate(arrays):
                queue.start_async([pixels], index)
            queue.wait_all()
        return found

    def _compiled(self, output: Output) -> openvino.AsyncInferQueue:
        """Compile the part of the network that an output needs."""
        network = self._network
        if output not in {name for port in network.outputs for name in port.names}:
            raise DetectionError(
                f"{self._path} has no output {output!r}; export the model again"
            )
        ports, parameters = [network.output(output)], network.get_parameters()
        network = openvino.Model(ports, parameters, f"fastnet {output}")
        requests = self.threads if output == "probability" else 1
        if output == "probability":
            options = {settings.streams.num: requests}
        else:
            options = {hints.performance_mode: hints.PerformanceMode.LATENCY}
        try:
            compiled = self._core.compile_model(
                network, _DEVICE, {**self._options, **options}
            )
        except RuntimeError as error:
            raise self._cannot_load(error) from error
        return openvino.AsyncInferQueue(compiled, requests)

    def _cannot_load(self, error: RuntimeError) -> DetectionError:
        return DetectionError(
            f"OpenVINO cannot load {self._path} ({one_line(error)}); update openvino or "
            "use --backend onnx"
        )


def has_bfloat16() -> bool:
    """Return whether OpenVINO finds a processor that computes with bfloat16."""
    abilities = openvino.Core().get_property(_DEVICE, settings.device.capabilities)
    return "BF16" in abilities
