"""The kinds of faults of the long form, which is a script beside the package."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "faults"


@pytest.fixture(scope="session")
def faults():
    """Return the module `faults`."""
    if not (BENCHMARKS / "faults.py").is_file():
        pytest.skip("not in a source tree")
    if sys.platform == "win32":
        pytest.skip("limits and signals are those of POSIX")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module("faults")


@pytest.fixture(scope="session")
def judge(faults):
    """Return the module `fault_world`, which holds runs against the promises."""
    return importlib.import_module(faults.World.__module__)


@pytest.fixture(scope="session")
def world(faults, tmp_path_factory):
    """Return a small slide with its undisturbed run."""
    return faults.World(tmp_path_factory.mktemp("world"))
