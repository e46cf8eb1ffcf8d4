"""Users' masks: any scale, but of this slide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from napari_fastnet.annotations.masks import fit_mask, read_mask
from napari_fastnet.errors import MaskError

if TYPE_CHECKING:
    from pathlib import Path

SLIDE = (1000, 2000)


def mask() -> np.ndarray:
    values = np.zeros((10, 20), np.uint8)
    values[2:5, 3:9] = 255
    return values


@pytest.mark.parametrize("name", ["mask.png", "mask.tif", "mask.tiff"])
def test_png_and_tiff_read_alike(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("png"):
        Image.fromarray(mask()).save(path)
    else:
        tifffile.imwrite(path, mask())
    np.testing.assert_array_equal(read_mask(path, SLIDE), mask() > 0)


def test_everything_above_zero_is_inside(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "m.tif", np.array([[0, 1], [2, 255]], np.uint8))
    expected = [[False, True], [True, True]]
    assert read_mask(tmp_path / "m.tif", (50, 50)).tolist() == expected


@pytest.mark.parametrize(
    ("width", "fits"), [(17, True), (20, True), (23, True), (24, False), (16, False)]
)
def test_a_px_of_rounding_is_forgiven_and_more_is_not(
    tmp_path: Path, width: int, fits: bool
) -> None:
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, np.zeros((10, width), np.uint8))
    if fits:
        assert read_mask(path, SLIDE).shape == (10, width)
    else:
        with pytest.raises(MaskError, match="20 px wide"):
            read_mask(path, SLIDE)


@given(
    height=st.integers(50, 100_000),
    width=st.integers(50, 100_000),
    factor=st.floats(1, 40),
)
def test_a_slides_own_downsample_always_fits(
    height: int, width: int, factor: float
) -> None:
    from napari_fastnet.annotations.masks import fits

    shape = (max(1, round(height / factor)), max(1, round(width / factor)))
    assert fits(shape, (height, width))


@pytest.mark.parametrize("fault", ["missing", "text", "colour"])
def test_what_is_no_mask_is_refused(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "mask.png"
    if fault == "text":
        path.write_text("no picture")
    elif fault == "colour":
        Image.fromarray(np.zeros((10, 20, 3), np.uint8)).save(path)
    with pytest.raises(MaskError, match=r"mask\.png"):
        read_mask(path, SLIDE)


def test_fitting_keeps_what_fills_half_a_px() -> None:
    fine = np.zeros((4, 4), bool)
    fine[:2, :2] = True  # all of one px
    fine[0:2, 2] = True  # half of the next
    fine[2, 0] = True  # a quarter
    assert fit_mask(fine, (2, 2)).tolist() == [[True, True], [False, False]]


def test_fitting_to_its_own_size_changes_nothing() -> None:
    values = mask() > 0
    assert fit_mask(values, values.shape) is values


def test_a_picture_too_large_for_its_reader_is_told(tmp_path, monkeypatch) -> None:
    Image.fromarray(mask()).save(tmp_path / "mask.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    with pytest.raises(MaskError, match="tiled TIFF"):
        read_mask(tmp_path / "mask.png", SLIDE)
