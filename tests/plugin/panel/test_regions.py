"""Totals, outlines and the CSV: they follow the thresholds."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from napari_fastnet.core.lesions.evidence import find_candidates
from napari_fastnet.plugin.panel import regions

pytestmark = pytest.mark.gui


@pytest.fixture
def work(qtbot, panel, detect):
    work = detect(panel)
    qtbot.waitUntil(lambda: bool(work.regions), timeout=20_000)
    return work


def test_outlines_have_features(viewer, work) -> None:
    layer = viewer.layers["tumor regions"]
    assert len(layer.data) == 1
    assert layer.features["class"].tolist() == [work.regions[0].size_class]
    np.testing.assert_allclose(
        layer.data[0].min(axis=0), work.regions[0].polygons[0][0].min(axis=0)
    )


def test_list_and_outlines_follow_the_threshold(qtbot, viewer, panel, work) -> None:
    rows = panel.review.table.model().rowCount
    panel.detect.threshold.value = 0.99
    qtbot.waitUntil(lambda: rows() == 0, timeout=20_000)
    assert len(viewer.layers["tumor regions"].data) == 0
    panel.detect.threshold.value = 0.45
    qtbot.waitUntil(lambda: rows() > 0, timeout=20_000)
    wanted = find_candidates(work.heatmap, work.rule)
    assert rows() == len(wanted)
    layer = viewer.layers["tumor regions"]
    rings = sum(len(part) for region in work.regions for part in region.polygons)
    assert len(layer.data) == len(layer.features) == rings
    assert set(layer.shape_type) == {"path"}
    assert len(set(layer.edge_width)) == 1


def test_the_table_is_saved_as_csv(panel, work, tmp_path, monkeypatch) -> None:
    path = tmp_path / "table.csv"
    monkeypatch.setattr(regions, "ask_csv_path", lambda *_: path)
    panel.regions.csv.native.click()
    with path.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["area_mm2"]) == pytest.approx(work.regions[0].area_mm2, abs=1e-5)
    assert row["size_class"] == work.regions[0].size_class


def test_thinking_better_of_it_saves_nothing(panel, work, monkeypatch, errors) -> None:
    monkeypatch.setattr(regions, "ask_csv_path", lambda *_: None)
    panel.regions.csv.native.click()
    assert errors == []


def test_a_table_that_cannot_be_saved_is_told(panel, work, tmp_path, errors) -> None:
    (tmp_path / "file").write_text("no folder")
    panel.regions.save_csv(tmp_path / "file" / "table.csv")
    assert len(errors) == 1
    assert "table.csv" in errors[0]


def test_without_a_heatmap_there_is_no_table_to_save(panel) -> None:
    assert not panel.regions.csv.enabled


def test_another_slide_has_another_table(
    viewer, panel, work, add_slide, tmp_path, write_svs
) -> None:
    glass = np.full((256, 256, 3), 244, np.uint8)
    add_slide(viewer, write_svs(tmp_path / "glass.svs", glass, mpp=1.0))
    assert panel.review.table.model().rowCount() == 0
    assert panel.regions.totals.value == ""
    viewer.layers.selection.active = viewer.layers["square"]
    assert panel.review.table.model().rowCount() == 1
