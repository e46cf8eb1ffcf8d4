"""A run repeated: the same where nothing changed, and told apart where something did."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from napari_fastnet.cohort.detect import detect
from napari_fastnet.cohort.replay import (
    options_of,
    record_differences,
    replay,
    value_differences,
)
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.detection.tissue import find_tissue
from napari_fastnet.errors import (
    MaskError,
    OptionError,
    SlideNotFoundError,
    StoreError,
)
from napari_fastnet.results.reading import read_heatmap_ome_tiff
from napari_fastnet.results.record import read_record
from napari_fastnet.slide.slide import open_slide


def picture(dark=60):
    image = np.full((384, 512, 3), 244, np.uint8)
    image[32:352, 32:400] = (170, 110, 150)
    image[96:224, 96:224] = dark
    return image


@pytest.fixture(scope="module")
def slide_file(write_svs, tmp_path_factory):
    return write_svs(tmp_path_factory.mktemp("slide") / "a.svs", picture(), mpp=2.0)


@pytest.fixture(scope="module")
def finished(slide_file, dark_bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return detect(slide_file, folder, model=dark_bundle).folder


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the finished run, to be spoilt."""
    shutil.copytree(finished, tmp_path / "first" / "a")
    return tmp_path / "first" / "a"


def changed(run, change):
    record = json.loads((run / "run.json").read_text())
    change(record)
    (run / "run.json").write_text(json.dumps(record))
    return run / "run.json"


def named(done):
    return {item.what for item in done.differences}


@pytest.mark.parametrize(
    "options",
    [
        RunOptions(),
        RunOptions(stride="patch"),
        RunOptions(stride=24, threshold=0.6, flips=True),
        RunOptions(stride=32, anchor=(17.5, 3.25)),
    ],
)
def test_nothing_changed_and_nothing_differs(
    slide_file, dark_bundle, tmp_path, options
):
    first = detect(slide_file, tmp_path / "one", model=dark_bundle, options=options)
    done = replay(first.folder / "run.json", tmp_path / "two", model=dark_bundle)
    assert done.same
    assert done.differences == ()
    assert done.values.cells == first.heatmap.computed.sum() > 0
    assert done.values.largest == 0


def test_um_px_that_a_person_gave_are_given_again(write_svs, dark_bundle, tmp_path):
    path = write_svs(tmp_path / "a.svs", picture(), mpp=None)
    with open_slide(path, mpp=2.0) as slide:
        first = detect(slide, tmp_path / "one", model=dark_bundle)
    done = replay(first.folder / "run.json", tmp_path / "two", model=dark_bundle)
    assert done.same
    assert done.result.record.slide.mpp_source == "user"


@pytest.fixture
def painted(slide_file, dark_bundle, tmp_path):
    """A run of the left half only."""
    with open_slide(slide_file) as slide:
        tissue = find_tissue(slide)
        roi = tissue.masks.roi.copy()
        roi[:, roi.shape[1] // 2 :] = False
        tissue = tissue.with_roi(roi)
        return detect(slide, tmp_path / "one", model=dark_bundle, tissue=tissue).folder


def test_what_was_painted_is_looked_at_again(painted, dark_bundle, tmp_path):
    assert replay(painted / "run.json", tmp_path / "two", model=dark_bundle).same


def test_a_painting_that_is_lost_is_said(painted, dark_bundle, tmp_path):
    (painted / "tissue_roi.tif").unlink()
    with pytest.raises(StoreError, match=r"tissue_roi\.tif is missing"):
        replay(painted / "run.json", tmp_path / "two", model=dark_bundle)


def test_a_painting_of_a_slide_of_another_shape_does_not_fit(
    painted, write_svs, dark_bundle, tmp_path
):
    other = write_svs(tmp_path / "b.svs", picture()[:320], mpp=2.0)
    with pytest.raises(MaskError, match="give bool"):
        replay(painted / "run.json", tmp_path, slide=other, model=dark_bundle)


def test_another_slide_is_told_by_its_fingerprint_and_its_values(
    run, write_svs, dark_bundle, tmp_path
):
    other = write_svs(tmp_path / "other.svs", picture(dark=90), mpp=2.0)
    done = replay(run / "run.json", tmp_path / "o", slide=other, model=dark_bundle)
    assert not done.same
    assert "slide fingerprint" in named(done)
    assert done.values.beyond > 0
    assert done.values.largest == pytest.approx(30 / 255, abs=0.01)


def test_a_slide_of_another_size_has_no_cells_to_compare(
    run, write_svs, dark_bundle, tmp_path
):
    other = write_svs(tmp_path / "b.svs", picture()[:320], mpp=2.0)
    done = replay(run / "run.json", tmp_path / "o", slide=other, model=dark_bundle)
    assert not done.same
    assert done.values is None
    assert "grid" in named(done)


def test_another_model_is_told_by_its_hash(run, dark_bundle, tmp_path):
    file = changed(run, lambda record: record["model"].update(sha256="0" * 64))
    done = replay(file, tmp_path, model=dark_bundle)
    assert named(done) == {"model hash"}
    assert done.same  # another hash, the same values: said, and no fault


def test_other_versions_are_said(run, dark_bundle, tmp_path):
    file = changed(run, lambda record: record["versions"].update(numpy="1.0"))
    done = replay(file, tmp_path, model=dark_bundle)
    (difference,) = done.differences
    assert (difference.what, difference.then) == ("numpy", "1.0")
    assert not difference.is_result


def test_without_its_heatmap_the_numbers_of_the_record_are_compared(
    run, dark_bundle, tmp_path
):
    (run / "heatmap.ome.tif").unlink()
    assert replay(run / "run.json", tmp_path, model=dark_bundle).same
    file = changed(run, lambda record: record["regions"].update(regions=7))
    done = replay(file, tmp_path / "two", model=dark_bundle)
    assert done.values is None
    assert not done.same


def test_a_back_end_that_is_not_here_is_replaced_and_said(run, dark_bundle, tmp_path):
    file = changed(
        run, lambda record: record["options"].update(backend="torch on cuda:9")
    )
    done = replay(file, tmp_path, model=dark_bundle)
    assert "back end" in named(done)


def test_the_run_itself_is_not_written_over(run, dark_bundle):
    with pytest.raises(OptionError, match="folder of the run itself"):
        replay(run / "run.json", run.parent, model=dark_bundle)


def test_a_slide_that_is_gone_is_said_with_the_mend(run, dark_bundle, tmp_path):
    file = changed(run, lambda record: record["slide"].update(path="/no/where.svs"))
    with pytest.raises(SlideNotFoundError, match="--slide"):
        replay(file, tmp_path, model=dark_bundle)


@pytest.mark.parametrize("lost", ["dense", "stain"])
def test_a_record_that_lacks_what_was_asked_is_refused(run, lost):
    file = changed(run, lambda record: record["options"].pop(lost))
    with pytest.raises(StoreError, match=lost):
        options_of(read_record(file))


def test_a_record_of_tissue_alone_is_refused(run, tmp_path):
    file = changed(run, lambda record: record.update(model=None))
    with pytest.raises(StoreError, match="tissue alone"):
        replay(file, tmp_path)


def test_equal_records_do_not_differ_and_rounding_is_none(run):
    record = read_record(run / "run.json")
    fraction = record.tissue.fraction

    def other(fraction):
        tissue = replace(record.tissue, fraction=fraction)
        return record_differences(record, replace(record, tissue=tissue))

    assert other(fraction * (1 + 1e-9)) == ()
    (difference,) = other(fraction * (1 + 1e-5))
    assert difference.what == "tissue fraction"
    assert len(other(None)) == 1


def test_a_cell_that_one_map_lacks_counts_as_different(
    slide_file, dark_bundle, tmp_path
):
    heatmap = detect(slide_file, tmp_path, model=dark_bundle).heatmap
    cells = heatmap.computed.copy()
    row, column = np.argwhere(cells)[0]
    cells[row, column] = False
    found = value_differences(heatmap, heatmap.only(cells), 0.0)
    assert found.beyond == 1
    assert found.largest == 0
    assert value_differences(heatmap, heatmap, 0.0).beyond == 0


@pytest.mark.parametrize(
    ("apart", "backend", "given", "same"),
    [
        (1e-3, "onnx on cpu", {}, False),
        (5e-5, "onnx on cpu", {}, True),
        (0.015, "openvino on cpu, bf16", {}, True),
        (0.025, "openvino on cpu, bf16", {}, False),
        (0.015, "openvino on cpu, bf16", {"tolerance": 0.01}, False),
    ],
)
def test_a_network_in_bfloat16_may_be_rounded_elsewhere(
    run, dark_bundle, monkeypatch, apart, backend, given, same
) -> None:
    def read(path):
        heatmap, record = read_heatmap_ome_tiff(path)
        return replace(heatmap, probabilities=heatmap.probabilities + apart), record

    monkeypatch.setattr("napari_fastnet.cohort.replay.read_heatmap_ome_tiff", read)
    file = changed(run, lambda record: record["options"].update(backend=backend))
    done = replay(file, run.parent.parent / "again", model=dark_bundle, **given)
    assert done.values.cells > 100
    assert (done.values.beyond == 0) == same
