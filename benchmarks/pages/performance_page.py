"""Write what the benchmarks measured into docs/explain/performance.md.

    python benchmarks/pages/performance_page.py [--results benchmarks/results]
        [--page docs/explain/performance.md]

Each file of benchmarks/results fills one part of the page, which says what wrote it; the
part of a file that is not there is left as it is. The roofline is drawn anew.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.append(str(Path(__file__).parents[1]))

from page import write_between
from roofline import roofline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PAGE, RESULTS = Path("docs/explain/performance.md"), Path("benchmarks/results")
NAMES = {
    "mobilenetv2-0.5": "MobileNetV2 0.5",
    "shufflenetv2-1.0": "ShuffleNetV2 1.0",
    "efficientnet-b0": "EfficientNet-B0",
    "resnet34": "ResNet34",
}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as Markdown: words, then numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine(found: dict[str, Any]) -> str:
    """Return what was measured on, in a line."""
    here = found["machine"]
    versions = ", ".join(
        f"{name} {here['versions'][name]}"
        for name in ("onnxruntime", "openvino", "torch")
        if here["versions"].get(name)
    )
    abilities = " ".join(here["abilities"])
    return (
        f"{here['processor']}, {here['cores']} cores ({abilities}), {here['system']}, "
        f"Python {here['versions']['python']}, {versions}."
    )


def scan(found: dict[str, Any]) -> str:
    """Return reading, inferring and both, and the ratios."""
    patches, ratios, subject = found["scan"], found["ratios"], found["subject"]
    side = patches["patch_px"]
    rates = table(
        ["", "megapixels of tissue/s", f"patches/s of {side} px"],
        [
            [
                words,
                f"{found[f'{name}_mpx_per_s']:.1f}",
                f"{patches[f'{name}_patches_per_s']:,.0f}",
            ]
            for words, name in (
                ("reading alone", "read"),
                ("inferring alone", "infer"),
                ("both at once", "end_to_end"),
            )
        ],
    )
    given = patches["network_mpx"] / patches["tissue_mpx"]
    raw_mpx = found["infer_patches_per_s"] * found["patch_px"] ** 2 / 1e6
    lines = [
        f"- both at once to the slower alone: **{ratios['end_to_end_to_slower']:.0%}**",
        "- both at once to what the two come to on shared cores, 1 / (1 / reading + "
        f"1 / inferring): {ratios['end_to_end_to_shared']:.0%}",
        f"- time densely to time patch by patch: **{ratios['dense_to_patch']:.2f}**",
        f"- px that the network is given to px of tissue: {given:.2f}",
        f"- inferring tissue to inferring patches of {found['patch_px']} px: "
        f"**{found['infer_mpx_per_s'] / raw_mpx:.0%}**",
        "- a slide of 100,000 x 80,000 px at 0.243 µm with 30 % tissue: "
        f"**{found['minutes_per_slide']:.2f} minutes**",
    ]
    return "\n".join(
        [rates, "", *lines, "", f"{subject['model']}, {subject['stride']}, "]
    ) + (f"{found['backend']}, {subject['threads']} threads. {machine(found)}")


def libraries(found: dict[str, Any]) -> str:
    """Return FastNet by each library, and what the machine can do."""
    rows = [
        [
            f"FastNet, {name}",
            f"{rate['patches_per_s']:,.0f}",
            f"{rate['gflops']:,.0f}",
            f"{rate['to_matmul']:.0%}",
        ]
        for name, rate in found["backends"].items()
    ]
    for name, key in (
        ("matrix product, float32", "matmul_gflops"),
        ("matrix product, bfloat16", "matmul_bfloat16_gflops"),
    ):
        share = found[key] / found["matmul_gflops"]
        rows.append([name, "", f"{found[key]:,.0f}", f"{share:.0%}"])
    side = found["patch_px"]
    text = table(["", f"patches/s of {side} px", "GFLOP/s", "of the product"], rows)
    return f"{text}\n\n{machine(found)}"


def network(found: dict[str, Any]) -> str:
    """Return FastNet by each library, the machine, and the peers."""
    text = f"{libraries(found)} Memory is copied at {found['copy_gb_per_s']:.1f} GB/s. "
    text += f"FastNet ({found['backend']}) is as fast as torch eager times "
    text += f"**{found['ratios']['infer_to_torch_eager']:.1f}**.\n\n"
    text += "![Roofline](roofline.png)\n\n"
    peers = [
        [
            NAMES[name],
            f"{rate['parameters'] / 1e6:.2f}",
            f"{rate['patch_gflop']:.2f}",
            f"{rate['patches_per_s']:,.0f}",
            f"{rate['fastnet_times_as_fast']:.1f}",
        ]
        for name, rate in (found["peers"] or {}).items()
    ]
    side = found["patch_px"]
    one = found["backends"][found["backend"]]
    own = [
        "FastNet",
        f"{one['parameters'] / 1e6:.2f}",
        f"{one['patch_gflop']:.2f}",
        f"{one['patches_per_s']:,.0f}",
        "1.0",
    ]
    head = ["", "million weights", f"GFLOP a patch of {side} px", "patches/s"]
    return text + table([*head, "FastNet is faster by"], [own, *peers])


def growth(found: dict[str, Any]) -> str:
    """Return a row a size, and the largest to the first."""
    rows = [
        [
            f"{one['gigapixels']:.2f}",
            f"{one['tissue_mpx']:.1f}",
            f"{one['seconds']:.1f}",
            f"{one['first_result_s']:.2f}",
            f"{one['seconds_per_mpx'] * 1000:.1f}",
            f"{one['peak_rss_mb']:,.0f}",
        ]
        for one in found["detections"]
    ]
    head = ["gigapixels", "tissue, Mpx", "start to end, s", "first result, s"]
    text = table([*head, "ms a Mpx of tissue", "peak MB"], rows)
    larger = found["growth"]
    if len(rows) > 1:
        text += (
            f"\n\n{larger['gigapixels']:.0f} times the slide: time a megapixel of tissue "
            f"**x {larger['seconds_per_mpx']:.2f}**, first result "
            f"**x {larger['first_result_s']:.2f}**, peak memory "
            f"**x {larger['peak_rss_mb']:.2f}**."
        )
    subject = found["subject"]
    limit = subject["memory_mb"]
    asked = f", --memory {limit}" if limit else ""
    return f"{text}\n\n{found['backend']}, {subject['threads']} threads{asked}."


def against_wsinfer(found: list[dict[str, Any]]) -> str:
    """Return what each way of doing one slide took."""
    rows = [
        [
            one["name"],
            f"{one['patches']:,}",
            f"{one['seconds']:.1f}",
            f"{one['peak_mb']:,.0f}",
            f"{found[-1]['seconds'] / one['seconds']:.1f}",
        ]
        for one in found
    ]
    return table(["", "patches", "s", "peak MB", "faster than the last by"], rows)


def resume(found: dict[str, Any]) -> str:
    """Return what became of a run that was killed again and again."""
    rows = [
        ["processes killed", f"{found['kills']}"],
        [
            "of them before the first block",
            f"{found['kills_before_the_first_batch']}",
        ],
        ["blocks of the slide", f"{found['blocks']}"],
        [
            "most blocks computed again after a kill",
            f"{found['most_blocks_repeated_after_a_kill']}",
        ],
        [
            "half-written blocks, damage told",
            f"{found['blocks_half_written']}, {found['damage_reported']}",
        ],
        [
            "equal to a run that nobody touched, bit for bit",
            "yes" if found["equal"] else "**no**",
        ],
        [
            "seconds, undisturbed and with all kills",
            f"{found['seconds_undisturbed']:.1f}, {found['seconds_with_kills']:.1f}",
        ],
    ]
    return table(["", ""], rows)


def cohort(found: dict[str, Any]) -> str:
    """Return what a second worker gives."""
    rows = [
        [workers, f"{seconds:.1f}", f"{found['processors'][workers]:.2f}"]
        for workers, seconds in found["seconds"].items()
    ]
    head = ["workers of one thread", "s", "processors busy"]
    return f"{table(head, rows)}\n\nTwice as many: **x {found['ratio']:.2f}**."


def cohort_page(found: dict[str, Any]) -> str:
    """Return how fast a cohort's report opens and sorts."""
    sorts = {n: ms for n, ms in found["acts"].items() if n.startswith("sort by ")}
    slowest = max(sorts, key=lambda name: sorts[name]["median"])
    parts = {
        "first paint": found["open"]["paint"],
        "read and laid out": found["open"]["load"],
        f"{slowest}, the slowest column": sorts[slowest],
        "filter": found["acts"]["filter"],
        "search, a letter more": found["acts"]["search"],
    }
    rows = [
        [name, f"{ms['median']:.0f}", f"{ms['largest']:.0f}"]
        for name, ms in parts.items()
    ]
    head = [f"{found['rows']} rows in {found['browser']}", "median, ms", "largest, ms"]
    return f"{table(head, rows)}\n\nThe page has {found['page_kb']:.0f} kB."


#: Each part of the page, by its mark: from which file, and how.
PARTS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "scan": ("bench", scan),
    "network": ("bench", network),
    "amx": ("bench_amx", libraries),
    "growth": ("bench", growth),
    "mosaic": ("mosaic", scan),
    "small": ("small", growth),
    "wsinfer": ("wsinfer", against_wsinfer),
    "resume": ("resume_kills", resume),
    "cohort": ("cohort", cohort),
    "cohort_page": ("cohort_page", cohort_page),
}


def main() -> None:
    """Fill the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=PAGE)
    arguments = parser.parse_args()
    for mark, (name, describe) in PARTS.items():
        file = arguments.results / f"{name}.json"
        if file.exists():
            found = json.loads(file.read_text("utf-8"))
            write_between(arguments.page, f"performance_{mark}", describe(found))
    bench = arguments.results / "bench.json"
    if bench.exists():
        found = json.loads(bench.read_text("utf-8"))
        roofline(found, arguments.page.with_name("roofline.png"))


if __name__ == "__main__":
    main()
