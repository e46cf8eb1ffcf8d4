"""Numbers as a person reads them, on pages and pictures."""

from __future__ import annotations


def number_words(value: float) -> str:
    """Return a number of at least 0 with three digits and without an exponent."""
    if 0 < value < 0.001:
        return "under 0.001"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def counted(number: int, noun: str) -> str:
    """Return a number of things, as in ``1 slide`` and ``2,000 slides``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
