"""``napari-fastnet bench`` and ``doctor``: speed here, and what is installed."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_fastnet.cli.detect import stride_of
from napari_fastnet.cli.options import (
    AsJson,
    BackendName,
    Flips,
    Memory,
    Model,
    SlideMpp,
    Threads,
)
from napari_fastnet.cli.output import print_columns, print_json
from napari_fastnet.errors import DependencyError

if TYPE_CHECKING:
    from napari_fastnet.bench.detections import Detection
    from napari_fastnet.bench.report import BenchReport


def bench(
    slide: Annotated[
        Path | None,
        typer.Argument(metavar="[SLIDE]", help="On which; one is drawn by default."),
    ] = None,
    gigapixels: Annotated[
        list[float] | None,
        typer.Option(
            help="Size of the slide that is drawn, billions of px [0.5]. Given again: "
            "detection is measured on that size too."
        ),
    ] = None,
    tissue: Annotated[
        float, typer.Option(help="Share of the drawn slide that is tissue.")
    ] = 0.3,
    model: Model = "fastnet-pcam",
    stride: Annotated[
        str, typer.Option(metavar="dense|patch|N", help="As for `detect`.")
    ] = "dense",
    mpp: SlideMpp = None,
    flips: Flips = None,
    backend: BackendName = "auto",
    threads: Threads = None,
    memory: Memory = None,
    seconds: Annotated[
        float, typer.Option(help="For each measurement; there are about fifteen.")
    ] = 4.0,
    as_json: AsJson = False,
) -> None:
    """Measure reading, inference, both, memory, and other networks beside."""
    from napari_fastnet.bench.measure import BenchOptions
    from napari_fastnet.bench.measure import bench as measure
    from napari_fastnet.model.options import NetworkChoice

    options = BenchOptions(
        slide=slide,
        gigapixels=tuple(gigapixels or (0.5,)),
        tissue=tissue,
        mpp=mpp,
        stride=stride_of(stride),
        flips=flips,
        network=NetworkChoice(model, backend, threads=threads),
        memory_mb=memory,
        seconds=seconds,
    )
    report = measure(options, lambda step: print(f"{step} ...", file=sys.stderr))
    if as_json:
        print_json(report.to_dict())
    else:
        _print_report(report)


def _print_report(report: BenchReport) -> None:
    """Print columns, ratios first: they carry over from one machine to another."""
    machine, subject = report.machine, report.subject
    print("ratios, which carry over to other machines")
    print_columns(_ratios(report), indent="  ")
    print("rates on this machine")
    print_columns(_rates(report), indent="  ")
    print("detect in a process of its own, from its start")
    print_columns(_detections(report.detections), indent="  ")
    print(
        f"{subject.model} by {report.network.backend}, {subject.threads} threads; "
        f"{machine.processor}, {machine.cores} cores, {' '.join(machine.abilities)}"
    )
    if report.network.peers_hint:
        print(report.network.peers_hint)


def _ratios(report: BenchReport) -> list[tuple[str, str]]:
    """Return what is shown first."""
    ratios = report.ratios
    rows = [
        ("FastNet to torch eager", f"{ratios['infer_to_torch_eager']:.1f} x"),
        (
            "FastNet's FLOP/s to a float32 matrix product's",
            f"{ratios['fastnet_to_matmul']:.0%}",
        ),
        ("both at once to the slower alone", f"{ratios['end_to_end_to_slower']:.0%}"),
        (
            "both at once to what they come to on shared cores",
            f"{ratios['end_to_end_to_shared']:.0%}",
        ),
        ("time densely to time patch by patch", f"{ratios['dense_to_patch']:.2f} x"),
    ]
    fastnet, peers = report.network.chosen, report.network.peers or {}
    rows += [
        (f"FastNet to {name}", f"{fastnet.patches_per_s / peer.patches_per_s:.1f} x")
        for name, peer in peers.items()
    ]
    growth = report.growth
    if len(report.detections) > 1:
        rows += [
            (f"{name}, {growth['gigapixels']:.3g} times the slide", f"{value:.2f} x")
            for name, value in growth.items()
            if name != "gigapixels"
        ]
    return rows


def _rates(report: BenchReport) -> list[tuple[str, ...]]:
    """Return what holds here."""
    network, scan = report.network, report.scan
    side, cell_px = report.subject.patch_px, report.subject.patch_px**2
    scans = {"reading": scan.read, "inferring": scan.infer, "both": scan.end_to_end}
    return [
        *(
            (
                f"tissue, {name}",
                f"{rate:.2f} Mpx/s",
                f"{rate * 1e6 / cell_px:,.0f} patches/s of {side} px",
            )
            for name, rate in scans.items()
        ),
        *(
            (
                f"FastNet, {name}",
                f"{rate.gflops:,.0f} GFLOP/s",
                f"{rate.patches_per_s:,.0f} patches/s of {network.patch_px} px",
            )
            for name, rate in network.fastnet.items()
        ),
        ("matrix product, float32", f"{network.matmul_gflops:,.0f} GFLOP/s"),
        ("matrix product, bfloat16", f"{network.matmul_bfloat16_gflops:,.0f} GFLOP/s"),
        ("copying memory", f"{network.copy_gb_per_s:.1f} GB/s"),
        (
            "100,000 x 80,000 px with 30 % tissue",
            f"{report.minutes_per_slide:.2f} minutes",
        ),
    ]


def _detections(detections: tuple[Detection, ...]) -> list[tuple[str, ...]]:
    """Return a row a slide."""
    rows: list[tuple[str, ...]] = [
        ("gigapixels", "tissue Mpx", "seconds", "first result", "ms/Mpx", "peak MB")
    ]
    for one in detections:
        first, per_mpx = one.first_result_s, one.seconds_per_mpx
        peak = one.peak_rss_mb
        rows.append(
            (
                f"{one.gigapixels:.2f}",
                f"{one.tissue_mpx:.1f}",
                f"{one.seconds:.2f}",
                "none" if first is None else f"{first:.2f}",
                "none" if per_mpx is None else f"{per_mpx * 1000:.1f}",
                "not told" if peak is None else f"{peak:,.0f}",
            )
        )
    return rows


def doctor(as_json: AsJson = False) -> None:
    """Say what is installed, missing, and how to get it."""
    from napari_fastnet.machine.doctor import PROBES, examine

    width = max(len(probe.name) for probe in PROBES)
    findings = []
    for finding in examine():
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
            f"{', '.join(lacking)} cannot be used; detection needs it: see what doctor "
            "printed beside it"
        )
