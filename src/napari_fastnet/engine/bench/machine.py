"""What a benchmark ran on."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from napari_fastnet.engine.processors import physical_cores
from napari_fastnet.io.record import versions

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
