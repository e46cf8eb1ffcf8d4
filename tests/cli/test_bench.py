"""``napari-fastnet bench`` from the command line to its figures."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_fastnet.cli.app import main

pytest.importorskip("onnx")
pytest.importorskip("torch")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def slide_file(tmp_path_factory, write_tiff, texture):
    image = np.full((512, 1024, 3), 245, np.uint8)
    image[:, :512] = texture(512, 512) // 2 + (90, 30, 80)
    return write_tiff(tmp_path_factory.mktemp("slides") / "a.tif", image, mpp=1.0)


@pytest.fixture
def bench(slide_file, tiny_bundle, capsys):
    """Return a function that runs the command in no time and returns what it prints."""

    def run(*options):
        argv = ["bench", str(slide_file), "--model", str(tiny_bundle.folder)]
        argv += ["--seconds", "0.001", "--threads", "1", "--backend", "onnx", *options]
        assert main(argv) == 0
        return capsys.readouterr()

    return run


@pytest.fixture
def one_peer(monkeypatch):
    pytest.importorskip("pytorchcv")
    peers = ("mobilenetv2-0.5",)
    monkeypatch.setattr("napari_fastnet.bench.networks.PEERS", peers)


def test_json_holds_rates_that_agree_with_each_other(bench, one_peer):
    said = json.loads(bench("--json").out)

    rate, gflop = said["infer_patches_per_s"], said["patch_gflop"]
    assert said["fastnet_gflops"] == pytest.approx(rate * gflop)
    assert gflop == pytest.approx(0.21, rel=0.1)
    assert said["patch_px"] == 256
    peer = said["peers"]["mobilenetv2-0.5"]
    assert peer["fastnet_times_as_fast"] == pytest.approx(rate / peer["patches_per_s"])
    assert 50 < said["peak_rss_mb"] < 1500
    assert said["backend"] == "onnx on cpu"
    assert said["given_to_tissue"] > 1  # pictures reach beyond their cells
    raw = rate * 256**2 / 1e6
    assert said["share_of_raw"] == pytest.approx(said["infer_mpx_per_s"] / raw)
    assert (said["slide"], said["threads"]) == ("a.tif", 1)
    figures = (
        "infer_patches_per_s",
        "torch_eager_patches_per_s",
        "read_mpx_per_s",
        "infer_mpx_per_s",
        "end_to_end_mpx_per_s",
        "fastnet_gflops",
        "matmul_gflops",
        "peak_rss_mb",
        "given_to_tissue",
    )
    assert min(said[name] for name in figures) > 0


def test_without_peers_the_rest_is_measured_and_said_in_words(bench, monkeypatch):
    def refuse(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr("napari_fastnet.nn.peers.import_module", refuse)
    found = bench()

    lines = found.out.splitlines()
    assert lines[0].startswith("ratios")
    assert any("torch eager" in line and " x" in line for line in lines)
    assert any("peak memory" in line and " MB" in line for line in lines)
    assert "pip install 'napari-fastnet[experiments]'" in lines[-1]
    assert "a process of its own" in found.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--seconds", "0"], "seconds is 0"),
        (["--stride", "wide"], "stride is 'wide'"),
        (["--gigapixels", "0"], "gigapixels is 0"),
        (["--gigapixels", "900"], "gigapixels is 900"),
    ],
)
def test_what_cannot_be_measured_is_an_error_in_a_line(options, said, capsys):
    assert main(["bench", *options]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error:")
    assert said in error
