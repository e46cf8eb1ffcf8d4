"""Masks that move: always what one would compute anew, with the painting on top."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_fastnet.core.options import TissueParameters
from napari_fastnet.core.tissue import compute_masks
from napari_fastnet.detection.tissue import SlideTissue
from napari_fastnet.detection.tissue_editor import KINDS, MASK_OF, TissueEditor
from napari_fastnet.errors import OptionError

MPP = (8.0, 8.0)


@pytest.fixture
def image(texture):
    image = np.full((120, 160, 3), 244, np.uint8)
    image[20:100, 30:90] = (170, 90, 150)
    noise = texture(120, 160).astype(int) // 8 - 16
    return np.clip(image + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def tissue(image):
    parameters = TissueParameters()
    masks = compute_masks(image, mpp=MPP, parameters=parameters)
    return SlideTissue(image, MPP, masks, parameters, damaged=0)


@pytest.fixture
def editor(tissue):
    return TissueEditor(tissue)


def test_it_begins_with_the_masks_it_was_given(editor, tissue) -> None:
    for kind in KINDS:
        np.testing.assert_array_equal(editor.mask(kind), getattr(tissue.masks, kind))
    assert editor.tissue().masks.thresholds == tissue.masks.thresholds
    assert editor.edited_px == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("red", 120),
        ("green", 100.5),
        ("blue", 250),
        ("saturation", 90),
        ("saturation", 33.5),
        ("low", 140),
        ("high", 90),
    ],
)
def test_a_moved_threshold_gives_what_computing_anew_gives(
    editor, image, name, value
) -> None:
    changed = editor.set_threshold(name, value)
    wanted = compute_masks(
        image, mpp=MPP, parameters=replace(TissueParameters(), **{name: value})
    )
    for kind in KINDS:
        np.testing.assert_array_equal(editor.mask(kind), getattr(wanted, kind))
    assert changed == (MASK_OF[name], "roi")
    assert editor.tissue().masks.thresholds == wanted.thresholds
    assert editor.threshold(name) == value


@pytest.mark.parametrize("name", MASK_OF)
def test_automatic_puts_a_threshold_back(editor, tissue, name) -> None:
    editor.set_threshold(name, 100)
    editor.set_threshold(name, None)
    assert editor.threshold(name) == tissue.masks.thresholds[name]
    for kind in KINDS:
        np.testing.assert_array_equal(editor.mask(kind), getattr(tissue.masks, kind))


@pytest.mark.parametrize("kind", ["rgb", "hsv", "threshold"])
def test_what_is_erased_on_a_mask_leaves_the_region_of_interest(editor, kind) -> None:
    # Small enough that the closing or the filling of holes would bring it back.
    painted = editor.mask(kind).copy()
    erased = painted[60:64, 50:60].sum()
    painted[60:64, 50:60] = False
    assert editor.paint(kind, painted) == (kind, "roi")
    roi = editor.mask("roi")
    np.testing.assert_array_equal(roi[60:64, 50:60], False)
    assert roi[60:64, 60].any()
    assert editor.edited_px == erased > 0


def test_what_is_added_to_all_three_masks_joins_the_region_of_interest(editor) -> None:
    for kind in ("rgb", "hsv", "threshold"):
        assert not editor.mask("roi")[40:60, 120:140].any()
        painted = editor.mask(kind).copy()
        painted[40:60, 120:140] = True
        editor.paint(kind, painted)
    assert editor.mask("roi")[40:60, 120:140].all()


def test_painting_the_region_of_interest_moves_nothing_else(editor) -> None:
    painted = editor.mask("roi").copy()
    painted[0:10, 0:10] = True
    assert editor.paint("roi", painted) == ("roi",)
    assert editor.mask("roi")[0:10, 0:10].all()
    assert not editor.mask("rgb")[0:10, 0:10].any()


def test_painting_survives_a_threshold_and_other_painting(editor) -> None:
    painted = editor.mask("roi").copy()
    painted[0:10, 0:10] = True
    painted[50:60, 50:60] = False
    editor.paint("roi", painted)
    editor.set_threshold("low", 60)
    rgb = editor.mask("rgb").copy()
    rgb[90:] = False
    editor.paint("rgb", rgb)
    roi = editor.mask("roi")
    assert roi[0:10, 0:10].all()
    assert not roi[50:60, 50:60].any()


def test_a_mask_that_was_not_painted_is_not_new(editor) -> None:
    assert editor.paint("hsv", editor.mask("hsv").copy()) == ()


def test_dropped_edits_leave_the_computed_masks(editor, tissue) -> None:
    for kind in ("rgb", "roi"):
        painted = editor.mask(kind).copy()
        painted[60:, :] = False
        editor.paint(kind, painted)
    assert editor.drop_edits() == ("rgb", "roi")
    for kind in KINDS:
        np.testing.assert_array_equal(editor.mask(kind), getattr(tissue.masks, kind))
    assert editor.drop_edits() == ()


def test_the_record_says_how_much_was_painted(editor) -> None:
    painted = editor.mask("roi").copy()
    painted[0, 0:7] = True
    editor.paint("roi", painted)
    assert editor.tissue().facts.edited_px == 7


def test_a_threshold_out_of_range_changes_nothing(editor) -> None:
    before = editor.mask("roi")
    with pytest.raises(OptionError, match="low <= high"):
        editor.set_threshold("low", 250)
    assert editor.mask("roi") is before
    assert editor.threshold("low") == 50


def test_given_thresholds_are_no_start(tissue) -> None:
    given = replace(tissue, parameters=TissueParameters(red=100))
    with pytest.raises(OptionError, match="red of the tissue"):
        TissueEditor(given)


def test_what_was_painted_before_lies_on_masks_computed_anew(editor, tissue) -> None:
    for kind, square in (("rgb", np.s_[30:40, 40:50]), ("roi", np.s_[2:8, 2:8])):
        painted = editor.mask(kind).copy()
        painted[square] = ~painted[square]
        editor.paint(kind, painted)
    again = TissueEditor(tissue)
    again.take_edits(editor.edits)
    assert again.edited_px == editor.edited_px > 100
    for kind in KINDS:
        np.testing.assert_array_equal(again.mask(kind), editor.mask(kind))
    again.drop_edits()
    for kind in KINDS:
        np.testing.assert_array_equal(again.mask(kind), getattr(tissue.masks, kind))
