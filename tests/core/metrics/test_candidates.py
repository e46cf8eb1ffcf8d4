from __future__ import annotations

from math import log, nan

import numpy as np
import pytest

from napari_fastnet.core.lesions.regions import Region
from napari_fastnet.core.metrics.candidates import SMALLEST, Candidates
from napari_fastnet.errors import OptionError


def region(evidence, peak=None, centroid=(5.0, 6.0)):
    return Region(
        label=1,
        area_mm2=0.1,
        longest_axis_mm=0.5,
        max_probability=0.9,
        mean_probability=0.8,
        centroid=centroid,
        polygons=(),
        peak=peak,
        evidence=evidence,
    )


def test_a_score_is_the_confidence_and_a_point_the_strongest_cell():
    # odds of 3 to 1, even, and 1 to 9
    regions = [
        region(log(3), (96.0, 32.5)),
        region(0.0, (7.99, 0.01)),
        region(-log(9), (1.0, 2.0)),
    ]
    found = Candidates.of(regions)
    assert found.scores.tolist() == pytest.approx([0.75, 0.5, 0.1])
    assert found.points.tolist() == [[96, 32], [7, 0], [1, 2]]


def test_the_order_is_kept_and_nothing_is_left_out():
    found = Candidates.of([region(-5.0), region(5.0), region(5.0)])
    assert np.argsort(found.scores).tolist()[0] == 0
    assert len(found.points) == 3


def test_a_region_without_a_strongest_cell_lies_at_its_centroid():
    assert Candidates.of([region(0.0)]).points.tolist() == [[5, 6]]


@pytest.mark.parametrize("evidence", [-1e6, float("-inf")])
def test_the_least_evidence_is_still_a_candidate(evidence):
    assert Candidates.of([region(evidence)]).scores.tolist() == [SMALLEST]


def test_the_highest_evidence_has_a_score_of_one():
    assert Candidates.of([region(1e6)]).scores.tolist() == [1.0]


def test_no_regions_are_no_candidates():
    found = Candidates.of([])
    assert found.scores.shape == (0,)
    assert found.points.shape == (0, 2)


def test_scores_and_points_must_match():
    with pytest.raises(OptionError, match=r"2 scores and points of shape \(1, 2\)"):
        Candidates(np.array([0.5, 0.5]), np.zeros((1, 2)))


@pytest.mark.parametrize("score", [0.0, -0.1, 1.1, nan])
def test_a_score_out_of_range_is_refused(score):
    with pytest.raises(OptionError, match=r"outside 0\.\.1, or is 0"):
        Candidates(np.array([0.5, score]), np.zeros((2, 2)))
