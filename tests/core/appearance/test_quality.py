from itertools import pairwise

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_fastnet.core.appearance.flags import (
    Flag,
    Gamut,
    blur_flags,
    colour_flags,
    measure_gamut,
    pen_pixels,
)
from napari_fastnet.core.appearance.sharpness import patch_sharpness
from napari_fastnet.core.appearance.summary import (
    QualitySummary,
    doubt_values,
    quality_words,
    summarise_quality,
)
from napari_fastnet.core.colour import density_to_rgb
from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.grid import PatchGrid
from napari_fastnet.errors import OptionError

DYES = np.array([[0.55, 0.72, 0.35], [0.15, 0.85, 0.25]])


def tissue(rng, side, strength=1.0):
    """Return a patch of two dyes in amounts that vary from px to px and as a whole."""
    amounts = rng.gamma(4, 0.12, (side, side, 2)) * rng.uniform(0.6, 1.4, 2) * strength
    tint = rng.normal(0, 0.02, 3)
    return np.rint(density_to_rgb(amounts @ (DYES + tint))).astype(np.uint8)


@pytest.fixture(scope="module")
def gamut() -> Gamut:
    rng = np.random.default_rng(0)
    patches = [tissue(rng, 96) for _ in range(400)]
    coarse = [tissue(rng, 12) for _ in range(400)]
    measured = measure_gamut(coarse, patches)
    assert measured is not None
    return measured


def grid_of(rows, columns, side=12):
    kept = np.ones((rows, columns), bool)
    grid = Grid((0.0, 0.0), (float(side), float(side)), kept.shape)
    return PatchGrid(grid, (float(side), float(side)), kept, kept.astype(float))


def mosaic(patches, columns):
    rows = [
        np.concatenate(patches[i : i + columns], 1)
        for i in range(0, len(patches), columns)
    ]
    return np.concatenate(rows, 0)


def flags_of(image, gamut):
    patches = grid_of(image.shape[0] // 12, image.shape[1] // 12)
    return colour_flags(image, patches, image.shape[:2], gamut)


def test_tissue_like_the_training_data_is_inside_its_gamut(gamut) -> None:
    rng = np.random.default_rng(1)
    flags, distance = flags_of(mosaic([tissue(rng, 12) for _ in range(400)], 20), gamut)
    assert (flags != 0).mean() < 0.04
    assert distance is not None
    assert distance < 0.3


def test_another_stain_is_outside(gamut) -> None:
    rng = np.random.default_rng(1)
    image = mosaic([tissue(rng, 12) for _ in range(100)], 10)[..., [1, 0, 2]]
    flags, distance = flags_of(image, gamut)
    assert ((flags & Flag.COLOUR) != 0).mean() > 0.9
    assert distance is not None
    assert distance > gamut.distance


def test_a_strip_of_patches_gives_what_the_whole_gives(gamut) -> None:
    rng = np.random.default_rng(2)
    image = mosaic([tissue(rng, 12, 2 - (i % 3)) for i in range(70 * 2)], 2)
    whole, _ = flags_of(image, gamut)
    last, _ = flags_of(image[60 * 12 :], gamut)
    np.testing.assert_array_equal(whole[60:], last)


@pytest.mark.parametrize(
    ("colour", "ink"),
    [
        ((45, 65, 165), True),  # blue
        ((35, 130, 80), True),  # green
        ((35, 35, 40), True),  # black
        ((205, 35, 50), True),  # red
        ((120, 80, 150), False),  # haematoxylin
        ((225, 140, 190), False),  # eosin
        ((200, 90, 110), False),  # erythrocytes
        ((243, 243, 243), False),  # glass
    ],
)
def test_ink_is_told_from_the_dyes(colour, ink) -> None:
    density = -np.log((np.array(colour, float) + 1) / 256)
    assert bool(pen_pixels(*density)) == ink


def test_a_stroke_flags_the_patches_that_it_crosses_and_no_other(gamut) -> None:
    rng = np.random.default_rng(3)
    image = mosaic([tissue(rng, 12) for _ in range(25)], 5)
    image[26:30] = image[26:30] * (45 / 255, 65 / 255, 165 / 255)
    flags, _ = flags_of(image, None)
    np.testing.assert_array_equal((flags & Flag.PEN).any(axis=1), [0, 0, 1, 0, 0])
    assert (flags[2] == Flag.PEN).all()


def test_nothing_is_flagged_where_nothing_is_kept(gamut) -> None:
    patches = grid_of(3, 3)
    patches.kept[:] = False
    black = np.zeros((36, 36, 3), np.uint8)
    flags, distance = colour_flags(black, patches, (36, 36), gamut)
    assert not flags.any()
    assert distance is None


@pytest.mark.parametrize("stride_px", [24, 72, 96])
def test_sharpness_of_a_patch_does_not_depend_on_its_neighbours(stride_px) -> None:
    rng = np.random.default_rng(4)
    pixels = rng.integers(0, 256, (300, 320, 3)).astype(np.uint8)
    # rows and columns that are looked at lie alike where patches begin at multiples of 24
    found = patch_sharpness(
        pixels, (2, 2), patch_px=96, stride_px=stride_px, corner_px=24
    )
    at = 24 + stride_px
    alone = patch_sharpness(
        pixels[at : at + 96, at : at + 96], (1, 1), patch_px=96, stride_px=96
    )
    assert found[1, 1] == pytest.approx(alone[0, 0], abs=0.1)


def test_sharpness_falls_with_blur_and_not_with_contrast() -> None:
    rng = np.random.default_rng(5)
    patch = rng.integers(80, 200, (96, 96, 3)).astype(np.float64)

    def sharpness(image):
        pixels = np.rint(image).astype(np.uint8)
        return patch_sharpness(pixels, (1, 1), patch_px=96, stride_px=96)[0, 0]

    blurred = [
        sharpness(gaussian_filter(patch, (sigma, sigma, 0))) for sigma in (0, 0.7, 1, 2)
    ]
    assert all(later < before - 0.2 for before, later in pairwise(blurred))
    assert sharpness(140 + (patch - 140) / 3) == pytest.approx(blurred[0], abs=0.05)


def test_a_patch_of_one_colour_is_not_called_blurred(gamut) -> None:
    plain = np.full((96, 96, 3), 200, np.uint8)
    found = patch_sharpness(plain, (1, 1), patch_px=96, stride_px=96)
    assert not blur_flags(found, np.ones((1, 1), bool), gamut).any()


def test_unknown_sharpness_and_what_is_not_kept_are_not_flagged(gamut) -> None:
    sharpness = np.array([[np.nan, -9, -9]], np.float32)
    flags = blur_flags(sharpness, np.array([[True, True, False]]), gamut)
    np.testing.assert_array_equal(flags, [[0, Flag.BLUR, 0]])


def test_a_gamut_survives_json(gamut) -> None:
    assert Gamut.from_dict(gamut.to_dict()) == gamut


@pytest.mark.parametrize(
    "change",
    [
        {"mean": [1, 2]},
        {"precision": [[1, 0, 0]]},
        {"distance": 0},
        {"sharpness": float("nan")},
        {"patches": "many"},
    ],
)
def test_a_damaged_gamut_is_refused(gamut, change) -> None:
    with pytest.raises(OptionError, match="quality"):
        Gamut.from_dict(gamut.to_dict() | change)


def test_too_few_patches_give_no_gamut() -> None:
    rng = np.random.default_rng(6)
    few = [tissue(rng, 12) for _ in range(50)]
    assert measure_gamut(few, few) is None


def test_the_summary_counts_kept_patches_by_kind() -> None:
    flags = np.array([[1, 3, 4, 0]], np.uint8)
    kept = np.array([[True, True, False, True]])
    section = summarise_quality(flags, kept, distance=0.5)
    assert section.patches == 3
    assert section.colour == pytest.approx(2 / 3)
    assert section.pen == pytest.approx(1 / 3)
    assert section.blur == 0
    assert section.any == pytest.approx(2 / 3)
    assert section.out_of_gamut is True
    assert section.warn is True


@pytest.mark.parametrize(
    ("flagged", "distance", "out", "warn"),
    [
        (10, 2.0, False, True),
        (11, 2.0, True, True),
        (5, 2.1, True, True),
        (5, 0.1, False, False),
    ],
)
def test_a_slide_is_out_of_gamut_by_share_or_by_distance(
    flagged, distance, out, warn
) -> None:
    flags = np.zeros((10, 10), np.uint8)
    flags.flat[:flagged] = Flag.COLOUR
    section = summarise_quality(flags, np.ones((10, 10), bool), distance=distance)
    assert section.out_of_gamut is out
    assert section.warn is warn
    assert ("far from the training data" in section.verdict) is out


def test_what_was_not_judged_is_said() -> None:
    flags, kept = np.zeros((1, 2), np.uint8), np.ones((1, 2), bool)
    section = summarise_quality(flags, kept, distance=None, judged=(Flag.PEN,))
    assert section.colour is None
    assert section.out_of_gamut is None
    assert "not judged: colour, blur" in section.verdict


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({}, ""),
        ({"patches": 0, "warn": True}, "quality: no patch was judged"),
        ({"patches": 9, "colour": None, "pen": 0.0}, "no patch is flagged"),
        (
            {"patches": 9, "colour": 0.2, "blur": 0.015, "out_of_gamut": True},
            "stain far from the training data; flagged: 20.0 % colour, 1.5 % blur",
        ),
    ],
)
def test_a_record_is_told_in_a_short_line(section, words) -> None:
    assert quality_words(QualitySummary(**section)) == words


@pytest.mark.parametrize(
    ("values", "whole", "said"),
    [
        (np.full(40, 0.731), True, "All 40 probabilities are 0.731: the model tells"),
        (np.full(40, 1e-9), True, "All 40 probabilities are 1e-09"),
        (np.r_[np.full(97, 0.9), 0.1, 0.2, 0.3], True, "97.0 % of the tissue is over"),
        (np.r_[np.full(97, 0.9), 0.1, 0.2, 0.3], False, ""),
        (np.r_[np.full(94, 0.9), np.full(6, 0.1)], True, ""),
        (np.linspace(1e-9, 2e-9, 40), True, ""),  # a normal node, surely told
        (np.full(10, 0.731), True, ""),  # too few
        (np.r_[np.full(30, np.nan), np.full(10, 0.7)], True, ""),
        (np.full(40, np.nan), True, ""),
    ],
)
def test_probabilities_that_are_odd_as_such(values, whole, said) -> None:
    doubt = doubt_values(values.astype(np.float32), 0.5, whole=whole)
    assert doubt.startswith(said)
    assert bool(doubt) == bool(said)


def test_a_doubt_is_a_warning_and_comes_first() -> None:
    kept = np.ones((10, 10), bool)
    section = summarise_quality(
        np.zeros((10, 10), np.uint8), kept, distance=0.5, doubt="All are alike"
    )
    assert section.warn
    assert section.verdict == "All are alike. No patch is flagged."
    assert quality_words(section) == "All are alike"
