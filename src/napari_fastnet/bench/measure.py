"""The benchmark: what this machine makes of a slide, and how near that is to its best.

Everything is measured in one run, so that the ratios of what is measured carry over to
other machines, although the rates do not.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from napari_fastnet.bench.detections import detect_apart
from napari_fastnet.bench.networks import PATCH_PX, PATCHES, network_rates
from napari_fastnet.bench.report import (
    USUAL_SHAPE,
    USUAL_TISSUE,
    BenchReport,
    Machine,
    Subject,
)
from napari_fastnet.bench.scan import ROUNDS, ScanBench
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.errors import OptionError
from napari_fastnet.machine.memory import physical_cores
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.model.options import NetworkChoice
from napari_fastnet.synthetic.giga import giga_shape, write_giga_slide
from napari_fastnet.synthetic.slide import MPP

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.detection.plan import Stride
    from napari_fastnet.model.bundle import ModelBundle


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What is measured, and for how long.

    Parameters
    ----------
    slide : Path or None
        On which; a generated one by default.
    gigapixels : tuple of float
        Sizes of those that are generated, to the next that can be made. The first takes
        the place of a slide; detection is measured on all.
    tissue : float
        Share of generated slides that is tissue.
    mpp : float or tuple of float or None
        µm/px of level 0 where the slide does not say.
    stride : int, "patch", "dense" or None
        As for `RunOptions`.
    flips : bool or None
        As for `RunOptions`.
    network : NetworkChoice
        Model, back end and threads; on the CPU.
    memory_mb : int or None
        As for `RunOptions`.
    seconds : float
        For each measurement.
    """

    slide: Path | None = None
    gigapixels: tuple[float, ...] = (0.5,)
    tissue: float = 0.3
    mpp: float | Pair | None = None
    stride: Stride = None
    flips: bool | None = None
    network: NetworkChoice = field(default_factory=NetworkChoice)
    memory_mb: int | None = None
    seconds: float = 4.0

    def __post_init__(self) -> None:
        if not 0 < self.seconds < float("inf"):
            raise OptionError(f"seconds is {self.seconds}; use a number above 0")

    @property
    def detect_words(self) -> list[str]:
        """The same as options of ``napari-fastnet detect``."""
        options = {
            "--model": self.network.model,
            "--stride": self.stride,
            "--backend": self.network.backend,
            "--threads": self.network.threads,
            "--mpp": self.mpp,
            "--memory": self.memory_mb,
        }
        given = [(name, str(value)) for name, value in options.items() if value]
        words = [word for pair in given for word in pair]
        if self.flips is not None:
            words.append("--flips" if self.flips else "--no-flips")
        return words


def bench(
    options: BenchOptions | None = None,
    on_step: Callable[[str], None] = lambda step: None,
) -> BenchReport:
    """Measure everything.

    Parameters
    ----------
    options : BenchOptions, optional
        What, and for how long.
    on_step : callable, optional
        Told in words what comes next.

    Returns
    -------
    BenchReport
        What was found.

    Raises
    ------
    OptionError
        An option lies outside what is allowed, or the slide shows no tissue.
    FastNetError
        The slide or the model is at fault.
    """
    options = options or BenchOptions()
    bundle = load_bundle(options.network.model)
    with TemporaryDirectory() as place:
        folder = Path(place)
        slides = [options.slide] if options.slide else []
        sizes = [] if options.slide else options.gigapixels
        for number, (gigapixels, shape) in enumerate(
            [(size, giga_shape(size)) for size in sizes]
        ):
            on_step(f"drawing a slide of {gigapixels:g} gigapixels")
            slides.append(folder / f"generated-{number}.svs")
            write_giga_slide(slides[-1], shape=shape, tissue=options.tissue)
        return _measure(slides, bundle, options, folder, on_step)


def _measure(
    slides: list[Path],
    bundle: ModelBundle,
    options: BenchOptions,
    folder: Path,
    on_step: Callable[[str], None],
) -> BenchReport:
    """Measure one part after the other."""
    threads = options.network.threads or physical_cores()
    flips = bundle.flips if options.flips is None else options.flips
    backend = create_backend(bundle, replace(options.network, threads=threads))

    def scan_bench(stride: Stride) -> ScanBench:
        run = RunOptions(stride=stride, flips=flips, memory_mb=options.memory_mb)
        return ScanBench(slides[0], bundle, backend, run, mpp=options.mpp)

    on_step(f"reading, inferring, and both: {options.seconds:g} s each")
    scan = scan_bench(options.stride)
    scan_rates = scan.measure(options.seconds)
    on_step("densely, and patch by patch")
    scans = [scan_bench("dense"), scan_bench("patch")]
    turns = [[one.whole_seconds() for one in scans] for _ in range(ROUNDS)]
    dense, patch = (median(times) for times in zip(*turns, strict=True))
    on_step(f"networks and matrix products: {options.seconds:g} s each")
    network = network_rates(
        bundle,
        options.network.backend,
        scan.patches(PATCHES, PATCH_PX),
        folder,
        threads=threads,
        seconds=options.seconds,
    )
    on_step("detecting in processes of their own")
    detections = detect_apart(dict.fromkeys(slides, options.detect_words))
    pixels = USUAL_SHAPE[0] * USUAL_SHAPE[1] * (MPP / bundle.spacing_um_px) ** 2
    return BenchReport(
        subject=Subject(
            slide=options.slide.name if options.slide else None,
            model=f"{bundle.name} {bundle.version}",
            patch_px=bundle.patch_size_pixels,
            stride=options.stride or "dense",
            flips=flips,
            threads=threads,
            memory_mb=options.memory_mb,
            seconds=options.seconds,
        ),
        machine=Machine.here(),
        usual_tissue_mpx=USUAL_TISSUE * pixels / 1e6,
        scan=scan_rates,
        dense_to_patch=dense / patch,
        network=network,
        detections=tuple(detections),
    )
