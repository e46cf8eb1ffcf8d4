"""Painted cells: on the disk at once, exactly, never lost, taken back stroke by stroke."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from shapely.geometry import shape

from napari_fastnet.errors import OptionError, OutputError, SpacingError
from napari_fastnet.machine import files
from napari_fastnet.results.corrections import (
    Corrections,
    corrections_of,
    corrections_path,
)
from napari_fastnet.results.record import SlideFacts

#: 10 x 12 cells of 16 px.
SHAPE, MPP = (160, 192), (0.972, 0.972)
FINGERPRINT = "sha256:ab"


def opened(path, **other):
    given = {"fingerprint": FINGERPRINT, "slide_shape": SHAPE, "mpp": MPP} | other
    return Corrections.open(path, **given)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "corrections.geojson"


@pytest.fixture
def corrections(path):
    return opened(path, slide="a.svs")


def stroke(corrections, rows, columns, kind=1):
    cells = corrections.cells.copy()
    cells[rows, columns] = kind
    corrections.paint(cells)
    return cells


def test_a_stroke_is_on_the_disk_when_the_call_returns(path, corrections):
    assert corrections.cells.shape == (10, 12)
    assert not path.exists()
    stroke(corrections, slice(2, 5), slice(3, 9), 1)
    cells = stroke(corrections, 3, slice(4, 6), 2)
    for each in (corrections, opened(path)):
        assert each.cells.dtype == np.uint8
        assert (each.cells == cells).all()
        assert each.notes == ()


@settings(max_examples=40, deadline=None)
@given(
    arrays.arrays(np.uint8, (7, 9), elements=st.integers(0, 3)),
    st.floats(0.05, 20),
    st.floats(0.9, 1.1),
)
def test_any_cells_come_back_exactly_at_any_um_per_px(cells, mpp, ratio):
    mpp = mpp, mpp * ratio
    size = tuple(round(n * 15.552 / m) for n, m in zip(cells.shape, mpp, strict=True))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "corrections.geojson"
        corrections = opened(path, slide_shape=size, mpp=mpp)
        cells = cells[: corrections.cells.shape[0], : corrections.cells.shape[1]]
        corrections.paint(np.resize(cells, corrections.cells.shape))
        again = opened(path, slide_shape=size, mpp=mpp)
        assert (again.cells == corrections.cells).all()
        assert again.notes == ()


def test_qupath_opens_the_file(path, corrections):
    stroke(corrections, slice(1, 3), slice(2, 4), 1)
    stroke(corrections, 5, 5, 2)
    stroke(corrections, 9, 11, 3)
    said = json.loads(path.read_text())
    assert said["type"] == "FeatureCollection"
    outlines = {}
    for feature in said["features"]:
        properties = feature["properties"]
        assert feature["type"] == "Feature"
        assert properties["objectType"] == "annotation"
        outline = shape(feature["geometry"])
        assert outline.is_valid
        outlines[properties["classification"]["name"]] = outline.bounds
    # x and y, px
    assert outlines == {
        "Tumor": (32, 16, 64, 48),
        "Normal": (80, 80, 96, 96),
        "Ignore*": (176, 144, 192, 160),
    }
    head = said["corrections"]
    assert head["slide_fingerprint"] == FINGERPRINT
    assert head["slide_name"] == "a.svs"
    assert head["mpp"] == list(MPP)
    assert head["format_version"] == 1


def test_undo_goes_back_stroke_by_stroke_also_after_reopening(path, corrections):
    first = stroke(corrections, slice(2, 5), slice(3, 9), 1)
    second = stroke(corrections, slice(4, 6), slice(3, 4), 2)
    stroke(corrections, slice(0, 10), slice(0, 12), 0)
    assert corrections.undo()
    assert (corrections.cells == second).all()
    again = opened(path)
    assert again.undo()
    assert (again.cells == first).all()
    # the other window sees that, too, and goes on from there
    assert corrections.undo()
    assert not corrections.cells.any()
    assert not corrections.undo()
    assert not opened(path).cells.any()


def test_strokes_too_many_or_too_large_are_forgotten_but_for_the_last(
    path, corrections, monkeypatch
):
    monkeypatch.setattr("napari_fastnet.results.corrections.MOST_STROKES", 3)
    monkeypatch.setattr("napari_fastnet.results.corrections.MOST_RUNS", 20)
    for column in range(5):
        stroke(corrections, 0, column)
    assert [corrections.undo() for _ in range(4)] == [True] * 3 + [False]
    assert corrections.cells.sum() == 2
    noise = corrections.cells.copy()
    noise[::2, ::2] = 3  # 30 runs
    corrections.paint(noise)
    assert [corrections.undo() for _ in range(2)] == [True, False]


def test_wrong_cells_are_refused(path, corrections):
    for cells in (np.zeros((10, 11), np.uint8), np.full((10, 12), 4, np.uint8)):
        with pytest.raises(OptionError, match="give \\(10, 12\\) of 0 to 3"):
            corrections.paint(cells)
    with pytest.raises(SpacingError):
        opened(path, mpp=(0.0, 0.0))
    assert not path.exists()


def test_nothing_new_is_not_written(path, corrections):
    corrections.paint(corrections.cells)
    assert not path.exists()
    stroke(corrections, 1, 1)
    before = path.read_bytes(), path.stat().st_ino
    corrections.paint(corrections.cells.copy())
    assert (path.read_bytes(), path.stat().st_ino) == before


def test_cells_painted_at_another_um_per_px_are_laid_anew_and_that_is_said(
    path, corrections
):
    stroke(corrections, slice(2, 6), slice(4, 8), 1)
    again = opened(path, mpp=(1.944, 1.944))  # cells of 8 px
    assert "painted at 0.972 µm/px, and the slide has 1.944 now" in again.notes[0]
    assert (again.cells[4:12, 8:16] == 1).all()
    assert again.cells.sum() == 64
    stroke(again, 0, 0, 2)
    assert opened(path, mpp=(1.944, 1.944)).notes == ()
    assert again.undo()
    assert not again.undo()


BROKEN = [
    (b"{", "is damaged"),
    (b"[]", "was not painted with napari-fastnet"),
    (b'{"type": "FeatureCollection", "features": []}', "was not painted with"),
    (b'{"corrections": {"format": "napari-fastnet corrections", "format_version": 2}}',
     "has format version 2, this version reads 1; update"),
    (b'{"corrections": {"format": "napari-fastnet corrections", "format_version": 1}}',
     "it has no slide"),
]  # fmt: skip
HEAD = (
    '{"features": FEATURES, "corrections": {"format": "napari-fastnet corrections",'
    ' "format_version": 1, "slide_fingerprint": "FINGERPRINT", "slide_name": "b.svs",'
    ' "painted": "", "mpp": [0.972, 0.972]}}'
)
BROKEN += [
    (HEAD.replace("FINGERPRINT", finger).replace("FEATURES", features).encode(), why)
    for finger, features, why in (
        ("x", "[]", r"is about another slide \(b\.svs\)"),
        (FINGERPRINT, "[3]", "is damaged"),
        (FINGERPRINT, "null", "is damaged"),
        (FINGERPRINT, '[{"properties": {"classification": {"name": "Stroma"}}}]',
         "is damaged .*Stroma"),
        (FINGERPRINT, '[{"properties": {"classification": {"name": "Tumor"}}, "geometry":'
         '{"type": "Polygon", "coordinates": [[[0, 0], [1, 0]]]}}]', "is damaged"),
    )
]  # fmt: skip


@pytest.mark.parametrize(("content", "why"), BROKEN)
def test_a_file_that_cannot_be_used_is_set_aside_and_said(path, content, why):
    path.parent.mkdir()
    path.write_bytes(content)
    (note,) = opened(path, change=False).notes
    assert "left as it is, and nothing painted is known" in note
    assert path.read_bytes() == content

    again = opened(path)
    (note,) = again.notes
    assert str(path) in note
    assert re.search(why, note)
    assert "kept as corrections-set-aside-1.geojson" in note
    assert "\n" not in note
    stroke(again, 1, 1)
    path.write_bytes(content)  # once more, while it is open
    stroke(again, 2, 2)
    assert opened(path).cells.sum() == 2
    aside = sorted(path.parent.glob("*-set-aside-*.geojson"))
    assert [one.read_bytes() for one in aside] == [content, content]


WORDS = (
    b"",
    b"[",
    b"}",
    b"null",
    b"-1e300",
    b"9" * 400,
    b"1e999",
    b'"x"',
    b"\xff",
    b"7",
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_however_a_file_is_damaged_it_is_read_or_said(data):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "corrections.geojson"
        stroke(opened(path), slice(1, 3), slice(2, 4), 1)
        content = path.read_bytes()
        at = data.draw(st.integers(0, len(content)))
        to = at + data.draw(st.integers(0, 40))
        content = content[:at] + data.draw(st.sampled_from(WORDS)) + content[to:]
        path.write_bytes(content)
        found = opened(path)
        assert found.cells.shape == (10, 12)
        aside = Path(folder) / "corrections-set-aside-1.geojson"
        kept = aside if aside.exists() else path
        assert kept.read_bytes() == content
        assert bool(found.notes) >= aside.exists()


def test_strokes_that_are_damaged_cost_no_cell(path, corrections):
    stroke(corrections, 1, 1)
    said = json.loads(path.read_text())
    for strokes in (3, [[[1]]], [[[0, 999, 1]]], [[["a", 1, 1]]], [[[-1, 1, 1]]]):
        said["corrections"]["strokes"] = strokes
        path.write_text(json.dumps(said))
        again = opened(path)
        assert again.cells.sum() == 1
        assert not again.undo()


def test_what_another_version_says_of_itself_is_kept(path, corrections):
    stroke(corrections, 1, 1)
    said = json.loads(path.read_text())
    said["corrections"]["reader"] = "Dr. A"
    path.write_text(json.dumps(said))
    stroke(corrections, 2, 2)
    assert json.loads(path.read_text())["corrections"]["reader"] == "Dr. A"


def test_a_deleted_file_is_written_again(path, corrections):
    stroke(corrections, 1, 1)
    path.unlink()
    stroke(corrections, 2, 2)
    assert opened(path).cells.sum() == 2


def test_runs_in_the_cache_have_their_corrections_elsewhere(tmp_path):
    assert corrections_path(tmp_path, False, "a:b") == tmp_path / "corrections.geojson"
    kept = corrections_path(tmp_path, True, "a:b/c")
    assert tmp_path not in kept.parents
    assert kept.name == "a-b-c.geojson"
    assert kept.parent.name == "corrections"


def test_corrections_of_a_run_are_those_beside_it(path, corrections):
    stroke(corrections, 1, 1)
    slide = SlideFacts("/s/a.svs", FINGERPRINT, SHAPE[1], SHAPE[0], MPP)
    assert corrections_of(path.parent, slide).cells.sum() == 1


def test_copies_meet_what_is_painted_there_and_the_later_goes_first(
    tmp_path, path, corrections, monkeypatch
):
    now = iter(f"2026-01-0{day}T00:00:00+00:00" for day in range(1, 9))
    monkeypatch.setattr(
        "napari_fastnet.results.corrections.timestamp", lambda: next(now)
    )
    other = tmp_path / "elsewhere" / "corrections.geojson"
    corrections.copy_to(other)
    assert not other.exists()
    stroke(corrections, 1, slice(1, 4), 1)
    corrections.copy_to(other)
    there = opened(other)
    assert (there.cells == corrections.cells).all()
    stroke(there, 1, slice(3, 6), 2)
    corrections.copy_to(other)
    assert opened(other).cells[1, 1:6].tolist() == [1, 1, 2, 2, 2]
    stroke(corrections, 1, 0, 3)
    corrections.copy_to(other)
    assert opened(other).cells[1, :6].tolist() == [3, 1, 1, 1, 2, 2]
    corrections.copy_to(path)
    assert opened(path).cells[1, :6].tolist() == [3, 1, 1, 1, 0, 0]


# Several programs, full disks and kills.


def test_strokes_of_two_windows_meet_cell_by_cell(path, corrections):
    other = opened(path)
    mine = stroke(corrections, 1, slice(0, 3), 1)
    theirs = stroke(other, 1, slice(2, 5), 2)  # does not know the first
    assert opened(path).cells[1, :5].tolist() == [1, 1, 2, 2, 2]
    mine[5, 5] = 3
    corrections.paint(mine)  # has not seen the others: it takes none of them back
    theirs[1, 4] = 0
    other.paint(theirs)
    assert opened(path).cells[1, :5].tolist() == [1, 1, 2, 2, 0]
    assert opened(path).cells[5, 5] == 3
    assert (other.cells == opened(path).cells).all()


def test_threads_that_paint_at_once_lose_nothing(path):
    def work(row):
        for column in range(5):
            one = opened(path)
            cells = one.cells.copy()
            cells[row, column] = 1
            one.paint(cells)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    assert (opened(path).cells[:3, :5] == 1).all()


def test_what_cannot_be_written_is_known_and_written_with_the_next(tmp_path):
    (tmp_path / "run").write_text("in the way")
    path = tmp_path / "run" / "corrections.geojson"
    corrections = opened(path)
    with pytest.raises(OutputError, match=r"corrections\.geojson"):
        stroke(corrections, 1, 1)
    assert corrections.cells.sum() == 1
    (tmp_path / "run").unlink()
    stroke(corrections, 2, 2)
    assert opened(path).cells.sum() == 2


def test_a_full_disk_leaves_what_was_there_and_no_half_file(
    path, corrections, monkeypatch
):
    first = stroke(corrections, 1, 1)
    content = path.read_bytes()
    full = OSError(28, "No space left on device")

    def refuse(path):
        raise full

    with monkeypatch.context() as patched:
        patched.setattr(files, "_flush_to_disk", refuse)
        with pytest.raises(OutputError, match="No space left on device; free some"):
            stroke(corrections, 2, 2)
        assert corrections.cells.sum() == 2
        assert path.read_bytes() == content
        assert corrections.undo()  # of what is not on the disk
        assert (corrections.cells == first).all()
        with pytest.raises(OutputError):
            stroke(corrections, 3, 3)
    stroke(corrections, 4, 4)
    assert sorted(
        one.name for one in path.parent.iterdir() if one.suffix != ".lock"
    ) == ["corrections.geojson"]
    assert np.argwhere(opened(path).cells).tolist() == [[1, 1], [3, 3], [4, 4]]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("paint", "undo", "reopen", "copy")),
        st.integers(0, 1),  # of two windows
        st.integers(0, 9),
        st.integers(0, 11),
        st.integers(0, 3),
    ),
    max_size=12,
)


@settings(max_examples=30, deadline=None)
@given(STEPS)
def test_whatever_two_windows_do_the_file_has_each_stroke_until_it_is_undone(steps):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "corrections.geojson"
        windows = [opened(path), opened(path)]
        states = [np.zeros((10, 12), np.uint8)]
        for what, which, row, column, kind in steps:
            window = windows[which]
            match what:
                case "paint":
                    expected = states[-1].copy()
                    if window.cells[row, column] != kind:  # as this window shows it
                        expected[row, column] = kind
                    stroke(window, row, column, kind)
                    if (expected != states[-1]).any():
                        states.append(expected)
                case "undo":
                    assert window.undo() == (len(states) > 1)
                    states = states[:-1] or states
                case "reopen":
                    windows[which] = opened(path)
                case "copy":
                    other = Path(folder) / "copy.geojson"
                    other.unlink(missing_ok=True)
                    window.copy_to(other)
                    assert (opened(other).cells == window.cells).all()
            assert (opened(path).cells == states[-1]).all()


WRITER = """
import sys
import time
from pathlib import Path
from napari_fastnet.results.corrections import Corrections

path, row = Path(sys.argv[1]), int(sys.argv[2])
corrections = Corrections.open(path, "sha256:ab", (1600, 160_000), (0.972, 0.972))
cells = corrections.cells.copy()
for column in range(10_000):
    cells[row, column] = 1
    corrections.paint(cells)
    print(column, flush=True)  # only what is on the disk is said
    time.sleep(0.005)  # else one of them may never get the lock
"""


def test_processes_killed_at_any_moment_lose_no_stroke_they_reported(path):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(row)],
            stdout=subprocess.PIPE,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            text=True,
        )
        for row in (0, 4)
    ]
    said = []
    for writer in writers:
        for number in range(10):  # both are at work
            assert int(writer.stdout.readline()) == number
    time.sleep(0.05)
    for writer in writers:
        writer.kill()
        rest = writer.stdout.read().split()
        writer.wait()
        writer.stdout.close()
        said.append(10 + len(rest))
    again = opened(path, slide_shape=(1600, 160_000))
    assert again.notes == ()
    for row, reported in zip((0, 4), said, strict=True):
        assert again.cells[row].sum() in (reported, reported + 1)


def test_a_stroke_on_a_large_slide_with_100_000_painted_cells_is_saved_at_once(path):
    corrections = opened(path, slide_shape=(40_000, 60_000), mpp=(0.25, 0.25))
    cells = corrections.cells.copy()
    rng = np.random.default_rng(0)
    disk = np.hypot(*np.ogrid[-12:13, -12:13]) <= 12
    for number in range(300):
        top, left = (rng.integers(0, size - 25) for size in cells.shape)
        cells[top : top + 25, left : left + 25][disk] = 1 + number % 3
    assert (cells > 0).sum() > 90_000
    corrections.paint(cells)
    cells[:20, :20] = 1
    begun = time.perf_counter()
    thread = threading.Thread(target=corrections.paint, args=(cells,))
    thread.start()
    longest, last = 0.0, time.perf_counter()
    while thread.is_alive():  # as a window that draws meanwhile
        time.sleep(0.001)
        longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
    # 0.1 s and 0.01 s on two free cores
    assert time.perf_counter() - begun < 3
    assert longest < 0.5
    assert (
        opened(path, slide_shape=(40_000, 60_000), mpp=(0.25, 0.25)).cells == cells
    ).all()
