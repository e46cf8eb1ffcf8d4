"""The examples in the docstrings of the core."""

from __future__ import annotations

import doctest
from importlib import import_module
from pkgutil import walk_packages

import napari_fastnet.core


def test_examples_give_what_they_show():
    modules = walk_packages(napari_fastnet.core.__path__, "napari_fastnet.core.")
    ended = {m.name: doctest.testmod(import_module(m.name)) for m in modules}
    assert not [name for name, found in ended.items() if found.failed]
    assert sum(found.attempted for found in ended.values()) > 20
