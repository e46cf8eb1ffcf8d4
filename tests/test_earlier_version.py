"""Open, resume and export what version 0.1 left: runs, a cohort's folder, a user's model.

``fixtures/version-0.1`` was written by that version and stays as it is: ``slides/`` are
the slides, ``run/`` and ``run-of-bundle/`` finished runs of one (without overview),
``interrupted/`` a run with ``--stride 24`` that was stopped after its first block of two,
``cohort/`` the folder of both slides, ``bundle/`` a model that a user trained.
"""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from napari_fastnet.cli.app import main
from napari_fastnet.cohort.detect import detect
from napari_fastnet.cohort.report import update_report
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.results.loading import load
from napari_fastnet.results.reading import read_heatmap_ome_tiff, read_mask_export
from napari_fastnet.store.store import read_store

KEPT = Path(__file__).parent / "fixtures" / "version-0.1"
SLIDE = KEPT / "slides" / "lesion.tif"
MASKS = ("rgb", "hsv", "threshold", "roi")
#: The default model of that version.
MODEL = "fastnet-pcam-1.0"


@pytest.fixture
def kept(tmp_path):
    """Return a copy of what the earlier version left, to be worked on."""
    return shutil.copytree(KEPT, tmp_path / "kept")


def heatmap_of(folder):
    return read_heatmap_ome_tiff(folder / "heatmap.ome.tif")[0].probabilities


def masks_of(folder):
    return [read_mask_export(folder / f"tissue_{name}.tif").mask for name in MASKS]


@pytest.mark.parametrize("place", ["run", "cohort", "run-of-bundle"])
def test_results_open_and_export_bit_for_bit(place, kept, tmp_path):
    run = kept / place / "lesion"
    results = load(run)
    results.export(tmp_path / "out", ["ome-tiff", "geojson", "asap", "csv"])
    np.testing.assert_array_equal(heatmap_of(tmp_path / "out"), heatmap_of(run))
    for ours, theirs in zip(masks_of(tmp_path / "out"), masks_of(run), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    now, then = results.record.to_dict(), json.loads((run / "run.json").read_text())
    del then["regions"]  # every region of cells was one, see below
    assert {key: now[key] for key in then} == then


def test_the_runs_lesions_are_those_of_the_default_rule_which_is_said():
    results = load(KEPT / "run" / "lesion")
    assert results.regions is not None
    (area,) = (round(region.area_mm2, 6) for region in results.regions)
    assert area == pytest.approx(0.108355, abs=1e-5)
    assert results.record.to_dict()["lesion_threshold"] == -1.13
    assert any("-1.13 log odds" in note for note in results.notes)


def test_a_finished_run_is_not_computed_again(kept):
    before = heatmap_of(kept / "run" / "lesion")
    result = detect(kept / "slides" / "lesion.tif", kept / "run", model=MODEL)
    assert result.all_earlier
    assert result.record.counts.computed == 974
    np.testing.assert_array_equal(heatmap_of(result.folder), before)
    for ours, theirs in zip(
        masks_of(result.folder), masks_of(KEPT / "run" / "lesion"), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_an_interrupted_run_goes_on(kept):
    before = read_store(kept / "interrupted" / "lesion" / "run.zarr")[0].read()
    known = ~np.isnan(before)
    assert known.sum() == 198
    slide, options = kept / "slides" / "lesion.tif", RunOptions(stride=24)
    result = detect(slide, kept / "interrupted", model=MODEL, options=options)
    assert not result.notes
    assert result.record.counts.computed == 433
    np.testing.assert_array_equal(result.heatmap.probabilities[known], before[known])


def test_the_model_of_today_replaces_a_run_and_says_what_goes_on_with_it(kept):
    result = detect(kept / "slides" / "lesion.tif", kept / "run")
    assert not result.all_earlier
    assert any(f"go on with the model {MODEL}" in note for note in result.notes)


def rows_of(folder):
    text = (folder / "summary.csv").read_text(encoding="utf-8-sig")
    return {row["name"]: row for row in csv.DictReader(text.splitlines())}


def test_a_cohort_goes_on_in_its_folder(kept, capsys):
    before = rows_of(KEPT / "cohort")
    words = ["detect", str(kept / "slides"), "-o", str(kept / "cohort")]
    assert main([*words, "--model", MODEL]) == 0
    rows = rows_of(kept / "cohort")
    assert set(rows) == {"lesion", "normal"}
    for name, row in rows.items():
        assert row["status"] == "done"
        for key in ("tissue_mm2", "max_probability"):
            assert row[key] == before[name][key], (name, key)
        assert (before[name]["model"], row["model"]) == (
            "fastnet-pcam 1.0",
            "fastnet-pcam-1.0 1.0",
        )
        # that version listed every region of cells, and knew no evidence
        assert int(row["regions"]) < int(before[name]["regions"])
        np.testing.assert_array_equal(
            heatmap_of(kept / "cohort" / name), heatmap_of(KEPT / "cohort" / name)
        )
    assert (before["normal"]["size_class"], rows["normal"]["size_class"]) == (
        "micro",
        "none",
    )
    assert rows["lesion"]["size_class"] == "micro"
    assert float(rows["lesion"]["top_evidence"]) >= -1.13


def test_a_cohorts_table_takes_up_slides_as_that_version_left_them(kept):
    before = rows_of(KEPT / "cohort")
    update_report(kept / "cohort")
    rows = rows_of(kept / "cohort")
    for name, row in rows.items():
        assert {key: row[key] for key in before[name]} == before[name]
        assert row["lesion_threshold"] == row["top_evidence"] == ""
    page = (kept / "cohort" / "report.html").read_text("utf-8")
    assert page.count("by a version without evidence") == 2
    text = (kept / "cohort" / "regions.csv").read_text("utf-8")
    lesions = list(csv.DictReader(text.splitlines()))
    total = sum(int(row["regions"]) for row in rows.values())
    assert len(lesions) == total
    assert {lesion["name"] for lesion in lesions} == {"lesion", "normal"}


def test_the_users_model_gives_what_it_gave(kept, tmp_path):
    bundle = load_bundle(kept / "bundle")
    assert (bundle.name, bundle.version) == ("house", "1.0")
    then = load(kept / "run-of-bundle" / "lesion")
    assert bundle.sha256 == then.record.model.sha256
    now = detect(kept / "slides" / "lesion.tif", tmp_path, model=bundle)
    # another processor computes in another precision: bfloat16 where it has it
    np.testing.assert_allclose(
        now.heatmap.probabilities, then.heatmap.probabilities, atol=0.05
    )


def test_the_record_is_replayed(kept, tmp_path, capsys):
    code = main(
        [
            *("replay", str(kept / "run" / "lesion" / "run.json")),
            *("-o", str(tmp_path / "again"), "--slide", str(SLIDE)),
        ]
    )
    assert code == 0, capsys.readouterr()
