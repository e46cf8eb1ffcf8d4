"""The page of results: what the log says, and nothing that it does not say."""

from __future__ import annotations

import csv
import importlib
import shutil
import sys
from pathlib import Path

import pytest

from experiments import planned

ROOT = Path(__file__).parents[2]
BENCHMARKS, PAGE = ROOT / "benchmarks" / "paper", ROOT / "docs" / "paper" / "results.md"

pytestmark = pytest.mark.skipif(
    not BENCHMARKS.is_dir(), reason="no benchmarks beside the tests"
)
MEASURES = ("auc", "accuracy", "recall", "precision", "f1")
#: Every training is as good as chance but those that a test speaks of.
AUC = {"fastnet": 0.9, "mobilenetv2-0.5": 0.8, "efficientnet-b0": 0.95}


@pytest.fixture
def script(monkeypatch):
    """The module of a script, with its neighbours in reach."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module
    for name in [n for n in sys.modules if n == "page" or n.startswith("results_")]:
        monkeypatch.delitem(sys.modules, name)


def line(run, auc):
    """One training's line of the log; a thousandth apart from seed to seed."""
    value = auc + run.seed * 0.001
    ends = {f"{name}_low": value - 0.01 for name in MEASURES}
    ends |= {f"{name}_high": value + 0.01 for name in MEASURES}
    return {
        "network": run.network,
        "loss": run.loss,
        "weight": "" if run.weight is None else f"{run.weight:g}",
        "focusing": "" if run.focusing is None else f"{run.focusing:g}",
        "seed": run.seed,
        "budget": 64,
        **dict.fromkeys(MEASURES, value),
        **ends,
        "n": 100,
        "positives": 50,
        "threshold": 0.5,
        "cpu_seconds": 36,
        "train": "64 of train.tar",
        "valid": "valid.tar",
        "versions": "torch 2",
        "options": '{"epochs": 1, "batch_size": 32, "weight_decay": 0.02, '
        '"learning_rate": 0.002, "warm_up": 0.15, "precision": "float32", '
        '"augmentation": {"blur": 0, "stain_scale": 0.12}}',
    }


def write_log(path, runs):
    rows = [line(run, AUC.get(run.network, 0.5)) for run in runs]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def page_of(script, monkeypatch, tmp_path, runs):
    page, log = tmp_path / "results.md", tmp_path / "experiments.csv"
    shutil.copyfile(PAGE, page)
    write_log(log, runs)
    words = ["results_page.py", "--log", str(log), "--page", str(page)]
    monkeypatch.setattr(sys, "argv", words)
    script("results_page").main()
    return page.read_text()


@pytest.mark.slow
def test_a_whole_log_decides_and_is_drawn(script, monkeypatch, tmp_path) -> None:
    text = page_of(script, monkeypatch, tmp_path, planned("all", 3))
    # The same distance with every seed: its interval has no width.
    better = "| fastnet above mobilenetv2-0.5 | +0.0208 | +0.100 (+0.100 to +0.100) |"
    worse = "| fastnet above efficientnet-b0 | +0.0055 | -0.050 (-0.050 to -0.050) |"
    assert f"{better} agrees |" in text
    assert f"{worse} contradicts |" in text
    assert "| fastnet: focal above cross-entropy | +0.0009 | +0.000" in text
    # Student's interval of three values a thousandth apart: 4.303 * 0.001 / 3 ** 0.5.
    assert "| 3 | **0.901** 0.899 to 0.903<br>*0.9686* |" in text
    assert "87 of 87 trainings, 0.9 hours" in text
    assert (tmp_path / "networks.png").stat().st_size > 0
    assert (tmp_path / "search.png").stat().st_size > 0


@pytest.mark.slow
def test_a_log_that_is_not_whole_decides_nothing(script, monkeypatch, tmp_path) -> None:
    text = page_of(script, monkeypatch, tmp_path, planned("losses", 1)[:6])
    assert "| fastnet above mobilenetv2-0.5 | +0.0208 | +0.100 | not yet |" in text
    assert "| fastnet above efficientnet-b0 | +0.0055 | - | not yet |" in text
    assert "| efficientnet-b0 | focal | 0 | -<br>" in text
    assert "agrees |" not in text
    assert "1 of 16 trainings are in" in text
    assert not (tmp_path / "search.png").exists()


def test_a_log_of_two_budgets_is_refused(script, tmp_path) -> None:
    log = tmp_path / "experiments.csv"
    write_log(log, planned("scales", 1))
    header, first, *rest = log.read_text().splitlines()
    log.write_text("\n".join([header, first.replace(",64,", ",128,"), *rest]))
    with pytest.raises(SystemExit, match="budgets"):
        script("results_stats").Log(log)
