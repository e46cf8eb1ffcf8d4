"""The targets of the long form, which is a script beside the package."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "faults"


@pytest.fixture(scope="session")
def fuzz_scripts():
    """Return the modules `fuzz` and `fuzz_targets`."""
    if not (BENCHMARKS / "fuzz.py").is_file():
        pytest.skip("not in a source tree")
    variable = "NAPARI_FASTNET_MODELS"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(variable, os.environ.get(variable, ""))  # put back at the end
        patch.syspath_prepend(str(BENCHMARKS))
        yield (importlib.import_module("fuzz"), importlib.import_module("fuzz_targets"))


@pytest.fixture
def check(fuzz_scripts, tmp_path):
    """Return a function that reads an input of a target and tells what went wrong."""
    _, targets = fuzz_scripts
    count = iter(range(10**9))

    def read(name, data):
        folder = tmp_path / f"case-{next(count)}"
        folder.mkdir()
        return targets.held(targets.TARGETS[name], data, folder)

    return read


@pytest.fixture
def examples(fuzz_scripts, tmp_path):
    """Return a function that gives the whole inputs of a target."""
    _, targets = fuzz_scripts

    def of(name):
        folder = tmp_path / f"examples-{name}"
        folder.mkdir(exist_ok=True)
        return targets.TARGETS[name].examples(folder)

    return of
