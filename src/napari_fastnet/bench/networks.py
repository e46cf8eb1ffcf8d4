"""Rates of networks on patches: FastNet's, its peers', and a matrix product beside."""

from __future__ import annotations

import warnings
from functools import partial
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

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
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

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
    bundle: ModelBundle,
    runtime: BackendName,
    patches: NDArray[np.uint8],
    folder: Path,
    *,
    threads: int,
    seconds: float,
) -> dict[str, Any]:
    """Measure the networks and a matrix product, turn by turn.

    Parameters
    ----------
    bundle : ModelBundle
        FastNet.
    runtime : {"auto", "onnx", "openvino", "torch"}
        Library that runs it, and its peers.
    patches : ndarray
        uint8 (N, side, side, 3), the same for all.
    folder : Path
        Folder for temporary files.
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
    side_px = patches.shape[1]
    chosen = create_backend(bundle, NetworkChoice(backend=runtime, threads=threads))
    judges = {
        "chosen": chosen,
        "eager": create_backend(
            bundle, NetworkChoice(backend="torch", threads=threads)
        ),
    }
    try:
        peers = peers_on_cpu(folder, side_px, backend=runtime, threads=threads)
        hint = None
    except DependencyError as error:
        peers, hint = {}, str(error)
    judges |= {name: peer.backend for name, peer in peers.items()}
    factor = torch.rand(MATRIX_SIDE, MATRIX_SIDE)
    product = partial(torch.mm, factor, factor, out=torch.empty_like(factor))
    calls = {name: partial(judge.predict, patches) for name, judge in judges.items()}
    found = rates({"product": product, **calls}, seconds)
    rate = {name: found[name] * len(patches) for name in judges}
    gflop = flop_count(load_weights(bundle.weights_path), side_px, side_px) / 1e9
    return {
        "infer_patches_per_s": rate["chosen"],
        "torch_eager_patches_per_s": rate["eager"],
        # an operation is a multiply or an add
        "fastnet_gflops": rate["chosen"] * gflop,
        "matmul_gflops": found["product"] * 2 * MATRIX_SIDE**3 / 1e9,
        "peers": {
            name: {
                "patches_per_s": rate[name],
                "patch_gflop": peer.gflop,
                "parameters": peer.parameters,
                "fastnet_times_as_fast": rate["chosen"] / rate[name],
            }
            for name, peer in peers.items()
        }
        or None,
        "peers_hint": hint,
        "backend": chosen.name,
        "patch_px": side_px,
        "patch_gflop": gflop,
    }


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


class Peer(NamedTuple):
    """Another network: back end, billions of operations per patch, number of weights."""

    backend: Backend
    gflop: float
    parameters: int


def peers_on_cpu(
    folder: Path, side_px: int, *, backend: BackendName, threads: int
) -> dict[str, Peer]:
    """Return all peers by name, run as FastNet is.

    Their weights are random: the speed of a network does not depend on them.

    Parameters
    ----------
    folder : Path
        Folder for their graphs.
    side_px : int
        Side of a patch.
    backend : {"auto", "onnx", "openvino", "torch"}
        As for `create_backend`; "auto" in the place of "torch".
    threads : int
        As for `create_backend`.

    Raises
    ------
    DependencyError
        pytorchcv or onnx is not installed.
    """
    peers: dict[str, Peer] = {}
    for name in PEERS:
        network = PeerConfig(name).build()
        path = folder / f"{name}.onnx"
        export_onnx(network, path)
        runtime: BackendName = "auto" if backend == "torch" else backend
        peers[name] = Peer(
            network_on_cpu(path, name, name=runtime, threads=threads),
            flop_count(network, side_px, side_px) / 1e9,
            parameter_count(network),
        )
    return peers


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
