"""Rates of networks on patches: FastNet's, its peers', and a matrix product beside."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch

from napari_fastnet.errors import DependencyError
from napari_fastnet.model.backends.create import create_backend, network_on_cpu
from napari_fastnet.model.options import BackendName, NetworkChoice
from napari_fastnet.nn.checkpoint import load_weights
from napari_fastnet.nn.classifier import PatchClassifier
from napari_fastnet.nn.counts import flop_count, parameter_count
from napari_fastnet.nn.peers import PeerConfig, PeerName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray
    from torch import nn

    from napari_fastnet.model.backends.backend import Backend
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.nn.network import PatchNetwork

#: The paper's peers of FastNet.
PEERS: tuple[PeerName, ...] = get_args(PeerName)
_OPSET = 17  # as FastNet's own graph

#: Turns that each gets: a machine that slows down meanwhile slows all of them down.
ROUNDS = 5
#: Side of the paper's patches, of which it counts the cost: 0.21 GFLOP each.
PATCH_PX = 256
#: Patches at once.
PATCHES = 16
#: Side of the matrices: large enough that edges do not count, small enough for many
#: products in a second.
MATRIX_SIDE = 2048


def network_rates(
    bundle: ModelBundle, runtime: BackendName, *, threads: int, seconds: float
) -> dict[str, Any]:
    """Measure the networks and a matrix product, turn by turn.

    Parameters
    ----------
    bundle : ModelBundle
        FastNet.
    runtime : {"auto", "onnx", "openvino", "torch"}
        Library that runs it, and its peers.
    threads : int
        Threads of each.
    seconds : float
        For each measurement.

    Returns
    -------
    dict
        Those of the figures of `bench` that are of networks.
    """
    torch.set_num_threads(threads)
    chosen, eager = (
        create_backend(bundle, NetworkChoice(backend=name, threads=threads))
        for name in (runtime, "torch")
    )
    judges, peers, hint = {"chosen": chosen, "eager": eager}, {}, None
    # Windows deletes no file that a library still maps
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            peers = {name: PeerConfig(name).build() for name in PEERS}
            library: BackendName = "auto" if runtime == "torch" else runtime
            judges |= peers_on_cpu(peers, Path(folder), library, threads)
        except DependencyError as error:
            peers, hint = {}, str(error)
        patches = random_patches()
        factor = torch.rand(MATRIX_SIDE, MATRIX_SIDE)
        product = partial(torch.mm, factor, factor, out=torch.empty_like(factor))
        calls = {name: partial(one.predict, patches) for name, one in judges.items()}
        found = rates({"product": product, **calls}, seconds)
    rate = {name: of * PATCHES for name, of in found.items()}
    gflop = patch_gflop(load_weights(bundle.weights_path))
    return {
        "infer_patches_per_s": rate["chosen"],
        "torch_eager_patches_per_s": rate["eager"],
        "fastnet_gflops": rate["chosen"] * gflop,
        # an operation is a multiply or an add
        "matmul_gflops": found["product"] * 2 * MATRIX_SIDE**3 / 1e9,
        "peers": {
            name: {
                "patches_per_s": rate[name],
                "patch_gflop": patch_gflop(peer),
                "parameters": parameter_count(peer),
                "fastnet_times_as_fast": rate["chosen"] / rate[name],
            }
            for name, peer in peers.items()
        }
        or None,
        "peers_hint": hint,
        "backend": chosen.name,
        "patch_px": PATCH_PX,
        "patch_gflop": gflop,
    }


def random_patches() -> NDArray[np.uint8]:
    """Draw patches, uint8 (N, side, side, 3); a network's speed is that of any."""
    shape = (PATCHES, PATCH_PX, PATCH_PX, 3)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def patch_gflop(network: nn.Module) -> float:
    """Return the billions of operations that a patch costs a network."""
    return flop_count(network, PATCH_PX, PATCH_PX) / 1e9


def rates(
    contestants: Mapping[str, Callable[[], object]], seconds: float
) -> dict[str, float]:
    """Measure the calls per second of each contestant.

    Parameters
    ----------
    contestants : Mapping
        Name to callable; each is called once before, to warm up.
    seconds : float
        For each, in `ROUNDS` turns of at least one call.

    Returns
    -------
    dict
        Name to calls per second, the median of the turns.
    """
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for call in contestants.values():
        call()
    for _ in range(ROUNDS):
        for name, call in contestants.items():
            calls, elapsed, began = 0, 0.0, perf_counter()
            while not calls or elapsed < seconds / ROUNDS:
                call()
                calls += 1
                elapsed = perf_counter() - began
            found[name].append(calls / elapsed)
    return {name: median(values) for name, values in found.items()}


def peers_on_cpu(
    peers: Mapping[PeerName, PatchNetwork],
    folder: Path,
    runtime: BackendName,
    threads: int,
) -> dict[str, Backend]:
    """Return networks with random weights as FastNet's back end runs them.

    Their graphs are written into the folder, and read when they first run.

    Raises
    ------
    DependencyError
        onnx, or the library, is not installed.
    """
    found: dict[str, Backend] = {}
    for name, network in peers.items():
        path = folder / f"{name}.onnx"
        export_onnx(network, path)
        found[name] = network_on_cpu(path, name, name=runtime, threads=threads)
    return found


def export_onnx(network: PatchNetwork, path: Path) -> None:
    """Write a network as the ONNX graph that FastNet's back ends run on patches.

    Raises
    ------
    DependencyError
        onnx is not installed.
    """
    with warnings.catch_warnings():
        # The exporter that needs no package but onnx is no longer the usual one.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            torch.onnx.export(
                PatchClassifier(network),
                (torch.zeros(2, 64, 64, 3, dtype=torch.uint8),),
                path,
                input_names=["patches"],
                output_names=["probability"],
                dynamic_axes={
                    "patches": {0: "N", 1: "H", 2: "W"},
                    "probability": {0: "N"},
                },
                opset_version=_OPSET,
                dynamo=False,
            )
        except ImportError as error:
            raise DependencyError(
                f"exporting networks needs onnx ({error}); run: pip install onnx"
            ) from error
