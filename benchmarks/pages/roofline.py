"""Draw what FastNet reaches between the ceilings of a machine: the roofline.

    napari-fastnet bench --json > benchmarks/results/bench.json
    python benchmarks/pages/roofline.py [benchmarks/results/bench.json]
        [-o docs/explain/roofline.png]

A network's arithmetic intensity is its operations to the bytes that its layers read and
write, every map going through memory once in and once out, in the numbers that the
library computes with. Points above the slope keep maps in the cache, or never write them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BYTES = {"bf16": 2, "float32": 4}
COLOURS = {"onnx": "#d95f02", "openvino": "#1b9e77", "torch": "#7570b3"}
INK = "#333333"
INTENSITY = (1, 1000)  # operations a byte, from left to right


def roofline(found: dict[str, Any], path: Path) -> None:
    """Draw the picture of one ``bench --json``."""
    figure = Figure(figsize=(7, 4.4), layout="constrained")
    axes = figure.subplots()
    _ceilings(axes, found)
    for name, rate in found["backends"].items():
        library, numbers = name.partition(" ")[0], name.partition(", ")[2] or "float32"
        intensity = found["patch_gflop"] * 1e3
        intensity /= found["patch_million_values"] * BYTES.get(
            numbers, BYTES["float32"]
        )
        axes.plot(intensity, rate["gflops"], "o", ms=9, color=COLOURS[library])
        share = rate["to_matmul"]
        axes.annotate(
            f"{name.replace(' on cpu', '')}\n{rate['gflops']:.0f} GFLOP/s, {share:.0%}",
            (intensity, rate["gflops"]),
            xytext=(10, 0),
            textcoords="offset points",
            va="bottom" if share > 1 else "top",  # away from the roof it comes near
            color=COLOURS[library],
            bbox={"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1},
            fontsize=9,
            zorder=3,
        )
    axes.set(
        xscale="log",
        yscale="log",
        xlim=INTENSITY,
        xlabel="operations a byte, each map through memory once",
        ylabel="GFLOP/s",
    )
    machine = found["machine"]
    axes.set_title(
        f"FastNet on {machine['processor']}, {machine['cores']} cores: "
        "share of a float32 matrix product",
        fontsize=10,
    )
    axes.grid(which="major", color="#dddddd", lw=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def _ceilings(axes: Axes, found: dict[str, Any]) -> None:
    """Draw the slope of the memory and the flat roofs of matrix products."""
    intensity = np.geomspace(*INTENSITY, 200)
    slope, roofs = found["copy_gb_per_s"], {}
    roofs["float32"] = found["matmul_gflops"]
    # where a processor has no bfloat16, its products are slower and no ceiling
    if found["matmul_bfloat16_gflops"] > roofs["float32"]:
        roofs["bfloat16"] = found["matmul_bfloat16_gflops"]
    top = max(roofs.values())
    axes.plot(intensity, np.minimum(slope * intensity, top), color=INK, lw=1.5)
    for name, roof in roofs.items():
        axes.plot([roof / slope, INTENSITY[1]], [roof, roof], color=INK, lw=1.5)
        axes.annotate(
            f"{name} matrix product, {roof:.0f} GFLOP/s",
            (INTENSITY[1], roof),
            xytext=(-4, 4),
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize=9,
            color=INK,
        )
    at = (INTENSITY[0] * 1.15, slope * INTENSITY[0] * 1.15)
    axes.annotate(
        f"memory, {slope:.0f} GB/s",
        at,
        xytext=(14, 0),
        textcoords="offset points",
        va="center",
        color=INK,
    )
    lowest = min(rate["gflops"] for rate in found["backends"].values())
    axes.set_ylim(min(slope, lowest) * 0.6, top * 1.8)


def main() -> None:
    """Draw the file that is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results = Path("benchmarks/results/bench.json")
    parser.add_argument("bench", type=Path, nargs="?", default=results)
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("docs/explain/roofline.png")
    )
    arguments = parser.parse_args()
    roofline(json.loads(arguments.bench.read_text("utf-8")), arguments.output)


if __name__ == "__main__":
    main()
