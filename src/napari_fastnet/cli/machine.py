"""``napari-fastnet bench`` and ``doctor``: speed here, and what is installed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_fastnet.bench.options import BenchOptions
from napari_fastnet.cli.output import print_columns, print_json, print_notes
from napari_fastnet.errors import DependencyError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_fastnet.machine.doctor import Finding


def bench(
    options: BenchOptions,
    slide: Annotated[Path | None, typer.Argument()] = None,
    as_json: bool = False,
) -> None:
    """Measure reading, inference, both, memory, and other networks beside.

    Parameters
    ----------
    options : BenchOptions
        Size of the slide, model and time.
    slide : Path or None
        Slide to measure on; None is a drawn one.
    as_json : bool
        Print JSON.
    """
    from napari_fastnet.bench.measure import bench as measure

    found = measure(slide, options, lambda step: print_notes([f"{step} ..."]))
    if as_json:
        print_json(found)
    else:
        _print_figures(found)


def _print_figures(found: dict[str, Any]) -> None:
    """Print columns, ratios first: they carry over from one machine to another."""
    rate, both = found["infer_patches_per_s"], found["end_to_end_mpx_per_s"]
    slower = min(found["read_mpx_per_s"], found["infer_mpx_per_s"])
    eager, peak = rate / found["torch_eager_patches_per_s"], found["peak_rss_mb"]
    product = found["fastnet_gflops"] / found["matmul_gflops"]
    print("ratios, which carry over to other machines")
    print_columns(
        [
            ("FastNet to torch eager", f"{eager:.1f} x"),
            ("FastNet's FLOP/s to a float32 matrix product's", f"{product:.0%}"),
            ("reading and inferring at once to the slower", f"{both / slower:.0%}"),
            ("px given to the network to tissue", f"{found['given_to_tissue']:.2f}"),
            ("inferring tissue to inferring patches", f"{found['share_of_raw']:.0%}"),
            *(
                (f"FastNet to {name}", f"{peer['fastnet_times_as_fast']:.1f} x")
                for name, peer in (found["peers"] or {}).items()
            ),
        ],
        indent="  ",
    )
    print("on this machine")
    print_columns(
        [
            ("reading", f"{found['read_mpx_per_s']:.2f} Mpx of tissue/s"),
            ("inferring", f"{found['infer_mpx_per_s']:.2f} Mpx of tissue/s"),
            ("both", f"{both:.2f} Mpx of tissue/s"),
            ("FastNet", f"{rate:,.0f} patches/s of {found['patch_px']} px"),
            ("detect, start to end", f"{found['detect_seconds']:.1f} s"),
            ("its peak memory", "unknown" if peak is None else f"{peak:,.0f} MB"),
            (
                "100,000 x 80,000 px with 30 % tissue",
                f"{found['minutes_per_slide']:.2f} minutes",
            ),
        ],
        indent="  ",
    )
    print(f"{found['model']} by {found['backend']}, {found['threads']} threads")
    if found["peers_hint"]:
        print(found["peers_hint"])


def doctor(as_json: bool = False, window: bool = False) -> None:
    """List what is installed and what is missing, and how to get it.

    Parameters
    ----------
    as_json : bool
        Print JSON.
    window : bool
        Open a window as napari does, for a moment, and say who draws it.
    """
    if window:
        from napari_fastnet.machine.window import examine_window

        found: Iterable[Finding] = examine_window()
        width = max(len(finding.name) for finding in found)
        lost = "napari can open no window here"
    else:
        from napari_fastnet.machine.doctor import PROBES, examine

        found = examine()
        width = max(len(probe.name) for probe in PROBES)
        lost = "detection needs it"
    findings = []
    for finding in found:
        findings.append(finding)
        if not as_json:
            state = "ok" if finding.ok else "MISSING" if finding.needed else "without"
            print(f"{state:<9}{finding.name:<{width}}  {finding.text}", flush=True)
            if finding.mend:
                print(f"{'':<{9 + width}}  {finding.mend}")
    if as_json:
        print_json([asdict(finding) for finding in findings])
    lacking = [f.name for f in findings if f.needed and not f.ok]
    if lacking:
        raise DependencyError(
            f"{', '.join(lacking)} cannot be used; {lost}: see what doctor printed beside "
            "it"
        )
