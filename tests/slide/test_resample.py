"""Resampling is antialiased, seamless and bounded in memory."""

from __future__ import annotations

import threading
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from napari_fastnet.core.geometry import Box
from napari_fastnet.errors import TileReadError
from napari_fastnet.slide import resample as module
from napari_fastnet.slide.resample import resample, resize


def reader(image, calls=None):
    """Return a function that reads from an array, white outside."""

    def read(top, left, height, width):
        if calls is not None:
            calls.append(height * width)
        out = np.full((height, width, 3), 255, np.uint8)
        y0, x0 = max(0, top), max(0, left)
        y1, x1 = min(image.shape[0], top + height), min(image.shape[1], left + width)
        if y1 > y0 and x1 > x0:
            out[y0 - top : y1 - top, x0 - left : x1 - left] = image[y0:y1, x0:x1]
        return out

    return read


def padded_resize(image, box, shape, pad=100):
    """Return what Pillow makes of the whole image at once, x before y."""
    wide = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), constant_values=255)
    columns = (box.left + pad, 0, box.right + pad, len(wide))
    rows = (0, box.top + pad, shape[1], box.bottom + pad)
    lanczos = Image.Resampling.LANCZOS
    narrow = Image.fromarray(wide).resize((shape[1], len(wide)), lanczos, box=columns)
    return np.asarray(narrow.resize(shape[::-1], lanczos, box=rows))


def test_whole_px_at_their_own_size_are_untouched(texture):
    image, calls = texture(50, 60), []

    pixels = resample(reader(image, calls), (50, 60), Box(5, 7, 35, 47), (30, 40))

    np.testing.assert_array_equal(pixels, image[5:35, 7:47])
    assert calls == [30 * 40]


@pytest.mark.parametrize(
    ("box", "shape"),
    [
        (Box(10.25, 3.5, 90.25, 83.5), (80, 80)),
        (Box(0, 0, 150, 130), (77, 67)),
        (Box(-20, -20, 60, 60), (30, 30)),
        (Box(10, 10, 30, 30), (64, 50)),
        (Box(1.3, 2.4, 140.9, 129.1), (19, 18)),
    ],
)
def test_blocks_together_are_the_one_great_resize(monkeypatch, texture, box, shape):
    image = texture(150, 130)
    monkeypatch.setattr(module, "BLOCK_PX", 37)

    pixels = resample(reader(image), (150, 130), box, shape)

    expected = padded_resize(image, box, shape).astype(int)
    assert np.abs(pixels - expected).max() <= 1


@pytest.mark.parametrize("ratio", [2, 4, 7.99, 8, 31.9999999, 32, 100])
def test_what_is_too_fine_to_show_averages_out(ratio):
    # A chequerboard of single px is plain grey at half the size and below.
    rows, columns = np.mgrid[:1600, :1600]
    board = np.repeat(((rows + columns) % 2 * 200)[..., None], 3, axis=2).astype(
        np.uint8
    )
    side = int(1200 / ratio)

    box = Box.of_shape((side * ratio, side * ratio), (200, 200))
    pixels = resample(reader(board), (1600, 1600), box, (side, side))

    assert np.abs(pixels.astype(int) - 100).max() <= 2


def test_a_great_region_is_read_in_pieces(monkeypatch):
    side, block = 12_000, 512
    monkeypatch.setattr(module, "BLOCK_PX", block)
    calls = []

    def read(top, left, height, width):
        calls.append(height * width)
        return np.full((height, width, 3), 77, np.uint8)

    tracemalloc.start()
    pixels = resample(read, (side, side), Box.of_shape((side, side)), (375, 375))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert pixels.shape == (375, 375, 3)
    assert (pixels[3:-3, 3:-3] == 77).all()
    assert max(calls) <= (block + 8 * 32) ** 2
    assert peak < 12e6  # the whole region takes 4.3e8 bytes


def test_threads_share_a_great_region_and_change_nothing(monkeypatch, texture):
    monkeypatch.setattr(module, "BLOCK_PX", 64)
    image, names = texture(300, 400), set()

    def read(*region):
        names.add(threading.current_thread().name)
        return reader(image)(*region)

    box, shape = Box(-10, 3.5, 290, 403.5), (90, 120)
    alone = resample(read, (300, 400), box, shape)
    assert names == {threading.current_thread().name}
    names.clear()
    together = resample(read, (300, 400), box, shape, threads=3)

    np.testing.assert_array_equal(together, alone)
    assert threading.current_thread().name not in names


def test_what_a_thread_raises_is_raised(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_PX", 64)

    def read(top, *_):
        raise TileReadError(f"row {top}")

    with pytest.raises(TileReadError, match="row"):
        resample(read, (300, 400), Box(0, 0, 300, 400), (90, 120), threads=2)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0)])
def test_nothing_is_an_empty_image(shape):
    assert resample(
        reader(np.zeros((9, 9, 3))), (9, 9), Box(0, 0, 1, 1), shape
    ).shape == (
        *shape,
        3,
    )


def test_a_whole_image_is_resized_without_white_at_its_edge():
    dark = np.full((40, 60, 3), 20, np.uint8)
    small = resize(dark, (10, 15))
    assert small.shape == (10, 15, 3)
    assert (small == 20).all()


def test_a_whole_image_of_the_right_size_is_returned_as_it_is(texture):
    image = texture(40, 60)
    assert resize(image, (40, 60)) is image


def test_both_ways_agree_away_from_the_edge(texture):
    image = texture(160, 240)
    whole = resize(image, (40, 60)).astype(int)
    read = resample(reader(image), (160, 240), Box(0, 0, 160, 240), (40, 60))
    assert np.abs(whole - read)[4:-4, 4:-4].max() <= 1
