"""Mosaics of labelled patches, and a model's scale of evidence from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_fastnet.core.metrics.lesion_scale import alarm_curve
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.patches.mosaics import (
    APART,
    FEWEST,
    GLASS,
    GLASS_GREY,
    LARGEST,
    LESIONS,
    NORMAL,
    TUMOR,
    PatchPool,
    compose,
    lay_out,
    measure_scale,
    scan_mosaics,
    true_lesions,
)

# ---- the layout


def generator(seed=0):
    return np.random.default_rng(seed)


@settings(max_examples=30)
@given(st.integers(15, 60), st.integers(0, 8), st.integers(0, 99))
def test_lesions_lie_in_the_tissue_and_apart(side, lesions, seed):
    labels = lay_out(side, lesions, generator(seed))
    assert labels.shape == (side, side)
    assert set(np.unique(labels)) <= {GLASS, NORMAL, TUMOR}
    found = true_lesions(labels, 1.0)
    assert len(found) <= lesions
    # from edge to edge of the patches, where disks are rounded to patches
    for index, one in enumerate(found):
        for other in found[:index]:
            assert one.distance(other) >= APART - 1
    tissue = shapely.union_all(
        [shapely.box(*place, *(place + 1)) for place in np.argwhere(labels != GLASS)]
    )
    assert all(tissue.contains(one) for one in found)
    assert sum(one.area for one in found) == (labels == TUMOR).sum()


def test_in_a_large_piece_there_is_room_for_all():
    sizes = [one.area for one in true_lesions(lay_out(60, 8, generator()), 1.0)]
    assert len(sizes) == 8
    # radii of 6, 4.8, ... and 0.9 patches
    assert max(sizes) == pytest.approx(np.pi * 36, rel=0.1)
    assert 1 <= min(sizes) <= 4


def test_without_lesions_the_tissue_is_an_ellipse_of_normal_patches():
    labels = lay_out(50, 0, generator())
    assert not (labels == TUMOR).any()
    assert (labels == NORMAL).sum() == pytest.approx(np.pi * 20 * 17, rel=0.01)
    rows, columns = np.nonzero(labels == NORMAL)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (40, 34)


def test_the_same_seed_gives_the_same_layout():
    assert np.array_equal(lay_out(40, 5, generator(3)), lay_out(40, 5, generator(3)))
    assert (lay_out(40, 5, generator(3)) != lay_out(40, 5, generator(4))).any()


def test_patches_that_touch_at_a_corner_are_one_lesion_in_level0_px():
    labels = np.full((4, 5), NORMAL, np.int8)
    labels[0, 0] = labels[1, 1] = labels[3, 4] = TUMOR
    first, second = true_lesions(labels, 96.0)
    assert (first.area, first.bounds) == (2 * 96**2, (0, 0, 192, 192))
    assert second.bounds == (288, 384, 384, 480)  # x is y
    assert true_lesions(np.full((3, 3), NORMAL, np.int8), 96.0) == []


# ---- the picture


def numbered(normal, tumor, px=2):
    """Return patches of one grey value each, tumor from 100 on, in mixed order."""
    greys = np.array([*range(1, normal + 1), *range(100, 100 + tumor)], np.uint8)
    greys = generator(9).permutation(greys)
    images = np.broadcast_to(greys[:, None, None, None], (len(greys), px, px, 3))
    return PatchPool(images, greys >= 100)


def test_each_patch_is_used_once_before_any_is_used_again():
    pool = numbered(normal=7, tumor=3)
    labels = np.full((5, 5), GLASS, np.int8)
    labels[1:4, :] = NORMAL
    labels[0, :4] = TUMOR
    picture = compose(labels, pool.images, pool.tumor, generator())
    assert picture.shape == (10, 10, 3)
    cells = picture[::2, ::2, 0]
    assert np.array_equal(picture[..., 2], cells.repeat(2, axis=0).repeat(2, axis=1))
    assert (cells[labels == GLASS] == GLASS_GREY).all()
    # 15 places for 7 patches: each twice, one three times; 4 places for 3
    _, uses = np.unique(cells[labels == NORMAL], return_counts=True)
    assert sorted(uses) == [2] * 6 + [3]
    values, uses = np.unique(cells[labels == TUMOR], return_counts=True)
    assert (values >= 100).all()
    assert sorted(uses) == [1, 1, 2]


def test_a_layout_without_lesions_needs_no_tumor():
    pool = numbered(normal=30, tumor=1)
    picture = compose(lay_out(15, 0, generator()), pool.images, pool.tumor, generator())
    assert not ((picture >= 100) & (picture != GLASS_GREY)).any()


def test_halves_share_no_patch_and_are_alike():
    pool = numbered(normal=9, tumor=4)
    first, second = pool.half(second=False), pool.half(second=True)
    assert [(~h.tumor).sum() for h in (first, second)] == [4, 5]
    assert [h.tumor.sum() for h in (first, second)] == [2, 2]
    greys = [set(h.images[:, 0, 0, 0].tolist()) for h in (first, second)]
    assert not greys[0] & greys[1]
    assert len(greys[0] | greys[1]) == 13
    for half in (first, second):
        assert np.array_equal(half.images[:, 0, 0, 0] >= 100, half.tumor)


@pytest.mark.parametrize(
    ("normal", "tumor", "enough"),
    [
        (FEWEST, FEWEST, True),
        (FEWEST - 1, 3 * FEWEST, False),
        (3 * FEWEST, FEWEST - 1, False),
    ],
)
def test_both_classes_need_enough_patches(normal, tumor, enough):
    labels = np.arange(normal + tumor) >= normal
    pool = PatchPool(np.zeros((len(labels), 1, 1, 3), np.uint8), labels)
    assert pool.suffices is enough


def test_a_mosaic_is_as_large_as_its_normal_patches_allow():
    labels = np.arange(1000) >= 900
    pool = PatchPool(np.zeros((1000, 1, 1, 3), np.uint8), labels)
    tissue = (lay_out(pool.side, 0, generator()) == NORMAL).sum()
    assert 0.85 * 900 <= tissue <= 1.05 * 900
    many = PatchPool(np.zeros((20_000, 1, 1, 3), np.uint8), np.arange(20_000) >= 9_000)
    assert many.side == LARGEST


# ---- the scale of a model


@pytest.fixture(scope="module")
def dark(dark_bundle):
    bundle = load_bundle(dark_bundle)
    return bundle, create_backend(bundle)


@pytest.fixture(scope="module")
def pool():
    """Return patches whose darkness tells most of them apart, pink so that they are tissue."""
    drawn = generator()
    tumor = np.arange(500) >= 260
    dark = np.where(tumor, drawn.normal(0.65, 0.12, 500), drawn.normal(0.35, 0.12, 500))
    grey = 255 * (1 - dark.clip(0.15, 0.8))
    colours = grey[:, None] + np.array([25, -50, 25])
    images = np.broadcast_to(colours[:, None, None].astype(np.uint8), (500, 32, 32, 3))
    return PatchPool(images, tumor)


def test_mosaics_are_scanned_and_compared_with_their_truth(dark, pool):
    slides = list(scan_mosaics(*dark, pool, mosaics=2))
    assert len(slides) == 2
    for number, slide in enumerate(slides):
        labels = lay_out(pool.side, LESIONS[number], generator(number))
        patch_mm2 = (32 * 2 / 1000) ** 2
        assert slide.normal_mm2 == pytest.approx((labels == NORMAL).sum() * patch_mm2)
        assert len(slide.lesions_mm) == len(true_lesions(labels, 1.0))
    assert slides[0].right.any()
    assert not slides[1].right.any()


def test_the_scale_is_fitted_on_one_half_and_measured_on_the_other(dark, pool):
    done = []
    scale = measure_scale(
        *dark, pool, name="dark patches", mosaics=6, progress=lambda *n: done.append(n)
    )
    assert done == [(number, 12) for number in range(1, 13)]
    assert scale.scale > 0
    assert scale.fewer >= scale.balanced >= scale.more

    # what the fit has not seen is told apart as well
    unseen = list(scan_mosaics(*dark, pool.half(second=True), mosaics=6))
    assert scale.curve == alarm_curve(unseen, scale)
    balanced = scale.at(scale.balanced)
    assert balanced.from_02_mm == 1.0
    assert balanced.from_03_mm is None  # there is no room for one that large
    assert balanced.sensitivity >= 0.7
    everything = scale.curve[-1]
    assert balanced.false_per_10_mm2 < everything.false_per_10_mm2
    lesions = sum(len(slide.lesions_mm) for slide in unseen)
    assert scale.measured_on.startswith("6 mosaics of one half of dark patches (")
    assert f"({lesions} lesions, " in scale.measured_on


def test_too_few_patches_are_not_scanned(pool):
    few = PatchPool(pool.images[:390], pool.tumor[:390])  # 130 of tumor: 65 a half
    assert measure_scale(None, None, few) is None


def test_a_model_that_tells_nothing_apart_has_no_scale(dark, pool):
    blind = replace(pool, images=np.full_like(pool.images, 200))
    assert measure_scale(*dark, blind, mosaics=2) is None
