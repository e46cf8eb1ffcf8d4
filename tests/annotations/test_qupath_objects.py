"""Data files of QuPath: what Java wrote is read, what is written Java reads."""

import struct

import numpy as np
import pytest
import shapely

from napari_fastnet.annotations.qupath.java_reading import read_java
from napari_fastnet.annotations.qupath.java_values import JavaObject
from napari_fastnet.annotations.qupath.java_writing import encoded_text, write_java
from napari_fastnet.annotations.qupath.object_writing import (
    INTEGER,
    packed_rgb,
    write_qpdata,
)
from napari_fastnet.annotations.qupath.objects import read_qpdata
from napari_fastnet.annotations.reading import read_annotations
from napari_fastnet.core import polygons
from napari_fastnet.errors import AnnotationError

ID = "123e4567-e89b-12d3-a456-426614174000"
COLOURS = {"Tumor": (200, 0, 0), "Tumor: Undecided": (1, 2, 3)}
SQUARE = [[[5.0, 5.0], [15.0, 5.0], [15.0, 15.0], [5.0, 15.0], [5.0, 5.0]]]


def feature(kind="Tumor", coordinates=None, **properties):
    about = {"name": "Region 1 \u00e9\U0001f52c", "classification": {"name": kind}}
    geometry = {"type": "Polygon", "coordinates": coordinates or SQUARE}
    return {
        "type": "Feature",
        "id": ID,
        "geometry": geometry,
        "properties": about | properties,
    }


def written(*features):
    return write_qpdata(features, {"uri": "file:/a.svs"}, COLOURS)


@pytest.fixture(scope="module")
def samples(data_file, tmp_path_factory):
    """Return files of versions 3 and 4 that Java wrote."""
    folder = tmp_path_factory.mktemp("samples")
    for version in ("3", "4"):
        data_file("write", folder / f"{version}.qpdata", version)
    return folder


@pytest.mark.parametrize("version", ["3", "4"])
def test_objects_that_java_wrote_are_read(samples, version):
    found = read_qpdata((samples / f"{version}.qpdata").read_bytes())
    polygon, cell, square = (one["properties"] for one in found)
    assert polygon["objectType"] == square["objectType"] == "annotation"
    assert cell["objectType"] == "PathDetectionObject"
    assert polygon["name"] == "a polygon"
    assert polygon["isLocked"]
    assert not square["isLocked"]
    assert polygon["classification"] == {"names": ["Tumor"], "color": [200, 0, 0]}
    assert square["classification"] == {"names": ["Tumor", "Unsure \u00e9\U0001f52c"]}
    assert square["color"] == [0, 255, 127]
    assert polygon["metadata"] == {"ANNOTATION_DESCRIPTION": "seen by A\0B"}
    measured = {"area mm^2": 0.25, "evidence": -1.5}
    assert polygon["measurements"] == cell["measurements"] == measured
    outlines = [shapely.geometry.shape(one["geometry"]) for one in found]
    assert [outline.bounds for outline in outlines] == [
        (10, 20, 110, 220),
        (30, 40, 32, 43),
        (0, 5, 300, 405),
    ]
    assert [one["id"] for one in found] == [ID if version == "4" else ""] * 3


def test_annotations_of_a_data_file_are_outlines_and_its_cells_are_not(samples):
    found = read_annotations(samples / "3.qpdata", "region of interest")
    assert len(found.positive) == 2
    (skipped,) = found.skipped
    assert "1 object of the type 'detection'" in skipped
    tumor = read_annotations(samples / "3.qpdata", "labels")
    assert len(tumor.positive) == 2  # one is of a class derived from it


def test_java_reads_what_is_written(data_file, tmp_path):
    two = [
        [SQUARE[0], [[8, 8], [9, 8], [9, 9.125], [8, 8]]],
        [[[20, 20], [30, 20], [30, 30]]],
    ]
    two[1][0].append(two[1][0][0])
    whole = feature(
        measurements={"area mm^2": 0.1, "evidence": 2.5},
        metadata={"status": "tumor", "note": "na\u00efve"},
        isLocked=True,
    )
    whole["geometry"] = {"type": "MultiPolygon", "coordinates": two}
    path = tmp_path / "data.qpdata"
    path.write_bytes(written(whole, feature("Tumor: Undecided")))
    printed = data_file("read", path).splitlines()
    assert printed[0] == "Data file version 3"
    assert '"uri": "file:/a.svs"' in printed[1]
    assert (printed[2], printed[-1]) == ("BRIGHTFIELD_H_E", "EOF")
    first, second = (line.split("\t") for line in printed[3:-1])
    assert first[:-1] == [
        *("PathAnnotationObject", "Region 1 \u00e9\U0001f52c", ID, "Tumor"),
        *(str(packed_rgb((200, 0, 0))), "true", "{area mm^2=0.1, evidence=2.5}"),
        "{status=tumor, note=na\u00efve, ANNOTATION_DESCRIPTION=na\u00efve}",
    ]
    assert second[3:7] == [
        "Tumor: Undecided",
        str(packed_rgb((1, 2, 3))),
        "false",
        "{}",
    ]
    outline = shapely.geometry.shape(whole["geometry"])
    assert shapely.from_wkb(bytes.fromhex(first[-1])).equals_exact(outline, 0)


def test_what_is_written_is_read_as_it_was():
    given = feature(metadata={"note": "n"}, measurements={"evidence": -0.25})
    (found,) = read_qpdata(written(given))
    assert found["id"] == ID
    np.testing.assert_array_equal(found["geometry"]["coordinates"], SQUARE)
    properties = found["properties"]
    assert properties["measurements"] == {"evidence": -0.25}
    assert properties["metadata"] == {"note": "n", "ANNOTATION_DESCRIPTION": "n"}
    assert read_qpdata(written()) == []


@pytest.mark.parametrize(
    "text", ["", "\0a\0", "\u00e9\u4e2d", "\U0001f52c!", "x" * 70_000]
)
def test_texts_come_back(text):
    assert list(
        read_java(write_java([text, text, text.encode("utf-8", "replace")]))
    ) == [*(text, text, text.encode("utf-8", "replace"))]


def test_text_is_encoded_as_java_does():
    assert encoded_text("\0") == b"\xc0\x80"
    assert encoded_text("\U0001f52c") == b"\xed\xa0\xbd\xed\xb4\xac"


def test_damaged_files_are_value_errors():
    whole = written(feature(metadata={"note": "n"}, measurements={"evidence": 1.0}))
    random = np.random.default_rng(3)
    refused = 0
    for _ in range(1500):
        content = bytearray(whole)
        for at in random.integers(0, len(whole), random.integers(1, 4)):
            content[at] = random.integers(0, 256)
        try:
            read_qpdata(bytes(content[: random.integers(1, len(whole) + 1)]))
        except ValueError:
            refused += 1
    assert refused > 1000  # numbers and letters may be any


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "ends in the middle"),
        (b"{}{}", "does not begin as serialised objects"),
        (write_java(["text"]), "holds no data of QuPath"),
        (
            write_java([b"\0\x13Data file version 3", "{}", "EOF"]),
            "no objects of QuPath",
        ),
        (b"\xac\xed\0\5\x77\x10", "ends in the middle"),
        (b"\xac\xed\0\5\x7a\xff\xff\xff\xff", "ends in the middle"),
        (b"\xac\xed\0\5\x71\0\x7e\0\0", "a reference leads nowhere"),
        (b"\xac\xed\0\5\x7b", "no value is of kind 0x7b"),
        (b"\xac\xed\0\5\x73\x70", "an object has no class"),
    ],
)
def test_what_is_no_data_file_is_refused_in_a_line(tmp_path, content, words):
    path = tmp_path / "data.qpdata"
    path.write_bytes(content)
    with pytest.raises(AnnotationError, match=words) as caught:
        read_annotations(path)
    assert str(caught.value).startswith(f"{path}: not data of QuPath that can be read")
    assert "\n" not in str(caught.value)


def test_objects_nested_without_end_are_refused():
    deep = JavaObject(INTEGER, {"value": 0})
    stream = write_java([deep])
    # an array of one value, which is an array of one value, and so on
    head = (
        b"\x75\x72\0\x13[Ljava.lang.Object;" + struct.pack(">q", 1) + b"\2\0\0\x78\x70"
    )
    again = b"\x75\x71\0\x7e\0\0"
    one = struct.pack(">i", 1)
    content = stream[:4] + head + one + (again + one) * 100_000
    with pytest.raises(ValueError, match="nested too deep"):
        list(read_java(content))


def test_written_annotations_are_outlines_with_their_holes(tmp_path):
    hole = [[8.0, 8.0], [8.0, 12.0], [12.0, 12.0], [12.0, 8.0], [8.0, 8.0]]
    path = tmp_path / "data.qpdata"
    path.write_bytes(
        written(feature("Tumor", [SQUARE[0], hole]), feature("Tumor: Undecided"))
    )
    assert len(read_annotations(path).positive) == 2
    labels = read_annotations(path, "labels")  # of what a person decided alone
    assert len(labels.positive) == 1
    assert polygons.ring_area(labels.positive[0]) == 100 - 16
