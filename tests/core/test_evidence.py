"""Evidence: strength of a signal, candidates in its order, and what is a lesion of them."""

from __future__ import annotations

from math import inf, log, nan

import numpy as np
import pytest
import shapely.affinity
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import logit

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.evidence import (
    MOST,
    confidence,
    find_candidates,
    lesion_totals,
    lesions_of,
    of_ten,
    strength,
)
from napari_fastnet.core.options import EvidenceScale, LesionRule
from napari_fastnet.errors import OptionError

CELL = 15.5  # µm, so that the four scales are 1, 2, 4 and 8 cells
GROWN = 4**0.75  # the scale of 124 µm, over 31
SHRUNK = 0.5**0.75  # that of 15.5 µm
#: Evidence that is the strength itself, and leaves nothing out.
PLAIN = EvidenceScale(
    scale=1, offset=0, beside=0, certain=100, fewer=90, balanced=0, more=-90
)


def make(values, *, origin=(0.0, 0.0), step=(CELL, CELL), mpp=(1.0, 1.0)):
    values = np.asarray(values, np.float32)
    return Heatmap(values, Grid(origin, step, values.shape), mpp)


def blocks(*found, shape=(40, 60), around=0.01):
    """Return values with blocks of (top, left, rows, columns, probability)."""
    values = np.full(shape, around, np.float32)
    for top, left, rows, columns, value in found:
        values[top : top + rows, left : left + columns] = value
    return values


def rule(scale=PLAIN, threshold=0.5, lesions=0.0):
    return LesionRule(threshold, lesions, scale)


def weight(reach, sigma=1.0):
    """Return how much of a Gaussian, cut off at 3 sigma, lies within cells -reach..reach."""
    places = np.arange(-int(3 * sigma), int(3 * sigma) + 1)
    values = np.exp(-0.5 * (places / sigma) ** 2)
    return float(values[abs(places) <= reach].sum() / values.sum())


# ---- strength


@pytest.mark.parametrize(
    ("probability", "odds"), [(0.75, log(3)), (0.9, log(9)), (0.999, MOST), (1.0, MOST)]
)
def test_of_wide_tumor_it_is_the_log_odds_at_the_largest_scale(probability, odds):
    found = strength(make(np.full((61, 61), probability)))
    assert found[30, 30] == pytest.approx(odds * GROWN, rel=1e-5)
    assert found.dtype == np.float32
    assert found.max() == found[30, 30]


@pytest.mark.parametrize(
    ("probability", "odds"), [(0.25, -log(3)), (0.01, -MOST), (0.0, -MOST)]
)
def test_of_wide_normal_tissue_it_is_the_log_odds_at_the_least_scale(probability, odds):
    found = strength(make(np.full((61, 61), probability)))
    assert found[30, 30] == pytest.approx(odds * SHRUNK, rel=1e-5)


def test_of_one_cell_alone_it_is_its_share_at_the_least_scale():
    values = np.full((61, 61), nan)
    values[30, 30] = 0.75
    found = strength(make(values))
    assert found[30, 30] == pytest.approx(log(3) * weight(0) ** 2 * SHRUNK, rel=1e-5)
    assert np.isnan(found).sum() == 61 * 61 - 1


def test_of_a_lesion_in_normal_tissue_both_count_by_their_share():
    found = strength(make(blocks((20, 30, 3, 3, 0.9))))
    inside = weight(1) ** 2
    expected = (inside * log(9) - (1 - inside) * MOST) * SHRUNK
    assert found[21, 31] == pytest.approx(expected, rel=1e-5)


def test_more_cells_make_it_stronger_and_surer_ones_do_not():
    small, large, sure = (
        strength(make(blocks(block, around=nan)))[22, 32]
        for block in ((20, 30, 5, 5, 0.96), (15, 25, 15, 15, 0.96), (20, 30, 5, 5, 1.0))
    )
    assert large > 1.5 * small
    assert sure == small


def test_what_was_not_computed_says_nothing():
    values = np.full((61, 61), 0.75)
    values[:, 31:] = nan
    at_the_edge = strength(make(values))[30, 30]
    # half of the Gaussian, and the cell's own column whole
    half = (1 + weight(0, 8)) / 2
    assert at_the_edge == pytest.approx(log(3) * half * GROWN, rel=1e-5)


def test_the_slides_edge_is_as_what_was_not_computed():
    values = np.full((61, 61), nan)
    values[10:40, 20:45] = 0.9
    within, alone = strength(make(values)), strength(make(values[10:40, 20:45]))
    assert np.array_equal(within[10:40, 20:45], alone)


def test_it_is_measured_in_um_not_in_cells():
    values = blocks((10, 20, 8, 9, 0.9))
    by_step = strength(make(values, step=(31.0, 62.0), mpp=(0.5, 0.25)))
    assert np.array_equal(by_step, strength(make(values)))
    coarse = strength(make(np.full((61, 61), 0.75), step=(124.0, 124.0)))
    assert coarse[30, 30] == pytest.approx(log(3) * GROWN, rel=1e-5)


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (3, 0)])
def test_a_heatmap_without_cells_has_none(shape):
    heatmap = make(np.zeros(shape))
    assert strength(heatmap).shape == shape
    assert find_candidates(heatmap, rule()) == []


# ---- candidates


def test_a_candidate_says_how_strong_where_and_how_large_it_is():
    heatmap = make(blocks((20, 30, 3, 5, 0.9)), origin=(10.0, -5.0), mpp=(1.0, 1.0))
    (found,) = find_candidates(heatmap, rule())
    assert found.label == 1
    assert found.evidence == pytest.approx(float(strength(heatmap)[21, 32]))
    assert found.peak == (10 + 21.5 * CELL, -5 + 32.5 * CELL)
    assert found.area_mm2 == pytest.approx(15 * (CELL / 1000) ** 2)
    assert found.longest_axis_mm == pytest.approx(np.hypot(3, 5) * CELL / 1000)


def test_evidence_is_scale_times_strength_and_offset():
    heatmap = make(blocks((20, 30, 5, 5, 0.9)))
    scale = EvidenceScale(
        scale=2.5, offset=-4, beside=9, certain=100, fewer=0, balanced=0, more=-90
    )
    (plain,) = find_candidates(heatmap, rule())
    (scaled,) = find_candidates(heatmap, rule(scale))
    assert scaled.evidence == pytest.approx(2.5 * plain.evidence - 4)


def test_strengths_that_were_computed_before_give_the_same():
    heatmap = make(blocks((5, 5, 6, 6, 0.9), (20, 30, 4, 9, 0.8)))
    again = find_candidates(heatmap, rule(), strength(heatmap))
    assert [(r.label, r.evidence, r.peak) for r in again] == [
        (r.label, r.evidence, r.peak) for r in find_candidates(heatmap, rule())
    ]


def test_the_strongest_comes_first_however_small():
    heatmap = make(blocks((2, 2, 20, 20, 0.55), (30, 40, 6, 6, 0.99)))
    first, second = find_candidates(heatmap, rule())
    assert (first.label, second.label) == (1, 2)
    assert first.evidence > second.evidence
    assert first.area_mm2 < second.area_mm2
    assert first.max_probability == pytest.approx(0.99)


def test_equal_ones_come_from_top_to_bottom_then_left_to_right():
    block = (4, 4, 0.9)
    heatmap = make(
        blocks((30, 40, *block), (9, 50, *block), (9, 9, *block), around=nan)
    )
    found = find_candidates(heatmap, rule())
    assert len({one.evidence for one in found}) == 1
    assert [one.label for one in found] == [1, 2, 3]
    middles = [(11 * CELL, 11 * CELL), (11 * CELL, 52 * CELL), (32 * CELL, 42 * CELL)]
    assert [one.centroid for one in found] == middles


def test_of_equally_strong_cells_the_first_is_the_peak():
    heatmap = make(np.full((61, 71), 0.99))
    (found,) = find_candidates(heatmap, rule())
    strongest = np.argwhere(strength(heatmap) == strength(heatmap).max())[0]
    assert found.peak == tuple((strongest + 0.5) * CELL)


@pytest.mark.parametrize("threshold", [0.5, 0.8])
def test_a_cell_at_the_threshold_belongs_to_the_outline(threshold):
    heatmap = make(blocks((10, 10, 4, 4, threshold), (10, 14, 4, 1, threshold - 1e-3)))
    (found,) = find_candidates(heatmap, rule(threshold=threshold))
    assert found.area_mm2 == pytest.approx(16 * (CELL / 1000) ** 2)
    above = float(np.nextafter(np.float32(threshold), 1))
    assert find_candidates(heatmap, rule(threshold=above)) == []


@pytest.mark.parametrize(("wide", "count"), [(1, 2), (2, 2), (3, 1)])
def test_a_bridge_narrower_than_three_cells_is_no_part_of_a_lesion(wide, count):
    heatmap = make(blocks((5, 5, 9, 9, 0.9), (5, 20, 9, 9, 0.9), (8, 14, wide, 6, 0.9)))
    found = find_candidates(heatmap, rule())
    assert len(found) == count
    bridge = 0 if count == 2 else 3 * 6
    area = sum(one.area_mm2 for one in found)
    assert area == pytest.approx((2 * 81 + bridge) * (CELL / 1000) ** 2)


@pytest.mark.parametrize(
    ("cell_um", "narrowest"), [(15.5, 3), (20, 2), (31, 2), (62, 1), (93, 1)]
)
def test_the_least_lesion_is_three_cells_of_a_dense_heatmap_or_one_patch(
    cell_um, narrowest
):
    step = (float(cell_um), float(cell_um))
    for side in (1, 2, 3):
        heatmap = make(blocks((10, 10, side, side, 0.9)), step=step)
        assert bool(find_candidates(heatmap, rule())) is (side >= narrowest)


def test_blocks_that_touch_at_a_corner_are_one():
    heatmap = make(blocks((5, 5, 4, 4, 0.9), (9, 9, 4, 4, 0.9)))
    (found,) = find_candidates(heatmap, rule())
    assert len(found.polygons) == 2


def test_a_gap_that_was_not_computed_parts_a_lesion():
    values = blocks((5, 5, 4, 9, 0.9))
    values[:, 9] = nan
    assert len(find_candidates(make(values), rule())) == 2
    assert find_candidates(make(np.full((9, 9), nan)), rule(threshold=0)) == []


def test_below_find_more_there_is_no_candidate():
    heatmap = make(blocks((5, 5, 5, 5, 0.9), (25, 30, 5, 5, 0.7)))
    strong, weak = (one.evidence for one in find_candidates(heatmap, rule()))
    for more, count in (
        (weak, 2),
        (np.nextafter(weak, inf), 1),
        (strong, 1),
        (np.nextafter(strong, inf), 0),
    ):
        scale = EvidenceScale(
            scale=1, offset=0, beside=0, certain=100, fewer=90, balanced=90, more=more
        )
        found = find_candidates(heatmap, rule(scale))
        assert [one.label for one in found] == list(range(1, count + 1))


@pytest.mark.parametrize(
    ("certain", "beside"),
    [
        (0, [False, False, False]),
        (1, [False, True, True]),
        (2, [True, True, True]),
        (3, [True, True, True]),
    ],
)
def test_beside_a_certain_candidate_there_is_more_evidence(certain, beside):
    """A certain one does not stand beside itself, and two do beside each other."""
    heatmap = make(
        blocks((2, 2, 9, 9, 0.9), (2, 40, 7, 7, 0.9), (28, 20, 5, 5, 0.9), around=nan)
    )
    strengths = [one.evidence for one in find_candidates(heatmap, rule())]
    limit = [strengths[0] + 1, *strengths][certain]
    scale = EvidenceScale(
        scale=1, offset=0, beside=0.25, certain=limit, fewer=90, balanced=0, more=-90
    )
    found = find_candidates(heatmap, rule(scale))
    expected = [s + 0.25 * b for s, b in zip(strengths, beside, strict=True)]
    assert [one.evidence for one in found] == pytest.approx(
        sorted(expected, reverse=True)
    )


def test_with_its_bonus_one_can_pass_the_certain_one():
    heatmap = make(blocks((2, 2, 7, 7, 0.9), (2, 40, 5, 5, 0.9), around=nan))
    strongest, second = (one.evidence for one in find_candidates(heatmap, rule()))
    scale = EvidenceScale(
        scale=1, offset=0, beside=9, certain=strongest, fewer=90, balanced=0, more=-90
    )
    first, last = find_candidates(heatmap, rule(scale))
    assert (first.label, last.label) == (1, 2)
    assert first.evidence == pytest.approx(second + 9)
    assert last.evidence == pytest.approx(strongest)


@pytest.mark.parametrize("threshold", [-0.01, 1.01, nan])
def test_a_threshold_that_is_no_probability_is_refused(threshold):
    with pytest.raises(
        OptionError, match=r"threshold is .*give a probability in 0\.\."
    ):
        find_candidates(make([[1]]), rule(threshold=threshold))


# ---- lesions and totals


def test_lesions_are_the_first_candidates_with_their_labels():
    heatmap = make(
        blocks((2, 2, 9, 9, 0.9), (2, 40, 7, 7, 0.9), (28, 20, 5, 5, 0.9), around=nan)
    )
    found = find_candidates(heatmap, rule())
    middle = found[1].evidence
    for least, labels in (
        (-90, [1, 2, 3]),
        (middle, [1, 2]),
        (float(np.nextafter(middle, inf)), [1]),
        (90, []),
    ):
        assert lesions_of(found, rule(lesions=least)) == found[: len(labels)]
        assert [one.label for one in lesions_of(found, rule(lesions=least))] == labels


def test_totals_are_of_lesions_and_the_share_of_cells_is_another_number():
    # 100 known cells: a lesion of 9, one cell above the threshold alone, one below
    values = np.full((20, 10), nan, np.float32)
    values[:10] = 0.1
    values[2:5, 2:5] = 0.95
    values[8, 8], values[8, 0] = 0.97, 0.49
    heatmap = make(values)
    found = find_candidates(heatmap, rule())
    (lesion,) = found
    totals = lesion_totals(found, rule(lesions=-1.0), heatmap, tissue_mm2=0.5)
    area = 9 * (CELL / 1000) ** 2
    assert (totals.regions, totals.candidates) == (1, 1)
    assert (totals.itc, totals.micro, totals.macro) == (1, 0, 0)
    assert totals.area_mm2 == pytest.approx(area)
    assert totals.tissue_fraction == pytest.approx(area / 0.5)
    assert totals.cell_share == pytest.approx(0.10)
    assert totals.max_probability == pytest.approx(0.95)
    assert totals.highest_probability == pytest.approx(0.97)
    assert totals.top_evidence == lesion.evidence


def test_totals_of_a_slide_without_a_lesion():
    heatmap = make(blocks((5, 5, 3, 3, 0.9)))
    found = find_candidates(heatmap, rule())
    totals = lesion_totals(found, rule(lesions=50.0), heatmap, tissue_mm2=2.0)
    assert (totals.regions, totals.candidates, totals.area_mm2) == (0, 1, 0)
    assert totals.tissue_fraction == 0
    assert totals.longest_axis_mm is None
    assert totals.top_evidence == found[0].evidence
    assert totals.cell_share == pytest.approx(9 / 2400)


def test_totals_where_nothing_was_computed():
    heatmap = make(np.full((3, 3), nan))
    totals = lesion_totals([], rule(), heatmap)
    assert (totals.regions, totals.candidates) == (0, 0)
    assert totals.cell_share is None
    assert totals.top_evidence is None
    assert totals.highest_probability is None


@pytest.mark.parametrize(
    ("evidence", "share", "words"),
    [
        (0.0, 0.5, "about 5"),
        (log(7 / 3), 0.7, "about 7"),
        (-log(9), 0.1, "about 1"),
        (log(9), 0.9, "about 9"),
        (-log(99), 0.01, "under 1"),
        (log(99), 0.99, "over 9"),
        (-1e6, 0.0, "under 1"),
        (1e6, 1.0, "over 9"),
    ],
)
def test_confidence_in_a_number_and_in_words(evidence, share, words):
    assert confidence(evidence) == pytest.approx(share)
    assert of_ten(evidence) == words


def test_an_outline_drawn_by_a_person_has_no_confidence():
    assert of_ten(nan) == ""
    assert np.isnan(confidence(nan))


# ---- for any heatmap

#: Blocks of 4 x 4 cells, so that openings leave something.
HEATMAPS = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=5),
    elements=st.sampled_from([0.0, 0.1, 0.5, 0.6, 0.7, 0.9, 1.0, nan]),
).map(lambda coarse: coarse.repeat(4, axis=0).repeat(4, axis=1))
SCALES = st.builds(
    lambda scale, offset, beside, certain, more: EvidenceScale(
        scale=scale,
        offset=offset,
        beside=beside,
        certain=certain,
        fewer=99,
        balanced=50,
        more=more,
    ),
    st.sampled_from([0.5, 1.0, 3.0]),
    st.floats(-9, 3),
    st.sampled_from([0.0, 0.5, 2.0]),
    st.floats(-1, 8),
    st.floats(-20, 5),
)


def shape_of(region):
    return shapely.MultiPolygon([(p[0], list(p[1:])) for p in region.polygons])


@settings(max_examples=60)
@given(HEATMAPS, SCALES, st.sampled_from([0.0, 0.5, 0.65]))
def test_labels_count_up_while_evidence_falls(values, scale, threshold):
    found = find_candidates(make(values), rule(scale, threshold))
    assert [one.label for one in found] == list(range(1, len(found) + 1))
    evidence = [one.evidence for one in found]
    assert evidence == sorted(evidence, reverse=True)
    assert all(value >= scale.more for value in evidence)
    assert all(one.max_probability >= np.float32(threshold) for one in found)


@settings(max_examples=60)
@given(HEATMAPS, SCALES, st.floats(-20, 20), st.floats(0, 10))
def test_at_a_higher_lesion_threshold_there_are_some_of_the_same(
    values, scale, low, step
):
    found = find_candidates(make(values), rule(scale))
    more = lesions_of(found, rule(scale, lesions=low))
    fewer = lesions_of(found, rule(scale, lesions=low + step))
    assert more == found[: len(more)]
    assert fewer == more[: len(fewer)]


@settings(max_examples=60)
@given(HEATMAPS, SCALES, st.integers(0, 9), st.integers(0, 9))
def test_moved_by_whole_cells_all_moves_along(values, scale, down, right):
    rows, columns = values.shape
    moved = np.full((rows + down + 2, columns + right + 1), nan, np.float32)
    moved[down : down + rows, right : right + columns] = values
    before = find_candidates(
        make(values, step=(64.0, 64.0), mpp=(0.25, 0.25)), rule(scale)
    )
    after = find_candidates(
        make(moved, step=(64.0, 64.0), mpp=(0.25, 0.25)), rule(scale)
    )
    assert [one.evidence for one in after] == [one.evidence for one in before]
    for one, other in zip(before, after, strict=True):
        assert other.peak == (one.peak[0] + 64 * down, one.peak[1] + 64 * right)
        there = shapely.affinity.translate(shape_of(one), 64 * down, 64 * right)
        assert there.equals(shape_of(other))


@settings(max_examples=60)
@given(HEATMAPS)
def test_a_candidate_is_as_strong_as_its_strongest_cell(values):
    heatmap = make(values)
    strengths = strength(heatmap)
    for one in find_candidates(heatmap, rule()):
        place = shapely.Point(one.peak)
        assert shape_of(one).contains(place)
        assert one.evidence == strengths[heatmap.grid.index_of(one.peak)]


@given(st.floats(-800, 800), st.floats(0, 100))
def test_confidence_lies_in_0_to_1_and_rises(evidence, step):
    assert 0 <= confidence(evidence) <= confidence(evidence + step) <= 1


@given(st.floats(0.001, 0.999))
def test_confidence_is_the_inverse_of_log_odds(share):
    assert confidence(float(logit(share))) == pytest.approx(share)
