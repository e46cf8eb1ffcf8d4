"""Time this package beside WSInfer: same slide, same weights, same patches.

Both run as a user runs them, from the start of the process to the files on disk: patches
of 256 px at 0.25 µm/px that do not overlap, the shipped weights, averaged over the whole
patch as in the paper. Then the shipped model as it is, by dense scanning. WSInfer wants
libraries of its time, so it is called in an environment of its own; without
``--wsinfer`` only this package is timed.

    python benchmarks/against_wsinfer.py SLIDE [--wsinfer PATH] [--repeats 3] [--json]
"""

# ruff: noqa: T201  a script on its own, no package

from __future__ import annotations

import argparse
import csv
import json
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from napari_fastnet.bench.measure import run_command
from napari_fastnet.model.bundle import ONNX_FILE, WEIGHTS_FILE, load_bundle
from napari_fastnet.model.description import ModelDescription
from napari_fastnet.model.writing import write_bundle
from napari_fastnet.nn.checkpoint import export_onnx, load_weights, save_weights
from napari_fastnet.nn.fastnet import FastNet

PATCH_PX, PATCH_MPP = 256, 0.25
PROCESSORS = 2


@dataclass(frozen=True)
class Timing:
    """One way of doing the slide: the quickest of some repeats."""

    name: str
    patches: int
    seconds: float
    peak_mb: float


def write_models(folder: Path) -> tuple[Path, Path]:
    """Write the shipped weights as a bundle and as TorchScript for 256 px patches."""
    shipped = load_bundle("fastnet-pcam")
    trained = load_weights(shipped.weights_path)
    network = FastNet(replace(trained.config, pool_cells=None))
    network.load_state_dict(trained.state_dict())
    network.eval()
    description = ModelDescription(
        name="fastnet-256",
        version="0",
        patch_size_pixels=PATCH_PX,
        spacing_um_px=PATCH_MPP,
        architecture=network.config,
        transform=shipped.transform,
    )
    weights, onnx = folder / "weights", folder / "onnx"
    save_weights(network, weights)
    export_onnx(
        network, onnx, patch_size=PATCH_PX, normalisation=description.normalisation
    )
    bundle = folder / "bundle"
    write_bundle(
        bundle,
        description,
        sources={WEIGHTS_FILE: weights, ONNX_FILE: onnx},
        card="For timing.\n",
    )
    script = folder / "wsinfer"
    script.mkdir()
    example = torch.zeros(4, 3, PATCH_PX, PATCH_PX)
    torch.jit.trace(network, example).save(str(script / "torchscript_model.pt"))
    resize = {"name": "Resize", "arguments": {"size": PATCH_PX}}
    config = {
        "spec_version": "1.0",
        "architecture": "fastnet",
        "num_classes": 2,
        "patch_size_pixels": PATCH_PX,
        "spacing_um_px": PATCH_MPP,
        "class_names": list(description.class_names),
        "transform": [resize, *description.transform.steps()],
    }
    (script / "config.json").write_text(json.dumps(config))
    return bundle, script


def time_command(command: list[str | Path], repeats: int) -> tuple[float, float]:
    """Return the fewest seconds, and the most memory that one process took, MB."""
    runs = [run_command(list(map(str, command))) for _ in range(repeats)]
    peaks = [run.peak_rss_mb for run in runs if run.peak_rss_mb is not None]
    return min(run.seconds for run in runs), max(peaks)


def time_ours(
    slide: Path, output: Path, name: str, options: list[str | Path], repeats: int
) -> Timing:
    """Time `napari-fastnet detect`, which computes all anew each time."""
    run = [Path(sys.executable).with_name("napari-fastnet"), "detect", slide]
    found = time_command([*run, "-o", output, "--fresh", *options], repeats)
    record = json.loads((output / slide.stem / "run.json").read_text())
    return Timing(name, record["counts"]["computed"], *found)


def time_wsinfer(
    wsinfer: Path, slide: Path, script: Path, output: Path, repeats: int
) -> Timing:
    """Time `wsinfer run` on a folder that holds a link to the slide."""
    slides = output / "slides"
    slides.mkdir(parents=True)
    (slides / slide.name).symlink_to(slide.absolute())
    seconds, peak = float("inf"), 0.0
    for _ in range(repeats):
        results = output / "results"
        shutil.rmtree(results, ignore_errors=True)
        run: list[str | Path] = [wsinfer, "run", "-i", slides, "-o", results]
        run += ["-c", script / "config.json", "-p", script / "torchscript_model.pt"]
        found = time_command([*run, "-n", str(PROCESSORS)], 1)
        seconds, peak = min(seconds, found[0]), max(peak, found[1])
    with next((results / "model-outputs-csv").glob("*.csv")).open() as file:
        patches = sum(1 for _ in csv.DictReader(file))
    return Timing("WSInfer, 256 px patches", patches, seconds, peak)


def main() -> None:
    """Time all ways on one slide and print them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("slide", type=Path)
    parser.add_argument("--wsinfer", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle, script = write_models(folder)
        patchwise = ["--model", bundle, "--stride", "patch"]
        timings = [
            time_ours(given.slide, folder / label, label, options, given.repeats)
            for label, options in (
                ("here, 256 px patches", [*patchwise]),
                (
                    "here, 256 px patches, not resampled",
                    [*patchwise, "--spacing-tolerance", "0.03"],
                ),
                ("here, ONNX Runtime", [*patchwise, "--backend", "onnx"]),
                ("here, shipped model, dense", []),
            )
        ]
        if given.wsinfer:
            output = folder / "peer"
            timings.append(
                time_wsinfer(given.wsinfer, given.slide, script, output, given.repeats)
            )
    if given.json:
        print(json.dumps([asdict(timing) for timing in timings], indent=2))
        return
    slowest = timings[-1]
    for timing in timings:
        print(
            f"{timing.name:36} {timing.patches:6} patches {timing.seconds:7.1f} s "
            f"{timing.peak_mb:6.0f} MB  {slowest.seconds / timing.seconds:5.1f} x"
        )


if __name__ == "__main__":
    main()
