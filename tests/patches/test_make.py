"""A CAMELYON16 folder becomes patches, whatever kills the work on the way."""

from __future__ import annotations

import errno
import json
import shutil
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
import zarr
from PIL import Image

from napari_fastnet.core.geometry import Box
from napari_fastnet.errors import (
    BusyError,
    DataError,
    OptionError,
    OutputError,
    StoreError,
)
from napari_fastnet.patches.camelyon import find_camelyon
from napari_fastnet.patches.make import log_folder, make_patches
from napari_fastnet.patches.options import MakeOptions, PatchOptions, SamplingOptions
from napari_fastnet.patches.report import CLASSES
from napari_fastnet.patches.store import open_patch_store
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.store.lock import hold

SMALL = MakeOptions(PatchOptions(0.972, 32), SamplingOptions(valid_share=0.5))


def make(folder, store, options=SMALL, **more):
    """Make patches in this process and return the report."""
    *_, last = make_patches(folder, store, options, workers=1, **more)
    return last.report


def contents(store):
    """Return every array of a store."""
    opened = open_patch_store(store)
    found = {}
    for slide, patch in opened.patches(None):
        key = (slide, patch.label, patch.part, *patch.position)
        found[key] = (patch.weight, patch.image.tobytes())
    return found


def stored(row):
    """Return the number of patches of a slide in the store."""
    columns = [f"{p}_{c}" for p in ("train", "valid", "test") for c in CLASSES]
    return sum(row[column] for column in columns)


@pytest.fixture
def copied(camelyon, tmp_path):
    """Return a folder of one's own, to spoil."""
    return shutil.copytree(camelyon, tmp_path / "mine")


@pytest.fixture(scope="module")
def made(camelyon, tmp_path_factory):
    store = tmp_path_factory.mktemp("made") / "patches.zarr"
    make(camelyon, store)
    return store


def test_patches_are_the_slides_px(made, camelyon):
    slides = {slide.name: slide for slide in find_camelyon(camelyon).slides}
    count = 0
    for name, patch in open_patch_store(made).patches(None):
        with open_slide(slides[name].path) as slide:
            wanted = slide.read(Box.of_shape((128, 128), patch.position), 0.972)
        np.testing.assert_array_equal(patch.image, wanted)
        count += 1
    assert count > 20


def test_classes_are_balanced_and_slides_divided(made):
    opened = open_patch_store(made)
    assert opened.slides == ("normal_001", "normal_002", "tumor_001", "tumor_002")
    parts = {}
    for name in opened.slides:
        (parts[name],) = set(opened.table(name)["parts"].tolist())
    assert sorted(parts.values()) == [0, 0, 1, 1]
    assert parts["tumor_001"] != parts["tumor_002"]
    report = json.loads((log_folder(made) / "report.json").read_text())
    for part in ("train", "valid"):
        counts = report["totals"][part]
        assert counts["normal"] == counts["tumour"] > 5
    assert not report["leaks"]


def test_the_report_is_a_table_and_a_picture(made):
    lines = (log_folder(made) / "slides.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == [
        *("normal_001", "normal_002", "tumor_001", "tumor_002")
    ]
    with Image.open(log_folder(made) / "contact_sheet.png") as sheet:
        assert sheet.width > 900
        assert len(sheet.getcolors(2**24)) > 1000


def test_everything_and_the_test_set_on_demand(camelyon, tmp_path, made):
    options = MakeOptions(SMALL.patches, SamplingOptions("full"), testing=True)
    report = make(camelyon, tmp_path / "p.zarr", options)
    assert set(report.store.slides) > set(open_patch_store(made).slides)
    assert report.totals["test"]["tumour"] > 5
    assert report.totals["test"]["normal"] > report.totals["test"]["tumour"]
    for row in report.rows:
        assert stored(row) == row["candidates_normal"] + row["candidates_tumour"]


def test_patches_at_random_are_marked_as_leaking(camelyon, tmp_path):
    options = MakeOptions(SMALL.patches, SamplingOptions(split="patches"))
    report = make(camelyon, tmp_path / "p.zarr", options)
    assert report.store.leaks
    assert set(report.store.table("tumor_001")["parts"].tolist()) == {0, 1}


def test_processes_make_the_same(camelyon, tmp_path, made):
    steps = list(make_patches(camelyon, tmp_path / "p.zarr", SMALL, workers=2))
    assert [step.stage for step in steps] == ["look"] * 4 + ["write"] * 5
    assert contents(tmp_path / "p.zarr") == contents(made)


def test_a_disk_that_fails_ends_the_work_with_one_error(camelyon, tmp_path):
    log_folder(tmp_path / "p.zarr").mkdir()
    (log_folder(tmp_path / "p.zarr") / "candidates").write_text("no folder")
    with pytest.raises(OutputError, match="cannot write"):
        list(make_patches(camelyon, tmp_path / "p.zarr", SMALL, workers=2))


def test_a_disk_that_is_full_leaves_no_half_of_a_slide(camelyon, tmp_path, monkeypatch):
    def full(path, **_):
        path.mkdir()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zarr, "create_group", full)
    store = tmp_path / "p.zarr"
    with pytest.raises(OutputError, match=r"cannot write .*/p\.zarr/\w+: No space"):
        list(make_patches(camelyon, store, SMALL, workers=1))
    assert [path for path in store.iterdir() if path.is_dir()] == []


def test_a_second_start_writes_nothing(camelyon, tmp_path):
    store = tmp_path / "p.zarr"
    make(camelyon, store)
    before = {path: path.stat().st_mtime_ns for path in store.rglob("c/*/*/*")}
    assert before
    make(camelyon, store)
    assert before == {path: path.stat().st_mtime_ns for path in store.rglob("c/*/*/*")}


def test_closing_the_generator_keeps_whole_slides(camelyon, tmp_path, made):
    store = tmp_path / "p.zarr"
    steps = make_patches(camelyon, store, SMALL, workers=1)
    while next(steps).stage == "look":
        pass
    steps.close()
    with pytest.raises(DataError, match="not finished"):
        open_patch_store(store)
    kept = {path.name for path in store.iterdir() if path.is_dir()}
    assert len(kept) == 1
    make(camelyon, store)
    assert contents(store) == contents(made)


SCRIPT = """
import sys
from pathlib import Path
from napari_fastnet.patches.options import SamplingOptions
from napari_fastnet.patches.make import (make_patches)
from napari_fastnet.patches.options import MakeOptions
from napari_fastnet.patches.options import PatchOptions

if __name__ == "__main__":
    options = MakeOptions(PatchOptions(0.972, 32), SamplingOptions(valid_share=0.5))
    steps = make_patches(Path(sys.argv[1]), Path(sys.argv[2]), options,
                         workers=int(sys.argv[3]))
    for step in steps:
        print(step.stage, step.done, flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX's")
@pytest.mark.parametrize(
    ("workers", "until"),
    [(1, "write 1"), (2, "write 2")],
)
def test_kill_9_and_another_start(camelyon, tmp_path, made, workers, until):
    """Whole slides stay, half-written ones never count, and the end is the same."""
    store, script = tmp_path / "p.zarr", tmp_path / "make.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(camelyon), str(store), str(workers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.strip() == until:
                process.send_signal(signal.SIGKILL)
                break
    with pytest.raises(DataError, match="not finished"):
        open_patch_store(store)
    kept = [path for path in store.glob("[!.]*") if path.is_dir()]
    assert len(kept) >= (until[-1:] == "2") + (until[:5] == "write")
    make(camelyon, store)
    assert contents(store) == contents(made)
    assert not list(store.glob(".*"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX's")
def test_workers_end_with_their_parent(camelyon, tmp_path):
    """Of a parent that was killed, no process goes on for long."""
    script = tmp_path / "make.py"
    script.write_text(SCRIPT)
    store = tmp_path / "p.zarr"
    command = [sys.executable, str(script), str(camelyon), str(store), "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.kill()
        # Workers hold the other end of the pipe: it closes when the last has ended.
        started = time.monotonic()
        process.stdout.read()
        assert time.monotonic() - started < 30


def test_more_slides_are_added(camelyon, copied, tmp_path):
    store = tmp_path / "p.zarr"
    moved = copied / "training" / "normal" / "normal_002.tif"
    moved.rename(tmp_path / "normal_002.tif")
    options = MakeOptions(SMALL.patches, SamplingOptions("full", valid_share=0))
    assert len(make(copied, store, options).store.slides) == 3
    (tmp_path / "normal_002.tif").rename(moved)
    assert len(make(copied, store, options).store.slides) == 4
    make(camelyon, tmp_path / "other.zarr", options)
    assert contents(store) == contents(tmp_path / "other.zarr")


@pytest.mark.parametrize("fault", ["cut", "text", "xml", "billion laughs", "empty"])
def test_what_is_at_fault_is_named_and_the_rest_goes_on(copied, tmp_path, fault):
    slide = copied / "training" / "tumor" / "tumor_002.tif"
    outlines = copied / "training" / "lesion_annotations" / "tumor_002.xml"
    if fault == "cut":
        slide.write_bytes(slide.read_bytes()[: slide.stat().st_size // 2])
    elif fault == "text":
        slide.write_text("no slide")
    elif fault == "xml":
        outlines.write_bytes(outlines.read_bytes()[:-100])
    elif fault == "billion laughs":
        outlines.write_text(
            '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><a>&b;</a>'
        )
    else:
        outlines.write_text("<ASAP_Annotations></ASAP_Annotations>")
    report = make(copied, tmp_path / "p.zarr")
    (line,) = report.faults
    assert line.startswith("tumor_002: ")
    assert report.store.slides == ("normal_001", "normal_002", "tumor_001")
    assert "tumor_002" in (tmp_path / "p-report" / "slides.csv").read_text()


def test_an_unusable_folder_is_one_error(copied, tmp_path):
    for path in copied.rglob("*.tif"):
        path.write_text("no slide")
    with pytest.raises(DataError, match=r"no patch is drawn from 4 slides, 4 of them"):
        make(copied, tmp_path / "p.zarr")


def test_one_class_alone_needs_full_sampling(copied, tmp_path):
    shutil.rmtree(copied / "training" / "tumor")
    with pytest.raises(DataError, match="--sampling full"):
        make(copied, tmp_path / "p.zarr")
    options = MakeOptions(SMALL.patches, SamplingOptions("full"))
    report = make(copied, tmp_path / "q.zarr", options)
    assert report.totals["train"]["tumour"] == 0
    assert report.totals["train"]["normal"] > 10


def test_damaged_tiles_cost_their_patches_only(copied, tmp_path, made):
    path = copied / "training" / "tumor" / "tumor_001.tif"
    with open_slide(path) as slide:
        tiles = slide.levels[1].shape
    assert min(tiles) > 256  # more than one tile of the level that is read
    _spoil_tiles(path, level=1, most=1)
    _spoil_tiles(path, level=0)  # else level 1 is made from it
    options = MakeOptions(SMALL.patches, SamplingOptions("full", valid_share=0))
    report = make(copied, tmp_path / "p.zarr", options)
    row = next(row for row in report.rows if row["slide"] == "tumor_001")
    assert row["unreadable"] > 0
    assert stored(row) > 0
    assert report.faults == ()


def _spoil_tiles(path, level, most=None):
    import tifffile

    with tifffile.TiffFile(path) as tif:
        page = tif.series[0].levels[level].keyframe
        places = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    if most is not None:
        places = places[len(places) // 2 :][:most]
    with path.open("r+b") as file:
        for offset, count in places:
            file.seek(offset)
            file.write(bytes(count))


def test_other_options_need_another_store(camelyon, tmp_path):
    store = tmp_path / "p.zarr"
    make(camelyon, store)
    other = MakeOptions(PatchOptions(0.972, 48), SMALL.sampling)
    with pytest.raises(StoreError, match=r"patch_px.*--fresh"):
        make(camelyon, store, other)
    assert make(camelyon, store, other, fresh=True).store.patch_px == 48


def test_something_else_is_never_removed(camelyon, tmp_path):
    store = tmp_path / "p.zarr"
    store.mkdir()
    (store / "thesis.txt").write_text("years of work")
    for fresh in (False, True):
        with pytest.raises(StoreError, match="something else"):
            make(camelyon, store, fresh=fresh)
    assert (store / "thesis.txt").exists()


def test_one_at_a_time(camelyon, tmp_path, monkeypatch):
    impatient = partial(hold, wait_s=0.1)
    monkeypatch.setattr("napari_fastnet.patches.make.hold", impatient)
    store = tmp_path / "p.zarr"
    log_folder(store).mkdir()
    with hold(log_folder(store)), pytest.raises(BusyError):
        make(camelyon, store)


def test_no_workers_are_refused(camelyon, tmp_path):
    with pytest.raises(OptionError, match="workers is 0"):
        next(make_patches(camelyon, tmp_path / "p.zarr", workers=0))
