"""What a report makes of its measurements."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch")

from napari_fastnet.bench.detections import Detection
from napari_fastnet.bench.measure import BenchOptions
from napari_fastnet.bench.networks import (
    NetworkRate,
    NetworkRates,
)
from napari_fastnet.bench.report import BenchReport, Machine, Subject
from napari_fastnet.bench.scan import ScanRates
from napari_fastnet.errors import OptionError
from napari_fastnet.model.options import NetworkChoice

OPENVINO = "openvino on cpu, bf16"


@pytest.fixture
def report():
    network = NetworkRates(
        patch_px=256,
        backend=OPENVINO,
        fastnet={
            "onnx on cpu": NetworkRate(400, 0.2, 27_000),
            OPENVINO: NetworkRate(800, 0.2, 27_000),
            "torch on cpu": NetworkRate(160, 0.2, 27_000),
        },
        patch_values=10,
        matmul_gflops=200,
        matmul_bfloat16_gflops=400,
        copy_gb_per_s=20,
        peers={"other": NetworkRate(100, 0.5, 1_000_000)},
    )
    return BenchReport(
        subject=Subject(None, "fastnet 1.0", 100, "dense", False, 2, None, 4.0),
        machine=Machine.here(),
        usual_tissue_mpx=150,
        scan=ScanRates(20, 5, 4.5, 10, 11),
        dense_to_patch=1.2,
        network=network,
        detections=(
            Detection(0.5, 9.0, 9.0 / 4.5 + 3, 2.0, 0.25, 500),
            Detection(8.0, 150.0, 40, 2.5, 0.24, 550),
        ),
    )


def test_ratios_are_what_carries_over(report):
    assert report.ratios == {
        "infer_to_torch_eager": 5.0,
        "fastnet_to_matmul": pytest.approx(160 / 200),
        "end_to_end_to_slower": pytest.approx(0.9),
        "end_to_end_to_shared": pytest.approx(4.5 / 4),
        "dense_to_patch": 1.2,
    }


def test_growth_is_the_largest_slide_to_the_first(report):
    assert report.growth == {
        "gigapixels": 16.0,
        "seconds_per_mpx": pytest.approx(0.96),
        "first_result_s": 1.25,
        "peak_rss_mb": 1.1,
    }


def test_growth_leaves_out_what_a_system_does_not_tell(report):
    small, large = report.detections
    silent = replace(report, detections=(small, replace(large, peak_rss_mb=None)))
    assert set(silent.growth) == {"gigapixels", "seconds_per_mpx", "first_result_s"}


def test_the_minutes_are_scanning_and_what_else_a_detection_takes(report):
    assert report.minutes_per_slide == pytest.approx((150 / 4.5 + 3) / 60)


def test_json_has_the_keys_that_others_read(report):
    said = report.to_dict()

    assert list(said)[:9] == [
        "infer_patches_per_s",
        "torch_eager_patches_per_s",
        "read_mpx_per_s",
        "infer_mpx_per_s",
        "end_to_end_mpx_per_s",
        "fastnet_gflops",
        "matmul_gflops",
        "peak_rss_mb",
        "peers",
    ]
    assert list(said.values())[:8] == [800, 160, 20, 5, 4.5, 160, 200, 500]
    assert said["peers"]["other"]["fastnet_times_as_fast"] == 8.0
    assert said["backends"]["onnx on cpu"]["to_matmul"] == pytest.approx(0.4)
    assert said["scan"]["infer_patches_per_s"] == 500  # of 100 px


def test_detection_is_asked_for_with_the_same_options():
    options = BenchOptions(
        stride="patch",
        flips=False,
        network=NetworkChoice(backend="onnx", threads=1),
        mpp=0.25,
        memory_mb=500,
    )

    assert options.detect_words == [
        *("--model", "fastnet-pcam", "--stride", "patch", "--backend", "onnx"),
        *("--threads", "1", "--mpp", "0.25", "--memory", "500", "--no-flips"),
    ]


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_seconds_are_above_0(seconds):
    with pytest.raises(OptionError, match="seconds is"):
        BenchOptions(seconds=seconds)
