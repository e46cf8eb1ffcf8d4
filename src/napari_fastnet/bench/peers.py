"""The paper's peers of FastNet, run as FastNet is.

Their weights are drawn: how fast a network is does not depend on them.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import torch

from napari_fastnet.errors import DependencyError
from napari_fastnet.model.backends.create import network_on_cpu
from napari_fastnet.nn.classifier import PatchClassifier
from napari_fastnet.nn.counts import flop_count, parameter_count
from napari_fastnet.nn.peers import PeerConfig, PeerName

if TYPE_CHECKING:
    from pathlib import Path

    from napari_fastnet.model.backends.backend import Backend
    from napari_fastnet.model.options import BackendName
    from napari_fastnet.nn.network import PatchNetwork

#: Those that are measured.
PEERS: tuple[PeerName, ...] = get_args(PeerName)

_OPSET = 17  # as FastNet's own graph


@dataclass(frozen=True, slots=True)
class Peer:
    """Another network.

    Parameters
    ----------
    backend : Backend
        It, ready to judge patches.
    patch_gflop : float
        What a patch costs, billions of operations.
    parameters : int
        Numbers that it learns.
    """

    backend: Backend
    patch_gflop: float
    parameters: int


def peers_on_cpu(
    folder: Path, side_px: int, *, backend: BackendName, threads: int
) -> dict[str, Peer]:
    """Return all peers as FastNet's back end runs them.

    Parameters
    ----------
    folder : Path
        Where their graphs go.
    side_px : int
        Of the patches of which the cost is told.
    backend : {"auto", "onnx", "openvino", "torch"}
        As for `create_backend`; "auto" in the place of "torch".
    threads : int
        As for `create_backend`.

    Returns
    -------
    dict
        By their names.

    Raises
    ------
    DependencyError
        pytorchcv or onnx is not installed.
    """
    runtime: BackendName = "auto" if backend == "torch" else backend
    peers: dict[str, Peer] = {}
    for name in PEERS:
        network = PeerConfig(name).build()
        path = folder / f"{name}.onnx"
        export_onnx(network, path)
        peers[name] = Peer(
            network_on_cpu(path, name, name=runtime, threads=threads),
            flop_count(network, side_px, side_px) / 1e9,
            parameter_count(network),
        )
    return peers


def export_onnx(network: PatchNetwork, path: Path) -> None:
    """Write a network as the graph that FastNet's back ends run on patches.

    Parameters
    ----------
    network : PatchNetwork
        Put into evaluation mode.
    path : Path
        The ONNX file.

    Raises
    ------
    DependencyError
        onnx is not installed.
    """
    example = torch.zeros(2, 64, 64, 3, dtype=torch.uint8)
    axes = {"patches": {0: "N", 1: "H", 2: "W"}, "probability": {0: "N"}}
    with warnings.catch_warnings():
        # The exporter that needs no package but onnx is no longer the usual one.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            torch.onnx.export(
                PatchClassifier(network),
                (example,),
                path,
                input_names=["patches"],
                output_names=["probability"],
                dynamic_axes=axes,
                opset_version=_OPSET,
                dynamo=False,
            )
        except ImportError as error:
            raise DependencyError(
                f"exporting networks needs onnx ({error}); run: pip install onnx"
            ) from error
