from __future__ import annotations

from math import nan, sqrt

import numpy as np
import pytest

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.metrics.patches import roc_auc
from napari_fastnet.core.metrics.slides import (
    FEATURES,
    SlideFeatures,
    combined_scores,
    slide_features,
)


def heatmap(values, *, cell_um=100.0):
    values = np.array(values, np.float32)
    grid = Grid((0, 0), (cell_um * 2, cell_um * 2), values.shape)
    return Heatmap(values, grid, (0.5, 0.5))


def test_numbers_of_a_heatmap_done_by_hand():
    found = slide_features(
        heatmap(
            [
                [0.95, 0.90, nan, 0.1],
                [0.50, 0.40, nan, 0.6],
                [0.10, 0.10, nan, 0.1],
            ]
        )
    )
    assert found.maximum == pytest.approx(0.95)
    # of the corner's four cells; those outside and not computed do not count
    assert found.smoothed_maximum == pytest.approx((0.95 + 0.9 + 0.5 + 0.4) / 4)
    assert found.share_low == pytest.approx(4 / 9)
    assert found.area_mm2_high == pytest.approx(2 * 0.01)
    assert found.longest_um_high == pytest.approx(2 * 100)  # 4 * sqrt(1 / 4)
    # three cells in a corner: variances 2/9 and covariance -1/9 along both axes
    assert found.longest_um_low == pytest.approx(4 * sqrt(3 / 9) * 100)


def test_of_several_regions_the_largest_is_measured():
    found = slide_features(heatmap([[0.9, 0, 0.9, 0.9, 0.9, 0, 0.9]]))
    assert found.longest_um_high == pytest.approx(4 * sqrt(8 / 12) * 100)


def test_a_single_cell_has_no_length():
    found = slide_features(heatmap([[0.9]]))
    assert found.longest_um_high == 0
    assert found.smoothed_maximum == pytest.approx(0.9)


@pytest.mark.parametrize("values", [[[nan, nan]], np.zeros((0, 3))])
def test_nothing_computed_is_nothing(values):
    assert slide_features(heatmap(values)) == SlideFeatures()


def many(generator, labels):
    """Return features of which one tells the slides apart and the others nothing."""
    slides = []
    for is_tumour in labels:
        numbers = dict(zip(FEATURES, generator.random(len(FEATURES)), strict=True))
        numbers["longest_um_high"] = 2000 * is_tumour + 300 * generator.random()
        slides.append(SlideFeatures(**numbers))
    return slides


def test_the_combination_learns_which_number_tells():
    labels = np.arange(60) % 3 == 0
    features = many(np.random.default_rng(0), labels)
    scores = combined_scores(features, labels)
    assert roc_auc(labels, scores) == 1
    assert roc_auc(labels, [f.maximum for f in features]) < 0.8
    assert np.array_equal(scores, combined_scores(features, labels))


def test_a_slide_is_not_judged_by_what_was_learned_from_it():
    # With labels that have nothing to do with the numbers nothing can be learned.
    generator = np.random.default_rng(3)
    features = many(generator, np.zeros(200, bool))
    labels = generator.random(200) < 0.5
    assert roc_auc(labels, combined_scores(features, labels)) < 0.62


@pytest.mark.parametrize(("tumour", "normal"), [(9, 30), (30, 9)])
def test_too_few_slides_of_a_kind_are_not_combined(tumour, normal):
    labels = np.repeat([True, False], [tumour, normal])
    features = many(np.random.default_rng(0), labels)
    assert combined_scores(features, labels) is None
    labels = np.repeat([True, False], [10, 10])
    features = many(np.random.default_rng(0), labels)
    assert combined_scores(features, labels) is not None
