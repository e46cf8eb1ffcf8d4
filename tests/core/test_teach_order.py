"""Order in which to label: doubtful ones, unlike ones, one per neighbourhood."""

from __future__ import annotations

import numpy as np

from napari_fastnet.core.teach_order import teach_order

FAR = np.array([[0, 0], [0, 9000], [9000, 0], [9000, 9000]], float)


def test_the_most_doubtful_comes_first_and_the_unknown_last():
    order = teach_order(np.array([np.nan, 3.0, -0.5, -2.0]), FAR)
    assert order.tolist() == [2, 3, 1, 0]


def test_other_neighbourhoods_come_before_a_second_one_of_the_same():
    places = np.array([[0, 0], [0, 100], [0, 200], [9000, 0]], float)
    order = teach_order(np.array([0.0, 0.1, 0.2, 5.0]), places)
    assert order.tolist() == [0, 3, 1, 2]


def test_of_equally_doubtful_ones_the_unlike_comes_first():
    features = np.array([[0, 0], [1, 0], [0.1, 0], [5, 0]], np.float32)
    labelled = np.array([[0, 0]], np.float32)
    order = teach_order(np.ones(4), FAR, features, labelled)
    # 5 is the farthest from the label; then 1; of 0.1 and 0 the farther
    assert order.tolist() == [3, 1, 2, 0]


def test_what_was_chosen_counts_as_labelled():
    features = np.array([[0.0], [0.1], [10.0], [4.0]], np.float32)
    order = teach_order(np.array([0.0, 0.01, 1.0, 1.0]), FAR, features)
    # the second is as doubtful as the first, and the same to the network
    assert order.tolist() == [0, 2, 3, 1]


def test_unknown_features_count_as_average():
    features = np.array([[0.0], [2.0], [np.nan], [4.0]], np.float32)
    labelled = np.array([[0.0], [np.nan]], np.float32)
    order = teach_order(np.ones(4), FAR, features, labelled)
    # 4 is the farthest from the label, then 2; the unknown, as if it were 2, is like it
    assert order.tolist() == [3, 1, 0, 2]
    unknown = np.full((4, 1), np.nan, np.float32)
    assert teach_order(np.arange(4), FAR, unknown).tolist() == [0, 1, 2, 3]


def test_every_candidate_is_in_the_order_once():
    generator = np.random.default_rng(0)
    order = teach_order(
        generator.normal(size=700),
        generator.uniform(0, 4000, (700, 2)),
        generator.normal(size=(700, 3)).astype(np.float32),
    )
    assert sorted(order) == list(range(700))
    assert teach_order(np.empty(0), np.empty((0, 2))).tolist() == []
