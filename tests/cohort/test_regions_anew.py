"""Another threshold for a finished run: what a run from the start finds, at once."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from napari_fastnet.cohort import detect as whole_slide
from napari_fastnet.cohort import task as cohort_task
from napari_fastnet.cohort.detect import detect
from napari_fastnet.cohort.task import CohortOptions, SlideTask, run_task
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.errors import OutputError
from napari_fastnet.model.options import NetworkChoice
from napari_fastnet.results.formats.ome_tiff import write_mask_tiff
from napari_fastnet.results.reading import read_regions_geojson
from napari_fastnet.results.record import read_record
from napari_fastnet.results.result import Result

OTHER = 0.9


@pytest.fixture(scope="module")
def slide_path(tmp_path_factory, write_svs):
    """A slide whose darkest part is tumour at 0.9, and more of it at 0.5."""
    image = np.full((640, 640, 3), 245, np.uint8)
    image[:, :320] = (170, 110, 150)
    image[64:192, 64:192] = (90, 60, 110)
    image[320:384, 64:192] = (130, 100, 125)
    return write_svs(tmp_path_factory.mktemp("slides") / "square.svs", image, mpp=2.0)


@pytest.fixture
def options(dark_bundle):
    return RunOptions(stride="patch"), dark_bundle


@pytest.fixture
def first(slide_path, options, tmp_path):
    run, bundle = options
    return detect(slide_path, tmp_path / "out", model=bundle, options=run)


@pytest.fixture
def no_tissue(first, monkeypatch):
    """Let it fail to look for tissue or to load a network."""

    def refuse(*_, **__):
        pytest.fail("the run was done from the start")

    for module in (whole_slide, cohort_task):
        monkeypatch.setattr(module, "SlideRun", refuse)
    monkeypatch.setattr(whole_slide, "create_backend", refuse)


def changed(record):
    """Return a record without what is another every time."""
    options = replace(record.options, tissue_seconds=0)
    return replace(record, created="", seconds=None, options=options)


def contents(folder):
    """Return all that a run found."""
    regions, _ = read_regions_geojson(folder / "regions.geojson")
    return (
        changed(read_record(folder / "run.json")),
        (folder / "regions.csv").read_text("utf-8"),
        [(one.region.area_mm2, one.region.centroid, one.status) for one in regions],
        [tifffile.imread(path).tolist() for path in sorted(folder.glob("*.tif"))],
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"threshold": OTHER},
        {"colours": "blue-orange"},
        {"threshold": 0.2},
        {"alarms": "fewer"},
        {"lesion_threshold": 2.0},
        {"lesion_threshold": -100.0, "threshold": OTHER},
    ],
)
def test_it_finds_what_a_run_from_the_start_finds(
    first, slide_path, options, changes, tmp_path, request
) -> None:
    run, bundle = replace(options[0], **changes), options[1]
    request.getfixturevalue("no_tissue")
    again = detect(slide_path, tmp_path / "out", model=bundle, options=run)
    request.getfixturevalue("monkeypatch").undo()
    straight = detect(slide_path, tmp_path / "straight", model=bundle, options=run)
    np.testing.assert_equal(contents(again.folder), contents(straight.folder))
    assert again.folder == first.folder
    assert [path.name for path in again.files] == [p.name for p in straight.files]
    assert dict(again.rows())["lesions"] == dict(straight.rows())["lesions"]
    # it is there and back again
    back = detect(slide_path, tmp_path / "out", model=bundle, options=options[0])
    assert dict(back.rows())["lesions"] == dict(first.rows())["lesions"]


@pytest.mark.usefixtures("no_tissue")
def test_its_time_has_what_the_probabilities_took(
    first, slide_path, options, tmp_path
) -> None:
    run = replace(options[0], threshold=OTHER)
    again = detect(slide_path, tmp_path / "out", model=options[1], options=run)
    seconds = again.record.seconds
    assert 0 < seconds.earlier <= first.record.seconds.total
    assert seconds.total > seconds.earlier
    assert seconds.infer == pytest.approx(first.record.seconds.infer)
    assert dict(again.rows())["time"].endswith(f", and {seconds.earlier:.1f} s before")
    assert dict(again.rows())["patches"].endswith("all by an earlier run")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "tissue_roi.tif").unlink(),
        lambda folder: (folder / "quality.tif").write_bytes(b""),
        lambda folder: next((folder / "run.zarr/c").rglob("[0-9]")).is_dir(),
        lambda folder: [p.unlink() for p in (folder / "run.zarr/c").rglob("*/*/*")],
    ],
)
def test_what_is_missing_or_damaged_is_made_from_the_start(
    first, slide_path, options, spoil, tmp_path
) -> None:
    spoil(first.folder)
    run = replace(options[0], threshold=OTHER)
    again = detect(slide_path, tmp_path / "out", model=options[1], options=run)
    straight = detect(slide_path, tmp_path / "straight", model=options[1], options=run)
    np.testing.assert_equal(contents(again.folder), contents(straight.folder))


def test_masks_of_another_run_are_not_taken_for_its_own(
    first, slide_path, options, tmp_path
) -> None:
    # as an export into the folder leaves them
    other = detect(slide_path, tmp_path / "other", model=options[1], options=options[0])
    mask = other.folder / "tissue_roi.tif"
    record = other.record
    with tifffile.TiffFile(mask) as tif:
        shape = tif.asarray().shape
    write_mask_tiff(mask, np.zeros(shape, bool), (8.0, 8.0), record=record)
    mask.replace(first.folder / "tissue_roi.tif")
    run = replace(options[0], threshold=OTHER)
    again = detect(slide_path, tmp_path / "out", model=options[1], options=run)
    assert tifffile.imread(again.folder / "tissue_roi.tif").any()


def test_a_record_of_other_versions_is_not_given_out_as_of_these(
    first, slide_path, options, tmp_path
) -> None:
    path = first.folder / "run.json"
    record = json.loads(path.read_text())
    record["versions"]["numpy"] = "1.0"
    path.write_text(json.dumps(record))
    run = replace(options[0], threshold=OTHER)
    again = detect(slide_path, tmp_path / "out", model=options[1], options=run)
    assert read_record(again.folder / "run.json").versions["numpy"] != "1.0"
    assert again.record.threshold == OTHER


def test_while_files_are_written_there_is_no_record_of_others(
    first, slide_path, options, tmp_path, monkeypatch
) -> None:
    # a kill between regions.csv and run.json would leave regions of two thresholds
    def full(*_, **__):
        raise OutputError("the disk is full")

    monkeypatch.setattr(Result, "export", full)
    run = replace(options[0], threshold=OTHER)
    with pytest.raises(OutputError):
        detect(slide_path, tmp_path / "out", model=options[1], options=run)
    assert not (first.folder / "run.json").exists()
    monkeypatch.undo()
    again = detect(slide_path, tmp_path / "out", model=options[1], options=run)
    assert dict(again.rows())["patches"].endswith("all by an earlier run")


@pytest.mark.usefixtures("no_tissue")
@pytest.mark.usefixtures("no_tissue")
def test_another_lesion_threshold_leaves_what_is_surer(
    first, slide_path, options, tmp_path
) -> None:
    run, bundle = options
    evidence = [candidate.evidence for candidate in first.candidates]
    assert len(first.regions) == len(evidence) == 2
    assert evidence == sorted(evidence, reverse=True)
    between = sum(evidence) / 2
    fewer = replace(run, lesion_threshold=between)
    again = detect(slide_path, tmp_path / "out", model=bundle, options=fewer)
    assert [region.label for region in again.regions] == [1]
    assert again.record.lesion_threshold == between
    back = detect(slide_path, tmp_path / "out", model=bundle, options=run)
    assert back.record.regions == first.record.regions


def test_a_cohort_does_so_too(first, slide_path, options) -> None:
    asked = CohortOptions(
        replace(options[0], threshold=OTHER, network=NetworkChoice(options[1]))
    )
    outcome = run_task(SlideTask(slide_path, first.folder, asked))
    assert (outcome.row.status, outcome.earlier) == ("done", False)
    assert outcome.row.found.threshold == OTHER
    assert read_record(first.folder / "run.json").threshold == OTHER
