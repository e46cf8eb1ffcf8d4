"""`detect` on many slides as its users type it: results, exit codes, one line a fault."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from napari_fastnet.cli.app import main
from napari_fastnet.cli.detect import show_cohort
from napari_fastnet.cohort.cohort import CohortProgress
from napari_fastnet.cohort.rows import SlideRow
from napari_fastnet.machine.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def folder(slide_file, tmp_path):
    """Two slides, and a file that is none."""
    folder = tmp_path / "slides"
    folder.mkdir()
    for name in ("first.tif", "second.tif"):
        shutil.copy(slide_file, folder / name)
    return folder


def detect(capsys, *arguments):
    code = main(["detect", *map(str, arguments)])
    return code, capsys.readouterr()


@pytest.mark.slow
def test_a_folder_is_done_and_reported(folder, dark_bundle, tmp_path, capsys) -> None:
    out = tmp_path / "out"
    given = (folder, "-o", out, "--model", dark_bundle)
    for name in "dcba":
        Image.new("L", (64, 64)).save(folder / f"{name}_mask.tif")
    code, captured = detect(capsys, *given, "--workers", 2)
    assert code == 0
    (note,) = [line for line in captured.err.splitlines() if "left out" in line]
    assert f"{folder / 'c_mask.tif'} and 1 more: TIFF or DICOM, but grey" in note
    assert "d_mask" not in note
    assert "2: 2 done, 0 failed" in captured.out
    assert str(out / "report.html") in captured.out
    assert "first: " in captured.err
    for name in ("first", "second"):
        assert (out / name / "overview.png").is_file()
    assert (out / "summary.csv").is_file()

    (folder / "third.svs").write_text("not a slide")
    code, captured = detect(capsys, *given, "--json")
    assert code == 1
    (line,) = [line for line in captured.err.splitlines() if "error" in line]
    assert "third.svs" in line
    said = json.loads(captured.out)
    assert (said["done"], said["earlier"], said["failed"]) == (2, 2, 1)
    assert [slide["status"] for slide in said["slides"]] == ["done", "done", "failed"]


@pytest.fixture
def heeding_ctrl_c() -> Iterator[None]:
    """Processes begun meanwhile heed Ctrl-C; a shell's background jobs ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="has no such signal")
def test_ctrl_c_ends_it_with_130_and_no_traceback(
    folder, dark_bundle, tmp_path, heeding_ctrl_c
) -> None:
    out = tmp_path / "out"
    for number in range(60):  # more than are done before the signal, however late it is
        shutil.copy(folder / "first.tif", folder / f"more{number}.tif")
    command = [sys.executable, "-m", "napari_fastnet", "detect", folder, "-o", out]
    command += ["--model", dark_bundle, "--stride", "1", "--workers", "1"]
    with subprocess.Popen(
        list(map(str, command)), stderr=subprocess.PIPE, text=True
    ) as process:
        while process.poll() is None and not (out / "first" / "run.zarr").exists():
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    assert (out / "summary.csv").read_text().count("waiting") >= 1


def test_an_empty_folder_and_a_pattern_that_fits_nothing_are_one_line(
    dark_bundle, tmp_path, capsys
) -> None:
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "empty", tmp_path / "*.svs"):
        code, captured = detect(
            capsys, place, "-o", tmp_path / "out", "--model", dark_bundle
        )
        assert code == 1
        (line,) = captured.err.splitlines()
        assert line.startswith(f"error: {place}")
    assert not (tmp_path / "out").exists()


def test_a_scheduler_that_cannot_be_reached_is_one_line(
    slide_file, dark_bundle, tmp_path, capsys
) -> None:
    pytest.importorskip("distributed")
    code, captured = detect(
        capsys,
        slide_file,
        "-o",
        tmp_path / "out",
        "--model",
        dark_bundle,
        "--scheduler",
        "tcp://127.0.0.1:1",
    )
    assert code == 1
    (line,) = captured.err.splitlines()
    assert "tcp://127.0.0.1:1" in line
    assert not (tmp_path / "out").exists()


def test_workers_and_scheduler_together_are_wrong_usage(capsys) -> None:
    given = ("a.svs", "-o", "out", "--workers", "2", "--scheduler", "tcp://x:1")
    assert detect(capsys, *given)[0] == 2
    assert detect(capsys, "a.svs", "-o", "out", "--workers", "0")[0] == 2


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_progress_says_what_failed_and_how_many_are_done(tmp_path, stream) -> None:
    text = stream()
    rows = [
        SlideRow("a", tmp_path / "a.svs", "done"),
        SlideRow("b", tmp_path / "b.svs", "failed", "b.svs: [is] none"),
    ]
    with progress_bar("out", unit="slides", stream=text) as bar:
        show_cohort(CohortProgress(2, workers=0), bar)
        show_cohort(CohortProgress(2, done=1, row=rows[0]), bar)
        show_cohort(CohortProgress(2, done=1, failed=1, row=rows[1]), bar)
    said = text.getvalue()
    assert "waiting for one" in said
    assert "error: b.svs: [is] none" in said
    assert ("a: 1 of 2 slides" in said) or ("2/2" in said)
