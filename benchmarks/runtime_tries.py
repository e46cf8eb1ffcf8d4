"""Time other ways of running FastNet on the CPU, and other sizes of dense pictures.

    python benchmarks/runtime_tries.py [--json benchmarks/results/tries.json]

All take turns, so that ratios are fair where the machine is busy. torch.compile needs a
C++ compiler.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_fastnet.bench.networks import rates
from napari_fastnet.bench.report import Machine
from napari_fastnet.machine.memory import physical_cores
from napari_fastnet.machine.private_imports import openvino
from napari_fastnet.model.backends.backend import PART_PX
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.backends.onnx import OnnxBackend
from napari_fastnet.model.backends.openvino import OpenVinoBackend, hints
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.model.options import NetworkChoice
from napari_fastnet.nn.checkpoint import load_weights
from napari_fastnet.nn.classifier import PatchClassifier
from page import tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_fastnet.model.bundle import ModelBundle

PATCHES, PATCH_PX = 16, 256
PICTURES = (24, 48, 96, 120)  # sides of dense pictures, in values
PARTS = (1, 4, 16)  # patches at once


def onnx_part_by_part(path: Path, threads: int) -> Callable[[NDArray[np.uint8]], None]:
    """Return ONNX Runtime with all threads on each part, one part after the other."""
    session = OnnxBackend(path, "fastnet", threads)._begin(threads)  # noqa: SLF001
    step = PART_PX // PATCH_PX**2

    def judge(patches: NDArray[np.uint8]) -> None:
        for first in range(0, len(patches), step):
            session.run(["probability"], {"patches": patches[first : first + step]})

    return judge


def openvino_part_by_part(
    path: Path, threads: int
) -> Callable[[NDArray[np.uint8]], None]:
    """Return OpenVINO with all threads on each part, one part after the other."""
    backend = OpenVinoBackend(path, "fastnet", threads)
    latency = {hints.performance_mode: hints.PerformanceMode.LATENCY}
    compiled = backend._compiled("probability", latency)  # noqa: SLF001
    request = compiled.create_infer_request()
    step = PART_PX // PATCH_PX**2

    def judge(patches: NDArray[np.uint8]) -> None:
        for first in range(0, len(patches), step):
            request.infer([patches[first : first + step]])

    return judge


def openvino_in_float32(path: Path, threads: int) -> OpenVinoBackend:
    """Return OpenVINO as it computes where a processor has no bfloat16."""
    backend = OpenVinoBackend(path, "fastnet", threads)
    backend._options[hints.inference_precision] = openvino.Type.f32  # noqa: SLF001
    return backend


def with_torch(
    bundle: ModelBundle, *, half: bool = False, compiled: bool = False
) -> Callable[[NDArray[np.uint8]], None]:
    """Return torch in another way than `TorchBackend`'s."""
    network = load_weights(bundle.weights_path).to(memory_format=torch.channels_last)
    classifier: Any = PatchClassifier(network, normalisation=bundle.normalisation)
    if compiled:
        classifier = torch.compile(classifier)

    def judge(patches: NDArray[np.uint8]) -> None:
        with (
            torch.inference_mode(),
            torch.autocast("cpu", dtype=torch.bfloat16, enabled=half),
        ):
            classifier(torch.from_numpy(patches))

    return judge


def ways(bundle: ModelBundle, threads: int) -> dict[str, Callable[..., object]]:
    """Return the ways of judging patches, what is used first."""
    path = bundle.onnx_path
    return {
        "OpenVINO, bfloat16": OpenVinoBackend(path, "fastnet", threads).predict,
        "OpenVINO, bfloat16, all threads on each part": openvino_part_by_part(
            path, threads
        ),
        "OpenVINO, float32": openvino_in_float32(path, threads).predict,
        "ONNX Runtime": OnnxBackend(path, "fastnet", threads).predict,
        "ONNX Runtime, all threads on each part": onnx_part_by_part(path, threads),
        "torch eager": create_backend(
            bundle, NetworkChoice(backend="torch", threads=threads)
        ).predict,
        "torch, channels last": with_torch(bundle),
        "torch, channels last, bfloat16": with_torch(bundle, half=True),
        "torch.compile": with_torch(bundle, compiled=True),
        "torch.compile, bfloat16": with_torch(bundle, half=True, compiled=True),
    }


def tries(threads: int, seconds: float) -> dict[str, Any]:
    """Return patches/s of each way, and px of tissue/s of each size."""
    torch.set_num_threads(threads)
    bundle = load_bundle("fastnet-pcam")
    rng = np.random.default_rng(0)
    patches = rng.integers(0, 256, (PATCHES, PATCH_PX, PATCH_PX, 3), np.uint8)
    calls = {name: partial(way, patches) for name, way in ways(bundle, threads).items()}
    backend = create_backend(bundle, NetworkChoice(threads=threads))
    sides = {}
    for values in PICTURES:
        side = bundle.dense_scan.picture_px(values)
        picture = rng.integers(0, 256, (side, side, 3), np.uint8)
        sides[values] = partial(backend.cell_margins, picture)
    at_once = {n: partial(backend.predict, patches[:n]) for n in PARTS}
    found = rates({("way", n): c for n, c in calls.items()}, seconds)
    found |= rates({("side", n): c for n, c in sides.items()}, seconds)
    found |= rates({("part", n): c for n, c in at_once.items()}, seconds)
    return {
        "threads": threads,
        "patch_px": PATCH_PX,
        "patches_per_s": {n: found["way", n] * PATCHES for n in calls},
        "dense_mpx_per_s": {n: found["side", n] * (16 * n) ** 2 / 1e6 for n in sides},
        "patches_per_s_at_once": {n: found["part", n] * n for n in at_once},
        "machine": asdict(Machine.here()),
    }


def main() -> None:
    """Measure, print, and write the figures where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=physical_cores())
    parser.add_argument("--seconds", type=float, default=4.0, help="for each")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    tell(tries(arguments.threads, arguments.seconds), arguments.json)


if __name__ == "__main__":
    main()
