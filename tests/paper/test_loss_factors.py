"""Tables II and III, to the digit that the paper prints."""

from __future__ import annotations

import pytest

from loss_factors import attention_table, focal_table


def row(table, focusing):
    return next(row for row in table if row.focusing == focusing)


def test_table_two_of_the_focal_loss() -> None:
    second = row(focal_table(), 2)
    assert second.factors == pytest.approx((0.25, 0.16, 0.09, 0.04, 0.01))
    assert second.ratio == pytest.approx(25)
    assert row(focal_table(), 10).ratio == pytest.approx(9_765_625)


def test_table_three_of_the_attention_loss() -> None:
    second = row(attention_table(), 2)
    assert second.factors == pytest.approx((0.75, 0.64, 0.51, 0.36, 0.19))
    assert round(second.ratio, 2) == 3.95
    assert round(row(attention_table(), 10).ratio, 2) == 1.53


def test_both_have_the_papers_rows() -> None:
    expected = [0.1, 0.2, 0.5, *range(1, 11)]
    assert [row.focusing for row in focal_table()] == expected
    assert [row.focusing for row in attention_table()] == expected
