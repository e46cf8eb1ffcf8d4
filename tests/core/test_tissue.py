"""The paper's three masks and the region of interest made of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_fastnet.core.colour import saturation_of
from napari_fastnet.core.options import PRESETS, TissueParameters, preset_with
from napari_fastnet.core.tissue import (
    combine,
    compute_masks,
    histogram,
    hsv_mask,
    otsu_threshold,
    rgb_mask,
    threshold_mask,
)
from napari_fastnet.errors import OptionError

GLASS = (243, 241, 238)
TISSUE = (150, 80, 160)
MPP = (8.0, 8.0)
OFF = TissueParameters(closing_um=0, minimum_object_um2=0, minimum_hole_um2=0)

images = arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3)))


def slide(shape=(60, 80), noise=2.0, glass=GLASS, seed=0):
    """Return glass with a little noise."""
    rng = np.random.default_rng(seed)
    pixels = np.array(glass) + rng.normal(0, noise, (*shape, 3))
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def slide_with_tissue():
    """Return glass with 20 x 30 px of tissue at (10, 20), and where it lies."""
    image, tissue = slide(), np.zeros((60, 80), bool)
    tissue[10:30, 20:50] = True
    noise = np.random.default_rng(1).normal(0, 6, (*image.shape,))
    image[tissue] = np.clip(np.array(TISSUE) + noise, 0, 255)[tissue]
    return image, tissue


def test_otsu_splits_two_values_above_the_darker():
    values = np.array([10] * 6 + [200] * 4, np.uint8)

    threshold = otsu_threshold(histogram(values))

    assert 10 <= threshold < 200


def test_otsu_threshold_has_the_least_variance_within_its_classes():
    rng = np.random.default_rng(0)
    values = np.clip(
        np.append(rng.normal(90, 20, 700), rng.normal(200, 10, 300)), 0, 255
    ).astype(np.uint8)

    def within(threshold):
        dark, bright = values[values <= threshold], values[values > threshold]
        return dark.size * dark.var() + bright.size * bright.var()

    threshold = otsu_threshold(histogram(values))

    best = min(within(other) for other in range(values.min(), values.max()))
    assert within(threshold) == pytest.approx(best)


@pytest.mark.parametrize("values", [np.full(9, 255), np.zeros(9), np.array([])])
def test_otsu_finds_no_threshold_in_one_value(values):
    assert otsu_threshold(histogram(values.astype(np.uint8))) is None


COLOURS = np.array([[(100, 100, 100), (101, 100, 100), (101, 101, 101)]], np.uint8)


def test_rgb_mask_of_all_channels_asks_each_to_be_dark():
    mask = rgb_mask(COLOURS, thresholds=(100, 100, 100), channels="all")

    np.testing.assert_array_equal(mask, [[True, False, False]])


def test_rgb_mask_of_any_channel_asks_one_to_be_dark():
    mask = rgb_mask(COLOURS, thresholds=(100, 100, 100), channels="any")

    np.testing.assert_array_equal(mask, [[True, True, False]])


def test_hsv_mask_is_where_the_saturation_is_above_the_threshold():
    image = np.array([[(100, 80, 90), (100, 79, 90)]], np.uint8)  # 51 and 54

    np.testing.assert_array_equal(
        hsv_mask(saturation_of(image), saturation=51), [[False, True]]
    )


def test_threshold_mask_holds_both_its_bounds_in_every_channel():
    image = np.array(
        [[(50, 240, 100), (49, 240, 100), (50, 241, 100), (50, 50, 50)]], np.uint8
    )

    mask = threshold_mask(image, low=50, high=240)

    np.testing.assert_array_equal(mask, [[True, False, False, True]])


def test_region_of_interest_of_the_paper_is_the_and_of_its_masks():
    image, _ = slide_with_tissue()

    masks = compute_masks(image, mpp=MPP, parameters=PRESETS["paper"])

    np.testing.assert_array_equal(masks.roi, masks.rgb & masks.hsv & masks.threshold)


def test_paper_preset_uses_otsu_to_the_letter():
    image, _ = slide_with_tissue()

    masks = compute_masks(image, mpp=MPP, parameters=PRESETS["paper"])

    for index, name in enumerate(("red", "green", "blue")):
        assert masks.thresholds[name] == otsu_threshold(histogram(image[..., index]))
    assert masks.thresholds["saturation"] == otsu_threshold(
        histogram(saturation_of(image))
    )
    assert (masks.thresholds["low"], masks.thresholds["high"]) == (50, 240)


def test_default_masks_are_the_papers_where_tissue_differs_from_glass():
    image, tissue = slide_with_tissue()

    default = compute_masks(image, mpp=MPP, parameters=TissueParameters())
    paper = compute_masks(image, mpp=MPP, parameters=PRESETS["paper"])

    np.testing.assert_array_equal(default.rgb, paper.rgb)
    np.testing.assert_array_equal(default.hsv, paper.hsv)
    np.testing.assert_array_equal(default.roi, tissue)
    assert default.fraction == pytest.approx(600 / 4800)


def test_given_thresholds_are_used_and_the_others_stay_automatic():
    image, _ = slide_with_tissue()
    parameters = replace(OFF, red=120.0, saturation=30.0)

    masks = compute_masks(image, mpp=MPP, parameters=parameters)

    assert masks.thresholds["red"] == 120
    assert masks.thresholds["saturation"] == 30
    assert masks.thresholds["green"] == otsu_threshold(histogram(image[..., 1]))
    np.testing.assert_array_equal(masks.hsv, saturation_of(image) > 30)


@pytest.mark.parametrize("value", [0, 128, 243, 255])
@pytest.mark.parametrize("preset", PRESETS)
def test_constant_image_holds_no_tissue(value, preset):
    image = np.full((30, 40, 3), value, np.uint8)

    masks = compute_masks(image, mpp=MPP, parameters=PRESETS[preset])

    for mask in (masks.rgb, masks.hsv, masks.roi):
        assert mask.shape == (30, 40)
        assert not mask.any()
    assert masks.fraction == 0


@pytest.mark.parametrize("preset", PRESETS)
def test_image_of_one_tint_holds_no_tissue(preset):
    image = np.full((30, 40, 3), (230, 190, 210), np.uint8)

    assert not compute_masks(image, mpp=MPP, parameters=PRESETS[preset]).roi.any()


def test_image_without_pixels_holds_no_tissue():
    image = np.zeros((0, 40, 3), np.uint8)

    masks = compute_masks(image, mpp=MPP, parameters=TissueParameters())

    assert masks.roi.shape == (0, 40)
    assert masks.fraction == 0


@pytest.mark.parametrize("noise", [0.5, 2, 5])
@pytest.mark.parametrize(
    "glass", [(243, 243, 243), GLASS, (235, 233, 228), (220, 220, 215)]
)
def test_noise_of_empty_glass_is_no_tissue(glass, noise):
    image = slide((200, 200), noise, glass)

    assert not compute_masks(image, mpp=MPP, parameters=TissueParameters()).roi.any()


def test_uneven_light_on_empty_glass_is_no_tissue():
    y, x = np.mgrid[-1:1:200j, -1:1:200j]
    light = 1 - 0.1 * (y**2 + x**2)  # a fifth darker in the corners
    image = (slide((200, 200)) * light[..., None]).astype(np.uint8)

    assert not compute_masks(image, mpp=MPP, parameters=TissueParameters()).roi.any()


def test_plain_otsu_takes_the_noise_of_empty_glass_for_tissue():
    # Why the default keeps away from the glass and the paper's preset is not it.
    image = slide((200, 200), 2, (235, 233, 228))

    assert compute_masks(image, mpp=MPP, parameters=PRESETS["paper"]).roi.any()


def test_a_biopsy_of_a_thousandth_of_the_slide_is_found():
    image = slide((1000, 1000), 3)
    image[500:530, 300:330] = TISSUE

    masks = compute_masks(image, mpp=MPP, parameters=TissueParameters())

    assert masks.roi.sum() == 900
    assert masks.roi[500:530, 300:330].all()


def test_gaps_between_nuclei_are_closed_and_the_outside_is_not():
    image, tissue = slide_with_tissue()
    image[::3, ::3][tissue[::3, ::3]] = (235, 215, 225)  # pale pixels in the tissue
    paper = compute_masks(image, mpp=MPP, parameters=PRESETS["paper"])
    default = compute_masks(image, mpp=MPP, parameters=TissueParameters())

    assert not paper.roi[tissue].all()
    assert default.roi[tissue].all()
    assert not default.roi[~tissue].any()


@pytest.mark.parametrize(
    ("mpp", "joined"),
    [((8.0, 8.0), True), ((8.0, 4.0), True), ((8.0, 12.0), False)],
)
def test_closing_is_counted_in_micrometres_along_each_axis(mpp, joined):
    mask = np.zeros((40, 40), bool)
    mask[:, :10] = mask[:, 18:] = True  # 8 px apart
    parameters = replace(OFF, closing_um=40)

    roi = combine(mask, mask, mask, mpp=mpp, parameters=parameters)

    assert roi[:, 10:18].all() == joined


def test_small_objects_and_holes_are_counted_in_square_micrometres():
    mask = np.zeros((40, 40), bool)
    mask[2:4, 2:4] = True  # 4 px of 2 µm x 5 µm: 40 µm²
    mask[10:30, 10:30] = True
    mask[20:23, 20] = False  # 30 µm²

    def roi(minimum_object, minimum_hole):
        parameters = replace(
            OFF, minimum_object_um2=minimum_object, minimum_hole_um2=minimum_hole
        )
        return combine(mask, mask, mask, mpp=(2, 5), parameters=parameters)

    assert roi(40, 0)[2, 2]
    assert not roi(41, 0)[2, 2]
    assert not roi(0, 30)[20, 20]
    assert roi(0, 31)[20, 20]


def test_masks_edited_by_hand_are_joined_by_and():
    rgb, hsv, threshold = np.indices((2, 2, 2)).reshape(3, 2, 4).astype(bool)

    roi = combine(rgb, hsv, threshold, mpp=MPP, parameters=OFF)

    np.testing.assert_array_equal(roi, rgb & hsv & threshold)


@given(images)
@settings(deadline=None)
def test_masks_of_any_image_fit_it(image):
    masks = compute_masks(image, mpp=MPP, parameters=OFF)

    for mask in (masks.rgb, masks.hsv, masks.threshold, masks.roi):
        assert mask.dtype == bool
        assert mask.shape == image.shape[:2]
    assert set(masks.thresholds) == {
        "red",
        "green",
        "blue",
        "saturation",
        "low",
        "high",
    }
    assert np.isfinite(list(masks.thresholds.values())).all()


@given(images)
@settings(deadline=None)
def test_any_channel_finds_all_that_all_channels_find(image):
    every = compute_masks(image, mpp=MPP, parameters=OFF)
    some = compute_masks(image, mpp=MPP, parameters=replace(OFF, channels="any"))

    assert (every.rgb <= some.rgb).all()
    assert (every.roi <= some.roi).all()


@given(images, st.floats(0, 80))
@settings(deadline=None)
def test_closing_never_drops_tissue(image, closing):
    plain = compute_masks(image, mpp=MPP, parameters=OFF)
    closed = compute_masks(image, mpp=MPP, parameters=replace(OFF, closing_um=closing))

    assert (plain.roi <= closed.roi).all()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("low", -1),
        ("high", 256),
        ("red", 300),
        ("saturation", -0.1),
        ("green", float("nan")),
        ("glass_margin", -5),
        ("channels", "some"),
        ("closing_um", -1),
        ("closing_um", float("inf")),
        ("minimum_object_um2", float("nan")),
        ("minimum_hole_um2", -1),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(option, value):
    with pytest.raises(OptionError, match=option):
        TissueParameters(**{option: value})


def test_low_may_equal_high_and_not_exceed_it():
    assert TissueParameters(low=100, high=100).low == 100
    with pytest.raises(OptionError, match="low <= high"):
        TissueParameters(low=101, high=100)


def test_paper_preset_closes_and_removes_nothing():
    paper = TissueParameters.paper()

    assert paper.closing_um == paper.minimum_object_um2 == paper.minimum_hole_um2 == 0
    assert paper.glass_margin == 0
    assert paper == replace(PRESETS["paper"])
    assert PRESETS["default"] == TissueParameters()


def test_preset_takes_what_is_given_and_keeps_the_rest():
    parameters = preset_with("paper", low=60.0, high=None, channels="any")

    assert parameters == replace(PRESETS["paper"], low=60.0, channels="any")
    assert preset_with("default") == TissueParameters()


def test_preset_refuses_unknown_names_and_values_out_of_range():
    with pytest.raises(OptionError, match="default, paper"):
        preset_with("papre")
    with pytest.raises(OptionError, match="closing_um"):
        preset_with("default", closing_um=-1.0)
