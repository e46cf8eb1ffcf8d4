"""OpenSlide reads what tiffslide does not, with the same answers."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import tifffile

from napari_fastnet.core.geometry import Box
from napari_fastnet.errors import FastNetError, SlideFormatError, TileReadError
from napari_fastnet.slide.openslide_reader import open_with_openslide
from napari_fastnet.slide.slide import Slide, open_slide

pytest.importorskip("openslide", exc_type=ImportError)


@pytest.fixture(scope="module")
def image(texture):
    return texture(700, 600)


@pytest.fixture
def planar(tmp_path, image):
    """Return a TIFF with its colours plane by plane, which tiffslide refuses."""
    path = tmp_path / "planar.tif"
    planes = np.ascontiguousarray(image.transpose(2, 0, 1))
    tifffile.imwrite(
        path,
        planes,
        photometric="rgb",
        planarconfig="separate",
        tile=(64, 64),
        resolution=(20000, 20000),
        resolutionunit="centimeter",
        metadata=None,
    )
    return path


def through_openslide(path):
    source = open_with_openslide(path)
    return Slide(path, source, source.facts.spacing, None)


def test_what_tiffslide_refuses_falls_back(planar, image):
    with open_slide(planar) as slide:
        np.testing.assert_array_equal(slide.read(Box(0, 0, 700, 600), 0.5), image)
        assert slide.mpp == pytest.approx((0.5, 0.5))
        assert slide.mpp_source == "resolution tag"


def test_without_openslide_the_error_says_how_to_get_it(planar, monkeypatch):
    monkeypatch.setitem(sys.modules, "openslide", None)

    with pytest.raises(
        SlideFormatError, match=r"pip install 'napari-fastnet\[openslide\]'"
    ):
        open_slide(planar)


def test_both_readers_agree(tmp_path, image, write_svs):
    path = write_svs(tmp_path / "a.svs", image, factors=(1, 4), compression="jpeg")

    with through_openslide(path) as one, open_slide(path) as other:
        assert one.vendor == other.vendor == "aperio"
        assert (one.mpp, one.mpp_source) == ((0.25, 0.25), "vendor")
        assert one.levels == other.levels
        box = Box(-20, 500, 640, 700)
        for mpp in (0.25, 0.6, 1.3):
            difference = np.abs(one.read(box, mpp).astype(int) - other.read(box, mpp))
            assert difference.max() <= 2


def test_one_corrupt_tile_does_not_take_the_slide_along(
    tmp_path, image, write_svs, tile_place, overwrite
):
    path = write_svs(tmp_path / "a.svs", image, compression="jpeg")
    offset, count = tile_place(path, 0)
    overwrite(path, offset, b"\xab" * count)

    with through_openslide(path) as slide:
        for _ in range(2):
            with pytest.raises(TileReadError, match=r"a\.svs: level 0, rows 0 to 512"):
                slide.read_level(0, 0, 0, 9, 9)
            assert slide.read_level(0, 600, 550, 50, 50).any()


def test_fingerprints_tell_slides_apart(tmp_path, texture, write_svs):
    paths = [
        write_svs(tmp_path / f"{seed}.svs", texture(100, 100, seed)) for seed in (0, 1)
    ]

    with through_openslide(paths[0]) as one, through_openslide(paths[1]) as other:
        assert one.fingerprint != other.fingerprint


def test_reading_after_close_says_so(planar):
    slide = open_slide(planar)
    slide.close()
    slide.close()

    with pytest.raises(FastNetError, match="was closed"):
        slide.read_level(0, 0, 0, 9, 9)
