"""The run record: what it must say, and what is no record."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_fastnet.core.appearance.summary import QualitySummary
from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.lesions.regions import Totals
from napari_fastnet.errors import OptionError, OutputError, StoreError
from napari_fastnet.machine.json_text import plain, to_json
from napari_fastnet.results.record import (
    Counts,
    ModelFacts,
    OptionFacts,
    RunRecord,
    SlideFacts,
    TissueFacts,
    read_record,
    versions,
    write_record,
)
from napari_fastnet.store.format import Seconds


@pytest.fixture
def record():
    return RunRecord(
        slide=SlideFacts(
            "slides/ä.svs", "abc", 200, 100, (0.25, 0.26), "vendor", "aperio"
        ),
        model=ModelFacts("fastnet-pcam", "1.0", "f" * 64, 0.972, 96),
        grid=Grid((10.5, -3.0), (124.4, 124.4), (4, 5)),
        threshold=np.float32(0.5),
        tissue=TissueFacts(fraction=0.3, thresholds={"red": np.nan}),
        counts=Counts(kept=20, computed=15, failed=2),
        seconds=Seconds(1.0, 2.0, 2.5),
        options=OptionFacts(
            stain={"method": "none"}, resampling="area", stride_px=32, keep=0.5
        ),
        regions=Totals(tissue_mm2=2.0),
    )


def test_a_record_says_what_the_design_asks_for(record):
    said = record.to_dict()
    assert said["slide"] == {
        "path": "slides/ä.svs",
        "fingerprint": "abc",
        "width": 200,
        "height": 100,
        "mpp": [0.25, 0.26],
        "mpp_source": "vendor",
        "vendor": "aperio",
        "icc_profile": None,
        "reading": [],
        "scanned_from": None,
        "finer_tiles": {},
    }
    assert said["model"]["patch"] == 96
    assert said["grid"] == {
        "origin_px": [10.5, -3.0],
        "step_px": [124.4, 124.4],
        "shape": [4, 5],
    }
    assert said["threshold"] == 0.5
    assert said["counts"] == {"kept": 20, "computed": 15, "failed": 2, "stopped": 3}
    assert said["seconds"] == {
        "read": 1.0,
        "infer": 2.0,
        "total": 2.5,
        "earlier": 0.0,
    }
    assert said["options"]["stain"] == {"method": "none"}
    assert said["tissue"]["thresholds"]["red"] is None  # NaN is not JSON
    assert said["notice"] == "Research use only. Not for diagnosis."
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", said["created"])


def test_what_is_written_is_read_again(tmp_path, record):
    write_record(tmp_path / "run.json", record)
    back = read_record(tmp_path / "run.json")
    # JSON has no NaN, and no float32
    tissue = replace(record.tissue, thresholds={"red": None})
    assert back == replace(record, threshold=0.5, tissue=tissue)
    assert back.to_dict() == record.to_dict()


def test_keys_of_other_versions_are_written_again(tmp_path, record):
    said = record.to_dict()
    said["later"], said["slide"]["stage"] = {"a": [1]}, {"x": 2}
    said["tissue"]["parameters"] = {"low": 30, "hue": 5}
    del said["slide"]["finer_tiles"]
    del said["quality"]
    (tmp_path / "run.json").write_text(json.dumps(said))
    back = read_record(tmp_path / "run.json")
    again = replace(back, threshold=0.7).to_dict()
    parameters = again["tissue"].pop("parameters")
    assert (parameters["low"], parameters["hue"]) == (30, 5)
    del said["tissue"]["parameters"]
    assert again == said | {"threshold": 0.7}


def test_a_zero_that_an_earlier_version_did_not_know_is_written(tmp_path, record):
    path = tmp_path / "run.json"
    write_record(path, replace(record, lesion_threshold=None))
    found = json.loads(path.read_text())
    del found["lesion_threshold"]
    path.write_text(json.dumps(found))
    read = read_record(path)
    assert "lesion_threshold" not in read.to_dict()
    assert replace(read, lesion_threshold=0.0).to_dict()["lesion_threshold"] == 0.0


def test_what_holds_no_more_is_not_written_again(tmp_path, record):
    doubted = QualitySummary(verdict="Odd. Fine.", doubt="Odd", warn=True)
    drawn = replace(record.regions, outlines="a.geojson")
    write_record(tmp_path / "run.json", replace(record, quality=doubted, regions=drawn))
    back = read_record(tmp_path / "run.json")
    assert (back.quality, back.regions) == (doubted, drawn)
    sure = replace(back, quality=replace(doubted, doubt="")).to_dict()
    assert "doubt" not in sure["quality"]
    assert replace(back, quality=QualitySummary()).to_dict()["quality"] == {}
    found = replace(back, regions=replace(drawn, outlines="")).to_dict()["regions"]
    assert "outlines" not in found


def test_the_file_is_sorted_and_indented(tmp_path, record):
    write_record(tmp_path / "run.json", record)
    text = (tmp_path / "run.json").read_text()
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"


def test_a_record_of_tissue_alone_needs_no_model(tmp_path, record):
    alone = RunRecord(slide=record.slide, tissue=TissueFacts(fraction=0))
    write_record(tmp_path / "run.json", alone)
    assert read_record(tmp_path / "run.json").model is None


def test_versions_come_from_metadata(record):
    found = versions()
    assert re.match(r"3\.\d+", found["python"])
    assert found["numpy"] == np.__version__
    assert {"napari-fastnet", "tiffslide", "tifffile", "onnxruntime"} <= set(found)


def test_a_package_that_is_not_installed_has_no_version():
    assert versions(["no-such-package"])["no-such-package"] is None


def test_plain_values():
    given = {
        "path": Path("a"),
        "array": np.array([1.5, np.inf]),
        "pair": (np.int64(1), True),
        3: None,
    }
    assert plain(given) == {
        "path": "a",
        "array": [1.5, None],
        "pair": [1, True],
        "3": None,
    }


def test_what_has_no_json_form_is_refused():
    with pytest.raises(OptionError, match="cannot hold"):
        plain({"a": [object()]})


def test_json_for_tags_is_ascii():
    assert to_json({"b": "µ", "a": 1}) == '{"a": 1, "b": "\\u00b5"}'


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"run\.json"):
        read_record(tmp_path / "run.json")


@pytest.mark.parametrize("text", ["", "{", "\xff", '{"a": NaN}'])
def test_what_is_no_json_is_refused(tmp_path, text):
    (tmp_path / "run.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(StoreError, match="not valid JSON"):
        read_record(tmp_path / "run.json")


@pytest.mark.parametrize("text", ["[]", "{}", '{"format": "other"}', '"a"'])
def test_other_json_is_refused(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(StoreError, match="not a run record"):
        read_record(tmp_path / "run.json")


def remove(*keys):
    def edit(record):
        for key in keys[:-1]:
            record = record[key]
        del record[keys[-1]]

    return edit


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (remove("slide"), "'slide'"),
        (remove("slide", "mpp_source"), "'slide.mpp_source'"),
        (remove("model", "sha256"), "'model.sha256'"),
        (remove("grid", "origin_px"), "'grid.origin_px'"),
        (remove("tissue", "fraction"), "'tissue.fraction'"),
        (remove("counts", "failed"), "'counts.failed'"),
        (remove("counts"), "'counts'"),
        (remove("seconds", "total"), "'seconds.total'"),
        (remove("versions", "python"), "'versions.python'"),
        (lambda record: record.update(slide=None), "'slide'"),
        (lambda record: record.update(grid=[1]), "'grid'"),
        (lambda record: record["slide"].update(mpp=[1]), "'slide.mpp'"),
        (lambda record: record["slide"].update(mpp=[1, "2"]), "'slide.mpp'"),
        (lambda record: record["slide"].update(path="a\0b"), "'slide.path'"),
        (lambda record: record["counts"].update(kept=True), "'counts.kept'"),
        (lambda record: record["options"].update(colours="x"), "'options.colours'"),
        (lambda record: record["options"].update(bounds_offset=1), "bounds_offset'"),
    ],
)
def test_one_damaged_part_is_named(tmp_path, record, edit, named):
    said = record.to_dict()
    edit(said)
    (tmp_path / "run.json").write_text(json.dumps(said))
    with pytest.raises(StoreError, match=f"{named} is missing or of another kind"):
        read_record(tmp_path / "run.json")


def test_a_later_format_is_refused(tmp_path, record):
    said = record.to_dict() | {"format_version": 2}
    (tmp_path / "run.json").write_text(json.dumps(said))
    with pytest.raises(StoreError, match="update napari-fastnet"):
        read_record(tmp_path / "run.json")


def test_a_record_that_cannot_be_written_is_an_output_error(tmp_path, record):
    (tmp_path / "out").touch()
    with pytest.raises(OutputError, match=r"out/run\.json"):
        write_record(tmp_path / "out" / "run.json", record)
