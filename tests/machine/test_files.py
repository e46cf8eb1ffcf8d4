"""Atomic files: the new one or the old one, and no third."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from napari_fastnet.errors import OutputError, TileReadError
from napari_fastnet.machine import files
from napari_fastnet.machine.files import atomic_path, clear_leftovers, write_bytes


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_under_its_name_and_nothing_else_does(tmp_path):
    with atomic_path(tmp_path / "a.ome.tif") as aside:
        assert aside.parent == tmp_path
        assert aside.suffix == ".tif"
        aside.write_text("new")
        assert not (tmp_path / "a.ome.tif").exists()
    assert (tmp_path / "a.ome.tif").read_text() == "new"
    assert names(tmp_path) == ["a.ome.tif"]


def test_missing_folders_are_made(tmp_path):
    write_bytes(tmp_path / "one" / "two" / "a", b"x")
    assert (tmp_path / "one" / "two" / "a").read_bytes() == b"x"


def test_an_old_file_stays_when_the_body_raises(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")

    def half_written():
        with atomic_path(path) as aside:
            aside.write_text("half")
            raise KeyError("stop")

    with pytest.raises(KeyError):
        half_written()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.csv"]


def test_an_error_of_this_package_passes_as_it_is(tmp_path):
    # it is an OSError as well, and says more than "cannot write"
    with pytest.raises(TileReadError, match="tile"), atomic_path(tmp_path / "a"):
        raise TileReadError("tile 3 is corrupt")


def test_a_file_where_a_folder_should_be_is_named_with_the_mend(tmp_path):
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(OutputError, match=r"out/a\.csv.*another output folder"):
        write_bytes(tmp_path / "out" / "a.csv", b"x")
    assert (tmp_path / "out").read_text() == "in the way"


def test_a_folder_where_the_file_should_be_is_named_with_the_mend(tmp_path):
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(OutputError, match=r"a\.csv.*a folder stands where"):
        write_bytes(tmp_path / "a.csv", b"x")
    assert names(tmp_path) == ["a.csv"]


def test_a_name_that_is_too_long_is_refused_with_the_mend(tmp_path):
    with pytest.raises(OutputError, match="shorter path"):
        write_bytes(tmp_path / ("n" * 300) / "a.csv", b"x")


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on file size")
@pytest.mark.parametrize("kind", ["bytes", "tiff"])
def test_a_write_that_runs_out_of_room_leaves_the_old_file(tmp_path, kind):
    # a limit on file size cuts a write short as a full disk does, in a process that
    # has no other use for files
    path = tmp_path / f"a.{'tif' if kind == 'tiff' else 'png'}"
    path.write_text("old")
    script = textwrap.dedent(
        f"""
        import resource
        from pathlib import Path
        import numpy as np
        from napari_fastnet.core.geometry import Grid
        from napari_fastnet.core.heatmap import Heatmap
        from napari_fastnet.errors import OutputError
        from napari_fastnet.results.formats.ome_tiff import write_heatmap_ome_tiff
        from napari_fastnet.machine.files import write_bytes

        path = Path({str(path)!r})
        values = np.random.default_rng(0).random((300, 300), dtype=np.float32)
        heatmap = Heatmap(values, Grid((0, 0), (8, 8), (300, 300)), (1, 1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            if {kind!r} == "bytes":
                write_bytes(path, bytes(100_000))
            else:
                write_heatmap_ome_tiff(path, heatmap)
        except OutputError as error:
            print(error)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert str(path) in done.stdout, done.stderr
    assert "another output folder" in done.stdout
    assert path.read_text() == "old"
    assert names(tmp_path) == [path.name]


def leftover(folder, process, *, host=None, suffix=".tif"):
    """Return a file as a process that was killed leaves it."""
    stem = files._aside_stem(folder / f"heatmap.ome{suffix}")
    name = stem.replace(f"-{os.getpid()}-", f"-{process}-")
    if host is not None:
        name = name.replace(files._host(), host)
    path = folder / f"{name}{suffix}"
    path.write_text("half")
    return path


def dead_process():
    """Return the number of a process that is no more."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


@pytest.mark.skipif(sys.platform == "win32", reason="asks for processes")
def test_what_a_dead_process_left_is_cleared_and_what_a_live_one_writes_is_not(
    tmp_path,
):
    leftover(tmp_path, dead_process())
    half = leftover(tmp_path, os.getpid())
    folder = leftover(tmp_path, dead_process(), suffix=".zarr")
    folder.unlink()
    (folder / "inner").mkdir(parents=True)
    (tmp_path / ".hidden-of-the-user-12345678.tif").touch()

    clear_leftovers(tmp_path)

    assert names(tmp_path) == sorted([half.name, ".hidden-of-the-user-12345678.tif"])


def test_what_another_computer_left_is_cleared_after_a_day(tmp_path):
    old = leftover(tmp_path, 1, host="00000000")
    new = leftover(tmp_path, 1, host="00000001")
    before = time.time() - files.LEFT_AFTER_S - 60
    os.utime(old, (before, before))

    clear_leftovers(tmp_path)

    assert names(tmp_path) == [new.name]


def test_a_folder_that_is_not_there_has_no_leftovers(tmp_path):
    clear_leftovers(tmp_path / "nowhere")


class InUse:
    """Windows while another program has the file open; that many times."""

    def __init__(self, monkeypatch, times):
        self.left, self.replace = times, Path.replace
        monkeypatch.setattr(files, "RENAME_WAITS_S", (0.0, 0.0, 0.0))
        monkeypatch.setattr(files, "WINDOWS", True)
        monkeypatch.setattr(Path, "replace", lambda path, onto: self(path, onto))

    def __call__(self, path, onto):
        if self.left > 0:
            self.left -= 1
            raise PermissionError(13, "Permission denied")
        return self.replace(path, onto)


def test_a_file_that_is_open_for_a_moment_on_windows_is_replaced(tmp_path, monkeypatch):
    InUse(monkeypatch, 3)
    write_bytes(tmp_path / "a.csv", b"new")
    assert (tmp_path / "a.csv").read_bytes() == b"new"


def test_a_file_that_stays_open_on_windows_is_left_and_said(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_bytes(b"old")
    InUse(monkeypatch, 10**6)
    with pytest.raises(OutputError, match=r"a\.csv: Permission denied"):
        write_bytes(tmp_path / "a.csv", b"new")
    assert (tmp_path / "a.csv").read_bytes() == b"old"
    assert names(tmp_path) == ["a.csv"]
