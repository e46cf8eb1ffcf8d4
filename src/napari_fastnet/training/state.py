"""The state of a training run on disk, so that a killed run goes on.

Tensors are stored as safetensors and counters as its metadata; a pickle, torch's
usual form, could run code when it is read.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from napari_fastnet.errors import DataError
from napari_fastnet.machine.files import write_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from torch.optim import AdamW
    from torch.optim.lr_scheduler import LRScheduler

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")
_MEND = "remove it to start anew, or give another output folder"


@dataclass(slots=True)
class Progress:
    """How far a training is, and what it is of.

    Parameters
    ----------
    epoch : int
        Epochs finished.
    kept_epoch : int or None
        The epoch whose averaged weights are kept; None where none was judged, as in a
        state of version 0.1.
    kept_auc : float or None
        Its AUC on the validation patches.
    options : dict
        Of the recipe by name, to say which of them differ.
    context : dict of str to str
        What else the training depends on: how another is called, and the digest of
        this one.
    """

    epoch: int = 0
    kept_epoch: int | None = None
    kept_auc: float | None = None
    options: dict[str, Any] = field(default_factory=dict)
    context: dict[str, str] = field(default_factory=dict)


def save_training(
    path: Path,
    progress: Progress,
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
    progress : Progress
        How far it is.
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
        **asdict(progress),
        "schedule": schedule.state_dict(),
        "groups": held["param_groups"],
    }
    metadata = {"counters": json.dumps(counters), "fingerprint": fingerprint}
    write_bytes(path, save(tensors, metadata))


def restore_training(
    path: Path,
    progress: Progress,
    modules: dict[str, nn.Module],
    optimizer: AdamW,
    schedule: LRScheduler,
    fingerprint: str,
) -> Progress:
    """Read a state into freshly built objects and return how far it is.

    Parameters
    ----------
    path : Path
        File that `save_training` wrote.
    progress : Progress
        Of the training that is to go on: its options and context.
    modules, optimizer, schedule, fingerprint
        As for `save_training`; the objects are changed in place. A module that the
        file does not have is left as it is.

    Returns
    -------
    Progress
        As it was saved.

    Raises
    ------
    DataError
        The file is damaged, or was written for other data or options.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise DataError(
            f"{path}: not a whole training state ({error}); {_MEND}"
        ) from error
    counters = json.loads(metadata["counters"])
    names = Progress.__dataclass_fields__
    saved = Progress(**{name: counters[name] for name in names if name in counters})
    if metadata.get("fingerprint") != fingerprint or _differs(saved, progress):
        raise DataError(f"{path}: written with {_difference(saved, progress)}; {_MEND}")
    for name, module in modules.items():
        prefix = f"{name}/"
        own = {
            key.removeprefix(prefix): value
            for key, value in tensors.items()
            if key.startswith(prefix)
        }
        if own:
            module.load_state_dict(own)
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
    return saved


def _differs(saved: Progress, wanted: Progress) -> list[str]:
    """Return what of the context is another, as far as the file says."""
    return [
        name
        for name, value in saved.context.items()
        if wanted.context.get(name, value) != value
    ]


def _difference(saved: Progress, wanted: Progress) -> str:
    """Return in what two trainings differ, in words."""
    was, now = (json.loads(json.dumps(each.options)) for each in (saved, wanted))
    words = [
        f"{name} {was[name]} instead of {now[name]}"
        for name in now
        if name in was and was[name] != now[name]
    ]
    words += _differs(saved, wanted)
    return ", ".join(words) or "other data or options"


def _laid_out_as(weight: Tensor, value: Tensor) -> Tensor:
    """Return a moment in the memory format of its weight; counters as they are."""
    if value.shape != weight.shape:
        return value
    return torch.empty_like(weight, requires_grad=False).copy_(value)
