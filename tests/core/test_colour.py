"""Saturation, CIELAB and optical density."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_fastnet.core.colour import (
    HEATMAP_COLOURS,
    blend,
    density_to_rgb,
    lab_to_rgb,
    rgb_to_density,
    rgb_to_lab,
    saturation_of,
)

colours = arrays(np.uint8, st.tuples(st.integers(1, 20), st.just(3)))


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((119, 119, 119), (50.03, 0, 0)),  # the grey of half lightness
        ((255, 0, 0), (53.24, 80.09, 67.20)),  # sRGB red, as tabulated
        ((0, 0, 255), (32.30, 79.19, -107.86)),
    ],
)
def test_lab_of_known_colours(rgb, lab):
    np.testing.assert_allclose(rgb_to_lab(np.array(rgb)), lab, atol=0.02)


@given(colours)
def test_lab_there_and_back(rgb):
    np.testing.assert_allclose(lab_to_rgb(rgb_to_lab(rgb)), rgb, atol=1e-6)


def test_lab_that_no_screen_shows_is_clipped():
    back = lab_to_rgb(np.array([[120.0, 0, 0], [-20.0, 0, 0], [50, 200, 0]]))

    np.testing.assert_allclose(back[:2], [[255, 255, 255], [0, 0, 0]])
    assert (back >= 0).all()
    assert (back <= 255).all()


def test_white_has_no_density_and_black_a_finite_one():
    density = rgb_to_density(np.array([255, 127, 0]))

    np.testing.assert_allclose(density, [0, np.log(2), np.log(256)])


@given(colours)
def test_density_there_and_back(rgb):
    np.testing.assert_allclose(density_to_rgb(rgb_to_density(rgb)), rgb, atol=1e-6)


def test_density_brighter_than_white_is_clipped():
    assert density_to_rgb(np.array([-1.0])) == 255


@pytest.mark.parametrize(
    ("colour", "saturation"),
    [
        ((0, 0, 0), 0),
        ((255, 255, 255), 0),
        ((77, 77, 77), 0),
        ((255, 0, 0), 255),
        ((200, 150, 100), 128),  # 100 / 200 of 255 is 127.5
        ((100, 80, 90), 51),
    ],
)
def test_saturation_of_known_colours(colour, saturation):
    assert saturation_of(np.array([[colour]], np.uint8)) == saturation


# What is left of linear red, green and blue where one kind of cone is missing (Machado,
# Oliveira and Fernandes 2009, severity 1).
SEEN_BY = {
    "protanope": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranope": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanope": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
PINK, PURPLE = (230, 170, 200), (120, 60, 140)  # eosin and haematoxylin


def seen_by(who, rgb):
    share = np.asarray(rgb) / 255
    linear = np.where(share > 0.04045, ((share + 0.055) / 1.055) ** 2.4, share / 12.92)
    left = np.clip(linear @ np.transpose(SEEN_BY[who]), 0, 1)
    return 255 * np.where(
        left > 0.0031308, 1.055 * left ** (1 / 2.4) - 0.055, 12.92 * left
    )


def least_difference(name, who):
    """Return how far normal and tumour are apart, half clear over stained tissue."""
    ends = np.array([HEATMAP_COLOURS[name][at][1:] for at in (0, -1)])
    return min(
        np.linalg.norm(np.diff(rgb_to_lab(seen_by(who, (ends + below) / 2)), axis=0))
        for below in np.array([PINK, PURPLE])
    )


@pytest.mark.parametrize("who", SEEN_BY)
def test_blue_and_orange_stand_apart_for_everybody(who):
    assert least_difference("blue-orange", who) > 50


def test_red_and_green_do_not_which_is_why_there_are_others():
    assert least_difference("red-green", "protanope") < 15
    assert least_difference("red-green", "deuteranope") < 15


@pytest.mark.parametrize("name", HEATMAP_COLOURS)
def test_colours_begin_at_0_end_at_1_and_are_lightest_between(name):
    positions = [position for position, *_ in HEATMAP_COLOURS[name]]
    assert positions == sorted({*positions, 0.0, 0.5, 1.0})
    lightness = rgb_to_lab(np.array([stop[1:] for stop in HEATMAP_COLOURS[name]]))[:, 0]
    assert np.argmax(lightness) == positions.index(0.5)


def test_a_clear_overlay_leaves_the_picture_as_it_is():
    image = np.random.default_rng(0).integers(0, 256, (5, 6, 3)).astype(np.uint8)
    overlay = np.zeros((5, 6, 4), np.uint8)
    overlay[..., 0] = 255
    np.testing.assert_array_equal(blend(image, overlay), image)


def test_dark_tissue_stays_darker_than_pale_tissue_under_the_overlay():
    image = np.array([[[60, 20, 80], [230, 200, 220]]], np.uint8)
    overlay = np.full((1, 2, 4), 255, np.uint8)
    dark, pale = blend(image, overlay)[0].astype(int).sum(axis=1)
    assert dark < pale - 100
