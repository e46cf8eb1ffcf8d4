"""Measure what docs/explain/performance.md shows, more than ``napari-fastnet bench``.

    python benchmarks/pages/performance_figures.py [SLIDE] [--gigapixels 0.5 8]
        [--threads N] [--memory MB] [--backend NAME] [--seconds 4]
        [--json benchmarks/results/bench.json]

Besides rates and peers: FastNet by each library, products in bfloat16 and the copying of
memory for the roofline, a scan densely and patch by patch, and detections of drawn slides
of several sizes, in processes of their own. All in one run, so that ratios carry over.
"""

from __future__ import annotations

import argparse
import platform
import sys
from dataclasses import asdict, dataclass
from functools import partial
from math import isqrt
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

sys.path.append(str(Path(__file__).parents[1]))

from napari_fastnet.bench.measure import bench, detect_words, run_apart
from napari_fastnet.bench.networks import (
    MATRIX_SIDE,
    PATCH_PX,
    patch_gflop,
    random_patches,
    rates,
)
from napari_fastnet.bench.options import BenchOptions
from napari_fastnet.bench.throughput import ScanBench
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.errors import DependencyError
from napari_fastnet.machine.memory import physical_cores
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.model.options import NetworkChoice
from napari_fastnet.nn.checkpoint import load_weights
from napari_fastnet.nn.counts import parameter_count, value_count
from napari_fastnet.results.record import STORE, read_record, versions
from napari_fastnet.store.format import CHUNKS, decode
from napari_fastnet.synthetic.giga import giga_shape, write_giga_slide
from page import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Detections of each slide, one after the other of all slides.
ROUNDS = 3
COPY_BYTES = 2**27  # well beyond any cache
# Of the processor, what matters here: wide vectors and numbers of 8 and 16 bits.
ABILITIES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
PACKAGES = (
    "napari-fastnet",
    "numpy",
    "imagecodecs",
    "onnxruntime",
    "openvino",
    "torch",
)


def machine() -> dict[str, Any]:
    """Return this machine and its software."""
    try:
        first, *_ = Path("/proc/cpuinfo").read_text("utf-8").split("\n\n")
    except OSError:  # not Linux
        first = ""
    pairs = (line.partition(":") for line in first.splitlines())
    facts = {name.strip(): value.strip() for name, _, value in pairs}
    flags = facts.get("flags", "").split()
    return {
        "processor": facts.get("model name") or platform.processor() or "unknown",
        "system": f"{platform.system()} {platform.machine()}",
        "cores": physical_cores(),
        "abilities": [flag for flag in ABILITIES if flag in flags],
        "versions": versions(PACKAGES),
    }


@dataclass(frozen=True, slots=True)
class Detection:
    """``napari-fastnet detect`` on a slide.

    Parameters
    ----------
    gigapixels, tissue_mpx : float
        The slide, level-0 px, and its tissue, px of the model.
    seconds : float
        From the start of the process to its end.
    first_result_s : float or None
        From the start of the process until a block of probabilities is in the store;
        None without tissue.
    seconds_per_mpx : float or None
        From the first block to the last, per megapixel of the tissue behind the first;
        None where there are no two.
    peak_rss_mb : float or None
        Most memory at once, millions of bytes; None where the system does not tell.
    """

    gigapixels: float
    tissue_mpx: float
    seconds: float
    first_result_s: float | None
    seconds_per_mpx: float | None
    peak_rss_mb: float | None


def detect_once(slide: Path, options: Sequence[str]) -> Detection:
    """Detect in a process of its own, and look at what it left."""
    with TemporaryDirectory() as place:
        footprint = run_apart(["detect", str(slide), "--output", place, *options])
        folder = Path(place) / slide.stem
        record = read_record(folder / "run.json")
        paths = (folder / STORE / CHUNKS).glob("*/*")
        blocks = sorted((path.stat().st_mtime, path) for path in paths)
        cells = [computed(path) for _, path in blocks]
    cell_mpx = (record.options.stride_px or 0) ** 2 / 1e6
    behind_mpx = sum(cells[1:]) * cell_mpx
    whole = blocks[-1][0] - blocks[0][0] if blocks else 0
    return Detection(
        record.slide.height * record.slide.width / 1e9,
        sum(cells) * cell_mpx,
        footprint.seconds,
        blocks[0][0] - footprint.began if blocks else None,
        whole / behind_mpx if behind_mpx else None,
        footprint.peak_rss_mb,
    )


def computed(chunk: Path) -> int:
    """Return the number of cells of a block that hold a value."""
    content = chunk.read_bytes()
    side = isqrt(len(content) // 4)  # float32, and four bytes of checksum
    return int(np.count_nonzero(~np.isnan(decode(content, side))))


def middle(detections: Sequence[Detection]) -> Detection:
    """Return the median of each figure; None where there is none."""
    columns = zip(*(asdict(one).values() for one in detections), strict=True)
    return Detection(*(None if None in one else median(one) for one in columns))


def growth(small: Detection, large: Detection) -> dict[str, float]:
    """Return the largest slide's figures to the first's."""
    names = ("gigapixels", "seconds_per_mpx", "first_result_s", "peak_rss_mb")
    pairs = {name: (getattr(large, name), getattr(small, name)) for name in names}
    return {name: of / to for name, (of, to) in pairs.items() if of and to}


def figures(
    slide: Path | None, sizes: list[float], options: BenchOptions
) -> dict[str, Any]:
    """Measure everything."""
    bundle = load_bundle(options.model)
    with TemporaryDirectory() as place:
        slides = [slide] if slide else []
        for number, size in enumerate([] if slide else sizes):
            say(f"drawing a slide of {size:g} gigapixels")
            slides.append(Path(place) / f"drawn-{number}.svs")
            write_giga_slide(slides[-1], shape=giga_shape(size), tissue=options.tissue)
        found = bench(slides[0], options, say)
        threads = found["threads"]
        backend = create_backend(
            bundle, NetworkChoice(backend=options.backend, threads=threads)
        )

        def scans(stride: str | int | None) -> ScanBench:
            run = RunOptions(
                stride=stride, flips=options.flips, memory_mb=options.memory_mb
            )
            return ScanBench(slides[0], bundle, backend, run, mpp=options.mpp)

        say("densely, and patch by patch")
        both = {
            kind: scans(kind).measure(1e9).end_to_end for kind in ("dense", "patch")
        }
        asked = scans(options.stride)
        scan = asked.measure(options.seconds)
        say("each library, products and copies")
        networks = libraries(bundle, threads, options.seconds)
        say("detecting in processes of their own")
        words = detect_words(options)
        turns = [[detect_once(one, words) for one in slides] for _ in range(ROUNDS)]
    detections = [middle(of_slide) for of_slide in zip(*turns, strict=True)]
    rates_mpx = {name: getattr(scan, name) for name in ("read", "infer", "end_to_end")}
    side = bundle.patch_size_pixels
    return {
        **found,
        **networks,
        **{f"{name}_mpx_per_s": rate for name, rate in rates_mpx.items()},
        "ratios": {
            "infer_to_torch_eager": found["infer_patches_per_s"]
            / found["torch_eager_patches_per_s"],
            "fastnet_to_matmul": found["fastnet_gflops"] / found["matmul_gflops"],
            "end_to_end_to_slower": scan.end_to_end / min(scan.read, scan.infer),
            # the two, on processors that each kept busy alone
            "end_to_end_to_shared": scan.end_to_end * (1 / scan.read + 1 / scan.infer),
            "dense_to_patch": both["patch"] / both["dense"],
        },
        "scan": {
            "patch_px": side,
            **{f"{n}_patches_per_s": r * 1e6 / side**2 for n, r in rates_mpx.items()},
            "tissue_mpx": scan.tissue_mpx,
            "network_mpx": scan.network_mpx,
        },
        "detections": [asdict(one) for one in detections],
        "growth": growth(detections[0], detections[-1]),
        "subject": {
            "slide": slide.name if slide else None,
            "model": found["model"],
            "stride": options.stride or "dense",
            "threads": threads,
            "memory_mb": options.memory_mb,
            "seconds": options.seconds,
        },
        "machine": machine(),
    }


def libraries(bundle: Any, threads: int, seconds: float) -> dict[str, Any]:
    """Return FastNet by each library for CPUs, and what the machine can do."""
    model, patches = load_weights(bundle.weights_path), random_patches()
    gflop = patch_gflop(model)
    factors = torch.rand(2, MATRIX_SIDE, MATRIX_SIDE)
    memory = torch.zeros(2, COPY_BYTES, dtype=torch.uint8)
    calls = {
        "matmul": partial(torch.mm, *factors),
        "matmul_bfloat16": partial(torch.mm, *factors.to(torch.bfloat16)),
        "copy": partial(memory[0].copy_, memory[1]),
    }
    for name in ("onnx", "openvino", "torch"):
        try:
            one = create_backend(bundle, NetworkChoice(backend=name, threads=threads))
        except DependencyError:
            continue
        calls[one.name] = partial(one.predict, patches)
    found = rates(calls, seconds)
    products = {
        f"{name}_gflops": found.pop(name) * 2 * MATRIX_SIDE**3 / 1e9
        for name in ("matmul", "matmul_bfloat16")
    }
    copied = found.pop("copy") * 2 * COPY_BYTES / 1e9
    return {
        **products,
        "copy_gb_per_s": copied,
        "backends": {
            name: {
                "patches_per_s": rate * len(patches),
                "patch_gflop": gflop,
                "parameters": parameter_count(model),
                "gflops": rate * len(patches) * gflop,
                "to_matmul": rate * len(patches) * gflop / products["matmul_gflops"],
            }
            for name, rate in found.items()
        },
        "patch_million_values": value_count(model, PATCH_PX, PATCH_PX) / 1e6,
    }


def say(step: str) -> None:
    """Print the next step."""
    print(f"{step} ...", file=sys.stderr, flush=True)  # noqa: T201


def main() -> None:
    """Measure, and print the figures as JSON."""
    usual = BenchOptions()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slide", type=Path, nargs="?")
    parser.add_argument("--gigapixels", type=float, nargs="+", default=[0.5, 8])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--memory", type=int)
    parser.add_argument("--backend", default=usual.backend)
    parser.add_argument("--seconds", type=float, default=usual.seconds)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    options = BenchOptions(
        threads=given.threads,
        memory_mb=given.memory,
        backend=given.backend,
        seconds=given.seconds,
    )
    tell(figures(given.slide, given.gigapixels, options), given.json)


if __name__ == "__main__":
    main()
