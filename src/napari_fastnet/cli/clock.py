"""How long a command takes, from the moment its process came to us."""

from __future__ import annotations

from time import perf_counter

# Imported before anything that takes its time.
_began = perf_counter()


def restart() -> None:
    """Begin to count, for a command line that is called by a program."""
    global _began
    _began = perf_counter()


def command_seconds() -> float:
    """Return how long the command has been going on."""
    return perf_counter() - _began
