"""Reading, inferring and both go over the same tissue, and count it alike."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from napari_fastnet.bench.throughput import ScanBench
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.errors import OptionError
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.model.options import NetworkChoice

PATCH_PX = 32  # the dark model's, at 2 µm/px


@pytest.fixture(scope="module")
def slide_file(tmp_path_factory, write_tiff):
    """Return a slide at 2 µm/px, 512 x 768 px, tissue but for its last third."""
    image = np.full((512, 768, 3), 245, np.uint8)
    image[:, :512] = (200, 120, 180)
    return write_tiff(tmp_path_factory.mktemp("slide") / "a.tif", image, mpp=2.0)


@pytest.fixture
def bench(slide_file, dark_bundle):
    """Return a function that sets a bench up with options."""

    def make(path=slide_file, **options):
        bundle = load_bundle(dark_bundle)
        backend = create_backend(bundle, NetworkChoice(backend="onnx", threads=1))
        return ScanBench(path, bundle, backend, RunOptions(**options))

    return make


def test_tissue_is_counted_in_px_of_the_model(bench):
    # closing the mask may add a row of cells at the edge
    assert bench(stride="patch").tissue_mpx == pytest.approx(512 * 512 / 1e6, rel=0.1)


@pytest.mark.parametrize("stride", ["patch", "dense", 8])
def test_the_three_are_rates_of_the_same_tissue(bench, stride):
    bench = bench(stride=stride)

    rates = bench.measure(0.001)

    assert min(rates.read, rates.infer, rates.end_to_end) > 0
    assert rates.end_to_end < 1.5 * min(rates.read, rates.infer)
    assert 0 < rates.tissue_mpx <= bench.tissue_mpx


def test_long_enough_it_goes_over_the_whole_slide(bench):
    bench = bench(stride="patch")

    assert bench.measure(600).tissue_mpx == bench.tissue_mpx


def test_what_the_network_is_given_depends_on_how_it_looks(bench):
    patch = bench(stride="patch").measure(0.001)
    overlapping = bench(stride=8).measure(0.001)
    flipped = bench(stride="patch", flips=True).measure(0.001)
    dense = bench(stride="dense").measure(0.001)

    assert patch.network_mpx == patch.tissue_mpx
    # each px is seen by 4 x 4 patches
    assert overlapping.network_mpx == pytest.approx(16 * overlapping.tissue_mpx)
    assert flipped.network_mpx == 4 * flipped.tissue_mpx
    # a picture reaches beyond its cells
    assert dense.tissue_mpx < dense.network_mpx < 4 * dense.tissue_mpx


def test_a_slide_without_tissue_is_refused(bench, tmp_path, write_tiff):
    glass = np.full((256, 256, 3), 245, np.uint8)
    path = write_tiff(tmp_path / "glass.tif", glass, mpp=2.0)

    with pytest.raises(OptionError, match=r"glass\.tif shows no tissue"):
        bench(path)
