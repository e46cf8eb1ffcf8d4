"""A slide by its address in napari: opened, scanned, and no folder beside it."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from napari_fastnet.cohort import detect as whole_slide
from napari_fastnet.errors import OptionError, SlideNotFoundError
from napari_fastnet.machine.remote import kept
from napari_fastnet.plugin.reader import get_reader
from napari_fastnet.plugin.widgets.dialogs import folder_beside
from napari_fastnet.plugin.work.command_line import detect_command

pytestmark = pytest.mark.gui

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def plugins():
    """Return npe2's plugins, of which this package is one."""
    from npe2 import PluginManager

    manager = PluginManager.instance()
    manager.discover()
    return manager


@pytest.fixture
def server(square_svs, monkeypatch):
    """Return a server of the slide."""
    if not (BENCHMARKS / "file_server.py").is_file():
        pytest.skip("not in a source tree")
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(kept, "_chosen", [])
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    module = importlib.import_module("file_server")
    with module.FileServer(square_svs.parent) as server:
        yield server


@pytest.fixture
def remote_panel(viewer, plugins, server, make_panel, dark_bundle, tmp_path):
    """Return a panel with the slide by its address, as napari opens it."""
    viewer.open(f"{server.address}/square.svs", plugin="napari-fastnet")
    panel = make_panel(viewer)
    panel.detect.model_folder.value = dark_bundle
    panel.detect.results.value = tmp_path / "out"
    return panel


def test_the_panel_finds_what_is_in_the_file(
    viewer, remote_panel, detect, square_svs, dark_bundle, tmp_path
) -> None:
    work = detect(remote_panel)
    wanted = whole_slide.detect(square_svs, tmp_path / "file", model=dark_bundle)
    found = np.asarray(viewer.layers["tumor probability"].data)
    assert found.tobytes() == wanted.heatmap.probabilities.tobytes()
    assert (tmp_path / "out" / "square" / "run.json").is_file()
    assert f" {work.slide.path} " in detect_command(work.detection)


def test_bytes_are_kept_in_the_cache_folder_of_the_preferences(
    remote_panel, tmp_path
) -> None:
    assert list((tmp_path / "cache").rglob("remote/*/address"))


def test_dialogs_begin_in_a_folder_that_is_there(remote_panel) -> None:
    assert folder_beside(remote_panel.slide.work.slide) == Path.home()


def test_the_reader_takes_slides_by_address_and_leaves_other_files(server) -> None:
    assert get_reader("https://host/slide.svs") is not None
    assert get_reader("s3://bucket/slide.ndpi") is not None
    for text in ("https://host/picture.png", "s3://bucket/data.zarr", "https://host/"):
        assert get_reader(text) is None


def test_a_fault_is_an_error_with_the_address(viewer, plugins, server) -> None:
    address = f"{server.address}/none.svs"
    with pytest.raises(SlideNotFoundError, match=f"^{address}: .*no such file"):
        viewer.open(address, plugin="napari-fastnet")
    with pytest.raises(OptionError, match="leave them out"):
        viewer.open("https://me:secret@host/slide.svs", plugin="napari-fastnet")


def test_a_signed_address_is_a_slide(plugins, server) -> None:
    address = "https://host/slide.svs?signature=secret"
    readers = plugins.iter_compatible_readers(address)
    assert "napari-fastnet" in {reader.plugin_name for reader in readers}
    signed = f"{server.address}/square.svs?signature=secret"
    ((_, words, _),) = get_reader(signed)(signed)
    assert words["name"] == "square"
    assert "secret" not in str(words)
