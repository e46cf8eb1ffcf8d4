"""The pages that are made from the code: nothing in the code is missing on them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def hooks():
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs/hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_command_has_its_help_on_the_page(hooks):
    page = hooks.command_page()
    for command in ("detect", "models add", "evaluate slides", "cache clear"):
        assert f"## `napari-fastnet {command}`" in page
    assert "--allow-torchscript" in page
    assert "--help" in page


def test_every_setting_is_on_the_page(hooks):
    page = hooks.settings_page()
    manifest = yaml.safe_load((ROOT / "napari.yaml").read_text("utf-8"))
    sections = manifest["contributions"]["configurations"].values()
    for section in sections:
        assert f"## {section['title']}" in page
        for setting in section["properties"].values():
            assert f"| {setting['title']} |" in page


def test_every_module_below_the_plugin_is_on_a_page(hooks):
    pages = "".join(hooks.room_page(room) for room in hooks.ROOMS)
    package = ROOT / "src" / "napari_fastnet"
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    assert rooms - set(hooks.ROOMS) == {"bench", "cli", "plugin"}
    assert "::: napari_fastnet.core.tissue\n" in pages
    assert "::: napari_fastnet.model.backends.openvino\n" in pages
