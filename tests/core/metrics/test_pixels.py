from __future__ import annotations

from math import nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.metrics.patches import roc_auc
from napari_fastnet.core.metrics.pixels import BINS, count_pixels
from napari_fastnet.core.metrics.truth import TruthMask
from napari_fastnet.errors import OptionError


def drawn(text):
    return np.array([[c == "#" for c in line] for line in text.split()])


def truth(text):
    inside = drawn(text)
    return TruthMask(inside, (10.0, 10.0), inside.shape)


def heatmap(values, *, cell=10.0, origin=(0.0, 0.0)):
    values = np.array(values, np.float32)
    return Heatmap(values, Grid(origin, (cell, cell), values.shape), (1.0, 1.0))


def numbers(counts):
    return counts.true_positives, counts.false_positives, counts.false_negatives


def test_one_cell_a_px_done_by_hand():
    found = count_pixels(
        heatmap([[0.9, 0.8, 0.2], [0.7, 0.1, 0.0]]),
        truth("##. ..."),
        threshold=0.7,
    )
    assert numbers(found) == (2, 1, 0)
    assert found.dice == pytest.approx(4 / 5)
    assert found.iou == pytest.approx(2 / 3)
    assert found.auc == 1
    assert (found.tumor.sum(), found.normal.sum()) == (2, 4)


def test_the_threshold_itself_calls_tumour():
    hot = heatmap([[0.7]])
    assert numbers(count_pixels(hot, truth("#"), threshold=0.7)) == (1, 0, 0)
    above = float(np.nextafter(np.float32(0.7), np.float32(1)))
    assert numbers(count_pixels(hot, truth("#"), threshold=above)) == (0, 0, 1)


def test_a_cell_holds_the_px_whose_centres_lie_in_it():
    # cells of 20 from 5: the first row of cells holds px rows 0 and 1 (centres 5, 15)
    hot = heatmap([[0.9, 0.1]], cell=20.0, origin=(5.0, 5.0))
    found = count_pixels(hot, truth("#### ####"), threshold=0.5)
    assert numbers(found) == (4, 0, 4)


def test_tumour_that_was_not_computed_is_missed_and_glass_is_not_counted():
    hot = heatmap([[nan, 0.9, nan, 0.2]])
    found = count_pixels(hot, truth("##.."), threshold=0.5)
    assert numbers(found) == (1, 0, 1)
    assert found.normal.sum() == 1
    # of two tumour px one is above the normal px and one, at 0, below
    assert found.auc == pytest.approx(0.5)


def test_tumour_outside_the_grid_is_missed():
    found = count_pixels(heatmap([[0.9]]), truth("##"), threshold=0.5)
    assert numbers(found) == (1, 0, 1)
    none = Heatmap(np.zeros((0, 0), np.float32), Grid((0, 0), (1, 1), (0, 0)), (1, 1))
    assert numbers(count_pixels(none, truth("##"), threshold=0.5)) == (0, 0, 2)


def test_a_normal_slide_without_a_call_has_no_dice():
    found = count_pixels(heatmap([[0.1]]), truth("."), threshold=0.5)
    assert (found.dice, found.iou, found.auc) == (None, None, None)
    called = count_pixels(heatmap([[0.6]]), truth("."), threshold=0.5)
    assert (called.dice, called.iou) == (0, 0)


def test_px_near_an_outline_are_left_out():
    values = [[0.9] * 8]
    mask = truth("####....")
    assert numbers(count_pixels(heatmap(values), mask, threshold=0.5)) == (4, 4, 0)
    # the two px beside the outline are 1 px from the other kind: nearer than 1.5
    near = count_pixels(heatmap(values), mask, threshold=0.5, boundary_px=1.5)
    assert numbers(near) == (3, 3, 0)
    exactly = count_pixels(heatmap(values), mask, threshold=0.5, boundary_px=1.0)
    assert numbers(exactly) == (4, 4, 0)


def test_slides_add_up():
    one = count_pixels(heatmap([[0.9, 0.1]]), truth("#."), threshold=0.5)
    two = count_pixels(heatmap([[0.8, 0.2]]), truth(".."), threshold=0.5)
    both = one + two
    assert numbers(both) == (1, 1, 0)
    assert both.auc == 1
    assert both.dice == pytest.approx(2 / 3)


def test_the_roc_curve_begins_at_0_and_ends_at_1():
    found = count_pixels(heatmap([[0.9, 0.5, 0.5, 0.1]]), truth("##.."), threshold=0.5)
    wrong, right = found.roc()
    assert wrong.tolist() == [0, 0, 0.5, 1]
    assert right.tolist() == [0, 0.5, 1, 1]
    assert found.auc == pytest.approx(np.trapezoid(right, wrong))


def test_certain_probabilities_have_bins():
    found = count_pixels(heatmap([[0.0, 1.0]]), truth(".#"), threshold=0.5)
    assert found.normal[0] == 1
    assert found.tumor[BINS - 1] == 1


@pytest.mark.parametrize("threshold", [0.0, 1.1, nan])
def test_a_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(OptionError, match="threshold"):
        count_pixels(heatmap([[0.5]]), truth("#"), threshold=threshold)


@pytest.mark.parametrize("boundary", [-1.0, nan, 1000.0])
def test_a_boundary_out_of_range_is_refused(boundary):
    with pytest.raises(OptionError, match="boundary"):
        count_pixels(heatmap([[0.5]]), truth("#"), threshold=0.5, boundary_px=boundary)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_counts_are_those_of_a_loop_over_px(seed):
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(1, 20, 2)
    inside = ndimage.binary_dilation(rng.random((rows, columns)) < 0.1)
    values = rng.integers(0, 11, rng.integers(1, 8, 2)) / np.float32(10)
    values[rng.random(values.shape) < 0.2] = nan
    hot = heatmap(
        values, cell=float(rng.uniform(8, 40)), origin=tuple(rng.uniform(-20, 20, 2))
    )
    boundary = float(rng.choice([0, 1.2, 2.3]))
    distance = np.full(inside.shape, np.inf)
    if inside.any() and not inside.all():
        distance = ndimage.distance_transform_edt(inside)
        distance[~inside] = ndimage.distance_transform_edt(~inside)[~inside]
    labels, scores = [], []
    for row, column in np.ndindex(inside.shape):
        value = hot.value_at(((row + 0.5) * 10, (column + 0.5) * 10))
        is_tumour = inside[row, column]
        if distance[row, column] < boundary or (np.isnan(value) and not is_tumour):
            continue
        labels.append(is_tumour)
        scores.append(0 if np.isnan(value) else value)
    found = count_pixels(
        hot,
        TruthMask(inside, (10.0, 10.0), inside.shape),
        threshold=0.5,
        boundary_px=boundary,
    )
    labels, called = np.array(labels, bool), np.array(scores) >= 0.5
    assert numbers(found) == (
        (labels & called).sum(),
        (~labels & called).sum(),
        (labels & ~called).sum(),
    )
    expected = roc_auc(labels, scores) if len(labels) else None
    assert found.auc == (None if expected is None else pytest.approx(expected))
