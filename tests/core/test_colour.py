"""Saturation, CIELAB and optical density."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_fastnet.core.colour import (
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
