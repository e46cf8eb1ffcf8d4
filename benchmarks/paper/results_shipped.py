"""The shipped model beside the networks of Table IX, and why that is no fair match."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments import EXPERIMENTS, Run
from napari_fastnet.model.bundle import load_bundle
from results_stats import Log, estimate

if TYPE_CHECKING:
    from napari_fastnet.model.training_facts import ModelMetrics
    from results_stats import Estimate


_LOSSES = tuple(dict.fromkeys(run.loss for run in EXPERIMENTS["losses"]))


def shipped(log: Log, name: str) -> str:
    """Return the table, and the sentence that says what it is worth."""
    bundle = load_bundle(name)
    training, metrics = bundle.training, bundle.metrics
    patches = training.normal + training.tumour
    epochs = training.options["epochs"]
    lines = [
        "| | F1 | AUC |",
        "|---|---:|---:|",
        f"| **{bundle.name} {bundle.version}, as shipped** | "
        f"{_of_bundle(metrics, 'f1')} | {_of_bundle(metrics, 'auc')} |",
    ]
    networks = dict.fromkeys(run.network for run in EXPERIMENTS["losses"])
    for network in networks:
        best = _best(log, network)
        rows = list(log.lines(best).values())
        cells = [_of(estimate(rows, measure)) for measure in ("f1", "auc")]
        lines.append(f"| {network}, {best.loss} | {' | '.join(cells)} |")
    beaten = "; ".join(
        f"against {name} {_against(log, name)}" for name in list(networks)[1:]
    )
    taught = " and learned from a larger network" if training.teachers else ""
    return (
        "\n".join(lines)
        + f"\n\nThis is **not** a comparison at equal training: the shipped model saw "
        f"{patches:,} patches {epochs} times in its last training alone{taught}; the "
        f"others saw {log.budget:,} in all.\n\n"
        "At equal training data and budget (Table IX), FastNet's mean over seeds is "
        f"higher with so many of the {len(_LOSSES)} losses: {beaten}."
    )


def _against(log: Log, network: str) -> str:
    """Return with how many losses FastNet has the higher mean, by measure."""
    cells = []
    for measure, label in (("f1", "F1"), ("auc", "AUC")):
        pairs = [
            [run for run in EXPERIMENTS["losses"] if (run.network, run.loss) == key]
            for loss in _LOSSES
            for key in (("fastnet", loss), (network, loss))
        ]
        means = [estimate(list(log.lines(run).values()), measure) for (run,) in pairs]
        above = sum(
            ours is not None and theirs is not None and ours.mean > theirs.mean
            for ours, theirs in zip(means[::2], means[1::2], strict=True)
        )
        cells.append(f"{above} in {label}")
    return " and ".join(cells)


def _best(log: Log, network: str) -> Run:
    """Return a network's training with the loss that gave it the best AUC."""
    runs = [run for run in EXPERIMENTS["losses"] if run.network == network]

    def auc(run: Run) -> float:
        found = estimate(list(log.lines(run).values()), "auc")
        return found.mean if found else 0.0

    return max(runs, key=auc)


def _of(found: Estimate | None) -> str:
    if found is None:
        return "-"
    return f"{found.mean:.3f} ({found.low:.3f} to {found.high:.3f})"


def _of_bundle(metrics: ModelMetrics, name: str) -> str:
    low, high = metrics.ci95[name]
    return f"**{getattr(metrics, name):.3f}** ({low:.3f} to {high:.3f})"
