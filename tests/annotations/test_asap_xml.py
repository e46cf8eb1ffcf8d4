from __future__ import annotations

import resource
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_fastnet.annotations.asap_xml import read_asap_xml, write_asap_xml
from napari_fastnet.core.polygons import Annotations
from napari_fastnet.errors import AnnotationError

SQUARE = ((10.5, 20), (30, 20), (30, 44), (10.5, 44))  # (x, y)


def outline(points=SQUARE, *, group="Tumor", kind="Polygon", name="lesion"):
    coordinates = "".join(
        f'<Coordinate Order="{order}" X="{x}" Y="{y}" />'
        for order, (x, y) in enumerate(points)
    )
    return (
        f'<Annotation Name="{name}" Type="{kind}" PartOfGroup="{group}" '
        f'Color="#F4FA58"><Coordinates>{coordinates}</Coordinates></Annotation>'
    )


@pytest.fixture
def write(tmp_path):
    def write(*outlines, head='<?xml version="1.0"?>\n'):
        path = tmp_path / "tumor_001.xml"
        path.write_text(
            f"{head}<ASAP_Annotations><Annotations>{''.join(outlines)}</Annotations>"
            '<AnnotationGroups><Group Name="Tumor" PartOfGroup="None" Color="#00ff00">'
            "<Attributes /></Group></AnnotationGroups></ASAP_Annotations>"
        )
        return path

    return write


def refusal(path):
    with pytest.raises(AnnotationError) as caught:
        read_asap_xml(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_points_are_y_x_in_the_order_of_the_file(write):
    found = read_asap_xml(write(outline()))
    assert len(found.positive) == 1
    np.testing.assert_array_equal(found.positive[0], [(y, x) for x, y in SQUARE])
    assert found.positive[0].dtype == np.float64
    assert found.negative == ()
    assert found.skipped == ()


@pytest.mark.parametrize("group", ["_0", "_1", "Tumor", "tumor", "metastases"])
def test_groups_that_are_tumour(write, group):
    found = read_asap_xml(write(outline(group=group)))
    assert (len(found.positive), len(found.negative)) == (1, 0)


@pytest.mark.parametrize("group", ["_2", "None", "Exclusion", "normal"])
def test_groups_that_are_not(write, group):
    found = read_asap_xml(write(outline(), outline(group=group)))
    assert (len(found.positive), len(found.negative)) == (1, 1)


def test_a_group_of_unknown_meaning_is_refused(write):
    message = refusal(write(outline(), outline(group="maybe", name="Annotation 7")))
    assert "'Annotation 7'" in message
    assert "'maybe'" in message
    assert "_2" in message


def test_repeated_points_are_dropped(write):
    twice = [point for point in SQUARE for _ in range(2)]
    found = read_asap_xml(write(outline([*twice, SQUARE[0]])))
    np.testing.assert_array_equal(found.positive[0], [(y, x) for x, y in SQUARE])


@pytest.mark.parametrize(
    "points", [(), SQUARE[:1], SQUARE[:2], (SQUARE[0], SQUARE[1]) * 3]
)
def test_fewer_than_three_different_points_are_skipped_and_named(write, points):
    found = read_asap_xml(write(outline(points, name="short"), outline()))
    assert len(found.positive) == 1
    assert len(found.skipped) == 1
    assert "'short'" in found.skipped[0]


def test_three_different_points_are_an_outline(write):
    assert len(read_asap_xml(write(outline(SQUARE[:3]))).positive) == 1


@pytest.mark.parametrize("kind", ["Dot", "PointSet", "Measurement", "anything"])
def test_what_is_no_outline_is_skipped_and_named(write, kind):
    found = read_asap_xml(write(outline(kind=kind, name="other", group="anyone's")))
    assert found.positive == ()
    assert "'other'" in found.skipped[0]
    assert kind in found.skipped[0]


@pytest.mark.parametrize("kind", ["Spline", "Rectangle"])
def test_splines_and_rectangles_are_outlines(write, kind):
    assert len(read_asap_xml(write(outline(kind=kind))).positive) == 1


def test_decimal_commas_of_some_locales_are_read(write):
    commas = [(f"{x},5", f"{y},25") for x, y in ((1, 2), (3, 2), (3, 4))]
    found = read_asap_xml(write(outline(commas)))
    np.testing.assert_array_equal(found.positive[0][0], (2.25, 1.5))


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "", "ten", "0x10"])
def test_a_coordinate_that_is_no_number_refuses_the_file(write, value):
    message = refusal(write(outline([*SQUARE, (value, 3)], name="Annotation 3")))
    assert "'Annotation 3'" in message


def test_a_coordinate_beyond_any_slide_refuses_the_file(write):
    assert len(read_asap_xml(write(outline([*SQUARE, (1e8, 3)]))).positive) == 1
    assert "1e+08" in refusal(write(outline([*SQUARE, (1.0001e8, 3)])))


def test_a_missing_coordinate_refuses_the_file(write):
    assert "no number" in refusal(write(outline().replace('Y="44"', "")))


def test_no_outline_at_all_is_no_error(write):
    found = read_asap_xml(write())
    assert (found.positive, found.negative) == ((), ())


def test_no_file(tmp_path):
    assert "no such" in refusal(tmp_path / "tumor_001.xml")


def test_a_folder(tmp_path):
    assert "no such" in refusal(tmp_path)


@pytest.mark.parametrize("text", ["", "   ", "tumour", "{}", "\x00\xff"])
def test_no_xml(tmp_path, text):
    path = tmp_path / "a.xml"
    path.write_text(text, encoding="latin-1")
    assert "not an XML file" in refusal(path)


def test_xml_of_something_else(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<svg><Annotation /></svg>")
    assert "ASAP" in refusal(path)


def test_a_file_cut_short(write):
    path = write(outline())
    text = path.read_text()
    for end in range(1, len(text), 37):
        path.write_text(text[:end])
        assert "not an XML file" in refusal(path)


def test_an_encoding_nobody_knows(write):
    refusal(write(head='<?xml version="1.0" encoding="utf-99"?>'))


LAUGHS = "".join(
    f'<!ENTITY l{level} "{f"&l{level - 1};" * 10}">' for level in range(1, 10)
)


@pytest.mark.parametrize(
    "declared",
    [
        "<!DOCTYPE a>",
        '<!DOCTYPE a SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a [<!ENTITY % b SYSTEM "http://127.0.0.1:9/x"> %b;]>',
        f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]>',
    ],
)
def test_document_types_and_entities_are_refused(write, declared):
    message = refusal(write(outline(name="&b;&l9;"), head=declared))
    assert "document type or entities" in message


def test_elements_nested_without_end(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<ASAP_Annotations>" + "<a>" * 1_000_000)
    assert "too deep" in refusal(path)


def test_too_large_a_file_is_not_read(tmp_path):
    path = tmp_path / "a.xml"
    with path.open("wb") as file:
        file.truncate(256 * 2**20 + 1)
    assert "257 MiB" in refusal(path) or "256 MiB" in refusal(path)


def test_too_many_outlines(write, monkeypatch):
    monkeypatch.setattr("napari_fastnet.annotations.checks.MAXIMUM_OUTLINES", 2)
    dot = outline((), kind="Dot")
    assert len(read_asap_xml(write(dot, outline())).positive) == 1
    assert "2 outlines" in refusal(write(dot, outline(), dot))


def test_too_many_points(write, monkeypatch):
    monkeypatch.setattr("napari_fastnet.annotations.checks.MAXIMUM_POINTS", 8)
    assert len(read_asap_xml(write(outline(), outline())).positive) == 2
    assert "8 points" in refusal(write(outline(), outline(), outline(SQUARE[:3])))


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux")
def test_memory_is_the_coordinates_not_the_file(tmp_path):
    path = tmp_path / "a.xml"
    line = '<Coordinate Order="0" X="1.25" Y="2.5" />' + " " * 160
    with path.open("w") as file:
        file.write("<ASAP_Annotations><Annotation Name='a' PartOfGroup='_0'>")
        for _ in range(100):
            file.write(line * 1000)  # 20 MB in all
        file.write("</Annotation></ASAP_Annotations>")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = read_asap_xml(path)
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert len(found.skipped) == 1  # one point, 100,000 times
    assert grown_mib < 15


def test_outlines_that_cross_themselves_are_kept_and_named(write):
    bow = ((0, 0), (4, 4), (4, 0), (0, 4))
    found = read_asap_xml(write(outline(bow, name="bow"), outline()))
    assert len(found.positive) == 2
    assert found.crossing == ("bow",)


finite = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))
rings = st.lists(st.tuples(finite, finite), min_size=3, max_size=9, unique=True).map(
    lambda points: np.array(points, float)
)


@settings(max_examples=20, deadline=None)
@given(st.lists(rings, max_size=4), st.lists(rings, max_size=2))
def test_written_and_read_again(tmp_path_factory, positive, negative):
    path = tmp_path_factory.mktemp("asap") / "outlines.xml"
    write_asap_xml(path, Annotations(tuple(positive), tuple(negative)))
    found = read_asap_xml(path)
    assert found.skipped == ()
    for wanted, got in ((positive, found.positive), (negative, found.negative)):
        assert len(wanted) == len(got)
        for one, other in zip(wanted, got, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-9)
