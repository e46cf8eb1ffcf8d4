"""Write the figures of the shipped model, and the log of its training, into the docs.

    python benchmarks/pages/model_page.py --model NAME|DIR --log BUNDLE-training
        [--page docs/explain/model.md]

The history (CSV) and the curves (PNG) of the training are copied beside the page.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.append(str(Path(__file__).parents[1]))

from napari_fastnet.model.bundle import load_bundle
from page import write_between

if TYPE_CHECKING:
    from napari_fastnet.model.training_facts import ModelMetrics

PAGE = Path("docs/explain/model.md")
MEASURES = ("auc", "accuracy", "recall", "precision", "f1")


def figures(metrics: ModelMetrics) -> str:
    """Return the table of measures as Markdown."""
    lines = ["| measure | value | 95 % interval |", "|---|---:|---|"]
    for name in MEASURES:
        low, high = metrics.ci95[name]
        lines.append(
            f"| {name} | {getattr(metrics, name):.4f} | {low:.4f} to {high:.4f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Copy the log and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="fastnet-pcam")
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--page", type=Path, default=PAGE)
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.model)
    stem = bundle.name
    shutil.copyfile(
        arguments.log / "history.csv", arguments.page.with_name(f"{stem}-history.csv")
    )
    shutil.copyfile(
        arguments.log / "curves.png", arguments.page.with_name(f"{stem}-curves.png")
    )
    training = bundle.training
    text = (
        f"{training.normal:,} normal and {training.tumour:,} tumor patches, "
        f"judged on {bundle.metrics.n:,} patches of other slides "
        f"({bundle.metrics.data}):\n\n{figures(bundle.metrics)}\n\n"
        f"The last command, with torch {training.torch} on Python "
        f"{training.python}:\n\n"
        '```sh title="not run in tests: takes minutes, and needs data of yours"\n'
        f"{training.command}\n```\n\n"
        f"Its log: [history]({stem}-history.csv).\n\n"
        f"![Training loss and validation AUC]({stem}-curves.png)"
    )
    write_between(arguments.page, "model_page", text)


if __name__ == "__main__":
    main()
