"""The model, and its card in a window of its own."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from napari_fastnet.model.user_models import keep, read_candidate

pytestmark = pytest.mark.gui


def test_the_card_shows_beside_the_work(panel) -> None:
    panel.detect.card.native.click()
    dialog = panel.detect._choice.dialog
    assert dialog.isVisible()
    assert not dialog.isModal()
    assert dialog.windowTitle() == "dark 1.0"
    assert dialog.text.isReadOnly()
    assert "Darkness" in dialog.text.toPlainText()
    assert "#" not in dialog.text.toPlainText()
    panel.detect.model.value = "fastnet-pcam"
    panel.detect.card.native.click()
    assert panel.detect._choice.dialog is dialog
    assert "Not for diagnosis" in dialog.text.toPlainText()


@pytest.mark.parametrize("missing", ["MODEL_CARD.md", "model.json"])
def test_a_card_that_cannot_be_read_is_told(
    panel, dark_bundle, tmp_path, errors, missing
) -> None:
    folder = shutil.copytree(dark_bundle, tmp_path / "bundle")
    (folder / missing).unlink()
    panel.detect.model_folder.value = folder
    panel.detect.card.native.click()
    assert len(errors) == 1
    assert missing in errors[0]
    assert panel.detect._choice.dialog is None


def test_the_folder_shows_where_it_is_asked_for(panel) -> None:
    field = panel.detect.model_folder.native
    assert panel.detect.model.value == "from a folder"
    assert not field.isHidden()
    panel.detect.model.value = "fastnet-pcam"
    assert panel.detect._choice.value == "fastnet-pcam"


def test_the_settings_choose_model_back_end_threads_and_cache(
    viewer, make_panel, monkeypatch, dark_bundle, tmp_path
) -> None:
    from napari_fastnet.plugin.panel import detect
    from napari_fastnet.plugin.settings import Settings

    chosen = Settings(str(dark_bundle), "torch", 3, tmp_path / "mine")
    monkeypatch.setattr(detect, "read_settings", lambda: chosen)
    request = make_panel(viewer).detect.request()
    assert request.network.model == dark_bundle
    assert (request.network.backend, request.network.threads) == ("torch", 3)
    assert (request.folder, request.in_cache) == (tmp_path / "mine", True)


@pytest.fixture
def added(models_here, wsinfer_model):
    """Return the name of a model that was added before the panel is made."""
    return keep(read_candidate(wsinfer_model, allow_torchscript=True)).name


def test_a_model_that_was_added_is_offered_and_runs(
    added, panel, viewer, detect
) -> None:
    panel.detect.model.value = added
    assert panel.detect.stride.value == "dense"  # which such a model cannot
    detect(panel)
    values = np.asarray(viewer.layers["tumor probability"].data)
    assert np.nanmax(values) > 0.5 > np.nanmin(values)
    step = panel.slide.work.heatmap.grid.step
    assert step == pytest.approx((64.0, 64.0))  # patch beside patch


def test_the_network_goes_with_the_last_slide(panel, viewer, network) -> None:
    with network.used(panel.detect.request()) as (_, first):
        pass
    with network.used(panel.detect.request()) as (_, second):
        assert second is first
    viewer.layers.clear()
    with network.used(panel.detect.request()) as (_, third):
        assert third is not first


@pytest.mark.parametrize("named", ["gone", "gone-1.2", "bundle"])
def test_a_model_of_the_preferences_that_is_gone_is_told_and_blocks_nothing(
    viewer, make_panel, monkeypatch, dark_bundle, tmp_path, warned, named
) -> None:
    from napari_fastnet.plugin.panel import detect
    from napari_fastnet.plugin.settings import Settings

    damaged = shutil.copytree(dark_bundle, tmp_path / "bundle")
    (damaged / "model.onnx").write_bytes(b"another")
    chosen = Settings(str(tmp_path / named) if named != "gone-1.2" else named)
    monkeypatch.setattr(detect, "read_settings", lambda: chosen)
    panel = make_panel(viewer)
    assert panel.detect.model.value == "fastnet-pcam"
    assert panel.detect.request().network.model == "fastnet-pcam"
    (message,) = warned
    assert message.startswith(
        "using fastnet-pcam instead of the model of the preferences:"
    )
    assert named in message
    assert "Preferences > Plugins > FastNet > Detection" in message


def test_no_other_model_detects_where_a_folder_is_asked_for_and_none_chosen(
    panel, errors
) -> None:
    panel.detect.model_folder.line_edit.value = ""
    assert panel.detect.model.value == "from a folder"
    panel.detect.start.native.click()
    panel.detect.card.native.click()
    assert panel.slide.work.detection is None
    assert len(errors) == 2
    assert all(e.startswith("no model folder is chosen") for e in errors)
