"""Export to a project of QuPath: what a reader of its format finds, and what stays."""

import hashlib
import json
import os
import re
import shutil
from dataclasses import replace
from uuid import UUID

import numpy as np
import pytest
import shapely
from PIL import Image

from napari_fastnet.errors import AnnotationError, OutputError
from napari_fastnet.results.decisions import Decisions
from napari_fastnet.results.formats.qupath_project import BIO_FORMATS, OPENSLIDE
from napari_fastnet.results.loading import load


def read(path):
    return json.loads(path.read_text("utf-8"))


def export(run, folder, **options):
    load(run, **options).export(folder, ["qupath-project"])
    return folder / "project.qpproj"


def decide(run):
    """Reject one lesion, and draw another."""
    result = load(run)
    decisions = Decisions.open(run / "decisions.json", "sha256:1", "a.svs")
    decisions.decide([result.lesions[1]], "not tumor")
    decisions.note(result.lesions[1], "crushed")
    ring = np.array([(1500, 600), (1500, 1000), (1900, 1000), (1900, 600)], float)
    decisions.draw([(ring,)])


def files_in(folder):
    """Return the digest of every file of a folder, locks apart."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".lock")
    }


def test_the_project_has_all_that_qupath_asks_for(run, tmp_path):
    path = export(run, tmp_path / "my project")
    content = read(path)
    # what QuPath refuses a project without, or takes for one of before 0.2
    for key in ("createTimestamp", "modifyTimestamp", "lastID"):
        assert type(content[key]) is int
    assert re.fullmatch(r"\d+\.\d+\.\d+", content["version"])
    assert content["uri"].startswith("file:/")
    assert content["uri"].endswith("my%20project/project.qpproj")
    (image,) = content["images"]
    assert image["entryID"] == content["lastID"] == 1
    assert UUID(image["randomizedName"])
    assert image["imageName"] == "a.svs"
    assert all(isinstance(text, str) for text in image["metadata"].values())
    server = image["serverBuilder"]
    assert server == read(path.parent / "data/1/server.json")
    assert server["builderType"] == "uri"
    assert (server["uri"], server["args"]) == ("file:/s%20l/a.svs", [])
    assert server["providerClassName"] == OPENSLIDE
    assert not (path.parent / "data/1/thumbnail.jpg").exists()  # the slide is not here


def test_the_slide_has_a_thumbnail_where_it_can_be_read(run, tmp_path):
    picture = np.full((240, 480, 3), (200, 30, 90), np.uint8)
    result = replace(load(run), picture=lambda: picture)
    result.export(tmp_path, ["qupath-project"])
    with Image.open(tmp_path / "data/1/thumbnail.jpg") as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("JPEG", (480, 240))
        np.testing.assert_allclose(np.asarray(thumbnail), picture, atol=4)


def test_java_finds_each_lesion_with_class_colour_and_measurements(
    run, tmp_path, data_file
):
    decide(run)
    path = export(run, tmp_path / "project")
    lines = data_file("read", path.parent / "data/1/data.qpdata").splitlines()
    about = json.loads(lines[1])
    assert about["server"] == read(path)["images"][0]["serverBuilder"]
    found = [line.split("\t") for line in lines[3:-1]]
    colours = {
        one["name"]: str(one["color"])
        for one in read(path.parent / "classifiers/classes.json")["pathClasses"]
    }
    named = [(one[1], one[3], one[5]) for one in found]
    assert named == [
        ("Region 1 (micro)", "Tumor: Undecided", "false"),
        ("Region 2 (ITC)", "Not tumor", "true"),
        ("Region 3 (ITC)", "Tumor: Undecided", "false"),
        ("Region 5 (ITC)", "Tumor", "true"),
    ]
    assert all(one[4] == colours[one[3]] for one in found)
    listed = load(run).listed
    assert "note=crushed" in found[1][7]
    for line, lesion in zip(found, listed, strict=True):
        assert f"area mm^2={lesion.region.area_mm2}" in line[6]
        assert f"longest axis mm={lesion.region.longest_axis_mm}" in line[6]
        shape = shapely.from_wkb(bytes.fromhex(line[8]))
        assert shape.area * 0.25**2 / 1e6 == pytest.approx(lesion.region.area_mm2)
        y, x = lesion.region.centroid
        assert shape.centroid.distance(shapely.Point(x, y)) < 1
    assert f"evidence={listed[0].region.evidence}" in found[0][6]
    summary = read(path.parent / "data/1/summary.json")["hierarchy"]
    assert summary["nObjects"] == 4
    assert summary["annotationClassificationCounts"]["Tumor: Undecided"] == 2


def test_coordinates_begin_at_the_scanned_part_if_openslide_shows_the_slide(
    make_run, tmp_path
):
    def corner_of(run, name):
        folder = export(run, tmp_path / name).parent
        lesions = read(folder / "data/1/lesions.geojson")["features"]
        return min(lesions[0]["geometry"]["coordinates"][0])

    scanned = {"scanned_from": (100.0, 30.0)}
    x, y = 128.0, 256.0  # of the first lesion, from the slide's corner
    assert corner_of(make_run(), "whole") == [x, y]
    assert corner_of(make_run(path="/b.mrxs", **scanned), "part") == [x - 30, y - 100]
    ome = make_run(path="/c.ome.tif", vendor="ome-tiff", **scanned)
    assert corner_of(ome, "ome") == [x, y]
    server = read(tmp_path / "ome/project.qpproj")["images"][0]["serverBuilder"]
    assert server["providerClassName"] == BIO_FORMATS
    assert server["args"] == ["--series", "0"]


def test_where_the_slide_is_now_is_its_address(run, tmp_path):
    (tmp_path / "b \u00fc.svs").touch()
    path = export(run, tmp_path / "project", slide=tmp_path / "b \u00fc.svs")
    uri = read(path)["images"][0]["serverBuilder"]["uri"]
    assert uri.endswith("/b%20%C3%BC.svs")


def test_a_second_slide_is_added_and_the_first_stays_byte_by_byte(make_run, tmp_path):
    folder = tmp_path / "project"
    export(make_run(), folder)
    before, listed = files_in(folder), read(folder / "project.qpproj")["images"]
    path = export(make_run(path="/s/b.svs", fingerprint="sha256:2"), folder)
    after = files_in(folder)
    assert {name for name in before if after[name] != before[name]} == {
        "project.qpproj"
    }
    content = read(path)
    assert content["images"][:1] == listed
    assert [one["entryID"] for one in content["images"]] == [1, 2]
    assert content["lastID"] == 2
    assert (folder / "data/2/data.qpdata").is_file()


def test_the_same_slide_again_is_the_same_image_with_the_lesions_of_now(run, tmp_path):
    folder = tmp_path / "project"
    path = export(run, folder)
    content, before = path.read_bytes(), files_in(folder)
    export(run, folder)
    assert path.read_bytes() == content
    decide(run)
    export(run, folder)
    assert path.read_bytes() == content
    after = files_in(folder)
    assert after.keys() == before.keys()
    assert after["data/1/data.qpdata"] != before["data/1/data.qpdata"]


def test_what_a_person_saved_in_qupath_since_is_kept_and_an_image_added(run, tmp_path):
    folder = tmp_path / "project"
    path = export(run, folder)
    objects = folder / "data/1/data.qpdata"
    objects.write_bytes(objects.read_bytes() + b"\x70")
    before = files_in(folder)
    export(run, folder)
    after = files_in(folder)
    assert {name for name in before if after[name] != before[name]} == {
        "project.qpproj"
    }
    images = read(path)["images"]
    assert [one["imageName"] for one in images] == ["a.svs", "a.svs (2)"]


def foreign(folder, uri, *, objects):
    """Write a project as QuPath leaves it, with more in it than we know of."""
    shutil.rmtree(folder, ignore_errors=True)
    data = folder / "data" / "3"
    data.mkdir(parents=True)
    builder = {"builderType": "uri", "providerClassName": OPENSLIDE, "uri": uri}
    image = {
        "serverBuilder": {**builder, "args": [], "metadata": {"magnification": 40.0}},
        "entryID": 3,
        "randomizedName": "3b0f69af-2141-407c-81f1-3ea532befd8d",
        "imageName": "my name",
        "description": "of mine \u00b5",
        "metadata": {"patient": "1"},
        "tags": ["a"],
    }
    content = {
        "version": "0.7.0",
        "createTimestamp": 1,
        "modifyTimestamp": 2,
        "uri": "file:/x/project.qpproj",
        "lastID": 285,
        "images": [image],
        "more": {"value": float("nan")},
    }
    (folder / "project.qpproj").write_text(json.dumps(content, indent=2), "utf-8")
    (folder / "classifiers").mkdir()
    classes = {"pathClasses": [{"name": "Tumor", "color": -1}, {"name": "Fat"}], "x": 1}
    (folder / "classifiers/classes.json").write_text(json.dumps(classes))
    (folder / "scripts").mkdir()
    (folder / "scripts/mine.groovy").write_text("print 1")
    (data / "thumbnail.jpg").write_bytes(b"jpg")
    if objects:
        (data / "data.qpdata").write_bytes(b"of QuPath")
    return content


@pytest.mark.parametrize("uri", ["file:/s%20l/a.svs", "file:/other/b.svs"])
@pytest.mark.parametrize("objects", [True, False])
def test_a_project_of_qupath_keeps_everything_it_has(run, tmp_path, uri, objects):
    folder = tmp_path / "theirs"
    content = foreign(folder, uri, objects=objects)
    before = files_in(folder)
    path = export(run, folder)
    after, now = files_in(folder), read(path)
    lists = {"project.qpproj", "classifiers/classes.json"}
    assert {name for name in before if after[name] != before[name]} <= lists
    changing = ("images", "lastID", "modifyTimestamp", "more")
    assert {k: v for k, v in now.items() if k not in changing} == {
        k: v for k, v in content.items() if k not in changing
    }
    assert np.isnan(now["more"]["value"])
    assert now["images"][:1] == content["images"]
    own = uri == "file:/s%20l/a.svs" and not objects
    assert len(now["images"]) == (1 if own else 2)
    added = 3 if own else 286  # what QuPath would have counted to
    assert (folder / f"data/{added}/data.qpdata").is_file()
    assert now["images"][-1]["entryID"] == added
    classes = read(folder / "classifiers/classes.json")
    assert classes["x"] == 1
    kinds = {one["name"]: one.get("color") for one in classes["pathClasses"]}
    assert (kinds["Tumor"], kinds["Fat"]) == (-1, None)
    assert {"Not tumor", "Unsure", "Tumor: Undecided"} < kinds.keys()


def test_the_folder_of_a_removed_image_is_not_taken(run, tmp_path):
    folder = tmp_path / "project"
    (folder / "data/1").mkdir(parents=True)
    (folder / "data/1/data.qpdata").write_bytes(b"left")
    path = export(run, folder)
    assert read(path)["images"][0]["entryID"] == 2
    assert (folder / "data/1/data.qpdata").read_bytes() == b"left"


def test_a_damaged_project_is_left_as_it_is(run, tmp_path):
    path = tmp_path / "project.qpproj"
    path.write_text('{"images": [')
    with pytest.raises(AnnotationError, match="no project of QuPath that can be read"):
        export(run, tmp_path)
    assert path.read_text() == '{"images": ['
    assert not (tmp_path / "data").exists()


def test_a_damaged_list_of_classes_is_left_as_it_is(run, tmp_path):
    foreign(tmp_path / "theirs", "file:/b.svs", objects=False)
    classes = tmp_path / "theirs/classifiers/classes.json"
    classes.write_text("{")
    with pytest.raises(OutputError, match="no list of classes that can be read"):
        export(run, tmp_path / "theirs")
    assert classes.read_text() == "{"
    assert len(read(tmp_path / "theirs/project.qpproj")["images"]) == 1


def test_what_cannot_be_written_leaves_the_project_as_it_was(run, tmp_path):
    path = export(run, tmp_path)
    before = path.read_bytes()
    objects = tmp_path / "data/1/data.qpdata"
    objects.write_bytes(objects.read_bytes() + b"\x70")
    (tmp_path / "data/2").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError):
        export(run, tmp_path)
    assert path.read_bytes() == before


def test_a_name_that_is_not_in_utf_8_is_refused_and_nothing_is_written(
    make_run, tmp_path
):
    run = make_run(path="/s/" + os.fsdecode(b"latin\xe9.svs"))
    with pytest.raises(
        OutputError, match="latin\ufffd\\.svs: its name is not in UTF-8"
    ):
        export(run, tmp_path / "project")
    assert not list(tmp_path.glob("project/*"))


def test_half_a_character_in_a_project_of_qupath_stays(run, tmp_path):
    foreign(tmp_path / "theirs", "file:/b.svs", objects=False)
    path = tmp_path / "theirs/project.qpproj"
    path.write_text(path.read_text("utf-8").replace("my name", "my \\ud800"), "utf-8")
    export(run, tmp_path / "theirs")
    assert [one["imageName"] for one in read(path)["images"]] == ["my \ud800", "a.svs"]
