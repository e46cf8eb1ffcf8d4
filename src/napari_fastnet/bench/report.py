"""What a benchmark found, and what follows from it."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_fastnet.machine.memory import physical_cores
from napari_fastnet.results.record import versions

if TYPE_CHECKING:
    from napari_fastnet.bench.detections import Detection
    from napari_fastnet.bench.networks import NetworkRate, NetworkRates
    from napari_fastnet.bench.scan import ScanRates


# Of the processor, what matters here: wide vectors and numbers of 8 and 16 bits.
_ABILITIES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
_PACKAGES = (
    "napari-fastnet",
    "numpy",
    "imagecodecs",
    "onnxruntime",
    "openvino",
    "torch",
)
_CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine and its software.

    Parameters
    ----------
    processor, system : str
        As they call themselves.
    cores : int
        That this process may use.
    abilities : tuple of str
        Of the processor, those that matter here; empty where it is not known.
    versions : dict
        Package to version; None is not installed.
    """

    processor: str
    system: str
    cores: int
    abilities: tuple[str, ...]
    versions: dict[str, str | None]

    @classmethod
    def here(cls) -> Machine:
        """Return this machine."""
        facts = _cpu_facts()
        flags = facts.get("flags", "").split()
        return cls(
            processor=facts.get("model name") or platform.processor() or "unknown",
            system=f"{platform.system()} {platform.machine()}",
            cores=physical_cores(),
            abilities=tuple(flag for flag in _ABILITIES if flag in flags),
            versions=versions(_PACKAGES),
        )


def _cpu_facts() -> dict[str, str]:
    """Return what Linux says of the first processor."""
    try:
        first, *_ = _CPU_INFO.read_text("utf-8").split("\n\n")
    except OSError:  # not Linux
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


#: The slide of which the minutes are told: (height, width) px of level 0 at 0.243 µm,
#: and how much of it is tissue.
USUAL_SHAPE, USUAL_TISSUE = (80_000, 100_000), 0.3


@dataclass(frozen=True, slots=True)
class Subject:
    """What was measured.

    Parameters
    ----------
    slide : str or None
        Name of its file; None is a generated one.
    model : str
        Name and version.
    patch_px : int
        Side of the model's patches, px of the model.
    stride : str or int
        As for ``detect``.
    flips : bool
        Whether mirror images are looked at too.
    threads : int
        That compute.
    memory_mb : int or None
        That a detection may take.
    seconds : float
        For each measurement.
    """

    slide: str | None
    model: str
    patch_px: int
    stride: str | int
    flips: bool
    threads: int
    memory_mb: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class BenchReport:
    """What was measured, in one run: the ratios carry over to other machines.

    Parameters
    ----------
    subject : Subject
        What.
    machine : Machine
        On what.
    usual_tissue_mpx : float
        Tissue of the slide of which the minutes are told, megapixels of the model.
    scan : ScanRates
        Reading, inferring and both.
    dense_to_patch : float
        Time of a dense scan to that of a scan patch by patch, of the whole slide.
    network : NetworkRates
        The network on patches, beside its peers and what the machine can do.
    detections : tuple of Detection
        ``napari-fastnet detect`` in processes of their own; the first is of the slide
        of the rest.
    """

    subject: Subject
    machine: Machine
    usual_tissue_mpx: float
    scan: ScanRates
    dense_to_patch: float
    network: NetworkRates
    detections: tuple[Detection, ...]

    @property
    def minutes_per_slide(self) -> float:
        """Of 100,000 x 80,000 px with 30 % tissue.

        The tissue at the rate measured, and what `detect` took here besides: start,
        masks, files.
        """
        rate, here = self.scan.end_to_end, self.detections[0]
        besides = max(0.0, here.seconds - here.tissue_mpx / rate)
        return (self.usual_tissue_mpx / rate + besides) / 60

    @property
    def ratios(self) -> dict[str, float]:
        """What carries over to other machines."""
        network, scan = self.network, self.scan
        fastnet = network.chosen
        return {
            "infer_to_torch_eager": fastnet.patches_per_s / network.eager.patches_per_s,
            "fastnet_to_matmul": fastnet.gflops / network.matmul_gflops,
            "end_to_end_to_slower": scan.end_to_end / scan.slower,
            "end_to_end_to_shared": scan.end_to_end / scan.shared,
            "dense_to_patch": self.dense_to_patch,
        }

    @property
    def growth(self) -> dict[str, float]:
        """The largest slide to the first: what more of it costs."""
        small, large = self.detections[0], self.detections[-1]
        pairs = {
            "gigapixels": (large.gigapixels, small.gigapixels),
            "seconds_per_mpx": (large.seconds_per_mpx, small.seconds_per_mpx),
            "first_result_s": (large.first_result_s, small.first_result_s),
            "peak_rss_mb": (large.peak_rss_mb, small.peak_rss_mb),
        }
        return {name: of / to for name, (of, to) in pairs.items() if of and to}

    def to_dict(self) -> dict[str, Any]:
        """Return the report as ``bench --json`` prints it."""
        scan, network = self.scan, self.network
        cell_px = self.subject.patch_px**2
        return {
            "infer_patches_per_s": network.chosen.patches_per_s,
            "torch_eager_patches_per_s": network.eager.patches_per_s,
            "read_mpx_per_s": scan.read,
            "infer_mpx_per_s": scan.infer,
            "end_to_end_mpx_per_s": scan.end_to_end,
            "fastnet_gflops": network.chosen.gflops,
            "matmul_gflops": network.matmul_gflops,
            "peak_rss_mb": self.detections[0].peak_rss_mb,
            "peers": None
            if network.peers is None
            else {name: self._network(rate) for name, rate in network.peers.items()},
            "peers_hint": network.peers_hint,
            "ratios": self.ratios,
            "minutes_per_slide": self.minutes_per_slide,
            "backend": network.backend,
            "backends": {
                name: self._network(rate) for name, rate in network.fastnet.items()
            },
            "matmul_bfloat16_gflops": network.matmul_bfloat16_gflops,
            "copy_gb_per_s": network.copy_gb_per_s,
            "patch_px": network.patch_px,
            "patch_gflop": network.chosen.patch_gflop,
            "patch_million_values": network.patch_values,
            "scan": {
                "patch_px": self.subject.patch_px,
                "read_patches_per_s": scan.read * 1e6 / cell_px,
                "infer_patches_per_s": scan.infer * 1e6 / cell_px,
                "end_to_end_patches_per_s": scan.end_to_end * 1e6 / cell_px,
                "tissue_mpx": scan.tissue_mpx,
                "network_mpx": scan.network_mpx,
            },
            "detections": [asdict(detection) for detection in self.detections],
            "growth": self.growth,
            "subject": asdict(self.subject),
            "machine": asdict(self.machine),
        }

    def _network(self, rate: NetworkRate) -> dict[str, float]:
        """Return a network's rate, and how FastNet as asked for compares."""
        chosen = self.network.chosen.patches_per_s
        return {
            **asdict(rate),
            "gflops": rate.gflops,
            "to_matmul": rate.gflops / self.network.matmul_gflops,
            "fastnet_times_as_fast": chosen / rate.patches_per_s,
        }
