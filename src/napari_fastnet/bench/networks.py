"""FastNet on patches, beside what the machine can do, and beside other networks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

import torch

from napari_fastnet.bench.peers import peers_on_cpu
from napari_fastnet.errors import DependencyError
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.options import BackendName, NetworkChoice
from napari_fastnet.nn.checkpoint import load_weights
from napari_fastnet.nn.counts import flop_count, parameter_count, value_count

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_fastnet.model.backends.backend import Backend
    from napari_fastnet.model.bundle import ModelBundle


#: Turns that each gets: a machine that slows down meanwhile slows all of them down.
ROUNDS = 5

# Large enough that its edges do not count, small enough for many in a second.
_MATRIX_SIDE = 2048
_COPY_BYTES = 2**27  # well beyond any cache


def rates(
    contestants: Mapping[str, Callable[[], object]], seconds: float
) -> dict[str, float]:
    """Measure how often a second each can be called.

    Parameters
    ----------
    contestants : Mapping
        Name to what is called, once in vain to warm up.
    seconds : float
        For each, in `ROUNDS` turns of at least one call.

    Returns
    -------
    dict
        Name to calls a second, the median of the turns.
    """
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for call in contestants.values():
        call()
    for _ in range(ROUNDS):
        for name, call in contestants.items():
            found[name].append(_rate(call, seconds / ROUNDS))
    return {name: median(values) for name, values in found.items()}


def _rate(call: Callable[[], object], seconds: float) -> float:
    """Return calls a second over some time."""
    calls, elapsed, began = 0, 0.0, perf_counter()
    while not calls or elapsed < seconds:
        call()
        calls += 1
        elapsed = perf_counter() - began
    return calls / elapsed


class MatrixProduct:
    """A product of two square matrices by torch, the most a processor can be put to.

    Parameters
    ----------
    kind : torch.dtype
        Of the numbers.
    """

    #: Floating-point operations of one call, a multiply and an add being two.
    flops = 2 * _MATRIX_SIDE**3

    def __init__(self, kind: torch.dtype) -> None:
        side = (_MATRIX_SIDE, _MATRIX_SIDE)
        self._factors = [torch.rand(side).to(kind) for _ in range(2)]
        self._product = torch.empty(side, dtype=kind)

    def __call__(self) -> None:
        """Multiply."""
        torch.mm(*self._factors, out=self._product)


class MemoryCopy:
    """A copy of more than fits a cache, which says how fast memory is."""

    #: Bytes read and written by one call.
    moved = 2 * _COPY_BYTES

    def __init__(self) -> None:
        self._source = torch.zeros(_COPY_BYTES, dtype=torch.uint8)
        self._copy = torch.empty_like(self._source)

    def __call__(self) -> None:
        """Copy."""
        self._copy.copy_(self._source)


#: The paper's patches, in which it counts FastNet's cost: 0.21 GFLOP each.
PATCH_PX = 256
#: So many at once, the same for all.
PATCHES = 16

CPU_RUNTIMES: tuple[BackendName, ...] = ("onnx", "openvino", "torch")

# What else than networks is measured.
_FLOAT32, _BFLOAT16, _COPY = "float32 product", "bfloat16 product", "copy"


@dataclass(frozen=True, slots=True)
class NetworkRate:
    """A network on the patches; operations count a multiply and an add as two.

    Parameters
    ----------
    patches_per_s : float
        Its rate.
    patch_gflop : float
        What a patch costs it, billions of operations.
    parameters : int
        Numbers that it learns.
    """

    patches_per_s: float
    patch_gflop: float
    parameters: int

    @property
    def gflops(self) -> float:
        """Billions of operations a second that it comes to."""
        return self.patches_per_s * self.patch_gflop


@dataclass(frozen=True, slots=True)
class NetworkRates:
    """What was measured of networks, all on the CPU.

    Parameters
    ----------
    patch_px : int
        Side of the patches.
    backend : str
        What runs FastNet as asked for; a key of ``fastnet``.
    fastnet : Mapping
        FastNet by each library that is installed.
    patch_values : float
        Millions of numbers that FastNet's layers read and write for a patch.
    matmul_gflops, matmul_bfloat16_gflops : float
        Products of matrices, billions of operations a second.
    copy_gb_per_s : float
        Memory copied, billions of bytes read and written a second.
    peers : Mapping or None
        Other networks by the library of ``backend``; None where they cannot be had.
    peers_hint : str or None
        What to install for them.
    """

    patch_px: int
    backend: str
    fastnet: Mapping[str, NetworkRate]
    patch_values: float
    matmul_gflops: float
    matmul_bfloat16_gflops: float
    copy_gb_per_s: float
    peers: Mapping[str, NetworkRate] | None
    peers_hint: str | None = None

    @property
    def chosen(self) -> NetworkRate:
        """FastNet as asked for."""
        return self.fastnet[self.backend]

    @property
    def eager(self) -> NetworkRate:
        """FastNet in plain torch."""
        return self.fastnet["torch on cpu"]


def network_rates(
    bundle: ModelBundle,
    runtime: BackendName,
    patches: NDArray[np.uint8],
    folder: Path,
    *,
    threads: int,
    seconds: float,
) -> NetworkRates:
    """Measure the networks and the machine, turn by turn.

    Parameters
    ----------
    bundle : ModelBundle
        FastNet.
    runtime : {"auto", "onnx", "openvino", "torch"}
        What runs it, and its peers.
    patches : ndarray
        uint8 (N, side, side, 3), the same for all.
    folder : Path
        For files in between.
    threads : int
        For everything.
    seconds : float
        For each measurement.

    Returns
    -------
    NetworkRates
        What was found.
    """
    torch.set_num_threads(threads)
    side_px = patches.shape[1]
    fastnet = load_weights(bundle.weights_path)
    cost = flop_count(fastnet, side_px, side_px) / 1e9, parameter_count(fastnet)
    libraries = _libraries(bundle, threads)
    chosen = create_backend(
        bundle, NetworkChoice(backend=runtime, threads=threads)
    ).name
    try:
        peers = peers_on_cpu(folder, side_px, backend=runtime, threads=threads)
        hint = None
    except DependencyError as error:
        peers, hint = {}, str(error)
    judges = libraries | {name: peer.backend for name, peer in peers.items()}
    found = _measured(judges, patches, seconds)

    def rate(name: str, gflop: float, parameters: int) -> NetworkRate:
        return NetworkRate(found[name] * len(patches), gflop, parameters)

    of_peers = {
        name: rate(name, peer.patch_gflop, peer.parameters)
        for name, peer in peers.items()
    }
    return NetworkRates(
        patch_px=side_px,
        backend=chosen,
        fastnet={name: rate(name, *cost) for name in libraries},
        patch_values=value_count(fastnet, side_px, side_px) / 1e6,
        matmul_gflops=found[_FLOAT32] * MatrixProduct.flops / 1e9,
        matmul_bfloat16_gflops=found[_BFLOAT16] * MatrixProduct.flops / 1e9,
        copy_gb_per_s=found[_COPY] * MemoryCopy.moved / 1e9,
        peers=of_peers or None,
        peers_hint=hint,
    )


def _measured(
    judges: Mapping[str, Backend], patches: NDArray[np.uint8], seconds: float
) -> dict[str, float]:
    """Return how often a second each network judges the patches, and the machine's."""
    calls: dict[str, Callable[[], object]] = {
        _FLOAT32: MatrixProduct(torch.float32),
        _BFLOAT16: MatrixProduct(torch.bfloat16),
        _COPY: MemoryCopy(),
        **{name: partial(judge.predict, patches) for name, judge in judges.items()},
    }
    return rates(calls, seconds)


def _libraries(bundle: ModelBundle, threads: int) -> dict[str, Backend]:
    """Return FastNet by each library for CPUs that is installed."""
    found = {}
    for name in CPU_RUNTIMES:
        try:
            backend = create_backend(
                bundle, NetworkChoice(backend=name, threads=threads)
            )
        except DependencyError:
            continue
        found[backend.name] = backend
    return found
