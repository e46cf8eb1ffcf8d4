"""A detection without an output folder writes no file and finds the same."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from napari_fastnet.cohort.detect import detect
from napari_fastnet.detection import first_block, plan
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.detection.tissue import find_tissue
from napari_fastnet.results.loading import load
from napari_fastnet.results.recorded_slide import recorded_picture
from napari_fastnet.slide.slide import open_slide

SCRIPT = """
import json, os, sys
from pathlib import Path

written = []
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        path, mode, flags = arguments
        written.extend([path] if flags & WRITING and path != os.devnull else [])
    elif event in ("os.mkdir", "os.rename", "os.link", "os.symlink"):
        written.append(str(arguments[0]))

sys.addaudithook(watch)
from napari_fastnet.cohort.detect import detect

result = detect(sys.argv[1], model=sys.argv[2])
found = {"computed": result.record.counts.computed, "regions": len(result.regions)}
print(json.dumps([found, written]))
"""


@pytest.fixture(scope="module")
def slide_file(write_svs, tmp_path_factory):
    """A dark square on pink tissue on glass, 2 µm/px."""
    image = np.full((384, 512, 3), 244, np.uint8)
    image[32:352, 32:400] = (170, 110, 150)
    image[96:224, 96:224] = (60, 40, 80)
    return write_svs(tmp_path_factory.mktemp("memory") / "square.svs", image, mpp=2.0)


def assert_same(one, other):
    np.testing.assert_array_equal(
        one.heatmap.probabilities, other.heatmap.probabilities
    )
    assert one.heatmap.grid == other.heatmap.grid
    np.testing.assert_array_equal(one.flags, other.flags)
    assert [(r.area_mm2, r.centroid) for r in one.regions] == [
        (r.area_mm2, r.centroid) for r in other.regions
    ]
    assert one.record.counts == other.record.counts
    assert one.record.quality == other.record.quality


def test_nothing_is_written_anywhere(slide_file, dark_bundle, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    places = dict.fromkeys(
        ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"),
        str(home),
    )
    beside = sorted(slide_file.parent.iterdir())
    done = subprocess.run(
        [sys.executable, "-B", "-c", SCRIPT, str(slide_file), str(dark_bundle)],
        capture_output=True,
        text=True,
        check=False,
        cwd=home,
        env={"PATH": "", "PYTHONPATH": ":".join(sys.path), **places},
    )
    assert done.returncode == 0, done.stderr
    found, written = json.loads(done.stdout)
    assert found["computed"] > 0
    assert found["regions"] == 1
    assert written == []
    assert list(home.iterdir()) == []
    assert sorted(slide_file.parent.iterdir()) == beside


@pytest.mark.parametrize("stride", ["dense", "patch", 16])
def test_the_result_is_that_of_a_run_with_a_folder(
    slide_file, dark_bundle, tmp_path, stride
):
    in_memory = detect(slide_file, model=dark_bundle, stride=stride)
    on_disk = detect(slide_file, tmp_path, model=dark_bundle, stride=stride)
    assert in_memory.heatmap.computed.any()
    assert in_memory.files == ()
    assert_same(in_memory, on_disk)


def test_the_first_block_of_a_large_slide_is_kept(
    slide_file, dark_bundle, tmp_path, monkeypatch
):
    for name, value in (("LARGE_CELLS", 1), ("ROUGH_MPP", 16.0)):
        monkeypatch.setattr(first_block, name, value)
    monkeypatch.setattr(plan, "SMALLER_BLOCKS", {1: 8})
    computed: list[tuple[int, ...]] = []
    result = detect(
        slide_file,
        model=dark_bundle,
        progress=lambda step: computed.append(step.block.first),
    )
    assert len(set(computed)) == len(computed) > 1  # no block twice
    monkeypatch.undo()
    assert_same(result, detect(slide_file, tmp_path, model=dark_bundle))


def test_a_stopped_run_says_what_it_lacks(slide_file, dark_bundle):
    steps = []
    result = detect(
        slide_file,
        model=dark_bundle,
        options=RunOptions(stride=8),
        progress=steps.append,
        should_stop=lambda: len(steps) > 0,
    )
    counts = result.record.counts
    assert 0 < counts.computed == result.heatmap.computed.sum()
    assert counts.stopped == counts.kept - counts.computed > 0
    (note,) = result.notes
    assert f"stopped with {counts.stopped:,} of {counts.kept:,} patches left" in note


def test_a_stopped_run_in_a_folder_leaves_its_store_and_goes_on(
    slide_file, dark_bundle, tmp_path
):
    steps: list = []
    options = RunOptions(stride=8)
    stopped = detect(
        slide_file,
        tmp_path,
        model=dark_bundle,
        options=options,
        progress=steps.append,
        should_stop=lambda: len(steps) > 0,
    )
    assert "the next run goes on" in stopped.notes[-1]
    assert [path.name for path in (tmp_path / "square").iterdir()] == ["run.zarr"]
    steps.clear()
    whole = detect(
        slide_file,
        tmp_path,
        model=dark_bundle,
        options=options,
        progress=steps.append,
    )
    assert whole.record.counts.stopped == 0
    again = sum(int(np.isfinite(step.values).sum()) for step in steps)
    assert again == whole.record.counts.computed - stopped.record.counts.computed
    assert_same(whole, detect(slide_file, model=dark_bundle, options=options))


def test_keywords_take_precedence_over_options(slide_file, dark_bundle):
    options = RunOptions(threshold=0.2, stride=32, colours="blue-orange")
    result = detect(slide_file, model=dark_bundle, threshold=0.9, options=options)
    assert result.record.threshold == 0.9
    assert result.record.options.stride_px == 32
    assert result.record.options.colours == "blue-orange"


def test_tissue_is_found_on_a_path_as_on_an_open_slide(slide_file):
    with open_slide(slide_file) as slide:
        there = find_tissue(slide)
    assert np.array_equal(find_tissue(slide_file).masks.roi, there.masks.roi)


def test_a_result_in_memory_is_a_table_and_can_be_exported_saved_and_shown(
    slide_file, dark_bundle, tmp_path
):
    result = detect(slide_file, model=dark_bundle)
    on_disk = detect(slide_file, tmp_path / "disk", model=dark_bundle)
    assert result.folder is None
    assert len(result.table()) == 1
    assert result.table() == on_disk.table()
    (path,) = result.export(tmp_path / "geojson", "geojson")
    there = json.loads((on_disk.folder / "regions.geojson").read_text())
    assert json.loads(path.read_text())["features"] == there["features"]
    place = result.save(tmp_path / "saved")
    assert place == tmp_path / "saved" / "square"
    assert_same(load(place), on_disk)
    png = result._repr_png_()
    assert png.startswith(b"\x89PNG")
    assert (place / "overview.png").read_bytes()[:8] == png[:8]
    assert "data:image/png;base64," in result._repr_html_()


def test_a_notebook_draws_the_overview_once_for_html_and_png(slide_file, dark_bundle):
    """IPython asks an object for every kind of view, one after the other."""
    formatter = pytest.importorskip("IPython.core.formatters").DisplayFormatter()
    result = detect(slide_file, model=dark_bundle)
    drawn = []

    def picture():
        drawn.append(result)
        return recorded_picture(result.record)

    shown, _ = formatter.format(replace(result, picture=picture))

    assert shown["image/png"].startswith(b"\x89PNG")
    assert "data:image/png;base64," in shown["text/html"]
    assert len(drawn) == 1
