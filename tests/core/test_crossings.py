"""How often outlines cross themselves: exact where few, quick where many."""

from __future__ import annotations

import numpy as np

from napari_fastnet.core.polygons import crossings, joined

BOW = np.array([[0.0, 0], [10, 10], [10, 0], [0, 10]])
SQUARE = np.array([[0.0, 0], [0, 9], [9, 9], [9, 0]])


def star(points, turns):
    """Return a regular star, every edge of which crosses 2 * (turns - 1) others."""
    angle = 2 * np.pi * turns * np.arange(points) / points
    return 1000 * np.column_stack((np.sin(angle), np.cos(angle)))


def test_simple_rings_cross_nowhere_and_neither_do_detours_to_holes():
    holes = [SQUARE[::-1] / 9 + (row, column) for row in (1, 4) for column in (1, 4)]
    assert crossings([SQUARE, joined([SQUARE, *holes])], limit=10) == 0


def test_few_crossings_are_counted():
    assert crossings([BOW, SQUARE, BOW + 3], limit=10) == 2
    assert crossings([star(101, 5)], limit=1000) == 101 * 4


def test_a_large_ring_with_few_crossings_is_not_taken_for_a_scribble():
    angle = np.linspace(0, 2 * np.pi, 50_000, endpoint=False)
    ring = 1000 * np.column_stack((np.sin(angle), np.cos(angle)))
    assert crossings([np.concatenate((ring, 5 * BOW + 2000))], limit=100) < 100


def test_a_scribble_is_found_without_counting_all_its_crossings():
    scribble = np.random.default_rng(0).uniform(0, 1000, (20_000, 2))
    assert crossings([scribble], limit=2000) > 2000  # some 46 million
