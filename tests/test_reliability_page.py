"""The page on reliability says what the results say, and nothing older."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS, PAGE = ROOT / "benchmarks", ROOT / "docs" / "explain" / "reliability.md"

pytestmark = pytest.mark.skipif(
    not (BENCHMARKS.is_dir() and PAGE.exists()),
    reason="no benchmarks and no docs beside the tests",
)


@pytest.fixture
def fill(monkeypatch, tmp_path):
    """Return a function that fills a copy of the page from a folder of results."""
    monkeypatch.syspath_prepend(str(BENCHMARKS / "pages"))
    names = ("page", "reliability_page")
    script = importlib.import_module(names[-1])
    page = tmp_path / "reliability.md"

    def fill(results):
        shutil.copyfile(PAGE, page)
        argv = ["", "--results", str(results), "--page", str(page)]
        monkeypatch.setattr(sys, "argv", argv)
        script.main()
        return page.read_text("utf-8")

    yield fill
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_the_page_is_as_the_results_write_it(fill):
    assert fill(BENCHMARKS / "results") == PAGE.read_text("utf-8")


def test_a_promise_that_was_broken_would_stand_there(fill, tmp_path):
    found = json.loads((BENCHMARKS / "results" / "faults.json").read_text("utf-8"))
    found["rows"][0] |= {"held": 12, "outcome": "3 x a lock"}
    (tmp_path / "faults.json").write_text(json.dumps(found))

    assert "| 12 | 3 x a lock |" in fill(tmp_path)
