"""The paper's experiments, which are scripts beside the package."""

from __future__ import annotations

import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "benchmarks" / "paper"

if SCRIPTS.is_dir():
    sys.path.insert(0, str(SCRIPTS))
else:
    collect_ignore_glob = ["test_*.py"]


def pytest_report_header():
    """Tell why nothing of this folder runs outside a source tree."""
    return None if SCRIPTS.is_dir() else "no benchmarks/paper beside the tests"
