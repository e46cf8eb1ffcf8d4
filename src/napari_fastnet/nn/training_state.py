"""The state of a training run on disk, so that a killed run goes on.

Tensors are stored as safetensors and counters as its metadata; a pickle, torch's
usual form, could run code when it is read.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from napari_fastnet.errors import DataError
from napari_fastnet.nn.checkpoint import written_aside

if TYPE_CHECKING:
    from pathlib import Path

    from torch.optim import AdamW
    from torch.optim.lr_scheduler import LRScheduler

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def save_training(
    path: Path,
    epoch: int,
    modules: dict[str, nn.Module],
    optimizer: AdamW,
    schedule: LRScheduler,
    fingerprint: str,
) -> None:
    """Write the state aside and rename it onto ``path``.

    Parameters
    ----------
    path : Path
        File to write; an earlier state in it is replaced.
    epoch : int
        Epochs finished.
    modules : dict of nn.Module
        By name; the same names are given to `restore_training`.
    optimizer : AdamW
        Its moments are kept.
    schedule : LRScheduler
        Its position is kept.
    fingerprint : str
        What the run depends on: another fingerprint does not resume it.

    Raises
    ------
    OutputError
        It cannot be written; an earlier state is kept.
    """
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        for key, value in module.state_dict().items():
            tensors[f"{name}/{key}"] = value.contiguous()
    held = optimizer.state_dict()
    for index, state in held["state"].items():
        for key in _MOMENTS:
            tensors[f"optimizer/{index}/{key}"] = state[key].contiguous()
    counters = {
        "epoch": epoch,
        "schedule": schedule.state_dict(),
        "groups": held["param_groups"],
    }
    metadata = {"counters": json.dumps(counters), "fingerprint": fingerprint}
    with written_aside(path) as aside:
        save_file(tensors, aside, metadata)


def restore_training(
    path: Path,
    modules: dict[str, nn.Module],
    optimizer: AdamW,
    schedule: LRScheduler,
    fingerprint: str,
) -> int:
    """Read a state into freshly built objects and return the epochs finished.

    Parameters
    ----------
    path : Path
        File that `save_training` wrote.
    modules, optimizer, schedule, fingerprint
        As for `save_training`; the objects are changed in place.

    Returns
    -------
    int
        Epochs finished.

    Raises
    ------
    DataError
        The file is damaged, or was written for other data or options.
    """
    mend = "remove it to start anew, or give another output folder"
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise DataError(
            f"{path}: not a whole training state ({error}); {mend}"
        ) from error
    if metadata.get("fingerprint") != fingerprint:
        raise DataError(f"{path}: written with other data or options; {mend}")
    counters = json.loads(metadata["counters"])
    for name, module in modules.items():
        prefix = f"{name}/"
        module.load_state_dict(
            {
                key.removeprefix(prefix): value
                for key, value in tensors.items()
                if key.startswith(prefix)
            }
        )
    # The fused optimiser walks through memory, so that the moments must lie in it as
    # their weights do.
    state = {
        index: {
            key: _laid_out_as(weight, tensors[f"optimizer/{index}/{key}"])
            for key in _MOMENTS
        }
        for index, weight in enumerate(optimizer.param_groups[0]["params"])
    }
    optimizer.load_state_dict({"state": state, "param_groups": counters["groups"]})
    schedule.load_state_dict(counters["schedule"])
    return int(counters["epoch"])


def _laid_out_as(weight: Tensor, value: Tensor) -> Tensor:
    """Return a moment in the memory format of its weight; counters as they are."""
    if value.shape != weight.shape:
        return value
    return torch.empty_like(weight, requires_grad=False).copy_(value)
