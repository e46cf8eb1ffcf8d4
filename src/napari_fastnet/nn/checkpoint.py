"""FastNet on disk: weights as safetensors, patches to probabilities as ONNX."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from napari_fastnet import errors
from napari_fastnet.machine.files import write_bytes
from napari_fastnet.nn.classifier import PLAIN, UNCALIBRATED, Triple
from napari_fastnet.nn.fastnet import FastNet
from napari_fastnet.nn.options import FastNetConfig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# The only key: safetensors does not keep the order of several, and the same weights
# should give the same bytes.
_METADATA_KEY = "fastnet"

_REMEDY = "copy the bundle again from its origin"


def save_weights(model: FastNet, path: Path) -> None:
    """Write a network's weights and options; the same ones give the same bytes.

    Parameters
    ----------
    model : FastNet
        On any device.
    path : Path
        File to write, aside and renamed.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    tensors = {
        name: value.detach().cpu().contiguous()
        for name, value in model.state_dict().items()
    }
    options = json.dumps(asdict(model.config), sort_keys=True)
    write_bytes(path, save(tensors, {_METADATA_KEY: options}))


def load_weights(path: Path) -> FastNet:
    """Read the network of a file from `save_weights`, in evaluation mode.

    Parameters
    ----------
    path : Path
        A safetensors file. Pickles are not read.

    Returns
    -------
    FastNet
        On the CPU, bit by bit as it was saved.

    Raises
    ------
    BundleError
        The file is missing, damaged, or holds another network.
    """
    try:
        with safe_open(path, framework="pt") as file:
            options = json.loads((file.metadata() or {})[_METADATA_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        model = FastNet(FastNetConfig(**options))
        model.load_state_dict(tensors)
    except OSError as error:
        raise errors.BundleError(f"cannot read {path}: {error}; {_REMEDY}") from error
    except SafetensorError as error:
        raise errors.BundleError(
            f"{path} is no safetensors file ({error}); {_REMEDY}"
        ) from error
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        # No options, unknown options, or tensors of another network.
        reason = str(error).splitlines()[0]
        raise errors.BundleError(
            f"{path} does not hold a FastNet ({reason}); {_REMEDY}"
        ) from error
    return model.eval()


def average_weights(networks: Sequence[FastNet]) -> FastNet:
    """Average the weights of several networks.

    For networks trained from the same weights, the average is often better than each
    (Wortsman et al. 2022, "Model soups"); for others it is useless.

    Parameters
    ----------
    networks : sequence of FastNet
        At least one; all of one variant, on the CPU or not.

    Returns
    -------
    FastNet
        On the CPU, in evaluation mode. Counters are those of the first.

    Raises
    ------
    OptionError
        The networks are of different variants.
    """
    configs = {network.config for network in networks}
    if len(configs) != 1:
        raise errors.OptionError(
            f"networks of {len(configs)} variants have no mean; average models of one"
        )
    states = [network.state_dict() for network in networks]
    mean = {
        name: torch.stack([state[name].cpu() for state in states]).mean(dim=0)
        if value.is_floating_point()
        else value.cpu()
        for name, value in states[0].items()
    }
    averaged = FastNet(networks[0].config)
    averaged.load_state_dict(mean)
    return averaged.eval()


def export_onnx(
    model: FastNet,
    path: Path,
    *,
    patch_size: int,
    calibration: Mapping[str, float] = UNCALIBRATED,
    normalisation: tuple[Triple, Triple] = PLAIN,
) -> None:
    """Write the graph from uint8 patches to calibrated probabilities.

    Input ``patches`` is uint8 (N, H, W, 3) RGB, output ``probability`` float32 (N,)
    of tumor. N, H and W are free; H and W at least 31.

    Parameters
    ----------
    model : FastNet
        Trained network; not changed.
    path : Path
        File to write, aside and renamed.
    patch_size : int
        Side of the patches it was trained on, px, noted in the file.
    calibration : Mapping
        ``scale`` and ``offset`` of the logit difference z: the probability is
        1 / (1 + exp(-(scale * z + offset))).
    normalisation : tuple of tuples
        Mean and standard deviation of each channel, in 0..1.

    Raises
    ------
    DependencyError
        The package onnx is not installed.
    OptionError
        The calibration lacks a number, or turns the order of probabilities round.
    OutputError
        The file cannot be written.
    """
    if set(calibration) != {"scale", "offset"} or calibration["scale"] <= 0:
        raise errors.OptionError(
            f"calibration is {dict(calibration)}; give scale, above 0, and offset"
        )
    try:
        from napari_fastnet.nn.onnx_graph import patch_graph
    except ImportError as error:
        raise errors.DependencyError(
            f"exporting a model needs onnx, which cannot be imported ({error}); run: "
            "pip install 'napari-fastnet[train]'"
        ) from error
    graph = patch_graph(model, calibration=calibration, normalisation=normalisation)
    note = graph.metadata_props.add()
    note.key, note.value = "patch_size_pixels", str(patch_size)
    write_bytes(path, graph.SerializeToString(deterministic=True))
