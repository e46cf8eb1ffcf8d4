"""The paper's experiments: which networks and losses are trained for which table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from napari_fastnet.errors import OptionError
from napari_fastnet.nn.fastnet import FastNet
from napari_fastnet.nn.options import FastNetConfig
from napari_fastnet.nn.peers import PeerConfig
from single_block import SingleBlockConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_fastnet.nn.losses import LossName
    from napari_fastnet.nn.network import PatchNetwork

#: Every network that is compared, by the name it has in the log.
NETWORKS: Mapping[str, Callable[[], PatchNetwork]] = {
    "fastnet": FastNet,
    "mobilenetv2-0.5": PeerConfig("mobilenetv2-0.5").build,
    "shufflenetv2-1.0": PeerConfig("shufflenetv2-1.0").build,
    "efficientnet-b0": PeerConfig("efficientnet-b0").build,
    "fastnet-no-shortcut": partial(FastNet, FastNetConfig(shortcut=False)),
    "fastnet-standard": partial(FastNet, FastNetConfig("standard")),
    "fastnet-standard-no-shortcut": partial(
        FastNet, FastNetConfig("standard", shortcut=False)
    ),
    **{
        f"branches-{n}": SingleBlockConfig("branches", n).build
        for n in (1, 2, 4, 8, 16)
    },
    **{f"scales-{n}": SingleBlockConfig("scales", n).build for n in (1, 2, 3, 4)},
}


@dataclass(frozen=True, slots=True)
class Run:
    """One training.

    Parameters
    ----------
    network : str
        A key of `NETWORKS`.
    loss : {"attention", "focal", "cross-entropy"}
        See `napari_fastnet.nn.losses.PatchLoss`.
    weight, focusing : float or None
        a and g of the loss; cross-entropy has neither.
    seed : int
        Of weights, order and changes of the patches.
    """

    network: str
    loss: LossName = "cross-entropy"
    weight: float | None = None
    focusing: float | None = None
    seed: int = 0


# The paper gives no a and g. For the focal loss those that treat both classes alike
# and g of its authors; for the attention loss the defaults of `train`.
_LOSSES: tuple[tuple[LossName, float | None, float | None], ...] = (
    ("cross-entropy", None, None),
    ("focal", 0.5, 2.0),
    ("attention", 1.2, 4.0),
)
#: The search over the attention loss's a and g.
SEARCHED_WEIGHTS = (1.0, 1.2, 1.5, 2.0)
SEARCHED_FOCUSINGS = (1.0, 2.0, 4.0, 8.0)

#: What is trained for each experiment, in the order of a run of all.
EXPERIMENTS: Mapping[str, tuple[Run, ...]] = {
    "losses": tuple(  # Tables VIII and IX
        Run(network, *loss) for network in list(NETWORKS)[:4] for loss in _LOSSES
    ),
    "convolutions": tuple(  # Table VII
        Run(network) for network in ("fastnet", *list(NETWORKS)[4:7])
    ),
    "branches": tuple(Run(f"branches-{n}") for n in (1, 2, 4, 8, 16)),  # Table VI
    "scales": tuple(Run(f"scales-{n}") for n in (1, 2, 3, 4)),  # Table V
    "search": tuple(
        Run("fastnet", "attention", weight, focusing)
        for weight in SEARCHED_WEIGHTS
        for focusing in SEARCHED_FOCUSINGS
    ),
}
ALL = "all"


def planned(name: str, seeds: int) -> list[Run]:
    """Return the runs of an experiment, each once, the first seed of all first.

    Of all experiments the search comes last, with one seed: it shows a surface, where
    the tables ask for an interval.

    Parameters
    ----------
    name : str
        A key of `EXPERIMENTS`, or "all".
    seeds : int
        Each training is done with seeds 0 to seeds - 1.

    Returns
    -------
    list of Run
        In an order that leaves whole tables when it is stopped.

    Raises
    ------
    OptionError
        There is no such experiment, or no seed.
    """
    if name != ALL and name not in EXPERIMENTS:
        raise OptionError(
            f"there is no experiment {name!r}; use one of "
            f"{', '.join((*EXPERIMENTS, ALL))}"
        )
    if seeds < 1:
        raise OptionError(f"seeds is {seeds}; use at least 1")
    tables = [each for each in EXPERIMENTS if each != "search"]
    names = tables if name == ALL else [name]
    runs = [
        Run(run.network, run.loss, run.weight, run.focusing, seed)
        for seed in range(seeds)
        for each in names
        for run in EXPERIMENTS[each]
    ]
    if name == ALL:
        runs += EXPERIMENTS["search"]
    return list(dict.fromkeys(runs))
