"""The manifest is valid, says what is there, and napari finds it."""

from __future__ import annotations

from dataclasses import fields
from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import get_args

import pytest
from npe2 import PluginManager, PluginManifest

import napari_fastnet
from napari_fastnet.model.options import BackendName
from napari_fastnet.plugin.keys import KEYS
from napari_fastnet.plugin.settings import Settings, default_cache_folder, read_settings
from napari_fastnet.results.recognise import SCANNER_SUFFIXES, TIFF_SUFFIXES

ROOT = Path(__file__).parents[2]
MANIFEST = Path(napari_fastnet.__file__).parent / "napari.yaml"


@pytest.fixture(scope="module")
def manifest():
    return PluginManifest.from_file(MANIFEST)


def empty_manager():
    """Return a plugin manager that knows nothing.

    npe2 0.10 takes napari 0.10 for one before 0.4.16, and registers what is installed.
    """
    manager = PluginManager()
    for known in list(manager.iter_manifests()):
        manager.unregister(known.name)
    return manager


@pytest.fixture
def manager(manifest):
    """Return a plugin manager that knows napari's own plugin and this one."""
    manager = empty_manager()
    manager.register(PluginManifest.from_distribution("napari"))
    manager.register(manifest)
    return manager


def test_the_entry_point_leads_to_the_manifest():
    (entry,) = entry_points(group="napari.manifest", name="napari-fastnet")
    assert entry.value == "napari_fastnet:napari.yaml"
    assert PluginManifest.from_distribution("napari-fastnet").name == "napari-fastnet"


def test_the_manifest_at_the_top_is_the_same():
    # a link in a checkout; not the same file where the wheel is tested
    assert (ROOT / "napari.yaml").read_bytes() == MANIFEST.read_bytes()


def test_the_icon_is_a_picture_in_the_package(manifest):
    package, _, name = manifest.icon.partition(":")
    assert "<svg" in files(package).joinpath(name).read_text("utf-8")


def test_every_command_is_there_and_used(manifest):
    contributions = manifest.contributions
    used = {
        one.command
        for kind in ("readers", "writers", "sample_data", "widgets")
        for one in getattr(contributions, kind) or ()
    } | {item.command for items in contributions.menus.values() for item in items}
    for command in contributions.commands:
        module, _, name = command.python_name.partition(":")
        assert callable(getattr(import_module(module), name))
        assert command.id in used
    assert used <= {command.id for command in contributions.commands}


def test_menu_entries_are_where_napari_takes_them(manifest):
    from napari._app_model.constants import MenuId

    allowed = {str(menu) for menu in MenuId.contributables()}
    menus = manifest.contributions.menus
    assert set(menus) == {
        "napari/layers/segment",
        "napari/layers/classify",
        "napari/layers/measure",
        "napari/file/io_utilities",
    }
    assert set(menus) <= allowed
    shown = {item.command for items in menus.values() for item in items}
    assert shown <= {command.id for command in manifest.contributions.commands}


def test_the_panel_is_called_fastnet(manifest):
    names = [widget.display_name for widget in manifest.contributions.widgets]
    assert names == ["FastNet"]


def test_keys_of_the_preferences_are_those_of_the_panel(manifest):
    properties = manifest.contributions.configurations["keys"].properties
    assert {name: one.default for name, one in properties.items()} == KEYS


def test_one_reader_takes_all_that_it_recognises(manifest):
    (reader,) = manifest.contributions.readers
    assert reader.accepts_directories
    wanted = {f"*{suffix}" for suffix in (*SCANNER_SUFFIXES, *TIFF_SUFFIXES)}
    signed = {f"https://{each}[?]*" for each in wanted if each != "*.bif"}
    ours = {"*.zarr", "*.geojson"}
    assert set(reader.filename_patterns) == wanted | ours | signed


@pytest.mark.parametrize(
    ("path", "types", "command"),
    [
        ("out", ["image", "labels", "labels", "shapes"], "write_folder"),
        ("heatmap.ome.tif", ["image"], "write_heatmap"),
        ("mask.tif", ["labels"], "write_mask"),
        ("regions.geojson", ["shapes"], "write_regions"),
        ("regions.csv", ["shapes"], "write_regions"),
    ],
)
def test_saving_finds_the_writer(manager, path, types, command):
    writer, _ = manager.get_writer(path, types, "napari-fastnet")
    assert writer.command == f"napari-fastnet.{command}"


@pytest.mark.parametrize(
    ("path", "types"),
    [
        ("a.tif", ["image"]),
        ("a.png", ["image"]),
        ("a.tif", ["labels"]),
        ("a.csv", ["shapes"]),
    ],
)
def test_saving_files_of_others_stays_with_napari(manager, path, types):
    writer, _ = manager.get_writer(path, types)
    assert writer.plugin_name == "napari"


def test_settings_are_those_of_the_manifest(manifest):
    declared = [
        name
        for key, configuration in manifest.contributions.configurations.items()
        if key not in ("keys", "panel")  # read one by one
        for name in configuration.properties
    ]
    assert sorted(declared) == sorted(field.name for field in fields(Settings))


def test_the_backends_offered_are_those_that_exist(manifest):
    detection = manifest.contributions.configurations["detection"]
    assert tuple(detection.properties["backend"].enum) == get_args(BackendName)


@pytest.fixture
def chosen(with_settings, manifest, monkeypatch, tmp_path):
    """Return napari's settings of this plugin, kept in a folder of the test."""
    from napari.settings._plugin_config_generator import plugin_configuration_generator

    manager = empty_manager()
    manager.register(manifest)
    model = plugin_configuration_generator(manager)["napari-fastnet"]
    settings = model(config_path=tmp_path / "napari-fastnet.yaml")
    monkeypatch.setattr("napari.settings.get_plugin_settings", lambda _: settings)
    return settings


def test_untouched_settings_are_the_defaults(chosen):
    assert read_settings() == Settings(cache_folder=default_cache_folder())


def test_what_the_preferences_say_is_read(chosen, tmp_path):
    chosen.detection.model = " /models/mine "
    chosen.detection.backend = "torch"
    chosen.detection.threads = 3
    chosen.storage.cache_folder = str(tmp_path)
    assert read_settings() == Settings("/models/mine", "torch", 3, tmp_path)


def test_folds_the_side_and_the_offer_are_remembered(chosen):
    from napari_fastnet.plugin import settings

    assert settings.remembered_fold("Tissue") is None
    settings.remember_folded("Tissue", True)
    settings.remember_folded("Detect tumors", False)
    assert settings.remembered_fold("Tissue") is True
    assert settings.remembered_fold("Detect tumors") is False
    chosen.panel.sections = "Tissue unfolded, nonsense, , Teach folded"  # typed
    assert settings.remembered_fold("Tissue") is False
    assert settings.remembered_fold("Teach") is True
    assert settings.chosen_side() == "left"
    settings.remember_side("right")
    assert settings.chosen_side() == "right"
    assert settings.may_offer()
    settings.forget_offer()
    assert not settings.may_offer()
    assert "offer: false" in chosen.config_path.read_text()


@pytest.mark.parametrize(
    ("name", "value"), [("threads", -1), ("threads", 257), ("backend", "tpu")]
)
def test_the_preferences_take_no_nonsense(chosen, name, value):
    with pytest.raises(ValueError, match=name):
        setattr(chosen.detection, name, value)


def test_a_plugin_that_napari_does_not_know_has_its_defaults(
    with_settings, monkeypatch
):
    def unknown(name):
        raise KeyError(name)

    monkeypatch.setattr("napari.settings.get_plugin_settings", unknown)
    assert read_settings() == Settings()
