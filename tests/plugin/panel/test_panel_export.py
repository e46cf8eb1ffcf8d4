"""Files from the panel: what is ticked, as it is shown, and a full disk is told."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from napari_fastnet.core.appearance.summary import QualitySummary
from napari_fastnet.errors import StoreError
from napari_fastnet.evaluation.sources import Source, load_source
from napari_fastnet.results.loading import load
from napari_fastnet.results.reading import read_heatmap_ome_tiff
from napari_fastnet.results.record import read_record

pytestmark = pytest.mark.gui

ALL = {
    "tissue_rgb.tif",
    "tissue_hsv.tif",
    "tissue_threshold.tif",
    "tissue_roi.tif",
    "heatmap.ome.tif",
    "quality.tif",
    "regions.geojson",
    "regions.csv",
    "overview.png",
    "run.json",
}


@pytest.fixture
def export(qtbot):
    def press(panel, folder):
        panel.export.folder.value = folder
        panel.export.save.native.click()
        qtbot.waitUntil(lambda: panel.export.save.enabled, timeout=30_000)
        return {path.name for path in folder.iterdir()} if folder.is_dir() else set()

    return press


def test_a_run_that_has_ended_is_not_called_unfinished(
    panel, detect, export, tmp_path, told
) -> None:
    detect(panel)
    export(panel, tmp_path / "files")
    assert told[-1].endswith(f"files written to {tmp_path / 'files'}")


def test_everything_that_is_shown_is_written(
    viewer, panel, detect, export, tmp_path
) -> None:
    work = detect(panel)
    panel.detect.threshold.value = 0.55
    folder = tmp_path / "files"
    assert export(panel, folder) == ALL
    heatmap = tifffile.imread(folder / "heatmap.ome.tif")
    np.testing.assert_array_equal(heatmap, viewer.layers["tumor probability"].data)
    roi = tifffile.imread(folder / "tissue_roi.tif")
    np.testing.assert_array_equal(roi > 0, viewer.layers["tissue ROI"].data > 0)
    record = read_record(folder / "run.json")
    assert record.threshold == 0.55
    assert record.model.name == "dark"
    geojson = json.loads((folder / "regions.geojson").read_text())
    assert len(geojson["features"]) == record.regions.regions

    # and what the person decided, which the folder keeps
    work.review.decide(work.regions[:1], "not tumor")
    export(panel, folder)
    (first, *_) = json.loads((folder / "regions.geojson").read_text())["features"]
    assert first["properties"]["classification"]["name"] == "Not tumor"
    assert ",not tumor,found," in (folder / "regions.csv").read_text()
    again = load(folder)
    assert [one.status for one in again.reviewed].count("not tumor") == 1
    assert again.record.decisions.rejected == 1
    before, after = record.regions, read_record(folder / "run.json").regions
    assert (
        before
        == after
        == replace(again.record.regions, size_classes=after.size_classes)
    )


@pytest.mark.parametrize(
    ("which", "count"), [("all regions", 1), ("micro and macro", 1), ("macro only", 0)]
)
def test_regions_are_written_from_a_size_on(
    panel, detect, export, tmp_path, which, count
) -> None:
    detect(panel)  # the dark square is 0.6 mm from corner to corner
    panel.export.which.value = which
    export(panel, tmp_path / "files")
    geojson = json.loads((tmp_path / "files" / "regions.geojson").read_text())
    assert len(geojson["features"]) == count
    totals = geojson["napari_fastnet"]["regions"]
    assert totals["regions"] == count
    assert "macro" in totals["size_classes"]


def test_formats_are_ticked_in_a_menu(panel, detect, export, tmp_path) -> None:
    detect(panel)
    section = panel.export
    assert section.formats.text == "ome-tiff, geojson, csv"
    section.formats.formats = ("asap", "patches-csv")
    section.overview.value = False
    names = export(panel, tmp_path / "files")
    assert names == {"heatmap_asap.tif", "regions.xml", "patches.csv", "run.json"}
    section.formats.formats = ()
    assert section.formats.text == "no format"


def test_only_what_is_ticked_is_written(panel, compute, export, tmp_path) -> None:
    compute(panel)
    panel.export.heatmap.value = False
    names = export(panel, tmp_path / "files")
    assert names == {name for name in ALL if name.startswith("tissue")} | {"run.json"}


def test_masks_alone_have_a_whole_record(panel, compute, export, tmp_path) -> None:
    work = compute(panel)
    export(panel, tmp_path / "files")
    record = read_record(tmp_path / "files" / "run.json")
    assert record.tissue.area_mm2 == work.masks.tissue().area_mm2
    assert record.counts is None
    results = load(tmp_path / "files")
    assert results.heatmap is None
    np.testing.assert_array_equal(results.masks["roi"], work.masks.tissue().masks.roi)


@pytest.fixture
def half_done(qtbot, viewer, panel, compute, before_inference):
    """Return a slide's work, of which some batches are done, and what cancels it."""
    may = threading.Semaphore(8)  # of fourteen batches, and one to warm up

    def hold(pixels):
        assert may.acquire(timeout=60)

    def cancel():
        panel.detect.cancel.native.click()
        may.release(1000)
        qtbot.waitUntil(lambda: not work.detection.job.running, timeout=20_000)

    before_inference(hold)
    work = compute(panel)
    panel.detect.stride.value = 2
    panel.detect.start.native.click()
    name = "tumor probability"
    qtbot.waitUntil(
        lambda: name in viewer.layers and np.isfinite(viewer.layers[name].data).any(),
        timeout=20_000,
    )
    return work, cancel


def test_a_run_that_is_not_over_says_what_is_missing(
    half_done, panel, export, tmp_path, told
) -> None:
    _, cancel = half_done
    names = export(panel, tmp_path / "files")
    told_of_files = told[-1]
    panel.regions.save_csv(tmp_path / "regions.csv")
    assert "unfinished: " in told[-1]
    cancel()

    record = read_record(tmp_path / "files" / "run.json")
    heatmap, _ = read_heatmap_ome_tiff(tmp_path / "files" / "heatmap.ome.tif")
    counts = record.counts
    assert counts.computed == heatmap.computed.sum() > 0
    assert counts.stopped == counts.kept - counts.computed > 0
    left = f"unfinished: {counts.stopped:,} of {counts.kept:,} patches"
    assert left in told_of_files
    assert heatmap.mpp == (1.0, 1.0)
    assert record.model.name == "dark"
    assert record.quality == QualitySummary()
    assert "quality.tif" not in names
    assert load(tmp_path / "files").heatmap.grid == heatmap.grid
    with pytest.raises(StoreError, match="stopped with"):
        load_source(Source("square", tmp_path / "files"))


def test_what_is_erased_after_a_cancel_is_not_missing(
    qtbot, half_done, panel, export, tmp_path
) -> None:
    """All but the surroundings of one computed patch are erased."""
    work, cancel = half_done
    cancel()
    assert work.detection.kept > work.heatmap.computed.sum() > 0

    row, column = np.argwhere(work.heatmap.computed)[0]
    y, x = work.heatmap.grid.cell_centre(int(row), int(column))
    roi = np.zeros_like(work.editor.mask("roi"))
    roi[int(y / 8) - 4 : int(y / 8) + 5, int(x / 8) - 4 : int(x / 8) + 5] = True
    work.masks.show(work.editor.paint("roi", roi))
    before = work.detection.kept
    qtbot.waitUntil(lambda: work.detection.kept < before, timeout=20_000)
    export(panel, tmp_path / "files")

    counts = read_record(tmp_path / "files" / "run.json").counts
    assert counts.kept == work.detection.kept > 0
    assert counts.stopped == counts.kept - counts.computed < 20


def test_a_later_run_takes_nothing_over_from_the_one_before(
    qtbot, viewer, panel, detect, export, before_inference, tmp_path
) -> None:
    may = threading.Semaphore(1000)

    def hold(pixels):
        assert may.acquire(timeout=60)

    before_inference(hold)
    panel.detect.stride.value = 1
    work = detect(panel)
    before = work.record
    while may.acquire(blocking=False):
        pass
    panel.detect.stride.value = 2
    panel.detect.start.native.click()
    qtbot.waitUntil(lambda: work.record is not before, timeout=20_000)
    names = export(panel, tmp_path / "files")
    panel.detect.cancel.native.click()
    may.release(1000)
    qtbot.waitUntil(lambda: not work.detection.job.running, timeout=20_000)

    record = read_record(tmp_path / "files" / "run.json")
    assert record.options.stride_px == before.options.stride_px // 2
    assert record.counts.kept > before.counts.kept
    assert record.counts.stopped > 0
    assert before.quality.verdict
    assert record.quality == QualitySummary()
    assert "quality.tif" not in names


def test_nothing_of_what_is_ticked_is_told(
    panel, compute, export, errors, tmp_path
) -> None:
    compute(panel)
    panel.export.masks.value = False
    assert export(panel, tmp_path / "files") == set()
    assert "nothing to export" in errors[0]


@pytest.mark.parametrize("button", ["save", "report"])
def test_without_a_folder_it_is_asked_for(
    qtbot, panel, show_candidates, tmp_path, told, button
) -> None:
    show_candidates(panel, 2)
    pressed, folder = getattr(panel.export, button), tmp_path / "files"
    pressed.native.click()
    panel.export.question.reject()
    assert pressed.enabled
    assert not told
    pressed.native.click()
    panel.export.question.field.setText(str(folder))
    panel.export.question.accept()
    qtbot.waitUntil(lambda: pressed.enabled, timeout=30_000)
    pages = {path.name for path in folder.iterdir()}
    wanted = "run.json" if button == "save" else "square-report.html"
    assert wanted in pages
    assert str(folder) in told[-1]


def test_a_disk_that_refuses_is_told_and_saving_can_be_tried_again(
    panel, compute, export, errors, tmp_path
) -> None:
    compute(panel)
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    export(panel, blocked)
    assert len(errors) == 1
    assert "file" in errors[0]
    assert panel.export.save.enabled


@pytest.mark.parametrize("typed", ["~/results", "  ~/results "])
def test_a_folder_is_taken_as_people_type_it(
    panel, monkeypatch, tmp_path, typed
) -> None:
    from napari_fastnet.plugin.widgets.section import chosen_path

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    panel.export.folder.line_edit.value = typed
    assert chosen_path(panel.export.folder) == tmp_path / "results"
    panel.export.folder.line_edit.value = "  "
    assert chosen_path(panel.export.folder) is None
