"""A process of its own is measured by itself, and by what it left behind."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from napari_fastnet.bench.detections import ROUNDS, detect_apart, run_apart
from napari_fastnet.errors import DetectionError


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


@pytest.mark.slow
def test_detections_count_the_tissue_and_the_time_between_blocks(
    tmp_path, write_tiff, dark_bundle, monkeypatch
):
    monkeypatch.setattr("napari_fastnet.bench.detections.ROUNDS", 1)
    assert ROUNDS > 1
    image = np.full((1024, 4096, 3), 245, np.uint8)
    image[:, :3072] = (200, 120, 180)
    large = write_tiff(tmp_path / "large.tif", image, mpp=2.0)
    small = write_tiff(tmp_path / "small.tif", image[:512, 2560:3584], mpp=2.0)
    glass = write_tiff(tmp_path / "glass.tif", image[:512, 3072:], mpp=2.0)
    words = ["--model", str(dark_bundle), "--backend", "onnx"]

    of = dict(
        zip(
            (large, small, glass),
            detect_apart(dict.fromkeys((large, small, glass), words)),
            strict=True,
        )
    )

    assert of[large].gigapixels == 1024 * 4096 / 1e9
    # the mask may gain or lose a cell at its edge
    assert of[large].tissue_mpx == pytest.approx(1024 * 3072 / 1e6, rel=0.02)
    assert 0 < of[large].first_result_s < of[large].seconds
    assert 0 < of[large].seconds_per_mpx < of[large].seconds
    # a single block of 96 cells ends where it begins
    assert of[small].first_result_s > 0
    assert of[small].seconds_per_mpx is None
    assert (of[glass].tissue_mpx, of[glass].first_result_s) == (0, None)
