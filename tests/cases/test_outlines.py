"""Outlines as people's programs write them: what is tumor, and what is left out.

Each case was once read as something else without a word.
"""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from napari_fastnet.annotations.reading import read_annotations
from napari_fastnet.annotations.roi import read_outlines, read_roi
from napari_fastnet.core.polygons import ring_area
from napari_fastnet.errors import AnnotationError

TUMOR = {"classification": {"name": "Tumor", "color": [200, 0, 0]}}
ALL = "region of interest"


def areas(rings):
    return sorted(round(ring_area(ring)) for ring in rings)


@pytest.fixture
def read(tmp_path):
    """Return a function that reads JSON: areas inside, areas taken out, notes."""

    def read(content, name="a.geojson", **options):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        found = read_annotations(path, **options)
        return areas(found.positive), areas(found.negative), found.skipped

    return read


@pytest.fixture
def asap(tmp_path, box):
    """Return a function that writes squares of 100 px as ASAP, each in a group."""

    def write(*groups, parents=(), kind="Polygon"):
        def one(number, group):
            points = "".join(
                f'<Coordinate Order="{i}" X="{x}" Y="{y}" />'
                for i, (x, y) in enumerate(box(200 * number, 0, 100, 100)[:-1])
            )
            return (
                f'<Annotation Name="Annotation {number}" Type="{kind}" '
                f'PartOfGroup="{group}"><Coordinates>{points}</Coordinates></Annotation>'
            )

        path = tmp_path / "a.xml"
        path.write_text(
            "<ASAP_Annotations><Annotations>"
            + "".join(one(*each) for each in enumerate(groups))
            + "</Annotations><AnnotationGroups>"
            + "".join(f'<Group Name="{a}" PartOfGroup="{b}" />' for a, b in parents)
            + "</AnnotationGroups></ASAP_Annotations>"
        )
        return path

    return write


def test_derived_classes_of_qupath(read, feature, box, geojson):
    content = [
        feature([box(0, 0, 300, 300)], **TUMOR),
        feature(
            [box(500, 0, 20, 20)], classification={"names": ["Stroma", "Negative"]}
        ),
        feature(
            [box(40, 40, 10, 10)], classification={"names": ["Exclusion", "Necrosis"]}
        ),
    ]
    with pytest.raises(AnnotationError, match="'Stroma: Negative'") as fault:
        read(content)
    assert "--tumor-class" in str(fault.value)
    assert "'Tumor' 1" in str(fault.value)
    inside, out, notes = read(content, tumor_classes=("Tumor",))
    assert (inside, out) == ([90_000], [100])
    assert notes == ("left out: 1 outline of the class 'Stroma: Negative'",)
    assert read(content, meaning=ALL)[:2] == ([400, 90_000], [100])


def test_the_class_of_the_digital_slide_archive(read, feature, box):
    def drawn(kind, *at):
        label = {"value": kind}
        return feature([box(*at)], type="polyline", group=kind, label=label)

    content = [drawn("Stroma", 0, 0, 30, 30), drawn("Tumor", 50, 0, 9, 9)]
    with pytest.raises(AnnotationError, match="'Stroma'"):
        read(content)
    assert read(content[1:]) == ([81], [], ())
    assert read(content, tumor_classes=("tumor",))[0] == [81]


@pytest.mark.parametrize("member", ["group", "label", "class", "className", "category"])
def test_classes_of_other_programs(read, feature, box, member):
    with pytest.raises(AnnotationError, match="'Stroma'"):
        read([feature([box(0, 0, 30, 30)], **{member: "Stroma"})])
    assert read([feature([box(0, 0, 30, 30)], **{member: "Tumor"})])[0] == [900]


def test_a_number_of_an_object_is_no_class(read, feature, box):
    inside, _, notes = read([feature([box(0, 0, 30, 30)], label=3)])
    assert inside == [900]
    assert "without a class, taken for tumor" in notes[0]


def test_a_name_that_is_a_known_class_is_one(read, feature, box):
    content = [
        feature([box(0, 0, 30, 30)], name="Tumor"),
        feature([box(5, 5, 10, 10)], name="Exclusion"),
    ]
    assert read(content) == ([900], [100], ())
    inside, _, notes = read([feature([box(0, 0, 30, 30)], name="Stroma 4")])
    assert inside == [900]
    assert "'Stroma 4'" in notes[0]


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ({"objectType": "cell"}, "cell"),
        ({"objectType": "detection"}, "detection"),
        ({"objectType": "tile"}, "tile"),
        ({"objectType": "tmaCore"}, "TMA core"),
        ({"object_type": "tma_core"}, "TMA core"),
        ({"objectType": "root"}, "root"),
    ],
)
@pytest.mark.parametrize("meaning", ["tumor", ALL])
def test_only_annotations_of_qupath_are_outlines(
    read, feature, box, kind, word, meaning
):
    one = feature([box(0, 0, 30, 30)], objectType="annotation", **TUMOR)
    others = [feature([box(i, 50, 5, 5)], **kind) for i in range(30)]
    inside, out, notes = read([one, *others], meaning=meaning)
    assert (inside, out) == ([900], [])
    assert notes == (
        f"left out: 30 objects of the type '{word}'; only annotations are outlines",
    )


def test_objects_of_qupath_0_2(read, feature, box):
    cell = {**feature([box(0, 50, 5, 5)]), "id": "PathCellObject"}
    one = {**feature([box(0, 0, 30, 30)], **TUMOR), "id": "PathAnnotationObject"}
    inside, _, notes = read([one, cell])
    assert inside == [900]
    assert "1 object of the type 'cell'" in notes[0]


def test_cells_alone_are_no_lesions_and_no_empty_table(tmp_path, geojson, feature, box):
    cells = [feature([box(i, 0, 5, 5)], objectType="cell") for i in range(3)]
    path = geojson(tmp_path / "a.geojson", *cells)
    with pytest.raises(AnnotationError, match="3 objects of the type 'cell'"):
        read_outlines(path, (1000, 1000))
    with pytest.raises(AnnotationError, match="3 objects of the type 'cell'"):
        read_roi(path, (1000, 1000))


def test_without_a_class_counts_where_no_outline_is_tumor_by_its_class(
    read, feature, box
):
    loose = [feature([box(50 * i, 0, 30, 30)], isLocked=True) for i in range(4)]
    inside, _, notes = read(loose)
    assert inside == [900] * 4
    assert notes == (
        "4 outlines without a class, taken for tumor: 'feature 0', 'feature 1', "
        "'feature 2', ...",
    )
    inside, _, notes = read([*loose, feature([box(0, 50, 9, 9)], **TUMOR)])
    assert inside == [81]
    assert notes[0].startswith("left out: 4 outlines without a class")
    inside, _, notes = read(
        [*loose, feature([box(0, 50, 9, 9)], **TUMOR)], tumor_classes=("Tumor", "None")
    )
    assert (inside, notes) == ([81, *[900] * 4], ())


def test_a_colour_is_no_class(read, feature, box):
    coloured = feature([box(0, 0, 30, 30)], classification={"color": [200, 0, 0]})
    inside, _, notes = read([coloured, feature([box(0, 50, 9, 9)], **TUMOR)])
    assert inside == [81]
    assert "1 outline without a class" in notes[0]


SLIDE = (2000, 3000)


def test_an_annotation_of_the_full_image_is_no_lesion(tmp_path, geojson, feature, box):
    whole = feature([box(0, 0, 3000, 2000)], objectType="annotation")
    lesions = [feature([box(100 * i, 500, 50, 50)]) for i in range(1, 13)]
    path = geojson(tmp_path / "a.geojson", whole, *lesions)
    found, notes = read_outlines(path, SLIDE)
    assert areas(found.positive) == [2500] * 12
    assert "1 outline without a class around the whole slide" in " ".join(notes)
    roi = read_roi(path, SLIDE)
    assert not roi.mask((200, 300)).all()
    alone = geojson(tmp_path / "b.geojson", whole)
    with pytest.raises(AnnotationError, match="around the whole slide"):
        read_outlines(alone, SLIDE)
    assert read_roi(alone, SLIDE).mask((200, 300)).all()


def test_so_is_that_of_a_scanned_part(tmp_path, geojson, feature, box):
    """QuPath's image is the scanned part, of which a slide of bounds has less."""
    whole = feature([box(0, 0, 1500, 1000)])
    lesion = feature([box(100, 500, 50, 50)])
    path = geojson(tmp_path / "a.geojson", whole, lesion)
    found, _ = read_outlines(path, SLIDE, bounds_offset=(700.0, 900.0))
    assert areas(found.positive) == [2500]
    np.testing.assert_array_equal(found.positive[0].min(axis=0), (1200, 1000))


def test_a_full_image_that_was_called_tumor_is(tmp_path, geojson, feature, box):
    path = geojson(tmp_path / "a.geojson", feature([box(0, 0, 3000, 2000)], **TUMOR))
    assert areas(read_outlines(path, SLIDE)[0].positive) == [6_000_000]


def test_geometries_in_collections_and_objects_in_objects(read, feature, box):
    polygon = {"type": "Polygon", "coordinates": [box(0, 0, 30, 30)]}
    line = {"type": "LineString", "coordinates": [[0, 0], [5, 5]]}
    inner = {"type": "GeometryCollection", "geometries": [polygon, line]}
    outer = {"type": "GeometryCollection", "geometries": [inner]}
    content = {"type": "Feature", "properties": TUMOR, "geometry": outer}
    inside, _, notes = read(content)
    assert inside == [900]
    assert notes == ("outline 'feature 0': a LineString encloses nothing",)
    assert read(inner)[0] == [900]

    child = feature([box(4, 4, 10, 10)], classification={"name": "Exclusion"})
    parent = feature([box(0, 0, 30, 30)], **TUMOR, childObjects=[child])
    assert read(parent) == ([900], [100], ())
    beside = {**feature([box(0, 0, 30, 30)], **TUMOR), "childObjects": [child]}
    assert read([beside]) == ([900], [100], ())


def test_collections_in_collections_and_bare_geometries(read, feature, box):
    polygon = {"type": "Polygon", "coordinates": [box(0, 0, 30, 30)]}
    inner = {"type": "FeatureCollection", "features": [feature([box(0, 0, 9, 9)])]}
    content = {"type": "FeatureCollection", "features": [inner, polygon]}
    assert read(content)[0] == [81, 900]
    assert read([polygon])[0] == [900]


def test_planes_of_a_stack_are_told(read, feature, box):
    def on(z):
        one = feature([box(50 * z, 0, 30, 30)], **TUMOR)
        one["geometry"]["plane"] = {"c": -1, "z": z, "t": 0}
        return one

    assert read([on(2), on(2)])[2] == ()
    inside, _, notes = read([on(0), on(2)])
    assert inside == [900, 900]
    assert "2 planes" in notes[0]


def test_histomics_elements(read):
    points = [[0, 0, 0], [30, 0, 0], [30, 30, 0], [0, 30, 0]]
    hole = [[5, 5, 0], [15, 5, 0], [15, 15, 0], [5, 15, 0]]
    line = {"type": "polyline", "points": points, "group": "Tumor"}
    square = {"type": "rectangle", "center": [105, 105, 0], "width": 10, "height": 20}
    elements = [
        {**line, "closed": True, "holes": [hole]},
        {**square, "rotation": 0, "label": {"value": "Exclusion"}},
        {**line, "closed": False},
        {"type": "point", "center": [1, 1, 0], "group": "Tumor"},
        {**square, "rotation": 0.3, "group": "Tumor"},
    ]
    content = {"annotation": {"name": "a", "elements": elements}}
    inside, out, notes = read(content, "a.json")
    assert (inside, out) == ([800], [200])
    assert [note.split("'")[1] for note in notes] == [
        "element 2",
        "element 3",
        "element 4",
    ]
    assert read([content], "a.json")[0] == [800]
    with pytest.raises(AnnotationError, match="'Stroma'"):
        read({"elements": [{**elements[0], "group": "Stroma"}]}, "a.json")


def test_asap_without_a_group_is_named_and_no_tumor(asap):
    found = read_annotations(asap("None", "None"))
    assert (found.positive, found.negative) == ((), ())
    assert found.skipped[0].startswith("left out: 2 outlines in no group")
    found = read_annotations(asap("None"), tumor_classes=("None",))
    assert areas(found.positive) == [10_000]
    found = read_annotations(asap("Tumor", "None"))
    assert (len(found.positive), len(found.negative)) == (1, 1)
    assert found.skipped == ("1 outline in no group, taken out of the tumor",)
    with pytest.raises(AnnotationError, match="2 outlines in no group"):
        read_outlines(asap("None", "None"), SLIDE)


def test_asap_groups_in_groups(asap):
    parents = [("micro", "Tumor"), ("Tumor", "None"), ("hole", "Exclusion")]
    found = read_annotations(asap("micro", "hole", "_2", parents=parents))
    assert (len(found.positive), len(found.negative)) == (1, 2)
    ring = [("a", "b"), ("b", "a")]
    with pytest.raises(AnnotationError, match="'a'"):
        read_annotations(asap("a", parents=ring))
    found = read_annotations(
        asap("micro", "Stroma", parents=parents), tumor_classes=("Tumor",)
    )
    assert len(found.positive) == 1
    assert found.skipped == ("left out: 1 outline of the class 'Stroma'",)


@pytest.mark.parametrize(
    "root", ['<Annotations MicronsPerPixel="0.25">', "<Annotations>"]
)
def test_annotations_of_imagescope_and_halo_are_refused_by_name(tmp_path, root):
    path = tmp_path / "a.xml"
    path.write_text(f"{root}<Annotation><Regions /></Annotation></Annotations>")
    with pytest.raises(AnnotationError, match="ImageScope or HALO") as fault:
        read_annotations(path)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_other_encodings(tmp_path, feature, box, asap, encoding):
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps(feature([box(0, 0, 30, 30)], **TUMOR)), encoding)
    assert areas(read_annotations(path).positive) == [900]
    text = asap("Tumor").read_text()
    (tmp_path / "b.xml").write_text(f'<?xml version="1.0"?>{text}', encoding)
    assert areas(read_annotations(tmp_path / "b.xml").positive) == [10_000]


def test_packed_and_empty_files_are_refused(tmp_path, feature, box):
    packed = tmp_path / "a.geojson"
    packed.write_bytes(gzip.compress(json.dumps(feature([box(0, 0, 3, 3)])).encode()))
    (tmp_path / "b.geojson").touch()
    (tmp_path / "c.xml").touch()
    for name in ("a.geojson", "b.geojson", "c.xml"):
        with pytest.raises(AnnotationError, match=name):
            read_annotations(tmp_path / name)
