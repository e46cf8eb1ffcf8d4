from __future__ import annotations

import numpy as np

from napari_fastnet.annotations.reading import read_annotations
from napari_fastnet.patches.camelyon import find_camelyon
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.synthetic.camelyon import write_camelyon


def test_the_layout_is_the_published_one(camelyon):
    found = sorted(p.relative_to(camelyon).as_posix() for p in camelyon.rglob("*.*"))
    assert found == [
        "testing/images/test_001.tif",
        "testing/images/test_002.tif",
        "testing/lesion_annotations/test_001.xml",
        "testing/reference.csv",
        "training/lesion_annotations/tumor_001.xml",
        "training/lesion_annotations/tumor_002.xml",
        "training/normal/normal_001.tif",
        "training/normal/normal_002.tif",
        "training/tumor/tumor_001.tif",
        "training/tumor/tumor_002.tif",
    ]
    reference = (camelyon / "testing" / "reference.csv").read_text().splitlines()
    assert reference == ["test_001,Tumor,IDC,Macro", "test_002,Normal,None,None"]
    folder = find_camelyon(camelyon, testing=True)
    assert len(folder.slides) == 6
    assert folder.notes == ()


def test_slides_differ_and_have_camelyons_spacing(camelyon):
    fingerprints = set()
    for slide in find_camelyon(camelyon).slides:
        with open_slide(slide.path) as opened:
            assert opened.require_mpp() == (0.243, 0.243)
            fingerprints.add(opened.fingerprint)
    assert len(fingerprints) == 4


def test_annotations_are_the_truth(tmp_path):
    truths = write_camelyon(tmp_path, normal=1, tumor=1, shape=(1024, 1024))
    path = tmp_path / "training" / "lesion_annotations" / "tumor_001.xml"
    found = read_annotations(path)
    lesions = truths["tumor_001"].lesions
    assert len(found.positive) == len(lesions) == 4
    for ring, lesion in zip(found.positive, lesions, strict=True):
        np.testing.assert_allclose(ring, lesion, atol=6e-4)
    assert truths["normal_001"].lesions == ()
