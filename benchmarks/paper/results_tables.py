"""The tables of docs/paper/results.md, as Markdown."""

from __future__ import annotations

import json
from statistics import fmean

from experiments import EXPERIMENTS, NETWORKS, Run, planned
from loss_factors import PROBABILITIES, FactorRow
from napari_fastnet.nn.counts import flop_count, parameter_count
from results_claims import LABELS, TABLES, printed_in
from results_stats import ENOUGH_SEEDS, Estimate, Line, Log, estimate


def factors(formula: str, rows: list[FactorRow]) -> str:
    """Return Table II or III."""
    lines = [
        " | ".join(["| g", *(f"p = {p}" for p in PROBABILITIES), "ratio |"]),
        "|---:" * (len(PROBABILITIES) + 2) + "|",
    ]
    for row in rows:
        values = [f"{value:.4g}" for value in row.factors]
        cells = [f"{row.focusing:g}", *values, f"{row.ratio:,.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return f"`{formula}`, and its value at p = 0.5 over that at p = 0.9:\n\n" + (
        "\n".join(lines)
    )


def budget(log: Log) -> str:
    """Return what each training had, and how far the experiment is."""
    first = log.rows[0]
    options = json.loads(first["options"])
    asked = planned("all", ENOUGH_SEEDS)
    done = sum(run.seed in log.lines(run) for run in asked)
    hours = sum(float(row["cpu_seconds"]) for row in log.rows) / 3600
    versions = "; ".join(sorted({row["versions"] for row in log.rows}))
    return (
        f"- **Budget**: each training sees {log.budget:,} patches in "
        f"{log.budget // options['batch_size']} steps of {options['batch_size']}: "
        f"{first['train']}, the same ones for all, passes over them: "
        f"{options['epochs']}.\n"
        f"- **Recipe**, the same for all: AdamW, weight decay "
        f"{options['weight_decay']:g}, one-cycle schedule up to "
        f"{options['learning_rate']:g}, rising for {options['warm_up']:.0%} of the "
        f"steps; {options['precision']}; a running mean of the weights is judged; turns "
        f"and flips, {_changes(options['augmentation'])}; no mosaics, no teacher, weights "
        "drawn anew.\n"
        f"- **Judged** on the {int(first['n']):,} patches of {first['valid']}, "
        f"{int(first['positives']):,} of them tumor, at a probability of "
        f"{first['threshold']}.\n"
        f"- **Done so far**: {done} of {len(asked)} trainings, {hours:.1f} hours of one "
        f"core ({versions})."
    )


def _changes(augmentation: dict[str, float]) -> str:
    """Return which changes of the patches are on."""
    on = [f"{name.replace('_', ' ')} {v:g}" for name, v in augmentation.items() if v]
    return f"random {', '.join(on)}" if on else "no other changes"


def counts(paper: list[Line]) -> str:
    """Return parameters and operations beside the paper's (Table VIII)."""
    lines = [
        "| network | parameters | paper | FLOPs at 256 px | paper |",
        "|---|---:|---:|---:|---:|",
    ]
    printed = {row["network"]: row for row in paper if row["flops_m"]}
    for name, row in printed.items():
        network = NETWORKS[name]()
        parameters = f"{row['parameters_m']} M" if row["parameters_m"] else "-"
        lines.append(
            f"| {name} | {parameter_count(network):,} | {parameters} "
            f"| {flop_count(network) / 1e6:.2f} M | {row['flops_m']} M |"
        )
    return "\n".join(lines)


def table(log: Log, paper: list[Line], number: str) -> str:
    """Return our figures with the paper's under them."""
    runs = EXPERIMENTS[TABLES[number]]
    printed = printed_in(paper, number)
    with_loss = len({run.loss for run in runs}) > 1
    head = ["network", *(["loss"] if with_loss else []), "seeds", *LABELS.values()]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for run in runs:
        rows = list(log.lines(run).values())
        cells = [run.network, *([run.loss] if with_loss else []), str(len(rows))]
        for measure in LABELS:
            theirs = printed[run.network, run.loss].get(measure)
            cells.append(
                _cell(estimate(rows, measure)) + (f"<br>*{theirs}*" if theirs else "")
            )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(found: Estimate | None) -> str:
    if found is None or found.low is None or found.high is None:
        return "-"
    low, high = max(0.0, found.low), min(1.0, found.high)
    return f"**{found.mean:.3f}** {low:.3f} to {high:.3f}"


def search(log: Log) -> str:
    """Return the best a and g, and how much of it is chance."""
    runs = EXPERIMENTS["search"]
    done = [run for run in runs if log.lines(run)]
    if len(done) < len(runs):
        return f"{len(done)} of {len(runs)} trainings are in; the rest is not done yet."
    # Those seeds alone that all have: one pair is in Table IX with more.
    plain = Run("fastnet")
    *lines, plain_lines = log.common(*runs, plain)
    if not plain_lines:
        return "The cross-entropy to compare with is not done yet."
    means = {run: _mean_auc(rows) for run, rows in zip(runs, lines, strict=True)}
    best = max(means, key=lambda run: means[run])
    spread = max(means.values()) - min(means.values())
    above = means[best] - _mean_auc(plain_lines)
    return (
        f"Seeds of each pair: {len(plain_lines)}. Best by AUC: a = {best.weight:g}, "
        f"g = {best.focusing:g} with {means[best]:.3f}, {above:+.3f} from "
        f"cross-entropy's {_mean_auc(plain_lines):.3f} with the same seeds. From the "
        f"worst to the best of the {len(runs)} pairs it is {spread:.3f}; from the worst "
        f"to the best seed of FastNet with cross-entropy, {_spread(log, plain)}.\n\n"
        "![AUC and F1 over a and g](search.png)"
    )


def _mean_auc(lines: list[Line]) -> float:
    return fmean(float(line["auc"]) for line in lines)


def _spread(log: Log, run: Run) -> str:
    """Return how far the AUC of one training goes apart from seed to seed."""
    values = [float(line["auc"]) for line in log.lines(run).values()]
    return f"{max(values) - min(values):.3f}" if len(values) > 1 else "not known yet"
