"""Commands of the palette: found by a doctor's words, and each of use in any state."""

from __future__ import annotations

import numpy as np
import pytest
from app_model.types import MenuItem
from npe2 import PluginManifest

pytestmark = pytest.mark.gui

MANIFEST = PluginManifest.from_distribution("napari-fastnet")
# napari lists samples by their keys; each opens a slide
SAMPLES = {sample.command for sample in MANIFEST.contributions.sample_data}
COMMANDS = [
    command.id
    for command in MANIFEST.contributions.commands
    if command.id not in SAMPLES
]


@pytest.fixture
def viewer(make_napari_viewer, settings):
    return make_napari_viewer(show=True)


@pytest.fixture
def said():
    """Return the list of messages that napari is given."""
    from napari.utils.notifications import notification_manager

    messages = []
    keep = lambda notification: messages.append(notification)  # noqa: E731
    notification_manager.notification_ready.connect(keep)
    yield messages
    notification_manager.notification_ready.disconnect(keep)


@pytest.fixture
def run(qtbot):
    """Return a function that runs a command as the palette does."""
    from napari._app_model import get_app_model

    def run(command):
        future = get_app_model().commands.execute_command(command)
        qtbot.wait(50)
        return future.result()

    return run


@pytest.mark.parametrize("word", ["tumor", "lesion", "mask"])
def test_the_palette_finds_a_word(viewer, word) -> None:
    palette = viewer.window._qt_window._command_palette
    found = [
        command.id
        for command in palette._list.iter_top_hits(word)
        if command.id.startswith("napari-fastnet.")
    ]
    assert found


def test_titles_that_the_manifest_gives_are_seen_in_the_menus(viewer) -> None:
    from napari._app_model import get_app_model

    titles = {
        item.command.title
        for menu in ("napari/layers/classify", "napari/layers/segment")
        for item in get_app_model().menus.get_menu(menu)
        if isinstance(item, MenuItem)
    }
    assert "Find tumors in this slide (FastNet)" in titles
    assert "Compute tissue masks (FastNet)" in titles


def check(viewer, run, said, command):
    """Run a command; it says something in a line, or something has happened."""
    before = len(viewer.window.dock_widgets), len(viewer.layers)
    run(command)
    assert all(str(one.severity) in ("info", "warning") for one in said)
    assert all("\n" not in one.message for one in said)
    after = len(viewer.window.dock_widgets), len(viewer.layers)
    return bool(said) or before != after


@pytest.mark.parametrize("command", COMMANDS)
def test_with_nothing_open(viewer, run, said, command) -> None:
    assert check(viewer, run, said, command)


@pytest.mark.parametrize("command", COMMANDS)
def test_with_a_photo_open(viewer, run, said, command) -> None:
    viewer.add_image(np.zeros((40, 60, 3), np.uint8), rgb=True, name="photo")
    assert check(viewer, run, said, command)
    assert [layer.name for layer in viewer.layers] == ["photo"]


@pytest.fixture
def two_slides(viewer, add_slide, square_svs, dark_bundle, run, tmp_path):
    """Return the panel of a viewer with two slides; the second is the current one."""
    from napari_fastnet.plugin.panel.panel import panel_of

    add_slide(viewer, square_svs)
    add_slide(viewer, square_svs)
    run("napari-fastnet.panel")
    panel = panel_of(viewer)
    panel.detect.model_folder.value = dark_bundle
    panel.detect.results.value = tmp_path / "runs"
    return panel


def test_with_two_slides_open_tumors_are_found_in_the_current_one(
    qtbot, two_slides, run, said
) -> None:
    first, second = two_slides.slide.workspace.works
    run("napari-fastnet.find_tumors")
    qtbot.waitUntil(lambda: second.detection.result is not None, timeout=60_000)
    assert first.detection is None
    assert second.editor is not None
    qtbot.waitUntil(lambda: bool(second.review.reviewed), timeout=20_000)
    run("napari-fastnet.next_lesion")
    assert two_slides.review.current is not None
    run("napari-fastnet.export")
    assert two_slides.export.question.field.text().endswith("square-fastnet")
    two_slides.export.question.reject()
    run("napari-fastnet.report")
    assert two_slides.export.question.isVisible()
    two_slides.export.question.reject()
    assert not said


def test_with_two_slides_open_masks_are_those_of_the_current_one(
    qtbot, two_slides, run
) -> None:
    first, second = two_slides.slide.workspace.works
    run("napari-fastnet.compute_masks")
    qtbot.waitUntil(lambda: second.editor is not None, timeout=30_000)
    assert first.editor is None


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("next_lesion", "run 'Find tumors in this slide' first"),
        ("report", "run 'Find tumors in this slide' first"),
        ("export", "neither masks nor a heatmap to export yet"),
    ],
)
def test_before_a_detection_a_command_says_so(
    two_slides, run, said, command, words
) -> None:
    run(f"napari-fastnet.{command}")
    assert [words in one.message for one in said] == [True]


def test_a_second_reader_is_not_told_the_result(two_slides, run, said) -> None:
    two_slides.slide.work.layers.veil(veil=True)
    run("napari-fastnet.next_lesion")
    assert [one.message for one in said] == [
        f"second read is on: note your verdict on {two_slides.slide.work.layer.name} first"
    ]
