from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.metrics.candidates import Candidates, find_candidates
from napari_fastnet.errors import OptionError


def heatmap(rows, *, step=(100.0, 100.0), origin=(0.0, 0.0), mpp=(1.0, 1.0)):
    """Return a heatmap of tenths; None is not computed."""
    values = np.array(
        [[nan if v is None else v / 10 for v in row] for row in rows], np.float32
    )
    return Heatmap(values, Grid(origin, step, values.shape), mpp)


def found(candidates):
    """Return (tenths, y, x) of each."""
    tenths = np.rint(candidates.scores * 10).astype(int).tolist()
    return [(t, *p) for t, p in zip(tenths, candidates.points.tolist(), strict=True)]


def test_peaks_suppress_their_surroundings_and_no_more():
    # cells of 100 µm; the radius holds neighbours along sides and diagonals
    hot = heatmap(
        [
            [9, 8, 7, 6],
            [8, 8, 6, 5],
            [1, 2, 3, 4],
        ]
    )
    assert found(find_candidates(hot, radius_um=150)) == [
        (9, 50, 50),
        (7, 50, 250),
        (4, 250, 350),
        (2, 250, 150),
    ]


def test_a_cell_exactly_as_far_as_the_radius_is_suppressed():
    hot = heatmap([[9, 8, 7]])
    assert [t for t, *_ in found(find_candidates(hot, radius_um=200))] == [9]
    assert [t for t, *_ in found(find_candidates(hot, radius_um=199))] == [9, 7]
    assert [t for t, *_ in found(find_candidates(hot, radius_um=99))] == [9, 8, 7]


def test_suppressed_cells_suppress_nothing():
    # 8 is no peak, so 7, which it would suppress, is one
    hot = heatmap([[9, 8, 7, 1]])
    assert [t for t, *_ in found(find_candidates(hot, radius_um=100))] == [9, 7]


def test_equal_cells_go_in_reading_order():
    hot = heatmap([[5, 5, 5], [5, 5, 5]])
    assert found(find_candidates(hot, radius_um=150)) == [(5, 50, 50), (5, 50, 250)]


def test_the_minimum_is_a_candidate_and_less_is_none():
    hot = heatmap([[3, None, 2]])
    assert [t for t, *_ in found(find_candidates(hot, minimum=0.3, radius_um=1))] == [3]
    both = find_candidates(hot, minimum=0.2, radius_um=1)
    assert [t for t, *_ in found(both)] == [3, 2]


def test_a_probability_of_0_never_is_a_candidate():
    assert len(find_candidates(heatmap([[0, 0]]), minimum=0).scores) == 0


@pytest.mark.parametrize("rows", [[[None, None]], [[]]])
def test_nothing_computed_has_no_candidates(rows):
    candidates = find_candidates(heatmap(rows))
    assert candidates.scores.shape == (0,)
    assert candidates.points.shape == (0, 2)


def test_a_heatmap_without_cells_has_no_candidates():
    empty = Heatmap(np.zeros((0, 0), np.float32), Grid((0, 0), (1, 1), (0, 0)), (1, 1))
    assert len(find_candidates(empty).scores) == 0


def test_points_are_centres_rounded_down():
    hot = heatmap([[0, 9]], step=(16.5, 33.3), origin=(2.5, -4.0))
    assert found(find_candidates(hot)) == [(9, 10, 45)]  # 10.75, 45.95


def test_the_radius_is_in_um_along_both_axes():
    # 100 px of 1 and of 2 µm: along x the next cell is 200 µm away
    hot = heatmap([[9, 8], [7, 1]], mpp=(1.0, 2.0))
    peaks = [t for t, *_ in found(find_candidates(hot, radius_um=150))]
    assert peaks == [9, 8]


@pytest.mark.parametrize(
    "options",
    [{"minimum": -0.1}, {"minimum": 1.1}, {"radius_um": -1}, {"radius_um": inf}],
)
def test_values_out_of_range_are_refused(options):
    with pytest.raises(OptionError):
        find_candidates(heatmap([[5]]), **options)


@pytest.mark.parametrize("scores", [[0.0], [1.1], [nan]])
def test_scores_out_of_range_are_refused(scores):
    with pytest.raises(OptionError, match="outside"):
        Candidates(np.array(scores), np.zeros((1, 2)))


def test_a_point_a_score():
    with pytest.raises(OptionError, match="one"):
        Candidates(np.array([0.5]), np.zeros((2, 2)))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_suppression_equals_the_plain_one(seed):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 11, rng.integers(1, 25, 2)).astype(object)
    rows[rng.random(rows.shape) < 0.2] = None
    hot = heatmap(rows.tolist(), step=(30.0, 40.0), mpp=(1.0, 0.9))
    radius_um = float(rng.choice([0, 30, 36, 60, 100, 250]))
    values = hot.probabilities
    cells = [c for c in np.ndindex(values.shape) if values[c] >= np.float32(0.2)]
    expected = []
    for row, column in sorted(cells, key=lambda cell: -values[cell]):
        y, x = (row + 0.5) * 30, (column + 0.5) * 40
        if all(
            np.hypot(y - other[1], 0.9 * (x - other[2])) > radius_um * (1 + 1e-9)
            for other in expected
        ):
            expected.append((round(float(values[row, column]) * 10), y, x))
    assert found(find_candidates(hot, radius_um=radius_um, minimum=0.2)) == expected
