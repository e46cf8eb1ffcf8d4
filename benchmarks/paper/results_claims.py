"""What the paper says is better than what, and whether it is so in the log."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, pairwise

from experiments import EXPERIMENTS, Run
from results_stats import Estimate, Line, Log, difference, verdict

#: The experiment of each table that is trained for.
TABLES = {"V": "scales", "VI": "branches", "VII": "convolutions", "IX": "losses"}
LABELS = {
    "accuracy": "accuracy",
    "recall": "recall",
    "precision": "precision",
    "f1": "F1",
    "auc": "AUC",
}


def printed_in(paper: list[Line], number: str) -> dict[tuple[str, str], Line]:
    """Return the lines of a table of the paper, by network and loss."""
    return {
        (row["network"], row["loss"]): row for row in paper if row["table"] == number
    }


def _pairs(number: str) -> list[tuple[Run, Run]]:
    """Return what the paper compares in a table."""
    runs = EXPERIMENTS[TABLES[number]]
    if number in ("V", "VI"):  # one more, and one more
        return [*pairwise(runs), (runs[0], runs[-1])]
    if number == "VII":
        return list(combinations(runs, 2))
    return [
        (first, second)
        for first, second in combinations(runs, 2)
        if first.network == second.network
        or (first.network == "fastnet" and first.loss == second.loss)
    ]


def _compared(
    log: Log, paper: list[Line], number: str
) -> list[tuple[str, float, dict[str, Estimate | None]]]:
    """Return each pair's name, the paper's difference and ours by measure."""
    printed = printed_in(paper, number)
    theirs = "accuracy" if number in ("V", "VI") else "f1"
    found = []
    for first, second in _pairs(number):
        values = [
            float(printed[run.network, run.loss][theirs]) for run in (first, second)
        ]
        if values[0] < values[1]:  # the paper's better one first
            first, second, values = second, first, values[::-1]
        rows = log.common(first, second)
        name = _name(first, second)
        ours = {m: difference(*rows, m) for m in (theirs, "auc")}
        found.append((name, values[0] - values[1], ours))
    return found


def _name(first: Run, second: Run) -> str:
    """Return what is said to be better than what."""
    if first.network == second.network:
        return f"{first.network}: {first.loss} above {second.loss}"
    loss = "" if first.loss == "cross-entropy" else f", {first.loss}"
    return f"{first.network} above {second.network}{loss}"


def claims(log: Log, paper: list[Line], number: str) -> str:
    """Return what the paper's order of networks is worth here."""
    label = LABELS["accuracy" if number in ("V", "VI") else "f1"]
    lines = [
        f"| in the paper | {label}, paper | {label}, here | | AUC, here | |",
        "|---|---:|---:|---|---:|---|",
    ]
    for name, expected, ours in _compared(log, paper, number):
        cells = [name, f"{expected:+.4f}"]
        for found in ours.values():
            cells += [signed(found), verdict(found, expected)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def signed(found: Estimate | None) -> str:
    """Return a difference as the page has it."""
    if found is None:
        return "-"
    if found.low is None or found.high is None:
        return f"{found.mean:+.3f}"
    return f"{found.mean:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def verdicts(log: Log, paper: list[Line]) -> str:
    """Return how many of the paper's differences are found here."""
    words = ("agrees", "contradicts", "open", "not yet")
    lines = [
        "| table | by | differences | same sign | agree | contradict | open | not yet |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    total: Counter[str] = Counter()
    for number in TABLES:
        compared = _compared(log, paper, number)
        for measure in compared[0][2]:
            found = [ours[measure] for _, _, ours in compared]
            expected = [theirs for _, theirs, _ in compared]
            said = Counter(map(verdict, found, expected))
            total += said
            measured = [each for each in found if each is not None]
            # In each pair the paper's better one comes first.
            same = sum(each.mean > 0 for each in measured)
            cells = [number, LABELS[measure], str(len(found))]
            cells.append(f"{same} of {len(measured)}")
            cells += [str(said[word]) for word in words]
            lines.append(f"| {' | '.join(cells)} |")
    decided = total["agrees"] + total["contradicts"]
    tried = decided + total["open"]
    return "\n".join(lines) + (
        f"\n\nOf {tried} differences {decided} are told from chance; were all of them "
        f"chance, about {0.05 * tried:.0f} would seem to be."
    )
