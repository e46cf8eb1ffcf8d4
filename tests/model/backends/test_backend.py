from __future__ import annotations

import numpy as np
import pytest

from napari_fastnet.errors import DetectionError
from napari_fastnet.model.backends.backend import Backend, one_line


class Fake(Backend):
    """A network that gives the first px of a patch, a tenth of it; notes the parts."""

    errors = (RuntimeError,)

    def __init__(self, part_px=10**9, threads=1, room=10**9):
        super().__init__("fake", "m 1", threads)
        self.part_px, self.room, self.happened = part_px, room, []

    def _infer(self, output, pixels):
        assert output == "probability"
        assert pixels.flags.c_contiguous
        self.happened.append(len(pixels))
        if len(pixels) > self.room:
            raise RuntimeError("full")
        return pixels[:, 0, 0, 0].astype(np.float32) / 10

    def _is_full(self, error):
        return str(error) == "full"

    def release(self):
        super().release()
        self.happened.append("released")


@pytest.fixture
def five():
    """Return five patches of 40 x 50 px, whose first px are 1 to 5."""
    patches = np.zeros((5, 40, 50, 3), np.uint8)
    patches[:, 0, 0, 0] = [1, 2, 3, 4, 5]
    return patches


@pytest.mark.parametrize(
    ("part_px", "expected"),
    [
        (1, [1, 1, 1, 1, 1]),  # one patch at least
        (2 * 40 * 50 - 1, [1, 1, 1, 1, 1]),
        (2 * 40 * 50, [2, 2, 1]),
        (10**9, [5]),
    ],
)
def test_parts_are_bounded_in_px(part_px, expected, five):
    backend = Fake(part_px)
    assert backend.predict(five) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert backend.happened == expected


@pytest.mark.parametrize(
    ("threads", "expected"), [(1, [5]), (2, [3, 2]), (4, [2, 2, 1]), (9, [1] * 5)]
)
def test_no_thread_is_left_without_a_part(threads, expected, five):
    backend = Fake(threads=threads)
    assert backend.predict(five) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert sorted(backend.happened, reverse=True) == expected


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_counted(value):
    class Spoilt(Fake):
        def _infer(self, output, pixels):
            return np.array([0.5, value, 0.5], np.float32)

    with pytest.raises(DetectionError, match="m 1 gave 1 of 3 patches no number"):
        Spoilt().predict(np.zeros((3, 31, 31, 3), np.uint8))


def test_flips_give_the_mean_of_the_four_mirror_images(five):
    five[:, -1, 0, 0] = 1  # seen when it is turned upside down
    found = Fake().predict(five, flips=True)
    assert found == pytest.approx([(n + 1) / 40 for n in (1, 2, 3, 4, 5)])
    assert found.dtype == np.float32


def test_an_error_becomes_one_bounded_line():
    assert one_line(ValueError("a\n  b\tc")) == "a b c"
    assert len(one_line(ValueError("x" * 1000))) == 200


@pytest.mark.parametrize("flips", [False, True])
def test_nothing_is_asked_of_no_patches(flips):
    backend = Fake()
    found = backend.predict(np.zeros((0, 31, 31, 3), np.uint8), flips)
    assert found.shape == (0,)
    assert found.dtype == np.float32
    assert backend.happened == []


def test_memory_is_given_back_before_the_halves(five):
    backend = Fake(room=3)
    assert backend.predict(five) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert backend.happened == [5, "released", 3, 2]
