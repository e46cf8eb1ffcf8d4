"""The folder that is proposed: beside the slide, where it can be written and is free."""

from __future__ import annotations

from pathlib import Path

import pytest
from qtpy.QtWidgets import QDialogButtonBox

from napari_fastnet.plugin.panel import export_folder
from napari_fastnet.plugin.panel.export_folder import proposed_folder
from napari_fastnet.results.record import RECORD, RunRecord, SlideFacts, write_record

pytestmark = pytest.mark.gui


class OfSlide:
    """Path and fingerprint of a slide, which is all that a proposal asks."""

    def __init__(self, path, fingerprint="a"):
        self.path, self.fingerprint = path, fingerprint


def results_of(folder, fingerprint):
    folder.mkdir(parents=True)
    facts = SlideFacts(path="node.svs", fingerprint=fingerprint)
    write_record(folder / RECORD, RunRecord(slide=facts))


def test_beside_the_slide(tmp_path) -> None:
    proposed = proposed_folder(OfSlide(tmp_path / "node.svs"))
    assert proposed == tmp_path / "node-fastnet"
    assert list(tmp_path.iterdir()) == []  # nothing is left of the trial


def test_in_the_documents_where_the_slide_lies_on_a_drive_for_reading(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(export_folder, "user_documents_path", lambda: tmp_path / "d")
    proposed = proposed_folder(OfSlide(Path("/proc/node.svs")))
    assert proposed == tmp_path / "d" / "FastNet" / "node-fastnet"


def test_the_folder_of_the_same_slide_again(tmp_path) -> None:
    results_of(tmp_path / "node-fastnet", "a")
    proposed = proposed_folder(OfSlide(tmp_path / "node.svs"))
    assert proposed == tmp_path / "node-fastnet"


def test_not_that_of_another_slide_of_this_name(tmp_path) -> None:
    results_of(tmp_path / "node-fastnet", "b")
    results_of(tmp_path / "node-fastnet-2", "c")
    proposed = proposed_folder(OfSlide(tmp_path / "node.svs"))
    assert proposed == tmp_path / "node-fastnet-3"


def test_cancel_writes_nothing(panel, detect, tmp_path) -> None:
    work = detect(panel)
    panel.export.save.native.click()
    folder = Path(panel.export.question.field.text())
    panel.export.question.reject()
    assert folder.name == f"{work.slide.path.stem}-fastnet"
    assert not folder.exists()


def test_the_report_goes_to_the_folder_that_is_typed(
    qtbot, panel, detect, tmp_path, told
) -> None:
    detect(panel)
    panel.export.report.native.click()
    question = panel.export.question
    question.field.setText(str(tmp_path / "new" / "folder"))
    question.buttons.button(QDialogButtonBox.StandardButton.Ok).click()
    path = tmp_path / "new" / "folder" / "square-report.html"
    qtbot.waitUntil(path.is_file, timeout=30_000)
    qtbot.waitUntil(lambda: bool(told), timeout=10_000)


def test_an_empty_field_cannot_be_taken(panel, detect) -> None:
    detect(panel)
    panel.export.save.native.click()
    question = panel.export.question
    question.field.setText(" ")
    taken = question.buttons.button(QDialogButtonBox.StandardButton.Ok)
    assert not taken.isEnabled()
    question.field.setText("somewhere")
    assert taken.isEnabled()
    question.reject()


def test_a_folder_of_another_slide_is_not_written_to(
    qtbot, panel, detect, tmp_path, told
) -> None:
    detect(panel)
    taken = tmp_path / "taken"
    results_of(taken, "another")
    before = (taken / RECORD).read_bytes()
    panel.export.folder.value = taken  # chosen for the slide before
    panel.export.save.native.click()
    question = panel.export.question
    question.field.setText(str(taken))
    question.accept()
    assert question.isVisible()
    assert "holds the results of another slide" in question.fault.text()
    assert [path.name for path in taken.iterdir()] == [RECORD]
    assert (taken / RECORD).read_bytes() == before
    question.field.setText(str(tmp_path / "free"))
    question.accept()
    qtbot.waitUntil(lambda: not panel.export.writing, timeout=30_000)
    assert (tmp_path / "free" / RECORD).is_file()
