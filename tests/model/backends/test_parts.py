from __future__ import annotations

import numpy as np
import pytest

from napari_fastnet.errors import DetectionError
from napari_fastnet.model.backends.parts import one_line, predict_in_parts


@pytest.mark.parametrize(
    ("part_px", "expected"),
    [
        (1, [1, 1, 1, 1, 1]),  # one patch at least
        (2 * 40 * 50 - 1, [1, 1, 1, 1, 1]),
        (2 * 40 * 50, [2, 2, 1]),
        (10**9, [5]),
    ],
)
def test_parts_are_bounded_in_px(part_px, expected):
    sizes = []

    def run(parts):
        assert all(part.flags.c_contiguous for part in parts)
        sizes.extend(map(len, parts))
        return [part[:, 0, 0, 0].astype(np.float32) / 10 for part in parts]

    patches = np.zeros((5, 40, 50, 3), np.uint8)
    patches[:, 0, 0, 0] = [1, 2, 3, 4, 5]
    found = predict_in_parts(run, patches, part_px, "m 1")
    assert sizes == expected
    assert found == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


@pytest.mark.parametrize(
    ("threads", "expected"), [(1, [5]), (2, [3, 2]), (4, [2, 2, 1]), (9, [1] * 5)]
)
def test_no_thread_is_left_without_a_part(threads, expected):
    sizes = []

    def run(parts):
        sizes.extend(map(len, parts))
        return [np.zeros(len(part), np.float32) for part in parts]

    patches = np.zeros((5, 40, 50, 3), np.uint8)
    predict_in_parts(run, patches, 10**9, "m 1", threads=threads)
    assert sizes == expected


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_counted(value):
    def run(parts):
        return [np.array([0.5, value, 0.5], np.float32) for _ in parts]

    with pytest.raises(DetectionError, match="m 1 gave 1 of 3 patches no number"):
        predict_in_parts(run, np.zeros((3, 31, 31, 3), np.uint8), 10**6, "m 1")


def test_an_error_becomes_one_bounded_line():
    assert one_line(ValueError("a\n  b\tc")) == "a b c"
    assert len(one_line(ValueError("x" * 1000))) == 200


def test_nothing_is_asked_of_no_patches():
    found = predict_in_parts(list, np.zeros((0, 31, 31, 3), np.uint8), 1000, "m 1")
    assert found.shape == (0,)
    assert found.dtype == np.float32
