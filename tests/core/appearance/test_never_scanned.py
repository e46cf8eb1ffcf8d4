"""What was never scanned: found where it is, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fastnet.core.appearance.never_scanned import BLACK as BLACKEST
from napari_fastnet.core.appearance.never_scanned import never_scanned, whitened
from napari_fastnet.core.geometry import Box
from napari_fastnet.core.options import TissueParameters
from napari_fastnet.core.tissue import compute_masks

GLASS, TISSUE = (243, 241, 244), (190, 130, 170)
MPP = (8.0, 8.0)
SHAPE = (200, 240)
BLACK, WHITE = (0, 0, 0), (255, 255, 255)


def scanned(shape=SHAPE, glass=GLASS, seed=0):
    """Return noisy glass with a round of noisy tissue in its middle."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    inside = np.hypot(y - shape[0] / 2, x - shape[1] / 2) < 0.3 * min(shape)
    pixels = np.where(inside[..., None], TISSUE, glass) + np.where(
        inside[..., None], rng.normal(0, 15, (*shape, 3)), rng.normal(0, 2, (*shape, 3))
    )
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def with_fill(image, colour, px=80, side="left"):
    """Return an image with fill beside it, and where the image lies in that."""
    axis = 1 if side in ("left", "right") else 0
    before = side in ("left", "above")
    shape = list(image.shape)
    shape[axis] += px
    whole = np.full(shape, colour, np.uint8)
    start = px if before else 0
    place = [slice(None), slice(None)]
    place[axis] = slice(start, start + image.shape[axis])
    whole[tuple(place)] = image
    return whole, tuple(place)


@pytest.mark.parametrize("side", ["left", "right", "above", "below"])
@pytest.mark.parametrize(
    "colour", [BLACK, (3, 0, 6), WHITE, (205, 205, 205), (205, 150, 185), (0, 135, 0)]
)
def test_fill_is_found_at_each_side_and_enters_no_threshold(colour, side):
    image = scanned()
    whole, place = with_fill(image, colour, side=side)

    alone = compute_masks(image, mpp=MPP, parameters=TissueParameters())
    beside = compute_masks(whole, mpp=MPP, parameters=TissueParameters())

    # but for one px along the outline
    assert beside.never_scanned == pytest.approx(
        1 - image[..., 0].size / whole[..., 0].size, abs=0.01
    )
    assert beside.thresholds == pytest.approx(alone.thresholds, abs=1)
    assert beside.roi[place].sum() == pytest.approx(alone.roi.sum(), rel=0.005)
    for mask in (beside.rgb, beside.hsv, beside.threshold, beside.roi):
        assert not (mask & beside.fill).any()
    outside = np.ones(whole.shape[:2], bool)
    outside[place] = False
    assert beside.fill[outside].all()


def test_black_with_noise_counts_at_the_edge():
    image = scanned()
    whole, place = with_fill(image, BLACK)
    noise = np.random.default_rng(1).integers(0, BLACKEST + 1, whole.shape)
    fill = np.ones(whole.shape[:2], bool)
    fill[place] = False
    whole[fill] = noise[fill]

    found = never_scanned(whole)

    assert found[fill].all()
    assert found.sum() < 1.02 * fill.sum()


@pytest.mark.parametrize("colour", [BLACK, WHITE, (0, 135, 0)])
def test_missing_tiles_within_the_slide_are_fill(colour):
    image = scanned((400, 480))
    image[64:128, 192:256] = colour
    image[200:264, 64:128] = colour

    found = never_scanned(image)

    assert found[64:128, 192:256].all()
    assert found[200:264, 64:128].all()
    assert found.sum() < 2 * 68**2


def test_tissue_beside_a_black_tile_stays_and_the_tile_is_no_hole_that_is_filled():
    image = scanned((400, 480))
    image[180:212, 220:252] = BLACK  # 0.07 mm²: a hole as small would be filled

    masks = compute_masks(image, mpp=MPP, parameters=TissueParameters())

    assert not masks.roi[180:212, 220:252].any()
    assert masks.roi[170:178, 220:252].all()


def test_a_slide_without_fill_is_as_it_was():
    assert never_scanned(scanned()) is None
    assert compute_masks(scanned(), mpp=MPP).never_scanned == 0


def test_glass_that_is_white_all_over_is_no_fill():
    # brighter than the scale: exactly one colour, along the outline of the tissue
    image = scanned(glass=WHITE)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image[np.hypot(y - 100, x - 120) > 75] = WHITE

    assert never_scanned(image) is None


def test_a_background_that_was_cut_away_counts_as_glass():
    image = scanned()
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    outside = np.hypot(y - 100, x - 120) > 58
    image[outside] = WHITE

    masks = compute_masks(image, mpp=MPP, parameters=TissueParameters())

    assert masks.fill is None
    assert masks.roi[~outside].mean() > 0.99


def test_white_all_around_tissue_without_glass_of_its_own_counts_as_glass():
    rng = np.random.default_rng(0)
    image = np.full((*SHAPE, 3), 255, np.uint8)
    tissue = np.array(TISSUE) + rng.normal(0, 15, (100, 100, 3))
    image[40:140, 60:160] = np.clip(tissue, 0, 255)

    masks = compute_masks(image, mpp=MPP, parameters=TissueParameters())

    assert masks.fill is None
    assert masks.roi.sum() == pytest.approx(100 * 100, rel=0.01)


def test_ink_and_dark_tissue_are_scanned():
    image = scanned()
    rng = np.random.default_rng(2)
    image[20:60, 100:160] = rng.integers(5, 60, (40, 60, 3))  # of a pen
    image[150:190, 30:90] = np.clip(rng.normal(70, 12, (40, 60, 3)), 0, 255)

    assert never_scanned(image) is None


def test_a_drawn_picture_has_black_fill_only():
    image = np.full((*SHAPE, 3), 245, np.uint8)
    image[:100] = TISSUE
    assert never_scanned(image) is None
    image[:, :40] = 0
    assert never_scanned(image).sum() == pytest.approx(200 * 41)


@pytest.mark.parametrize("grey", [0, 255, 128])
def test_a_picture_of_one_colour_has_no_tissue(grey):
    image = np.full((*SHAPE, 3), grey, np.uint8)

    masks = compute_masks(image, mpp=MPP, parameters=TissueParameters())

    assert not masks.roi.any()
    assert masks.never_scanned == (grey == 0)


@pytest.mark.parametrize("shape", [(1, 1), (3, 90), (4, 4), (5, 7)])
def test_pictures_of_few_px_are_looked_at_as_well(shape):
    image = np.zeros((*shape, 3), np.uint8)
    found = never_scanned(image)
    assert found is None or found.shape == shape


def test_a_part_of_a_slide_is_white_where_there_is_fill():
    fill = np.zeros((10, 20), bool)
    fill[:, :5] = True  # of a slide of 100 x 200 px: x below 50
    pixels = np.full((40, 60, 3), 7, np.uint8)

    beside = whitened(pixels, Box(0, 60, 40, 120), fill, (100, 200))
    across = whitened(pixels, Box(-10, 20, 70, 140), fill, (100, 200))

    assert beside is pixels
    assert (across[:, :15] == 255).all()  # of px of 2
    assert (across[:, 15:] == 7).all()


def test_glass_that_compression_made_of_one_colour_is_scanned():
    # as JPEG does, in squares
    image = scanned((400, 480))
    image[:, :200] = GLASS
    image[:160] = GLASS

    assert never_scanned(image) is None
