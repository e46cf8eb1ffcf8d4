from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from napari_fastnet.annotations.asap_xml import write_asap_xml
from napari_fastnet.annotations.truth_files import find_truths, read_truth
from napari_fastnet.core.polygons import Annotations
from napari_fastnet.errors import AnnotationError, DataError

SQUARE = np.array([(320, 640), (320, 1280), (960, 1280), (960, 640)], float)


def test_a_folder_of_outlines_and_masks(tmp_path):
    for name in ("tumor_001.xml", "Tumor_002_Mask.tif", "tumor_003.TIFF"):
        (tmp_path / name).touch()
    (tmp_path / "tumor_005_Mask.png").touch()
    for name in ("notes.txt", ".tumor_004.xml", "others.csv", "tumor_001.png"):
        (tmp_path / name).touch()
    truths = find_truths([tmp_path])
    assert sorted(truths.slides) == [f"tumor_00{n}" for n in (1, 2, 3, 5)]
    assert truths.has_outlines
    assert not truths.has_reference
    assert truths.of("TUMOR_002").outlines == tmp_path / "Tumor_002_Mask.tif"
    assert truths.of("tumor_003.ome").name == "tumor_003"
    assert truths.of("tumor_009") is None


def test_camelyon_s_reference_says_the_class(tmp_path):
    reference = tmp_path / "reference.csv"
    reference.write_text(
        "test_001,Tumor,IDC,Macro\r\ntest_003,Normal,DCIS,None\r\n\r\ntest_004.tif,tumor"
    )
    truths = find_truths([reference])
    classes = {name: truth.is_tumor for name, truth in truths.slides.items()}
    assert classes == {"test_001": True, "test_003": False, "test_004": True}
    assert truths.has_reference
    assert not truths.has_outlines


def test_a_reference_may_have_a_header_and_lie_beside_outlines(tmp_path):
    (tmp_path / "reference.csv").write_text("slide,class\nTest_001,Tumor\n")
    (tmp_path / "test_001.xml").touch()
    truths = find_truths([tmp_path])
    truth = truths.of("test_001")
    assert truth.is_tumor
    assert truth.outlines == tmp_path / "test_001.xml"
    assert len(truths.slides) == 1


@pytest.mark.parametrize("line", ["test_001", "test_001,tumorous", "test_001,,IDC"])
def test_a_line_without_a_class_is_named(tmp_path, line):
    reference = tmp_path / "reference.csv"
    reference.write_text(f"test_000,Normal\n{line}\n")
    with pytest.raises(DataError, match=r"reference\.csv, line 2: 'test_001"):
        find_truths([reference])


def test_a_slide_of_two_classes_is_refused(tmp_path):
    reference = tmp_path / "reference.csv"
    reference.write_text("test_001,Normal\ntest_001,Normal\nTest_001,Tumor\n")
    with pytest.raises(DataError, match="line 3: slide Test_001"):
        find_truths([reference])


def test_a_reference_that_is_no_text_is_named(tmp_path):
    (tmp_path / "reference.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"reference\.csv"):
        find_truths([tmp_path])


def test_a_slide_with_two_truths_is_refused(tmp_path):
    (tmp_path / "tumor_001.xml").touch()
    (tmp_path / "tumor_001_mask.tif").touch()
    with pytest.raises(DataError, match="slide tumor_001 has another truth"):
        find_truths([tmp_path])


@pytest.mark.parametrize("name", ["missing", "empty", "notes.txt"])
def test_a_place_without_truth_is_named(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=name):
        find_truths([tmp_path / name])


def test_outlines_and_masks_tell_the_same(tmp_path):
    write_asap_xml(tmp_path / "a.xml", Annotations((SQUARE,), ()))
    mask = np.zeros((1600, 1920), np.uint8)
    mask[320:960, 640:1280] = 255
    tifffile.imwrite(tmp_path / "a.tif", mask, tile=(256, 256), compression="zlib")
    options = {"mpp": (0.243, 0.243), "shape": (1600, 1920)}
    outlined, _ = read_truth(tmp_path / "a.xml", **options)
    masked, _ = read_truth(tmp_path / "a.tif", **options)
    assert outlined.extent == masked.extent == (50, 60)
    for truth in (outlined.around(3), masked.around(3)):
        assert truth.first == (7, 17)
        assert truth.inside.sum() == 400


def test_a_slide_of_other_um_per_px_has_other_px(tmp_path):
    write_asap_xml(tmp_path / "a.xml", Annotations((SQUARE,), ()))
    truth, _ = read_truth(tmp_path / "a.xml", mpp=(0.486, 0.486))
    assert truth.step == (16, 16)
    assert truth.inside.sum() == 1600


def test_outlines_of_another_slide_are_refused(tmp_path):
    write_asap_xml(tmp_path / "a.xml", Annotations((SQUARE,), ()))
    with pytest.raises(AnnotationError, match="none of its 1 outlines"):
        read_truth(tmp_path / "a.xml", mpp=(0.243, 0.243), shape=(300, 300))


def test_outlines_that_enclose_nothing_are_named(tmp_path):
    path = tmp_path / "a.json"
    vertices = SQUARE[:, ::-1].tolist()
    outlines = [
        {"name": "line", "vertices": vertices[:2]},
        {"name": "square", "vertices": vertices},
    ]
    path.write_text(json.dumps({"positive": outlines, "negative": []}))
    truth, odd = read_truth(path, mpp=(0.243, 0.243))
    assert truth.inside.sum() == 400
    assert len(odd) == 1
    assert "line" in odd[0]


def test_outlines_across_themselves_or_the_edge_are_used_and_named(tmp_path):
    bow = SQUARE[[0, 2, 1, 3]]
    write_asap_xml(tmp_path / "a.xml", Annotations((bow, SQUARE, SQUARE + 1e4), ()))
    (bottom, right) = SQUARE.max(axis=0) - 32
    shape = (int(bottom), int(right))
    truth, odd = read_truth(tmp_path / "a.xml", mpp=(0.243, 0.243), shape=shape)
    assert truth.inside.any()
    assert odd == (
        "1 outline crossing or touching itself: Annotation 0",
        "1 outline outside the slide",
        "2 outlines reaching beyond the slide",
    )


def test_outlines_that_cannot_be_understood_are_named(tmp_path):
    (tmp_path / "tumor_001.xml").write_text("<ASAP_Annotations>")
    with pytest.raises(AnnotationError, match="tumor_001"):
        read_truth(tmp_path / "tumor_001.xml", mpp=(0.243, 0.243))
