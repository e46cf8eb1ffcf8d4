"""Write the tables and pictures of docs/paper/results.md from the experiments' log.

    python benchmarks/paper/results_page.py [--log benchmarks/results/experiments.csv]
        [--page docs/paper/results.md] [--model fastnet-pcam]

The log comes from `benchmarks/paper/experiment.py all`; the paper's own figures are in
``benchmarks/results/paper.csv``. No figure of the page is typed by hand.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from loss_factors import attention_table, focal_table
from page import write_between
from results_claims import TABLES, claims, verdicts
from results_pictures import draw_networks, draw_search
from results_shipped import shipped
from results_stats import Log, read_paper
from results_tables import budget, counts, factors, search, table

RESULTS = Path(__file__).parents[1] / "results"


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--log", type=Path, default=RESULTS / "experiments.csv")
    parser.add_argument("--page", type=Path, default=Path("docs/paper/results.md"))
    parser.add_argument("--model", default="fastnet-pcam")
    arguments = parser.parse_args()
    log, paper = Log(arguments.log), read_paper(RESULTS / "paper.csv")
    draw_networks(log, arguments.page.with_name("networks.png"))
    draw_search(log, arguments.page.with_name("search.png"))
    parts = {
        "factors": factors("(1 - p)^g", focal_table())
        + "\n\n"
        + factors("1 - p^g", attention_table()),
        "budget": budget(log),
        "verdicts": verdicts(log, paper),
        "counts": counts(paper),
        "search": search(log),
        "shipped": shipped(log, arguments.model),
    }
    for number in TABLES:
        parts[number] = table(log, paper, number) + "\n\n" + claims(log, paper, number)
    for mark, text in parts.items():
        write_between(arguments.page, f"results_{mark}", text)


if __name__ == "__main__":
    main()


if __name__ == "__main__":
    main()
