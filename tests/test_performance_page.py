"""The page on performance says what the results say, and nothing older."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS, PAGE = ROOT / "benchmarks", ROOT / "docs" / "explain" / "performance.md"

pytestmark = pytest.mark.skipif(
    not (BENCHMARKS.is_dir() and PAGE.exists()),
    reason="no benchmarks and no docs beside the tests",
)


@pytest.fixture
def fill(monkeypatch, tmp_path):
    """Return a function that fills a copy of the page from a folder of results."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    names = ("page", "roofline", "performance_page")
    script = importlib.import_module(names[-1])
    page = tmp_path / "performance.md"

    def fill(results):
        shutil.copyfile(PAGE, page)
        argv = ["", "--results", str(results), "--page", str(page)]
        monkeypatch.setattr(sys, "argv", argv)
        script.main()
        return page.read_text("utf-8")

    yield fill
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_the_page_is_as_the_results_write_it(fill, tmp_path):
    assert fill(BENCHMARKS / "results") == PAGE.read_text("utf-8")
    assert (tmp_path / "roofline.png").stat().st_size > 10_000


def test_what_is_not_there_leaves_its_part_as_it_is(fill, tmp_path):
    assert fill(tmp_path / "nothing") == PAGE.read_text("utf-8")


def test_other_figures_are_other_words(fill, tmp_path):
    found = json.loads((BENCHMARKS / "results" / "bench.json").read_text("utf-8"))
    found["ratios"]["end_to_end_to_slower"] = 0.1234
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "bench.json").write_text(json.dumps(found))

    assert "slower alone: **12%**" in fill(tmp_path / "results")
