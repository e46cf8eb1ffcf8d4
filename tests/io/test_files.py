"""Atomic files: the new one or the old one, and no third."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from napari_fastnet.errors import OutputError, TileReadError
from napari_fastnet.io.files import atomic_path, write_bytes


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
@pytest.mark.parametrize("kind", ["bytes", "tiff", "png"])
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
        from napari_fastnet.io.export import write_heatmap_ome_tiff
        from napari_fastnet.io.files import write_bytes
        from napari_fastnet.io.overview import Caption, write_overview

        path = Path({str(path)!r})
        values = np.random.default_rng(0).random((300, 300), dtype=np.float32)
        heatmap = Heatmap(values, Grid((0, 0), (8, 8), (300, 300)), (1, 1))
        caption = Caption("slide", "model", 0.5)
        thumbnail = np.zeros((99, 99, 3), np.uint8)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            if {kind!r} == "bytes":
                write_bytes(path, bytes(100_000))
            elif {kind!r} == "tiff":
                write_heatmap_ome_tiff(path, heatmap)
            else:
                write_overview(
                    path, thumbnail, heatmap, [], slide_shape=(8, 8), caption=caption
                )
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
