"""Labels of a slide: of the review, painted, of files; and the cells that they make."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_fastnet.annotations.options import OutlineOptions
from napari_fastnet.core.geometry import Box, Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.regions import find_regions
from napari_fastnet.errors import AnnotationError, SpacingError, StoreError
from napari_fastnet.results.corrections import Corrections
from napari_fastnet.results.decisions import Decisions
from napari_fastnet.results.labels import (
    Label,
    Labels,
    labelled_cells,
    labels_of_run,
    labels_of_runs,
    read_label_file,
)
from napari_fastnet.results.record import (
    RunRecord,
    SlideFacts,
    TissueFacts,
    write_record,
)
from napari_fastnet.results.regions import write_regions_geojson

#: 40 x 60 cells of 16 px, and a heatmap of the same cells with three lesions.
MPP, SHAPE, STEP = (0.972, 0.972), (640, 960), 16.0
VALUES = np.zeros((40, 60), np.float32)
VALUES[2:6, 2:6], VALUES[2:6, 20:26], VALUES[20:22, 40:42] = 0.9, 0.8, 0.7
HEATMAP = Heatmap(VALUES, Grid((0.0, 0.0), (STEP, STEP), VALUES.shape), MPP)


def facts(name="a.svs", fingerprint="sha256:1", **other):
    given = {"width": SHAPE[1], "height": SHAPE[0], "mpp": MPP, "mpp_source": "header"}
    return SlideFacts(f"/s/{name}", fingerprint, **given | other)


def run_of(folder, slide=None):
    folder.mkdir(parents=True)
    slide = slide or facts()
    write_record(
        folder / "run.json", RunRecord(slide=slide, tissue=TissueFacts(fraction=0.5))
    )
    return folder


@pytest.fixture
def run(tmp_path):
    return run_of(tmp_path / "a")


def paint(run, *parts, slide=None):
    slide = slide or facts()
    shape = slide.height, slide.width
    path = run / "corrections.geojson"
    corrections = Corrections.open(
        path, slide.fingerprint, shape, slide.mpp, slide.name
    )
    cells = corrections.cells.copy()
    for rows, columns, kind in parts:
        cells[rows, columns] = kind
    corrections.paint(cells)
    return corrections


def cells_of(labels, **other):
    """Return the labelled cells as rows of T (tumor), n (normal) and dots."""
    found = labelled_cells(labels, SHAPE, MPP, **other)
    drawn = np.full((40, 60), ".")
    row, column = (found.centres // STEP).astype(int).T
    drawn[row, column] = np.where(found.tumor, "T", "n")
    return found, ["".join(line).rstrip(".") for line in drawn]


def square(top, left, bottom, right):
    """Return the points of a square of cells as GeoJSON has them."""
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    return [[x * STEP, y * STEP] for x, y in corners]


def feature(ring, named=None, **properties):
    if named is not None:
        properties["classification"] = {"name": named, "color": [200, 0, 0]}
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "annotation", **properties},
    }


def geojson(path, *features):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


# Beside a run.


def test_verdicts_on_whole_lesions_are_labels_of_all_their_cells(run):
    decisions = Decisions.open(run / "decisions.json", "sha256:1")
    large, small, faint = find_regions(HEATMAP, 0.5)
    decisions.decide([large], "tumor")
    decisions.decide([small], "not tumor")
    decisions.decide([faint], "unsure")
    labels = labels_of_run(run)
    assert [(one.kind, one.source) for one in labels.items] == [
        ("tumor", "decided"),
        ("normal", "decided"),
    ]
    assert labels.fingerprint == "sha256:1"
    assert "1 lesion without a verdict, or unsure, label nothing" in labels.notes[0]
    found, rows = cells_of(labels)
    assert rows[2:6] == ["..nnnn" + 14 * "." + 6 * "T"] * 4
    assert len(found.centres) == 16 + 24
    assert found.notes == labels.notes


def test_persons_outlines_are_labels_as_they_were_drawn(run):
    decisions = Decisions.open(run / "decisions.json", "sha256:1")
    large, small, _ = find_regions(HEATMAP, 0.5)
    decisions.decide([large], "tumor")
    ring = np.array(square(10, 10, 11, 13)[:4])[:, ::-1]
    decisions.draw([(ring,)], "tumor")
    parts = [
        [(np.array(square(2, left, 6, left + 3)[:4])[:, ::-1],)] for left in (20, 23)
    ]
    decisions.replace([large], parts, "cut")
    cut = decisions.decisions[-1]
    region = replace(small, polygons=cut.polygons)
    decisions.decide([region], "not tumor")
    _, rows = cells_of(labels_of_run(run))
    assert rows[2:6] == [20 * "." + "TTTnnn"] * 4
    assert rows[10] == 10 * "." + "TTT"


def test_what_was_painted_goes_before_what_was_decided(run):
    Decisions.open(run / "decisions.json", "sha256:1").decide(
        find_regions(HEATMAP, 0.5)[:1], "tumor"
    )
    paint(run, (2, slice(20, 22), 2), (3, slice(20, 22), 3), (30, slice(0, 2), 1))
    found, rows = cells_of(labels_of_run(run))
    assert rows[2:5] == [20 * "." + row for row in ("nnTTTT", "..TTTT", "TTTTTT")]
    assert rows[30] == "TT"
    assert found.notes == ()


def test_a_run_without_labels_has_none(run):
    found, _ = cells_of(labels_of_run(run))
    assert found.centres.shape == (0, 2)
    assert found.places.shape == (0,)
    assert found.notes == ()
    with pytest.raises(StoreError, match="no such folder"):
        labels_of_run(run.parent / "b")


def test_a_run_without_um_per_px_has_no_labels(tmp_path):
    run = run_of(tmp_path / "b", facts(mpp=(0.0, 0.0)))
    with pytest.raises(SpacingError, match="give it with --mpp"):
        labels_of_run(run)


def test_a_damaged_file_beside_a_run_is_said_and_left(run):
    (run / "corrections.geojson").write_text("{")
    (note,) = labels_of_run(run).notes
    assert "is damaged" in note
    assert "left as it is" in note
    assert (run / "corrections.geojson").read_text() == "{"


# Files.


def test_a_file_of_qupath_as_people_have_them(tmp_path):
    """Classes mapped or named as left out, nothing guessed, whatever the geometry."""
    collection = feature(square(20, 0, 22, 2), "Immune cells")
    collection["geometry"] = {
        "type": "GeometryCollection",
        "geometries": [
            {"type": "Polygon", "coordinates": [square(20, 0, 21, 2)]},
            {"type": "MultiPolygon", "coordinates": [[square(22, 0, 23, 1)]]},
            {"type": "LineString", "coordinates": [[0, 0], [1, 1]]},
        ],
    }
    holed = feature(square(0, 0, 3, 4), "Tumor")
    holed["geometry"]["coordinates"].append(square(1, 1, 2, 3))
    path = geojson(
        tmp_path / "a.geojson",
        holed,
        feature(square(5, 0, 6, 2), "metastasis", name="a name"),
        feature(square(6, 0, 7, 2), "Tumor: Positive"),
        feature(square(7, 0, 8, 2), "Not tumor"),
        feature(square(8, 0, 9, 2), "Other"),
        feature(square(9, 0, 10, 3), "Normal"),
        feature(square(9, 1, 10, 2), "Ignore*"),
        collection,
        feature(square(30, 0, 31, 2)),
        feature(square(31, 0, 32, 2), "Necrosis"),
        feature(square(32, 0, 33, 2), "Tumor: Normal"),
        feature(square(33, 0, 34, 2), "Tumor", objectType="cell"),
        feature(square(34, 0, 35, 2), "Region*"),
    )
    labels = read_label_file(path, SHAPE)
    assert (labels.fingerprint, labels.slide) == ("", "")
    assert {one.source for one in labels.items} == {"a.geojson"}
    _, rows = cells_of(labels)
    assert rows[:10] == [
        "TTTT", "T..T", "TTTT", "", "", "TT", "TT", "nn", "nn", "n.n",
    ]  # fmt: skip
    assert rows[20:24] == ["nn", "", "n", ""]
    assert not any(rows[24:])
    said = "\n".join(labels.notes)
    for words in (
        "a LineString encloses nothing",
        "1 outline without a class; give each one that is meant",
        "1 outline of the class 'Necrosis', which is neither tumor nor normal",
        "1 outline of the class 'Tumor: Normal', which",
        "1 outline of the class 'Region*', which",
        "1 object of the type 'cell'",
    ):
        assert words in said
    assert all(note.startswith("a.geojson: ") for note in labels.notes)


def test_classes_named_by_the_user_are_tumor_and_no_others(tmp_path):
    path = geojson(
        tmp_path / "a.geojson",
        feature(square(0, 0, 1, 2), "DCIS"),
        feature(square(1, 0, 2, 2), "Tumor"),
        feature(square(2, 0, 3, 2), "Normal"),
        feature(square(3, 0, 4, 2)),
    )
    labels = read_label_file(path, SHAPE, tumor_classes=("dcis", "None"))
    assert cells_of(labels)[1][:4] == ["TT", "", "nn", "TT"]


def test_lesions_of_a_detection_are_labels_only_where_a_person_decided(run, tmp_path):
    decisions = Decisions.open(run / "decisions.json", "sha256:1")
    regions = find_regions(HEATMAP, 0.5)
    decisions.decide(regions[1:2], "tumor")
    decisions.decide(regions[2:], "not tumor")
    listed = decisions.reviewed(regions, HEATMAP, Box.of_shape(SHAPE))
    record = RunRecord(slide=facts(), tissue=TissueFacts(fraction=0.5))
    path = tmp_path / "regions.geojson"
    write_regions_geojson(path, listed, record=record)
    labels = read_label_file(path, SHAPE)
    assert labels.fingerprint == "sha256:1"
    assert labels.notes == (
        "regions.geojson: left out: 1 outline of the class 'Tumor: decided by no "
        "person', which is neither tumor nor normal",
    )
    assert cells_of(labels)[1] == cells_of(labels_of_run(run))[1]
    # in QuPath a person gave the undecided one a class
    said = json.loads(path.read_text())
    assert "status" not in said["features"][0]["properties"].get("metadata", {})
    said["features"][0]["properties"]["classification"]["name"] = "Normal"
    path.write_text(json.dumps(said))
    assert read_label_file(path, SHAPE).notes == ()
    # without its measurements it is an outline like any other
    said["features"][0]["properties"]["classification"]["name"] = "Tumor"
    del said["features"][0]["properties"]["measurements"]
    path.write_text(json.dumps(said))
    assert [one.kind for one in read_label_file(path, SHAPE).items].count("tumor") == 2


def test_outlines_of_asap_are_labels_too(tmp_path):
    path = tmp_path / "a.xml"
    outline = '<Annotation Name="{0}" Type="Polygon" PartOfGroup="{0}"><Coordinates>{1}</Coordinates></Annotation>'
    points = [
        "".join(
            f'<Coordinate Order="{n}" X="{x}" Y="{y}"/>'
            for n, (x, y) in enumerate(square(top, 0, top + 1, 2)[:4])
        )
        for top in (0, 1, 2)
    ]
    groups = zip(("_0", "_2", "Exclusion"), points, strict=True)
    body = "".join(outline.format(*one) for one in groups)
    path.write_text(
        f"<ASAP_Annotations><Annotations>{body}</Annotations></ASAP_Annotations>"
    )
    labels = read_label_file(path, SHAPE)
    assert [one.kind for one in labels.items] == ["tumor", "normal", "ignore"]


@pytest.mark.parametrize(
    ("features", "why"),
    [
        (
            [feature(square(100, 0, 110, 5), "Tumor")],
            "all of it lies outside the slide",
        ),
        (
            [feature(square(-9, -9, -2, -2), "Normal")],
            "all of it lies outside the slide",
        ),
        (
            [feature(square(0, 0, 1, 1), "Stroma 2")],
            "no outline that counts .*'Stroma 2'",
        ),
        ([feature(square(0, 0, 1, 1))], "no outline that counts .*without a class"),
        ([feature([[0, 0], ["a", 1], [1, 1]], "Tumor")], "no pair of numbers"),
        ([3], "no GeoJSON feature"),
    ],
)
def test_a_file_without_a_label_on_the_slide_is_refused_in_a_line(
    tmp_path, features, why
):
    path = geojson(tmp_path / "a.geojson", *features)
    with pytest.raises(AnnotationError, match=why) as said:
        read_label_file(path, SHAPE)
    assert str(path) in str(said.value)
    assert "\n" not in str(said.value)


def test_files_that_are_none_are_refused(tmp_path):
    (tmp_path / "a.geojson").write_text("{")
    (tmp_path / "a.txt").write_text("")
    for name, why in (
        ("a.geojson", "not JSON"),
        ("a.txt", "are .xml"),
        ("b.xml", "no such"),
    ):
        with pytest.raises(AnnotationError, match=why):
            read_label_file(tmp_path / name, SHAPE)


def test_outlines_that_reach_beyond_the_slide_are_cut_and_said(tmp_path):
    path = geojson(tmp_path / "a.geojson", feature(square(38, 58, 50, 70), "Normal"))
    labels = read_label_file(path, SHAPE)
    assert "1 of 1 outlines reach beyond the slide" in labels.notes[0]
    assert len(labelled_cells(labels, SHAPE, MPP).centres) == 4


def test_corrections_given_as_a_file_are_the_same_labels(run, tmp_path):
    Decisions.open(run / "decisions.json", "sha256:1").decide(
        find_regions(HEATMAP, 0.5)[:1], "tumor"
    )
    beside, _ = cells_of(labels_of_run(run))
    corrections = paint(run, (2, slice(20, 22), 2), (30, slice(0, 2), 1))
    there, _ = cells_of(labels_of_run(run))
    assert there.digest != beside.digest
    copy = tmp_path / "any.geojson"
    corrections.copy_to(copy)
    (run / "corrections.geojson").unlink()
    (labels,) = labels_of_runs([run], [copy])
    found, _ = cells_of(labels)
    assert found.digest == there.digest
    assert (found.centres == there.centres).all()
    # and once more beside the run
    corrections.copy_to(run / "corrections.geojson")
    (labels,) = labels_of_runs([run], [copy, copy])
    assert cells_of(labels)[0].digest == there.digest


def test_the_order_of_labels_makes_no_difference(run):
    paint(run, (2, slice(20, 22), 2), (slice(3, 9), 20, 1), (4, 20, 3))
    labels = labels_of_run(run)
    turned = replace(labels, items=labels.items[::-1])
    first, again = (labelled_cells(one, SHAPE, MPP) for one in (labels, turned))
    assert first.digest == again.digest
    assert (first.places == again.places).all()


def test_a_painted_file_that_is_damaged_is_refused(tmp_path):
    path = tmp_path / "a.geojson"
    path.write_text(
        '{"corrections": {"format": "napari-fastnet corrections", "format_version": 7}}'
    )
    with pytest.raises(AnnotationError, match="has format version 7"):
        read_label_file(path, SHAPE)


# Which file belongs to which run.


@pytest.fixture
def runs(tmp_path):
    slides = facts(), facts("b.ndpi", "sha256:2")
    return [run_of(tmp_path / slide.name, slide) for slide in slides]


def owners(runs, *files):
    sources = [
        {one.source for one in labels.items} for labels in labels_of_runs(runs, files)
    ]
    return [sorted(of) for of in sources]


def test_a_file_belongs_to_the_slide_of_its_fingerprint(runs, tmp_path):
    corrections = paint(runs[1], (1, 1, 1), slide=facts("b.ndpi", "sha256:2"))
    corrections.copy_to(tmp_path / "a.geojson")  # whatever its name
    (runs[1] / "corrections.geojson").unlink()
    assert owners(runs, tmp_path / "a.geojson") == [[], ["painted"]]
    with pytest.raises(AnnotationError, match=r"labels of another slide \(b\.ndpi\)"):
        labels_of_runs(runs[:1], [tmp_path / "a.geojson"])


def test_a_file_belongs_to_the_slide_of_its_name(runs, tmp_path):
    files = [
        geojson(tmp_path / name, feature(square(0, 0, 2, 2), "Tumor"))
        for name in ("b.geojson", "a.svs.geojson")
    ]
    assert owners(runs, *files) == [["a.svs.geojson"], ["b.geojson"]]


def test_a_file_of_any_name_belongs_to_the_only_slide(runs, tmp_path):
    path = geojson(tmp_path / "mine.geojson", feature(square(0, 0, 2, 2), "Tumor"))
    twice = run_of(tmp_path / "again")
    assert owners([runs[0], twice], path) == [["mine.geojson"], []]
    (note,) = labels_of_runs(runs[:1], [path])[0].notes
    assert (
        note
        == "mine.geojson does not say its slide: taken to be of a.svs, the only one"
    )
    named = geojson(tmp_path / "a.geojson", feature(square(0, 0, 2, 2), "Tumor"))
    assert labels_of_runs(runs[:1], [named])[0].notes == ()
    with pytest.raises(
        AnnotationError, match=r"which of the slides .*\(a\.svs, b\.ndpi\)"
    ):
        labels_of_runs(runs, [path])


def test_slides_of_one_name_are_told_apart_by_nothing_but_the_fingerprint(tmp_path):
    runs = [
        run_of(tmp_path / number, facts(fingerprint=f"sha256:{number}"))
        for number in ("1", "2")
    ]
    path = geojson(tmp_path / "a.geojson", feature(square(0, 0, 2, 2), "Tumor"))
    with pytest.raises(AnnotationError, match="which of the slides"):
        labels_of_runs(runs, [path])


def test_outlines_that_count_from_the_scanned_corner_are_moved(tmp_path):
    run = run_of(tmp_path / "a", facts(scanned_from=(32.0, 48.0)))
    path = geojson(tmp_path / "x.geojson", feature(square(0, 0, 1, 2), "Tumor"))
    options = OutlineOptions(bounds_offset="scanned")
    (labels,) = labels_of_runs([run], [path], options)
    assert cells_of(labels)[1][2] == "...TT"


# Cells.


def label(kind, *corners, source="x.geojson"):
    ring = np.array(square(*corners)[:4])[:, ::-1]
    return Label(polygons=((ring,),), kind=kind, source=source)


def test_cells_that_are_tumor_and_normal_at_once_are_left_out_and_said():
    items = (
        label("tumor", 0, 0, 1, 6),
        label("normal", 0, 2, 1, 8, source="decided"),
        label("ignore", 0, 7, 1, 8),
    )
    labels = Labels(fingerprint="f", slide="a.svs", items=items)
    found, rows = cells_of(labels)
    assert rows[0] == "TT....n"
    assert found.notes == (
        "a.svs: 4 cells labelled tumor and normal at once, left out; paint them, or "
        "remove one of both outlines",
    )
    painted = label("normal", 0, 2, 1, 6, source="painted")
    found, rows = cells_of(replace(labels, items=(*items, painted)))
    assert rows[0] == "TTnnnnn"
    assert found.notes == ()
    older = label("tumor", 0, 5, 1, 7, source="painted")
    found, rows = cells_of(replace(labels, items=(*items, painted, older)))
    assert rows[0] == "TTnnn.T"
    assert "1 cell labelled" in found.notes[0]


def test_outlines_too_small_for_a_cell_are_said():
    items = (label("tumor", 0, 0, 0.4, 5), label("normal", 0.4, 0.4, 0.6, 0.6))
    found, rows = cells_of(Labels(items=items))
    assert rows[0] == "n"
    assert (
        "1 outline too small to hold the centre of a cell of 15.6 µm" in found.notes[0]
    )


def test_labels_on_glass_are_said_and_their_mistake_is_named():
    tissue = np.zeros((320, 480), np.bool_)
    tissue[:, :200] = True  # 25 cells from the left
    labels = Labels(slide="a.svs", items=(label("tumor", 0, 20, 10, 30),))
    found, _ = cells_of(labels, tissue=tissue)
    assert found.notes == ("a.svs: 50 labelled cells outside the tissue masks",)
    assert len(found.centres) == 100
    labels = Labels(slide="a.svs", items=(label("tumor", 0, 50, 10, 60),))
    (note,) = cells_of(labels, tissue=tissue)[0].notes
    assert "only 0% of what is outlined lies on tissue; mirrored left to right" in note
    painted = replace(labels, items=(replace(labels.items[0], source="painted"),))
    (note,) = cells_of(painted, tissue=tissue)[0].notes
    assert note == "a.svs: 100 labelled cells outside the tissue masks"
    assert cells_of(Labels(), tissue=tissue)[0].notes == ()
