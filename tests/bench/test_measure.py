"""A process of its own is measured by itself; detect is asked for the same."""

from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("torch")

from napari_fastnet.bench.measure import detect_words, run_apart
from napari_fastnet.bench.options import BenchOptions
from napari_fastnet.errors import DetectionError, OptionError


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell the peak")
def test_its_peak_is_not_that_of_who_starts_it():
    held = np.ones(300 * 2**20, np.uint8)

    footprint = run_apart(["--version"])

    assert held.all()
    assert 5 < footprint.peak_rss_mb < 100
    assert 0 < footprint.seconds < 60


def test_a_command_that_fails_is_said(tmp_path):
    with pytest.raises(
        DetectionError, match=r"info .*nothing\.svs failed .*no such file"
    ):
        run_apart(["info", str(tmp_path / "nothing.svs")])


def test_detection_is_asked_for_with_the_same_options():
    options = BenchOptions(
        stride="patch", flips=False, threads=1, backend="onnx", mpp=0.25, memory_mb=500
    )

    assert detect_words(options) == [
        *("--model", "fastnet-pcam", "--stride", "patch", "--backend", "onnx"),
        *("--threads", "1", "--mpp", "0.25", "--memory", "500", "--no-flips"),
    ]


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_seconds_are_above_0(seconds):
    with pytest.raises(OptionError, match="seconds is"):
        BenchOptions(seconds=seconds)
