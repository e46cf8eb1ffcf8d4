"""Stain statistics and the colour map between two stains."""

from __future__ import annotations

import json
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_fastnet.core.appearance.stain import (
    MINIMUM_PIXELS,
    StainMatch,
    StainStatistics,
    estimate,
)
from napari_fastnet.core.colour import density_to_rgb, rgb_to_density, rgb_to_lab
from napari_fastnet.core.options import StainMethod
from napari_fastnet.errors import OptionError

METHODS = [method for method in get_args(StainMethod) if method != "none"]

HAEMATOXYLIN = (0.65, 0.70, 0.29)
EOSIN = (0.07, 0.99, 0.11)


def unit(vector):
    return np.array(vector) / np.linalg.norm(vector)


def tissue(count=4000, strength=(1.0, 1.0), stains=(HAEMATOXYLIN, EOSIN), seed=0):
    """Return H&E-like pixels: two stains of known vectors and random amounts."""
    rng = np.random.default_rng(seed)
    amounts = rng.gamma((2.0, 3.0), (0.35, 0.25), (count, 2)) * strength
    density = amounts @ np.array([unit(stain) for stain in stains])
    density += rng.normal(0, 0.01, density.shape)
    return np.rint(density_to_rgb(density)).astype(np.uint8)


def match(method, source, target):
    return StainMatch(method, estimate(source, method), estimate(target, method))


def difference(one, other):
    """Return the mean distance of colours in CIELAB."""
    return np.linalg.norm(rgb_to_lab(one) - rgb_to_lab(other), axis=-1).mean()


SHIFTS = {
    "paler": {"strength": (0.6, 0.7)},
    "stronger": {"strength": (1.5, 1.3)},
    "more eosin": {"strength": (0.8, 1.4)},
    "other dyes": {"stains": ((0.72, 0.60, 0.25), (0.10, 0.95, 0.25))},
}


@pytest.mark.parametrize("method", METHODS)
def test_matching_to_its_own_stain_changes_nothing(method):
    pixels = tissue()

    matched = match(method, pixels, pixels).apply(pixels)

    np.testing.assert_array_equal(matched, pixels)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shift", SHIFTS)
def test_matching_brings_shifted_colours_back(method, shift):
    original, shifted = tissue(), tissue(**SHIFTS[shift])

    matched = match(method, shifted, original).apply(shifted)

    assert difference(matched, original) < 0.6 * difference(shifted, original)


@pytest.mark.parametrize("method", METHODS)
def test_matched_tissue_has_the_statistics_it_was_matched_to(method):
    source, target = tissue(strength=(0.7, 0.8), seed=1), tissue(seed=2)

    matched = match(method, source, target).apply(source)

    reached, wanted = estimate(matched, method), estimate(target, method)
    np.testing.assert_allclose(reached.values, wanted.values, rtol=0.1, atol=1.0)
    if method != "reinhard":  # densities, of the order of one
        np.testing.assert_allclose(reached.values, wanted.values, atol=0.08)


@pytest.mark.parametrize("method", METHODS)
def test_white_stays_white_and_glass_nearly_so(method):
    white = np.full((1, 3), 255, np.uint8)
    glass = np.array([(248, 247, 246), (243, 243, 243)], np.uint8)
    both = match(method, tissue(strength=(0.6, 0.7)), tissue())

    assert np.abs(both.apply(white).astype(int) - 255).max() <= 1
    assert np.abs(both.apply(glass).astype(int) - glass).max() <= 12


def test_macenko_finds_the_two_stains():
    statistics = estimate(tissue(20_000), "macenko")

    haematoxylin, eosin, maximum = np.array(statistics.values)
    # A percent of the pixels is left out at either end, so not quite the pure dyes.
    assert haematoxylin @ unit(HAEMATOXYLIN) > 0.99
    assert eosin @ unit(EOSIN) > 0.99
    assert haematoxylin @ unit(HAEMATOXYLIN) > haematoxylin @ unit(EOSIN)
    assert maximum[:2].min() > 0.5


def test_macenko_pairs_stains_by_likeness_not_by_name():
    pixels = tissue()
    named = estimate(pixels, "macenko")
    first, second, (most, least, zero) = named.values
    crossed = StainStatistics("macenko", 1, (second, first, (least, most, zero)))

    matched = StainMatch("macenko", crossed, named).apply(pixels)

    np.testing.assert_array_equal(matched, pixels)


def test_reinhard_moves_mean_and_deviation_in_lab():
    target = tissue()
    lab = rgb_to_lab(target)

    statistics = estimate(target, "reinhard")

    # All of these pixels are darker than glass, so all of them count.
    stained = rgb_to_density(target).mean(axis=1) >= 0.15
    np.testing.assert_allclose(
        statistics.values, [lab[stained].mean(axis=0), lab[stained].std(axis=0)]
    )
    assert statistics.pixels == stained.sum()


@pytest.mark.parametrize("method", METHODS)
def test_glass_among_the_pixels_does_not_count(method):
    pixels = tissue(3000)
    glass = np.full((3000, 3), (240, 239, 238), np.uint8)

    with_glass = estimate(np.concatenate([pixels, glass]), method)

    assert with_glass == estimate(pixels, method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((0, 3), np.uint8),
        np.full((5000, 3), 243, np.uint8),
        np.full((5000, 3), (180, 100, 170), np.uint8),
        np.zeros((5000, 3), np.uint8),
    ],
    ids=["none", "glass", "one colour", "black"],
)
def test_stain_that_cannot_be_told_is_none(method, pixels):
    assert estimate(pixels, method) is None


@pytest.mark.parametrize("method", METHODS)
def test_fewer_pixels_than_the_minimum_are_too_few(method):
    pixels = tissue(MINIMUM_PIXELS * 2)
    stained = pixels[rgb_to_density(pixels).mean(axis=1) >= 0.15]

    assert estimate(stained[: MINIMUM_PIXELS - 1], method) is None
    assert estimate(stained[:MINIMUM_PIXELS], method) is not None


def test_macenko_needs_two_stains():
    rng = np.random.default_rng(0)
    density = rng.gamma(2, 0.4, (2000, 1)) * unit(HAEMATOXYLIN)
    pixels = np.rint(density_to_rgb(density)).astype(np.uint8)

    assert estimate(pixels, "macenko") is None


def test_method_none_measures_and_changes_nothing():
    pixels = tissue()

    assert estimate(pixels, "none") is None
    assert StainMatch("none").apply(pixels) is pixels
    assert StainMatch("none").is_identity


@pytest.mark.parametrize("method", METHODS)
def test_slide_of_unknown_stain_is_left_as_it_is(method):
    pixels = tissue()
    unknown = StainMatch(method, None, estimate(pixels, method))

    assert unknown.is_identity
    assert unknown.apply(pixels) is pixels
    np.testing.assert_array_equal(unknown.apply_exactly(pixels), pixels)


@pytest.mark.parametrize("method", METHODS)
@given(
    pixels=arrays(np.uint8, (600, 3)),
    image=arrays(np.uint8, st.tuples(st.integers(0, 4), st.integers(0, 4), st.just(3))),
)
@settings(deadline=None, max_examples=15)
def test_any_pixels_give_finite_statistics_and_colours(method, pixels, image):
    statistics = estimate(pixels, method)

    if statistics is not None:
        assert np.isfinite(statistics.values).all()
        both = StainMatch(method, statistics, estimate(tissue(600), method))
        assert np.isfinite(both.apply_exactly(image.reshape(-1, 3))).all()
        assert both.apply(image).shape == image.shape


@pytest.mark.parametrize("method", METHODS)
def test_table_agrees_with_the_exact_map(method):
    pixels = tissue(strength=(0.7, 1.2), seed=3)
    both = match(method, pixels, tissue())

    error = np.abs(both.apply(pixels) - both.apply_exactly(pixels))

    assert error.mean() < 0.6
    assert np.percentile(error, 99) < 2.5


@pytest.mark.parametrize("method", METHODS)
def test_image_keeps_its_shape_and_is_not_changed_in_place(method):
    image = tissue(48).reshape(6, 8, 3)
    before = image.copy()

    matched = match(method, tissue(strength=(0.6, 0.6)), tissue()).apply(image)

    assert matched.shape == image.shape
    assert matched.dtype == np.uint8
    np.testing.assert_array_equal(image, before)
    assert not np.array_equal(matched, image)


@pytest.mark.parametrize("method", METHODS)
def test_statistics_survive_json(method):
    statistics = estimate(tissue(), method)

    record = json.loads(json.dumps(statistics.to_dict()))

    assert StainStatistics.from_dict(record) == statistics
    assert record["method"] == method


def test_record_of_a_match_is_json():
    both = match("reinhard", tissue(), tissue(seed=1))

    record = json.loads(json.dumps(both.to_dict()))

    assert record["method"] == "reinhard"
    assert StainStatistics.from_dict(record["source"]) == both.source
    assert StainMatch("none").to_dict() == {
        "method": "none",
        "source": None,
        "target": None,
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mean": None}, "other than numbers"),
        ({"mean": [1, 2]}, "3 finite numbers"),
        ({"mean": [1, 2, float("nan")]}, "3 finite numbers"),
        ({"deviation": ["a", 2, 3]}, "other than numbers"),
        ({"method": "wash"}, "wash"),
        ({"method": None}, "None"),
    ],
)
def test_damaged_statistics_are_refused(change, words):
    record = estimate(tissue(), "reinhard").to_dict() | change

    with pytest.raises(OptionError, match=words):
        StainStatistics.from_dict(record)


@pytest.mark.parametrize("name", ["method", "pixels", "mean", "deviation"])
def test_statistics_with_a_part_missing_are_refused_by_its_name(name):
    record = estimate(tissue(), "reinhard").to_dict()
    del record[name]

    with pytest.raises(OptionError, match=name):
        StainStatistics.from_dict(record)


def test_unknown_method_is_refused_with_those_there_are():
    with pytest.raises(OptionError, match="none, reinhard, macenko"):
        estimate(tissue(), "vahadane")
    with pytest.raises(OptionError, match="none, reinhard, macenko"):
        StainMatch("vahadane")


def test_match_without_a_target_is_refused():
    with pytest.raises(OptionError, match="no macenko colour statistics"):
        StainMatch("macenko", estimate(tissue(), "macenko"), None)


def test_statistics_of_another_method_are_refused():
    reinhard = estimate(tissue(), "reinhard")

    with pytest.raises(OptionError, match="target statistics are reinhard"):
        StainMatch("density", estimate(tissue(), "density"), reinhard)
