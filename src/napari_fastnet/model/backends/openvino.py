"""OpenVINO on an x86 CPU, in bfloat16 where the processor computes with it."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from napari_fastnet.errors import DetectionError
from napari_fastnet.machine.memory import physical_cores
from napari_fastnet.machine.private_imports import openvino
from napari_fastnet.model.backends.backend import (
    STEM_SHAPE,
    Backend,
    Output,
    one_line,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

settings = openvino.properties
hints = openvino.properties.hint

_DEVICE = "CPU"
# The two of which a network that gives "cell_margins" consists.
Section = Literal["stem", "behind_stem"]
SECTIONS = get_args(Section)


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
        self.has_stem = _stem_end(self._network) is not None
        # The requests of each output; made on its first use.
        self._queues: dict[Output | Section, openvino.AsyncInferQueue] = {}
        # A queue serves one caller at a time.
        self._locks = {name: Lock() for name in (*get_args(Output), *SECTIONS)}

    def release(self) -> None:
        """Give back the memory that computing took."""
        for name, queue in list(self._queues.items()):
            with self._locks[name]:
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

    def stem(
        self, batches: Iterable[NDArray[np.uint8]]
    ) -> Iterator[NDArray[np.float32]]:
        """See `Backend.stem`."""
        with self._failing():
            found = self._infer_all("stem", batches)
        yield from found

    def behind_stem(
        self, maps: Iterable[NDArray[np.float32]]
    ) -> Iterator[NDArray[np.float32]]:
        """See `Backend.behind_stem`."""
        with self._failing():
            found = self._infer_all("behind_stem", maps)
        yield from map(self._verified, found)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Turn an error of the library into one line."""
        try:
            yield
        except RuntimeError as error:
            raise DetectionError(
                f"{self.name} failed on a picture ({one_line(error)}); {self.remedy}"
            ) from error

    def _infer_all(
        self, output: Output | Section, arrays: Iterable[NDArray[Any]]
    ) -> list[NDArray[np.float32]]:
        found: list[NDArray[np.float32]] = []

        def keep(request: openvino.InferRequest, index: int) -> None:
            # A copy: the next call overwrites the tensor.
            found[index] = np.array(request.get_output_tensor().data, np.float32)

        with self._locks[output]:
            if output not in self._queues:
                self._queues[output] = self._compiled(output)
            queue = self._queues[output]
            queue.set_callback(keep)
            try:
                for index, array in enumerate(arrays):
                    found.append(np.empty(0, np.float32))
                    queue.start_async([array], index)  # copies it
            finally:
                queue.wait_all()
        return found

    def _compiled(self, output: Output | Section) -> openvino.AsyncInferQueue:
        """Compile the part of the network that an output needs."""
        part = self._section(output) if output in SECTIONS else self._part(output)
        # Patches and tiles are many and small: a thread takes one. All share a picture.
        together = output in ("cell_margins", "behind_stem")
        streams = 1 if together else self.threads
        if together:
            options = {hints.performance_mode: hints.PerformanceMode.LATENCY}
        else:
            options = {settings.streams.num: streams}
        try:
            compiled = self._core.compile_model(
                part, _DEVICE, {**self._options, **options}
            )
        except RuntimeError as error:
            raise self._cannot_load(error) from error
        # tiles take milliseconds, so the next must be there when a thread is done
        requests = 2 * streams if output == "stem" else streams
        return openvino.AsyncInferQueue(compiled, requests)

    def _part(self, output: str) -> openvino.Model:
        """Return the network up to one of its outputs."""
        network = self._network
        if output not in {name for port in network.outputs for name in port.names}:
            raise DetectionError(
                f"{self._path} has no output {output!r}; export the model again"
            )
        ports, parameters = [network.output(output)], network.get_parameters()
        return openvino.Model(ports, parameters, f"fastnet {output}")

    def _section(self, section: str) -> openvino.Model:
        """Return the network up to the end of its stem, or from there to its cells."""
        network = self._network.clone()
        end = _stem_end(network)
        assert end is not None
        if section == "stem":
            part = openvino.Model([end], network.get_parameters(), "fastnet stem")
            part.reshape(list(STEM_SHAPE))
            return part
        channels = end.get_partial_shape()[1].get_length()
        maps = openvino.opset13.parameter([1, channels, -1, -1], np.float32, "maps")
        for port in end.get_target_inputs():
            port.replace_source_output(maps.output(0))
        return openvino.Model(
            [network.output("cell_margins")], [maps], "behind the stem"
        )

    def _cannot_load(self, error: RuntimeError) -> DetectionError:
        return DetectionError(
            f"OpenVINO cannot load {self._path} ({one_line(error)}); update openvino or "
            "use --backend onnx"
        )


def _stem_end(network: openvino.Model) -> openvino.Output | None:
    """Return the output of FastNet's stem; None for other networks.

    From the px there is one way through two convolutions of stride 2, each with its ReLU,
    and the batch norm behind them. Cut in front of that, numbers would be rounded to
    bfloat16 once more than in the whole network.
    """
    if "cell_margins" not in {name for port in network.outputs for name in port.names}:
        return None
    port, layers = network.get_parameters()[0].output(0), [""]
    while layers[-1] != "BatchNormInference":
        following = {
            target.get_node()
            for target in port.get_target_inputs()
            if target.get_node().get_type_name() != "ShapeOf"  # of a bias
        }
        if len(following) != 1:
            return None
        layer = following.pop()
        layers.append(layer.get_type_name())
        if layers[-1] == "Convolution" and layer.get_attributes()["strides"] != [2, 2]:
            return None
        port = layer.output(0)
    is_stem = layers.count("Convolution") == layers.count("Relu") == 2
    return port if is_stem else None


def has_bfloat16() -> bool:
    """Return whether OpenVINO finds a processor that computes with bfloat16."""
    abilities = openvino.Core().get_property(_DEVICE, settings.device.capabilities)
    return "BF16" in abilities
