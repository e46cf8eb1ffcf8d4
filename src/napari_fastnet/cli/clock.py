"""Time of a command, from the start of the process."""

from __future__ import annotations

from time import perf_counter

# This module is imported before all that takes long.
_began = perf_counter()


def restart() -> None:
    """Start anew, for a command line that a program runs."""
    global _began
    _began = perf_counter()


def command_seconds() -> float:
    """Return the seconds since the start."""
    return perf_counter() - _began
