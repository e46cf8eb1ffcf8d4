"""Giving memory back: harmless everywhere, and it does something on Linux."""

from __future__ import annotations

import sys

import pytest

from napari_fastnet.engine import memory
from napari_fastnet.engine.memory import give_back


def test_it_is_harmless_on_every_platform(monkeypatch) -> None:
    give_back()
    monkeypatch.setattr(memory.sys, "platform", "win32")
    give_back()


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's own")
def test_the_c_library_is_asked(monkeypatch) -> None:
    asked = []

    class Library:
        def __init__(self, _):
            self.malloc_trim = asked.append

    monkeypatch.setattr(memory.ctypes, "CDLL", Library)
    give_back()
    assert asked == [0]
