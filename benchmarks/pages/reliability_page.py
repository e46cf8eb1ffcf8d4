"""Write what was tried against the program into docs/explain/reliability.md.

    python benchmarks/pages/reliability_page.py [--results benchmarks/results]
        [--page docs/explain/reliability.md]

The parts are faults.json of `faults`, fuzz.json of `fuzz` and soak.json of `soak`; the
part of a file that is not there is left as it is.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.append(str(Path(__file__).parents[1]))

from page import write_between

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE, RESULTS = Path("docs/explain/reliability.md"), Path("benchmarks/results")
#: Cycles of the soak that are shown: about so many.
SHOWN = 12


def tried(found: dict[str, Any]) -> str:
    """Return a row for each kind of fault or input, and how often it was tried."""
    alone = ["" if "kind" not in row else f"`{row['kind']}`" for row in found["rows"]]
    head = ["what goes wrong", "tried", "held", "what happened"]
    lines = [head, ["---", "---:", "---:", "---"]]
    if any(alone):
        lines = [["kind", *head], ["---", *lines[1]]]
    for name, row in zip(alone, found["rows"], strict=True):
        cells = [row["fault"], f"{row['tried']:,}", f"{row['held']:,}", row["outcome"]]
        lines.append([name, *cells] if any(alone) else cells)
    total = sum(row["tried"] for row in found["rows"])
    held = sum(row["held"] for row in found["rows"])
    return "\n".join(
        [
            *(f"| {' | '.join(line)} |" for line in lines),
            "",
            f"{total:,} tried, {held:,} held. Python {found['machine']['python']}, "
            f"{found['machine']['cores']} cores.",
            "",
            *_commands(found),
        ]
    )


def soak(found: dict[str, Any]) -> str:
    """Return what a long day took, every so many cycles."""
    states = found["states"]
    step = max(1, len(states) // SHOWN)
    shown = [s for s in states if s["cycle"] == 1 or s["cycle"] % step == 0]
    if shown[-1] is not states[-1]:
        shown.append(states[-1])
    lines = [
        "| cycle | memory MB | threads | open files | log bytes |",
        "|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {s['cycle']} | {s['memory_mb']:.0f} | {s['threads']} | {s['files']} | "
        f"{s['log_bytes']:,} |"
        for s in shown
    ]
    asked, done = found["cycles_asked"], found["cycles"]
    short = "" if done >= asked else f" of the {asked} asked for"
    return "\n".join(
        [
            *lines,
            "",
            f"{done} cycles{short} in {found['hours']:.1f} hours. From cycle "
            f"{found['warm_up']} on memory grew by {found['memory_growth']:.1%}, threads "
            f"by {found['threads_growth']}, open files by {found['files_growth']}; the log "
            f"has {found['log_bytes']:,} bytes. {found['machine']}.",
            "",
            *_commands(found),
        ]
    )


def _commands(found: dict[str, Any]) -> list[str]:
    return [
        '```sh title="not run in tests: takes minutes"',
        f"{found['command']}",
        f"{found['short']} # the short form",
        "```",
    ]


PARTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "faults": tried,
    "fuzz": tried,
    "soak": soak,
}


def main() -> None:
    """Fill the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    for name, part in PARTS.items():
        file = given.results / f"{name}.json"
        if file.exists():
            found = json.loads(file.read_text("utf-8"))
            write_between(given.page, name, part(found))


if __name__ == "__main__":
    main()
