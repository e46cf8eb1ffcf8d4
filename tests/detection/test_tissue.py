"""The tissue of a whole slide."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_fastnet.core.options import TissueParameters
from napari_fastnet.detection.tissue import find_tissue, slide_facts
from napari_fastnet.errors import SpacingError
from napari_fastnet.slide.slide import open_slide

TISSUE = (200, 120, 180)
GLASS = 245


@pytest.fixture
def write(tmp_path):
    def write_slide(image, mpp=2.0):
        path = tmp_path / "slide.tif"
        per_cm = 1e4 / mpp
        tifffile.imwrite(
            path,
            image,
            tile=(64, 64),
            photometric="rgb",
            resolution=(per_cm, per_cm),
            resolutionunit="centimeter",
            metadata=None,
        )
        return path

    return write_slide


def half_tissue(height, width):
    image = np.full((height, width, 3), GLASS, np.uint8)
    image[: height // 2] = TISSUE
    return image


def test_area_and_fraction_are_those_of_the_slide(write):
    # 400 x 400 px at 2 µm/px: 0.64 mm², half of it tissue
    with open_slide(write(half_tissue(400, 400))) as slide:
        tissue = find_tissue(slide, TissueParameters(closing_um=0))
    assert tissue.masks.roi.shape == (100, 100)
    assert tissue.mpp == pytest.approx((8, 8))
    assert tissue.masks.fraction == pytest.approx(0.5, abs=0.01)
    assert tissue.area_mm2 == pytest.approx(0.32, abs=0.01)


def test_masks_fill_a_slide_that_is_no_whole_number_of_mask_pixels(write):
    # 403 px = 806 µm = 100.75 mask px
    with open_slide(write(half_tissue(403, 297))) as slide:
        tissue = find_tissue(slide)
    height, width = tissue.masks.roi.shape
    assert (height, width) == (101, 74)
    assert (tissue.mpp[0] * height, tissue.mpp[1] * width) == pytest.approx((806, 594))


@pytest.mark.parametrize("side", [1, 3])
def test_a_slide_smaller_than_a_mask_pixel_has_one(write, side):
    image = np.full((side, side, 3), TISSUE, np.uint8)
    with open_slide(write(image, mpp=0.25)) as slide:
        tissue = find_tissue(slide)
    assert tissue.masks.roi.shape == (1, 1)
    assert tissue.mpp == pytest.approx((side * 0.25, side * 0.25))


def test_glass_alone_is_no_tissue(write):
    with open_slide(write(np.full((200, 200, 3), GLASS, np.uint8))) as slide:
        tissue = find_tissue(slide)
    assert tissue.area_mm2 == 0
    assert tissue.masks.fraction == 0


def test_a_slide_of_unknown_spacing_is_an_error(tmp_path):
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, half_tissue(128, 128), tile=(64, 64), metadata=None)
    with open_slide(path) as slide, pytest.raises(SpacingError, match="--mpp"):
        find_tissue(slide)


def test_facts_have_width_and_height_in_their_places(write):
    with open_slide(write(half_tissue(300, 200))) as slide:
        facts = slide_facts(slide)
    assert (facts.width, facts.height) == (200, 300)
    assert facts.mpp == pytest.approx((2, 2))
    assert facts.mpp_source == "resolution tag"
