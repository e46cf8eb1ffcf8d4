"""A slide gives the right pixels at any µm/px, at its edges and from any thread."""

from __future__ import annotations

import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_fastnet.core.geometry import Box
from napari_fastnet.errors import (
    FastNetError,
    OptionError,
    SlideFormatError,
    SlideNotFoundError,
    SpacingError,
    TileReadError,
)
from napari_fastnet.slide.slide import open_slide

WHITE = 255


@pytest.fixture(scope="module")
def image(texture):
    return texture(640, 480)


@pytest.fixture(scope="module")
def svs(tmp_path_factory, image, write_svs):
    return write_svs(tmp_path_factory.mktemp("svs") / "a.svs", image, factors=(1, 4))


@pytest.fixture
def slide(svs):
    with open_slide(svs) as opened:
        yield opened


def test_level_0_is_returned_untouched(slide, image):
    pixels = slide.read(Box(100, 37, 300, 200), 0.25)

    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, image[100:300, 37:200])


def test_facts_of_an_aperio_slide(slide, svs):
    assert slide.path == svs
    assert slide.vendor == "aperio"
    assert slide.shape == (640, 480)
    assert slide.mpp == (0.25, 0.25)
    assert slide.mpp_source == "vendor"
    assert [level.shape for level in slide.levels] == [(640, 480), (160, 120)]
    assert slide.levels[1].downsample == (4, 4)


def test_reading_beyond_the_edges_pads_with_white(slide, image):
    pixels = slide.read(Box(-10, 470, 5, 500), 0.25)

    assert pixels.shape == (15, 30, 3)
    np.testing.assert_array_equal(pixels[10:, :10], image[:5, 470:])
    assert (pixels[:10] == WHITE).all()
    assert (pixels[:, 10:] == WHITE).all()


@pytest.mark.parametrize(
    "box", [Box(-900, 0, -100, 100), Box(900, 0, 999, 100), Box(0, 9e8, 99, 9e8 + 99)]
)
@pytest.mark.parametrize("mpp", [0.25, 0.7, 9.0])
def test_a_box_outside_is_white(slide, box, mpp):
    assert (slide.read(box, mpp) == WHITE).all()


def test_padding_is_white_through_the_filter_too(tmp_path, write_svs):
    # A white slide with padding of any other colour would have a rim.
    path = write_svs(tmp_path / "white.svs", np.full((100, 100, 3), 255, np.uint8))

    with open_slide(path) as slide:
        assert (slide.read(Box(-30.5, -30.5, 130.5, 130.5), 0.7) == WHITE).all()


@pytest.mark.parametrize(
    ("extent", "mpp", "expected"),
    [
        (100, 0.5, 50),
        (101, 0.5, 50),
        (101.1, 0.5, 51),
        (0, 0.5, 0),
        (96 * 3.888, 0.972, 96),
    ],
)
def test_shape_is_the_rounded_extent(slide, extent, mpp, expected):
    assert slide.read(Box.of_shape((extent, 40)), mpp).shape == (
        expected,
        40 * 0.25 // mpp,
        3,
    )


@pytest.mark.parametrize(
    ("mpp", "level"), [(0.1, 0), (0.25, 0), (0.98, 0), (0.991, 1), (1.0, 1), (8.0, 1)]
)
def test_level_is_the_coarsest_that_is_fine_enough(slide, mpp, level):
    assert slide.level_for(mpp).index == level


def test_downsamples_are_real_and_separate(tmp_path, texture, write_svs):
    # 1601 / 100 = 16.01 along y and 1121 / 70 = 16.0143 along x
    path = write_svs(tmp_path / "a.svs", texture(1601, 1121), factors=(1, 16.002))

    with open_slide(path) as slide:
        assert slide.levels[1].shape == (100, 70)
        assert slide.levels[1].downsample == (1601 / 100, 1121 / 70)


def test_levels_of_unequal_ratio_do_not_drift(tmp_path, write_svs):
    # A black bar near the far end lies where it does, read from either level.
    image = np.full((3208, 160, 3), 255, np.uint8)
    image[3008:3040] = 0
    path = write_svs(tmp_path / "a.svs", image, factors=(1, 16.002))

    with open_slide(path) as slide:
        assert slide.level_for(4.1).index == 1
        coarse = slide.read(Box(2976, 0, 3072, 96), 4.1)[..., 0].mean(axis=1)
    weights = 255 - coarse

    centre = (weights * (np.arange(len(weights)) + 0.5)).sum() / weights.sum()
    assert 2976 + centre * 96 / len(weights) == pytest.approx(3024, abs=8)


def test_a_constant_slide_stays_constant_at_any_size(tmp_path, write_svs):
    path = write_svs(tmp_path / "a.svs", np.full((700, 700, 3), 90, np.uint8))

    with open_slide(path) as slide:
        for mpp in (0.1, 0.25, 0.3, 1.9, 2.1, 7.7):
            assert (slide.read(Box(99.5, 99.5, 601.3, 602.8), mpp) == 90).all()


@settings(max_examples=40, deadline=None)
@given(
    mpp=st.sampled_from([0.1, 0.25, 0.26, 0.486, 0.972, 1.0, 1.7, 4.1]),
    corner=st.tuples(st.floats(-80, 500), st.floats(-80, 400)),
    rows=st.integers(2, 60),
    cut=st.integers(1, 59),
)
def test_a_read_equals_the_reads_of_its_parts(svs, mpp, corner, rows, cut):
    cut = min(cut, rows - 1)
    step = mpp / 0.25
    top, left = corner
    right = left + 30 * step

    with open_slide(svs) as slide:
        whole = slide.read(Box(top, left, top + rows * step, right), mpp)
        first = slide.read(Box(top, left, top + cut * step, right), mpp)
        rest = slide.read(Box(top + cut * step, left, top + rows * step, right), mpp)

    parts = np.concatenate([first, rest])
    assert whole.shape == (rows, 30, 3)
    assert np.abs(whole.astype(int) - parts).max() <= 1


def test_unknown_spacing_opens_and_says_the_mend_when_needed(
    tmp_path, write_svs, texture
):
    path = write_svs(tmp_path / "none.svs", texture(128, 128), mpp=None)

    with open_slide(path) as slide:
        assert slide.mpp is None
        assert slide.mpp_source == "unknown"
        assert slide.thumbnail(64).shape == (64, 64, 3)
        assert slide.read_level(0, 0, 0, 9, 9).shape == (9, 9, 3)
        for use in (slide.require_mpp, lambda: slide.read(Box(0, 0, 9, 9), 0.5)):
            with pytest.raises(
                SpacingError, match=r"none\.svs: µm/px is unknown.*--mpp"
            ):
                use()


@pytest.mark.parametrize("mpp", [0.04, 5.1, 0, -1, "nan"])
def test_absurd_spacing_of_the_file_opens_and_is_refused(
    tmp_path, write_svs, texture, mpp
):
    path = write_svs(tmp_path / "a.svs", texture(128, 128), mpp=mpp)

    with (
        open_slide(path) as slide,
        pytest.raises(SpacingError, match=r"0\.05 to 5.*--mpp"),
    ):
        slide.require_mpp()


def test_the_user_overrides_the_file(svs):
    with open_slide(svs, mpp=(0.5, 0.505)) as slide:
        assert slide.mpp == (0.5, 0.505)
        assert slide.mpp_source == "user"
        assert slide.read(Box(0, 0, 200, 200), 1).shape == (100, 101, 3)
    with open_slide(svs) as slide, slide.with_mpp(0.3) as other:
        assert other.require_mpp() == (0.3, 0.3)
        assert slide.require_mpp() == (0.25, 0.25)


@pytest.mark.parametrize("mpp", [0.049, 5.01, (0.25, 0.256), float("nan")])
def test_an_absurd_override_is_refused_at_once(svs, mpp):
    with pytest.raises(SpacingError, match="as given"):
        open_slide(svs, mpp=mpp)


@pytest.mark.parametrize("mpp", [0, -1, float("nan"), float("inf"), (0.5, 0)])
def test_a_senseless_request_is_refused(slide, mpp):
    with pytest.raises(OptionError, match="use a number above 0"):
        slide.read(Box(0, 0, 9, 9), mpp)


@pytest.mark.parametrize("level", [-1, 2])
def test_a_level_that_does_not_exist_is_refused(slide, level):
    with pytest.raises(OptionError, match="has 0 to 1"):
        slide.read_level(level, 0, 0, 9, 9)


def test_read_level_pads_with_white(slide, image):
    pixels = slide.read_level(0, 630, -5, 20, 15)

    np.testing.assert_array_equal(pixels[:10, 5:], image[630:, :10])
    assert (pixels[10:] == WHITE).all()
    assert (pixels[:, :5] == WHITE).all()


def test_pixels_given_out_may_be_changed(slide, image):
    slide.read(Box(0, 0, 64, 64), 0.25)[:] = 0

    np.testing.assert_array_equal(slide.read(Box(0, 0, 64, 64), 0.25), image[:64, :64])


def test_damage_is_noted_once_and_ends_at_the_slide(
    tmp_path, texture, write_svs, tile_place, overwrite
):
    path = write_svs(tmp_path / "a.svs", texture(100, 90), compression="jpeg")
    offset, count = tile_place(path, 3)
    overwrite(path, offset, b"\xab" * count)
    with open_slide(path) as slide:
        for _ in range(2):
            slide.read(Box(0, 0, 100, 90), 0.25, damaged="white")
        assert slide.damaged == (Box(64, 64, 100, 90),)
        assert slide.damaged_tiles(slide.levels[0]) == 1


def test_thumbnail_keeps_the_proportions_and_never_enlarges(slide, image):
    thumbnail = slide.thumbnail(64)

    assert thumbnail.shape == (64, 48, 3)
    means = image.reshape(64, 10, 48, 10, 3).mean(axis=(1, 3))
    assert np.abs(thumbnail - means).mean() < 10
    assert slide.thumbnail(9999).shape == image.shape


def test_eight_threads_read_what_one_reads(svs):
    rng = np.random.default_rng(3)
    boxes = [
        Box.of_shape(rng.uniform(20, 200, 2), rng.uniform(-50, 600, 2))
        for _ in range(120)
    ]
    scales = rng.choice([0.25, 0.4, 1.0, 2.3], len(boxes))
    with open_slide(svs) as slide:
        serial = [slide.read(box, mpp) for box, mpp in zip(boxes, scales, strict=True)]
    with open_slide(svs) as slide, ThreadPoolExecutor(8) as pool:
        parallel = list(pool.map(slide.read, boxes, scales))

    for one, other in zip(serial, parallel, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_pickled_slide_opens_anew(slide, svs):
    with pickle.loads(pickle.dumps(slide)) as copy:
        assert copy.mpp_source == "vendor"
        np.testing.assert_array_equal(copy.thumbnail(99), slide.thumbnail(99))
    with (
        open_slide(svs, mpp=0.3) as given,
        pickle.loads(pickle.dumps(given)) as copy,
    ):
        assert (copy.mpp, copy.mpp_source) == ((0.3, 0.3), "user")


def test_reading_after_close_says_so(svs):
    slide = open_slide(svs)
    slide.close()
    slide.close()

    with pytest.raises(FastNetError, match="was closed") as caught:
        slide.read(Box(0, 0, 9, 9), 0.25)
    assert not isinstance(caught.value, TileReadError)


def test_fingerprint_survives_copying_and_renaming(tmp_path, svs):
    copy = shutil.copy(svs, tmp_path / "another name.tif")

    with open_slide(svs) as one, open_slide(copy) as other:
        assert one.fingerprint == other.fingerprint
        assert len(one.fingerprint) == 64


def test_fingerprint_tells_other_contents_apart(
    tmp_path, svs, texture, write_svs, overwrite
):
    paths = [svs]
    paths.append(write_svs(tmp_path / "seed.svs", texture(640, 480, 1), factors=(1, 4)))
    paths.append(write_svs(tmp_path / "levels.svs", texture(640, 480), factors=(1, 2)))
    longer = Path(shutil.copy(svs, tmp_path / "longer.svs"))
    overwrite(longer, svs.stat().st_size, b"\0")
    prints = set()
    for path in [*paths, longer]:
        with open_slide(path) as slide:
            prints.add(slide.fingerprint)

    assert len(prints) == 4


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(SlideNotFoundError, match=r"gone\.svs: there is no such file"):
        open_slide(tmp_path / "gone.svs")


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "is empty"),
        (b"a letter to the editor\n" * 99, "is not a TIFF slide"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "is not a TIFF slide"),
        (b"II*\0" + bytes(200), "is not a TIFF slide"),
        (b"II*\0\xff\xff\xff\x7f" + bytes(200), "cut short|is not a TIFF slide"),
        (b"II+\0\x08\0\0\0", "is not a TIFF slide"),
    ],
)
def test_what_is_no_slide_is_named(tmp_path, contents, message, capfd):
    path = tmp_path / "odd.svs"
    path.write_bytes(contents)

    with pytest.raises(SlideFormatError, match=message) as caught:
        open_slide(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_folder_is_no_slide(tmp_path):
    with pytest.raises(SlideFormatError, match="cannot be opened"):
        open_slide(tmp_path)


@pytest.mark.real
def test_real_slides_read_at_several_scales(real_slides):
    paths = [path for path in real_slides.iterdir() if path.is_file()]
    assert paths
    for path in paths:
        with open_slide(path) as slide:
            mpp = slide.require_mpp()[0]
            middle = Box.of_shape((600, 600), (slide.shape[0] / 2, slide.shape[1] / 2))
            fine = slide.read(middle, mpp)
            coarse = slide.read(middle, mpp * 3)
            overview = slide.pyramid()[-1]
            assert max(overview.shape) <= 2048
            assert overview[:64, :64].compute().any()
        means = fine.reshape(200, 3, 200, 3, 3).mean(axis=(1, 3))
        assert np.abs(coarse - means).mean() < 6
