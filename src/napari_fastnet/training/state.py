"""State of a training on disk, so that a killed run goes on.

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
    from collections.abc import Sequence
    from pathlib import Path

    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

_PART = "optimizer"  # followed by its number
_MEND = "remove it to start anew, or give another output folder"


@dataclass(slots=True)
class Progress:
    """Progress of a training, and what it depends on.

    Parameters
    ----------
    epoch : int
        Epochs finished.
    kept_epoch : int or None
        The epoch whose averaged weights are kept; None before any was evaluated, as in
        a state of version 0.1.
    kept_auc : float or None
        Its AUC on the validation patches.
    options : dict
        Recipe by name, to name those options that differ.
    context : dict of str to str
        Digests of other things that the training depends on, by the words for a
        different one.
    """

    epoch: int = 0
    kept_epoch: int | None = None
    kept_auc: float | None = None
    options: dict[str, Any] = field(default_factory=dict)
    context: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingState:
    """Objects that make up a training, to be saved and restored in place.

    Parameters
    ----------
    progress : Progress
        Counters, options and context.
    modules : dict of nn.Module
        By name in the file.
    optimizers : list of (Optimizer, LRScheduler)
        Moments and positions are stored.
    """

    progress: Progress
    modules: dict[str, nn.Module]
    optimizers: Sequence[tuple[Optimizer, LRScheduler]]

    def save(self, path: Path, fingerprint: str) -> None:
        """Replace the state in a file.

        Parameters
        ----------
        path : Path
            File to write aside; OutputError where it cannot be, and an earlier state
            is kept.
        fingerprint : str
            Digest of the recipe and the data; another one does not restore the state.
        """
        tensors: dict[str, Tensor] = {}
        for name, module in self.modules.items():
            for key, value in module.state_dict().items():
                tensors[f"{name}/{key}"] = value.contiguous()
        parts = []
        for number, (optimizer, schedule) in enumerate(self.optimizers):
            held = optimizer.state_dict()
            parts.append(
                {"groups": held["param_groups"], "schedule": schedule.state_dict()}
            )
            for index, state in held["state"].items():
                for key, moment in state.items():
                    tensors[f"{_PART}{number}/{index}/{key}"] = moment.contiguous()
        counters = {**asdict(self.progress), "optimizers": parts}
        metadata = {"counters": json.dumps(counters), "fingerprint": fingerprint}
        write_bytes(path, save(tensors, metadata))

    def restore(self, path: Path, fingerprint: str) -> None:
        """Load the state of a file into freshly built objects.

        A module that the file does not have is left as it is. DataError where the file
        is damaged, or was written for other data or options.
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
        differ = self._differences(counters)
        if metadata.get("fingerprint") != fingerprint or differ:
            words = ", ".join(differ) or "other data or options"
            raise DataError(f"{path}: written with {words}; {_MEND}")
        for name in Progress.__dataclass_fields__.keys() & counters.keys():
            setattr(self.progress, name, counters[name])
        for name, module in self.modules.items():
            prefix = f"{name}/"
            own = {
                key.removeprefix(prefix): value
                for key, value in tensors.items()
                if key.startswith(prefix)
            }
            if own:
                module.load_state_dict(own)
        parts = zip(self.optimizers, counters["optimizers"], strict=True)
        for number, ((optimizer, schedule), part) in enumerate(parts):
            weights = [w for group in optimizer.param_groups for w in group["params"]]
            state: dict[int, dict[str, Tensor]] = {n: {} for n in range(len(weights))}
            prefix = f"{_PART}{number}/"
            for key in tensors:
                if key.startswith(prefix):
                    index, moment = key.removeprefix(prefix).split("/")
                    # The fused optimiser walks through memory, so that the moments must
                    # lie in it as their weights do.
                    value = _laid_out_as(weights[int(index)], tensors[key])
                    state[int(index)][moment] = value
            optimizer.load_state_dict({"state": state, "param_groups": part["groups"]})
            schedule.load_state_dict(part["schedule"])

    def _differences(self, saved: dict[str, Any]) -> list[str]:
        """Return a phrase for each option, and each thing in the context, that differs.

        A state of version 0.1 names neither.
        """
        was, now = (
            saved.get("options", {}),
            json.loads(json.dumps(self.progress.options)),
        )
        options = [
            f"{name} {was[name]} instead of {now[name]}"
            for name in now
            if name in was and was[name] != now[name]
        ]
        own = self.progress.context
        context = saved.get("context", {}).items()
        return options + [
            name for name, value in context if own.get(name, value) != value
        ]


def _laid_out_as(weight: Tensor, value: Tensor) -> Tensor:
    """Return a moment in the memory format of its weight; counters as they are."""
    if value.shape != weight.shape:
        return value
    return torch.empty_like(weight, requires_grad=False).copy_(value)
