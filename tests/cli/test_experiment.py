"""`experiment` as its users type it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from napari_fastnet.cli.app import main
from napari_fastnet.cli.experiment import ExperimentName
from napari_fastnet.engine.experiments import EXPERIMENTS


def test_the_factors_are_the_papers(capsys) -> None:
    assert main(["experiment", "factors"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["2", "0.25", "0.16", "0.09", "0.04", "0.01", "25.00"] in lines
    assert ["2", "0.75", "0.64", "0.51", "0.36", "0.19", "3.95"] in lines


def test_every_experiment_has_a_name() -> None:
    assert set(ExperimentName) == {"factors", "all", *EXPERIMENTS}


@pytest.mark.slow
def test_an_experiment_says_what_it_found_and_where(tmp_path, capsys) -> None:
    for index in range(40):
        path = tmp_path / "data" / str(index % 2) / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = np.full((32, 32, 3), 100 + 3 * index, np.uint8)
        Image.fromarray(image).save(path)
    data = str(tmp_path / "data")
    words = ["experiment", "scales", "--train", data, "--valid", data]
    words += ["-o", str(tmp_path / "out"), "--budget", "32", "--seeds", "1"]
    assert main([*words, "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert "4 of 4: scales-4, cross-entropy, seed 0: AUC" in printed
    assert str(tmp_path / "out" / "experiments.csv") in printed
    assert main([*words, "--device", "cpu"]) == 0
    assert "scales-4" not in capsys.readouterr().out


def test_data_that_are_not_given_are_asked_for(capsys) -> None:
    assert main(["experiment", "losses"]) == 1
    assert "--train, --valid and --output" in capsys.readouterr().err


def test_an_unknown_experiment_is_wrong_usage(capsys) -> None:
    assert main(["experiment", "magic"]) == 2
    assert "magic" in capsys.readouterr().err
