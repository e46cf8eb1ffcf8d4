from __future__ import annotations

import pytest

from napari_fastnet.errors import DataError
from napari_fastnet.patches.camelyon import PARTLY_ANNOTATED, find_camelyon, is_camelyon

XML = "<ASAP_Annotations><Annotations /><AnnotationGroups /></ASAP_Annotations>"


def touch(folder, *names):
    """Make files; the folder is listed and no file of it is read."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(XML if path.suffix == ".xml" else "")
    return folder


@pytest.fixture
def folder(tmp_path):
    return touch(
        tmp_path / "CAMELYON16",
        "training/normal/normal_001.tif",
        "training/normal/normal_002.tif",
        "training/tumor/tumor_001.tif",
        "training/tumor/tumor_010.tif",
        "training/lesion_annotations/tumor_001.xml",
        "training/lesion_annotations/tumor_010.xml",
    )


def with_tests(folder):
    touch(folder, *(f"testing/images/test_{n:03}.tif" for n in (1, 2, 49, 114)))
    touch(folder, *(f"testing/lesion_annotations/test_{n:03}.xml" for n in (1, 114)))
    (folder / "testing" / "reference.csv").write_text(
        "test_001,Tumor,IDC,Macro\ntest_002,Normal,DCIS,None\n"
        "test_049,Tumor,IDC,Micro\ntest_114,Tumor,IDC,Macro\n"
    )
    return folder


def names(found):
    return [slide.name for slide in found.slides]


def test_slides_classes_and_annotations(folder):
    found = find_camelyon(folder)
    assert names(found) == ["normal_001", "normal_002", "tumor_001", "tumor_010"]
    assert [slide.is_tumor for slide in found.slides] == [False, False, True, True]
    assert found.slides[2].outlines == (
        folder / "training" / "lesion_annotations" / "tumor_001.xml"
    )
    assert found.slides[0].outlines is None
    assert found.notes == ()
    assert not any(slide.is_test for slide in found.slides)


def test_partly_annotated_slides_are_known(folder):
    found = find_camelyon(folder)
    assert [slide.is_partly for slide in found.slides] == [False, False, False, True]
    assert len(PARTLY_ANNOTATED) == 21


def test_the_test_set_on_demand(folder):
    with_tests(folder)
    assert len(find_camelyon(folder).slides) == 4
    found = find_camelyon(folder, testing=True)
    tests = found.slides[4:]
    assert [(s.name, s.is_tumor, s.is_partly) for s in tests] == [
        ("test_001", True, False),
        ("test_002", False, False),
        ("test_114", True, True),
    ]
    assert all(slide.is_test for slide in tests)
    assert tests[0].outlines.name == "test_001.xml"
    (note,) = found.notes
    assert "test_049" in note


def test_test_slides_without_class_or_annotation_are_named(folder):
    with_tests(folder)
    touch(folder, "testing/images/test_003.tif")
    (folder / "testing" / "lesion_annotations" / "test_001.xml").unlink()
    notes = find_camelyon(folder, testing=True).notes
    assert any("test_003" in note and "reference.csv" in note for note in notes)
    assert any("test_001" in note and "without annotation" in note for note in notes)


@pytest.mark.parametrize("place", ["training/annotations", "annotations"])
def test_other_places_for_annotations(folder, place):
    (folder / place).parent.mkdir(exist_ok=True)
    (folder / "training" / "lesion_annotations").rename(folder / place)
    found = find_camelyon(folder)
    assert found.slides[2].outlines == folder / place / "tumor_001.xml"


def test_annotations_of_tests_among_the_others_are_no_fault(folder):
    (folder / "training" / "lesion_annotations").rename(folder / "annotations")
    touch(folder, "annotations/test_001.xml")
    assert find_camelyon(folder).notes == ()


def test_capitals_do_not_matter(tmp_path):
    folder = touch(
        tmp_path,
        "Training/Normal/Normal_001.TIF",
        "Training/Tumor/Tumor_001.tif",
        "Training/Lesion_annotations/tumor_001.xml",
    )
    assert names(find_camelyon(folder)) == ["Normal_001", "Tumor_001"]


def test_an_annotation_without_slide_is_named(folder):
    touch(folder, "training/lesion_annotations/tumor_077.xml")
    (note,) = find_camelyon(folder).notes
    assert "tumor_077.xml" in note


def test_a_tumour_slide_without_annotation_is_left_out_and_named(folder):
    (folder / "training" / "lesion_annotations" / "tumor_001.xml").unlink()
    found = find_camelyon(folder)
    assert names(found) == ["normal_001", "normal_002", "tumor_010"]
    (note,) = found.notes
    assert "tumor_001.tif" in note


def test_normal_slides_alone_will_do(tmp_path):
    folder = touch(tmp_path, "training/normal/normal_001.tif")
    assert names(find_camelyon(folder)) == ["normal_001"]


def test_other_and_hidden_files_are_passed_over(folder):
    touch(folder, "training/normal/._normal_001.tif", "training/normal/checksums.md5")
    assert len(find_camelyon(folder).slides) == 4


@pytest.mark.parametrize(
    ("make", "words"),
    [
        ([], "no such folder"),
        (["slides/a.tif"], "no folder training"),
        (["training/readme.txt"], "no slide"),
        (["training/tumor/tumor_001.tif"], "no folder lesion_annotations"),
        (
            ["training/tumor/tumor_001.tif", "training/lesion_annotations.zip"],
            r"unpack .*lesion_annotations\.zip",
        ),
        (
            ["training/tumor/tumor_001.tif", "training/annotations/tumor_009.xml"],
            "no slide that can be used",
        ),
        (
            ["training/normal/normal_001.tif", "training/normal/Normal_001.svs"],
            "same name",
        ),
    ],
)
def test_a_wrong_folder_is_one_line(tmp_path, make, words):
    folder = touch(tmp_path / "data", *make)
    with pytest.raises(DataError, match=words) as caught:
        find_camelyon(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["testing", "testing/reference.csv"])
def test_a_test_set_that_is_not_there(folder, missing):
    with_tests(folder)
    (folder / missing).rename(folder / "elsewhere")
    with pytest.raises(DataError, match="testing"):
        find_camelyon(folder, testing=True)


def test_what_looks_like_the_folder(folder, tmp_path):
    assert is_camelyon(folder)
    assert not is_camelyon(folder / "training")
    assert not is_camelyon(tmp_path / "absent")
    assert not is_camelyon(touch(tmp_path / "other", "training/0/a.png"))
