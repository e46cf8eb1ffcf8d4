"""Numbers as a person reads them, on pages and pictures."""

from __future__ import annotations


def number_words(value: float) -> str:
    """Return a number of at least 0 with three digits and without an exponent."""
    if 0 < value < 0.001:
        return "under 0.001"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number of things, as in ``1 slide`` and ``2,000 slides``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def never_scanned_words(share: float) -> str:
    """Return what is said of fill; nothing where less than a thousandth is fill."""
    if share < 0.001:
        return ""
    return f"{share:.1%} of the picture was never scanned and is left out"


def unreadable_words(failed: int, wanted: int) -> str:
    """Return how many of the patches that were wanted could not be read."""
    share = failed / max(wanted, 1)
    return f"{failed:,} of {counted(wanted, 'patch', 'patches')} ({share:.0%}) could not be read"
