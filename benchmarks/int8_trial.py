"""Try 8-bit numbers: the shipped network quantised, its speed and its cost in AUC.

ONNX Runtime's static quantisation (QDQ, weights channel by channel, ranges by smallest
and largest value), calibrated on some patches; the others are judged by all
networks. OpenVINO computes as it would by itself, in bfloat16 where it can.

    python benchmarks/int8_trial.py DATA [--json benchmarks/results/int8.json]

DATA is a tar or folder with images in 0/ and 1/ at the model's µm/px. Needs the package
onnx and openvino.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.bench.networks import rates
from napari_fastnet.bench.report import Machine
from napari_fastnet.core.metrics.patches import roc_auc
from napari_fastnet.machine.private_imports import onnxruntime
from napari_fastnet.model.backends.create import network_on_cpu
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.patches.reading import iterate_patches
from page import tell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# Behind ONNX Runtime, which is imported so that it reports nothing.
quantization = import_module(f"{onnxruntime.__name__}.quantization")
shape_inference = import_module(f"{quantization.__name__}.shape_inference")

PATCHES, PATCH_PX = 16, 256  # as `napari-fastnet bench` times the network
BATCH = 32
PLAIN = "onnx, float32"  # what the others are compared with


class Calibration(quantization.CalibrationDataReader):
    """Patches, batch by batch, as the quantiser wants them."""

    def __init__(self, patches: NDArray[np.uint8]) -> None:
        self._batches: Iterator[NDArray[np.uint8]] = iter(
            np.array_split(patches, max(1, len(patches) // BATCH))
        )

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """Return the next batch, None at the end."""
        batch = next(self._batches, None)
        return None if batch is None else {"patches": batch}


def quantise(path: Path, patches: NDArray[np.uint8], folder: Path) -> Path:
    """Write an ONNX network in 8-bit numbers, and return its file."""
    prepared, quantised = folder / "prepared.onnx", folder / "int8.onnx"
    shape_inference.quant_pre_process(path, prepared, skip_symbolic_shape=True)
    quantization.quantize_static(
        prepared,
        quantised,
        Calibration(patches),
        quant_format=quantization.QuantFormat.QDQ,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        per_channel=True,
        calibrate_method=quantization.CalibrationMethod.MinMax,
    )
    return quantised


def trial(
    data: Path, calibration: int, threads: int | None, seconds: float
) -> dict[str, Any]:
    """Return the figures of all networks."""
    bundle = load_bundle("fastnet-pcam")
    patches = list(iterate_patches(data))
    order = np.random.default_rng(0).permutation(len(patches))
    images = np.stack([patch.image for patch in patches])[order]
    labels = np.array([patch.label for patch in patches])[order]
    with TemporaryDirectory() as place:
        path = quantise(bundle.onnx_path, images[:calibration], Path(place))
        networks = {
            f"{library}, {numbers}": network_on_cpu(
                file, f"fastnet in {numbers}", name=library, threads=threads
            )
            for library, numbers, file in (
                ("onnx", "float32", bundle.onnx_path),
                ("onnx", "int8", path),
                ("openvino", "default", bundle.onnx_path),
                ("openvino", "int8", path),
            )
        }
    found = {
        name: network.predict(images[calibration:])
        for name, network in networks.items()
    }
    timed = np.random.default_rng(0).integers(
        0, 256, (PATCHES, PATCH_PX, PATCH_PX, 3), np.uint8
    )
    calls = {name: partial(one.predict, timed) for name, one in networks.items()}
    per_s = {name: rate * PATCHES for name, rate in rates(calls, seconds).items()}
    auc = {name: roc_auc(labels[calibration:], p) for name, p in found.items()}
    return {
        "patches": len(labels) - calibration,
        "calibration_patches": calibration,
        "patch_px": PATCH_PX,
        "networks": {
            name: {
                "patches_per_s": per_s[name],
                "speed_ratio": per_s[name] / per_s[PLAIN],
                "auc": auc[name],
                "auc_cost": auc[PLAIN] - auc[name],
                "mean_change": float(np.abs(found[name] - found[PLAIN]).mean()),
            }
            for name in networks
        },
        "machine": asdict(Machine.here()),
    }


def main() -> None:
    """Measure, print, and write the figures where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--calibration", type=int, default=256, help="patches [256]")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seconds", type=float, default=4.0, help="of timing, each")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures = trial(
        arguments.data, arguments.calibration, arguments.threads, arguments.seconds
    )
    tell(figures, arguments.json)


if __name__ == "__main__":
    main()
