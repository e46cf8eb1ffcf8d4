"""The script of the paper's experiments, as its users type it."""

from __future__ import annotations

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from experiment import ExperimentName, experiment
from experiments import EXPERIMENTS
from napari_fastnet.errors import OptionError


@pytest.fixture(scope="module")
def run():
    """Return a function that runs the script with words and gives its result."""
    app = typer.Typer()
    app.command()(experiment)
    return lambda *words: CliRunner().invoke(app, words)


def test_the_factors_are_the_papers(run) -> None:
    lines = [line.split() for line in run("factors").output.splitlines()]
    assert ["2", "0.25", "0.16", "0.09", "0.04", "0.01", "25.00"] in lines
    assert ["2", "0.75", "0.64", "0.51", "0.36", "0.19", "3.95"] in lines


def test_every_experiment_has_a_name() -> None:
    assert set(ExperimentName) == {"factors", "all", *EXPERIMENTS}


@pytest.mark.slow
def test_an_experiment_says_what_it_found_and_where(run, tmp_path) -> None:
    for index in range(40):
        path = tmp_path / "data" / str(index % 2) / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = np.full((32, 32, 3), 100 + 3 * index, np.uint8)
        Image.fromarray(image).save(path)
    data = str(tmp_path / "data")
    words = ["scales", "--train", data, "--valid", data, "--device", "cpu"]
    words += ["-o", str(tmp_path / "out"), "--budget", "32", "--seeds", "1"]
    printed = run(*words).output
    assert "4 of 4: scales-4, cross-entropy, seed 0: AUC" in printed
    assert str(tmp_path / "out" / "experiments.csv") in printed
    again = run(*words)
    assert again.exit_code == 0
    assert "scales-4" not in again.output


def test_data_that_are_not_given_are_asked_for(run) -> None:
    error = run("losses").exception
    assert isinstance(error, OptionError)
    assert "--train, --valid and --output" in str(error)


def test_an_unknown_experiment_is_wrong_usage(run) -> None:
    refused = run("magic")
    assert refused.exit_code == 2
    assert "magic" in refused.output
