"""Outlines mostly on glass: what is told, and what it would take."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fastnet.annotations.placement import (
    LEAST_INTEREST,
    mask_points,
    placement_note,
)

SLIDE = (2000, 3000)


@pytest.fixture(scope="module")
def tissue():
    """Return tissue of no symmetry: 20 px of the slide a px of the mask."""
    mask = np.zeros((100, 150), bool)
    mask[10:40, 10:60] = True
    mask[10:90, 10:20] = True
    return mask


@pytest.fixture(scope="module")
def lesion(tissue):
    """Return points in a part of the tissue, level-0 px."""
    inside = np.zeros_like(tissue)
    inside[14:36, 35:58] = True
    return mask_points(inside, (20.0, 20.0))


def test_what_lies_on_tissue_needs_no_word(tissue, lesion):
    assert placement_note(lesion, tissue, SLIDE, mpp=(0.25, 0.25)) == ""


@pytest.mark.parametrize(
    ("moved", "words"),
    [
        (lambda y, x: (y, 3000 - x), "mirrored left to right, it would be 100%"),
        (lambda y, x: (2000 - y, x), "mirrored top to bottom, it would be 100%"),
        (lambda y, x: (2000 - y, 3000 - x), "turned upside down, it would be 100%"),
        (lambda y, x: (x, y), "with x and y exchanged, it would be 100%"),
        (lambda y, x: (x, 2000 - y), "turned by 90°"),
        (lambda y, x: (3000 - x, y), "turned by 90°"),
        (lambda y, x: (y + 1000, x + 600), "check that it is of this slide"),
    ],
)
def test_outlines_of_a_slide_that_was_shown_otherwise(tissue, lesion, moved, words):
    points = np.column_stack(moved(*lesion.T))
    note = placement_note(points, tissue, SLIDE)
    assert note.startswith("only ")
    assert words in note
    assert "\n" not in note


def test_outlines_in_um_are_told(tissue, lesion):
    points = lesion * (0.1, 0.1)
    note = placement_note(points, tissue, SLIDE, mpp=(0.1, 0.1))
    assert "taken for µm, it would be 100%" in note


def test_a_region_of_interest_may_hold_much_glass(tissue):
    around = mask_points(np.ones_like(tissue), (20.0, 20.0))
    share = tissue.mean()
    assert share < 0.5
    assert placement_note(around, tissue, SLIDE) != ""
    assert placement_note(around, tissue, SLIDE, least=share) == ""
    assert 0.1 < LEAST_INTEREST < share + 0.1


def test_nothing_is_told_without_tissue_or_outlines(tissue, lesion):
    assert placement_note(lesion, np.zeros_like(tissue), SLIDE) == ""
    nothing = mask_points(np.zeros((3, 3), bool), (1.0, 1.0))
    assert nothing.shape == (0, 2)
    assert placement_note(nothing, tissue, SLIDE) == ""


def test_points_are_centres_and_few_of_many():
    mask = np.zeros((2, 3), bool)
    mask[1, 2] = True
    assert mask_points(mask, (10.0, 20.0), (1, 1)).tolist() == [[25.0, 70.0]]
    many = mask_points(np.ones((1000, 1000), bool), (1.0, 1.0))
    assert len(many) == 20_000
    assert many.mean(axis=0) == pytest.approx(500, abs=10)
