"""The benchmark: speed and memory of detection here, beside torch and other networks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from napari_fastnet.bench.networks import network_rates
from napari_fastnet.bench.throughput import ScanBench
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.errors import DetectionError
from napari_fastnet.machine.memory import physical_cores
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.model.options import NetworkChoice
from napari_fastnet.synthetic.giga import giga_shape, write_giga_slide
from napari_fastnet.synthetic.slide import MPP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_fastnet.bench.options import BenchOptions

#: The slide of ``minutes_per_slide``: level-0 px, and its share of tissue.
USUAL_PX, USUAL_TISSUE = 80_000 * 100_000, 0.3

# A new process inherits the peak of the one that starts it, so a small one starts it.
# Windows does not tell the peak.
_STARTER = """
import json, subprocess, sys, time
clock, began = time.time(), time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
seconds, peak = time.perf_counter() - began, None
if sys.platform != "win32":
    import resource
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    peak *= 1 if sys.platform == "darwin" else 1024
errors = done.stderr.decode(errors="replace")
print(json.dumps([done.returncode, clock, seconds, peak, errors]))
"""


def bench(
    slide: Path | None, options: BenchOptions, on_step: Callable[[str], None]
) -> dict[str, Any]:
    """Measure everything in one run, so that the ratios carry over to other machines.

    Parameters
    ----------
    slide : Path or None
        The slide to measure on; None draws one.
    options : BenchOptions
        Model, back end and time.
    on_step : callable
        Called with the next step, in words.

    Returns
    -------
    dict
        Figures by the names that ``bench --json`` prints: rates of patches (of
        ``patch_px``) and of megapixels of tissue (of the model) per second; billions of
        operations; ``peak_rss_mb`` of ``napari-fastnet detect`` on the slide in millions
        of bytes, None where the system does not tell; ``given_to_tissue``, the px given
        to the network to those of tissue; ``share_of_raw``, the rate of tissue to that of
        the px of patches that the network is given alone; other networks, None where they are not
        installed; ``minutes_per_slide`` of 100,000 x 80,000 px with 30 % tissue.

    Raises
    ------
    OptionError
        An option lies outside what is allowed, or the slide shows no tissue.
    FastNetError
        The slide or the model is at fault.
    """
    bundle = load_bundle(options.model)
    threads = options.threads or physical_cores()
    flips = bundle.flips if options.flips is None else options.flips
    run = RunOptions(stride=options.stride, flips=flips, memory_mb=options.memory_mb)
    with TemporaryDirectory() as place:
        folder = Path(place)
        path = slide or folder / "drawn.svs"
        if slide is None:
            shape = giga_shape(options.gigapixels)
            on_step(f"drawing a slide of {options.gigapixels:g} gigapixels")
            write_giga_slide(path, shape=shape, tissue=options.tissue)
        backend = create_backend(
            bundle, NetworkChoice(backend=options.backend, threads=threads)
        )
        on_step(f"reading, inferring, and both: {options.seconds:g} s each")
        scan_bench = ScanBench(path, bundle, backend, run, mpp=options.mpp)
        scan = scan_bench.measure(options.seconds)
        on_step(f"networks and a matrix product: {options.seconds:g} s each")
        networks = network_rates(
            bundle,
            options.backend,
            threads=threads,
            seconds=options.seconds,
        )
        on_step("detecting in a process of its own")
        words = ["detect", str(path), "--output", place, *detect_words(options)]
        footprint = run_apart(words)
    raw_mpx = networks["infer_patches_per_s"] * networks["patch_px"] ** 2 / 1e6
    usual_mpx = USUAL_TISSUE * USUAL_PX * (MPP / bundle.spacing_um_px) ** 2 / 1e6
    # start, masks and files
    besides = max(0.0, footprint.seconds - scan_bench.tissue_mpx / scan.end_to_end)
    return {
        **networks,
        "read_mpx_per_s": scan.read,
        "infer_mpx_per_s": scan.infer,
        "end_to_end_mpx_per_s": scan.end_to_end,
        "given_to_tissue": scan.network_mpx / scan.tissue_mpx,
        "share_of_raw": scan.infer / raw_mpx,
        "peak_rss_mb": footprint.peak_rss_mb,
        "detect_seconds": footprint.seconds,
        "minutes_per_slide": (usual_mpx / scan.end_to_end + besides) / 60,
        "slide": slide.name if slide else None,
        "model": f"{bundle.name} {bundle.version}",
        "threads": threads,
    }


def detect_words(options: BenchOptions) -> list[str]:
    """Return the benchmark's options as those of ``napari-fastnet detect``."""
    values = {
        "--model": options.model,
        "--stride": options.stride,
        "--backend": options.backend,
        "--threads": options.threads,
        "--mpp": options.mpp,
        "--memory": options.memory_mb,
    }
    given = [(name, str(value)) for name, value in values.items() if value]
    words = [word for pair in given for word in pair]
    if options.flips is not None:
        words.append("--flips" if options.flips else "--no-flips")
    return words


class Footprint(NamedTuple):
    """Start (seconds since 1970), duration and memory of a process.

    ``peak_rss_mb`` is in millions of bytes; None where the system does not tell.
    """

    began: float
    seconds: float
    peak_rss_mb: float | None


def run_apart(arguments: Sequence[str]) -> Footprint:
    """Run ``napari-fastnet`` with these arguments in a process of its own.

    Raises
    ------
    DetectionError
        It did not end well.
    """
    return run_command([sys.executable, "-m", "napari_fastnet", *arguments])


def run_command(command: Sequence[str]) -> Footprint:
    """Run a program and measure its time and memory; the rest as for `run_apart`."""
    done = subprocess.run(
        [sys.executable, "-c", _STARTER, *command],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    code, began, seconds, peak, errors = json.loads(done.stdout)
    if code != 0:
        last = (errors.strip().splitlines() or [f"code {code}"])[-1]
        raise DetectionError(
            f"{' '.join(command)} failed in a process of its own ({last}); run it by "
            "itself to see why"
        )
    return Footprint(began, seconds, None if peak is None else peak / 1e6)
