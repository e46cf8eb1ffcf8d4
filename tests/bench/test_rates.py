"""Rates are counted turn by turn, and the operations of a product are known."""

from __future__ import annotations

import time

import pytest

torch = pytest.importorskip("torch")

from napari_fastnet.bench.networks import (  # noqa: E402
    ROUNDS,
    MatrixProduct,
    MemoryCopy,
    rates,
)


def test_a_rate_is_calls_a_second():
    found = rates(
        {"quick": lambda: time.sleep(0.002), "slow": lambda: time.sleep(0.02)}, 0.2
    )

    assert 30 < found["slow"] <= 50
    assert 150 < found["quick"] <= 500


def test_each_turn_has_a_call_and_warming_up_does_not_count():
    calls = []

    found = rates(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 1e-9
    )

    assert "".join(calls) == "ab" * (ROUNDS + 1)
    assert set(found) == {"a", "b"}


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_a_product_multiplies_and_adds_for_each_number(kind):
    product = MatrixProduct(kind)
    one, other = product._factors
    product()

    assert product._product.dtype == kind
    expected = (one[:3].double() @ other.double()).to(kind)
    torch.testing.assert_close(product._product[:3], expected, rtol=0.01, atol=0)
    assert MatrixProduct.flops == 2 * product._product.numel() * one.shape[1]


def test_a_copy_reads_and_writes_each_byte():
    copy = MemoryCopy()
    copy._source[::4096] = 7
    copy()

    assert torch.equal(copy._copy, copy._source)
    assert MemoryCopy.moved == 2 * copy._copy.numel()
