"""The page on performance says what the results say, and nothing older."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS, PAGE = ROOT / "benchmarks", ROOT / "docs" / "explain" / "performance.md"

pytestmark = pytest.mark.skipif(
    not (BENCHMARKS.is_dir() and PAGE.exists()),
    reason="no benchmarks and no docs beside the tests",
)


@pytest.fixture
def script(monkeypatch):
    """Return a function from the name of a script to its module."""
    monkeypatch.syspath_prepend(str(BENCHMARKS / "pages"))
    yield importlib.import_module
    for name in ("page", "roofline", "performance_page", "performance_figures"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.fixture
def fill(monkeypatch, script, tmp_path):
    """Return a function that fills a copy of the page from a folder of results."""
    module = script("performance_page")
    page = tmp_path / "performance.md"

    def fill(results):
        shutil.copyfile(PAGE, page)
        argv = ["", "--results", str(results), "--page", str(page)]
        monkeypatch.setattr(sys, "argv", argv)
        module.main()
        return page.read_text("utf-8")

    return fill


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


def test_the_figures_of_several_detections_are_medians(script):
    pytest.importorskip("torch")
    figures = script("performance_figures")
    small = figures.Detection(0.5, 9.0, 5.0, 2.0, None, 500)
    slower = figures.Detection(0.5, 9.0, 7.0, 3.0, None, 600)

    middle = figures.middle([slower, small, slower])

    assert middle == slower
    large = figures.Detection(8.0, 150.0, 40, 3.75, 0.24, None)
    assert figures.growth(middle, large) == {"gigapixels": 16, "first_result_s": 1.25}


@pytest.mark.slow
def test_detections_count_the_tissue_and_the_time_between_blocks(
    tmp_path, write_tiff, dark_bundle, script
):
    pytest.importorskip("torch")
    detect_once = script("performance_figures").detect_once
    image = np.full((1024, 4096, 3), 245, np.uint8)
    image[:, :3072] = (200, 120, 180)
    large = write_tiff(tmp_path / "large.tif", image, mpp=2.0)
    small = write_tiff(tmp_path / "small.tif", image[:512, 2560:3584], mpp=2.0)
    glass = write_tiff(tmp_path / "glass.tif", image[:512, 3072:], mpp=2.0)
    words = ["--model", str(dark_bundle), "--backend", "onnx"]

    of = {slide: detect_once(slide, words) for slide in (large, small, glass)}

    assert of[large].gigapixels == 1024 * 4096 / 1e9
    # the mask may gain or lose a cell at its edge
    assert of[large].tissue_mpx == pytest.approx(1024 * 3072 / 1e6, rel=0.02)
    assert 0 < of[large].first_result_s < of[large].seconds
    assert 0 < of[large].seconds_per_mpx < of[large].seconds
    # a single block of 96 cells ends where it begins
    assert of[small].first_result_s > 0
    assert of[small].seconds_per_mpx is None
    assert (of[glass].tissue_mpx, of[glass].first_result_s) == (0, None)


def test_the_page_on_other_tools_has_the_times_of_this_page():
    rows = dict(
        re.findall(r"^\| (.+?) \| [\d,]+ \| ([\d.]+) \|", PAGE.read_text("utf-8"), re.M)
    )
    words = " ".join((ROOT / "docs" / "which-tool.md").read_text("utf-8").split())
    assert f"WSInfer takes {rows['WSInfer, 256 px patches']} s" in words
    assert f"takes {rows['here, 256 px patches']} s with the same patches" in words
    assert f"and {rows['here, shipped model, dense']} s with its own model" in words
