"""Whole slides and their truth, as people name and keep them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from napari_fastnet.annotations.asap_xml import write_asap_xml
from napari_fastnet.annotations.options import OutlineOptions
from napari_fastnet.annotations.truth_files import find_truths
from napari_fastnet.core.polygons import Annotations
from napari_fastnet.errors import DataError
from napari_fastnet.evaluation.options import SlideEvaluationOptions
from napari_fastnet.evaluation.slides import SkippedSlide, evaluate_slides
from napari_fastnet.evaluation.sources import find_sources
from napari_fastnet.results.formats.ome_tiff import write_mask_tiff

CELL = 64
SHAPE = (30, 40)
LESION = np.array([(4, 5), (4, 20), (12, 20), (12, 5)], float) * CELL


@pytest.fixture
def run(tmp_path, write_run):
    """Return a function that writes a run of a slide, 0.9 in its lesion."""

    def write(name, slide="", *, tumor=False, **facts):
        values = np.full(SHAPE, 0.01, np.float32)
        values[5:8, 7:10] = 0.9 if tumor else 0.2
        folder = write_run(tmp_path / "runs" / name, values)
        path = folder / "run.json"
        record = json.loads(path.read_text())
        record["slide"] |= {"path": slide or f"/slides/{name}.svs", **facts}
        path.write_text(json.dumps(record))
        return folder

    return write


@pytest.fixture
def truth(tmp_path):
    """Return a function that writes outlines of a lesion for a slide."""
    folder = tmp_path / "truth"
    folder.mkdir()

    def write(name, offset=(0, 0)):
        write_asap_xml(folder / name, Annotations((LESION + offset,), ()))
        return folder

    return write


def judge(tmp_path, *truths, **options):
    outcomes = evaluate_slides(
        find_sources([tmp_path / "runs"]),
        find_truths(truths or [tmp_path / "truth"]),
        SlideEvaluationOptions(**options),
    )
    return {outcome.name: outcome for outcome in outcomes}


def test_two_slides_of_one_name_are_two(tmp_path, run, truth):
    """As `detect` leaves them: folders that tell them apart."""
    run("monday_a", "/monday/a.svs", tumor=True)
    run("tuesday_a", "C:\\tuesday\\a.svs")
    truth("monday_a.xml")
    found = judge(tmp_path)
    assert found["monday_a"].is_tumor
    assert found["monday_a"].hits.lesion_scores.min() > 0.5
    assert (found["tuesday_a"].is_tumor, found["tuesday_a"].assumed) == (False, True)


def test_a_truth_that_may_be_of_either_is_of_none(tmp_path, run, truth):
    run("a", "/monday/a.svs", tumor=True)
    run("tuesday_a", "/tuesday/a.svs")
    run("b", tumor=True)
    truth("a.xml")
    truth("b.xml")
    found = judge(tmp_path)
    for name in ("a", "tuesday_a"):
        assert isinstance(found[name], SkippedSlide)
        assert "several slides are called a" in found[name].reason
    assert found["b"].is_tumor
    found = judge(tmp_path, exclude=("tuesday_a",))
    assert found["tuesday_a"].reason == "excluded on request"
    assert all(
        "on request" in judge(tmp_path, exclude=("a",))[n].reason
        for n in ("a", "tuesday_a")
    )


def test_slides_that_differ_in_their_suffix(tmp_path, run, truth):
    run("a_svs", "/s/a.svs", tumor=True)
    run("a_tif", "/s/a.tif")
    truth("a_svs.xml")
    found = judge(tmp_path)
    assert found["a_svs"].is_tumor
    assert not found["a_tif"].is_tumor


def test_one_slide_in_two_folders_is_one_too_many(tmp_path, run):
    run("a", "/s/a.svs")
    run("a_again", "/s/a.svs")
    with pytest.raises(DataError, match="slide a is there twice"):
        find_sources([tmp_path / "runs"])


def masks_of(tmp_path, *names):
    folder = tmp_path / "masks"
    folder.mkdir(exist_ok=True)
    for name in names:
        mask = np.zeros([side * CELL for side in SHAPE], np.uint8)
        mask[256:768, 320:1280] = 255
        tifffile.imwrite(folder / name, mask, compression="zlib")
    return folder


def test_among_masks_a_slide_without_one_is_skipped_unless_asked(tmp_path, run):
    run("a", tumor=True)
    run("b")
    folder = masks_of(tmp_path, "a_mask.tif")
    skipped = judge(tmp_path, folder)["b"]
    assert "there is no mask of it" in skipped.reason
    assert "--unannotated normal" in skipped.reason
    taken = judge(tmp_path, folder, unannotated="normal")["b"]
    assert (taken.is_tumor, taken.assumed) == (False, True)


def test_among_outlines_it_is_normal_as_in_camelyon(tmp_path, run, truth):
    run("a", tumor=True)
    run("b")
    truth("a.xml")
    assert judge(tmp_path)["b"].assumed
    assert isinstance(judge(tmp_path, unannotated="skip")["b"], SkippedSlide)


@pytest.mark.parametrize(
    "name", ["b.annotations", "b.geojson.gz", "b.svs.ndpa", "B.qpdata", "b_mask.npy"]
)
def test_a_truth_that_is_not_read_makes_no_slide_normal(tmp_path, run, truth, name):
    run("a", tumor=True)
    run("b")
    run("bb")
    (truth("a.xml") / name).touch()
    found = judge(tmp_path)
    assert name in found["b"].reason
    assert found["bb"].assumed


@pytest.mark.parametrize(
    "name", ["a.svs.xml", "A.NDPI.xml", "a.ome.tif.xml", "a.tiff.xml"]
)
def test_outlines_may_carry_the_suffix_of_the_slide(tmp_path, run, truth, name):
    run("a", tumor=True)
    truth(name)
    assert judge(tmp_path)["a"].is_tumor


@pytest.mark.parametrize(
    "text",
    [
        "tumor_1.svs,Tumor\nnormal_1.svs,Normal\n",
        "TUMOR_1.SVS,TUMOR\nNORMAL_1.SVS,NORMAL\n",
        "tumor_1.ndpi;Tumor\nnormal_1.mrxs;Normal\n",
        "tumor_1.dcm\tTumour\nnormal_1.scn\tnormal\n",
        "Slide name,Class\ntumor_1.ome.tif,Tumor\nnormal_1.tiff,Normal\n",
        "filename;type;stage\r\ntumor_1.bif;Tumor;pN1\r\nnormal_1.bif;Normal;pN0\r\n",
        "images/tumor_1.svs,Tumor\nD:\\slides\\normal_1.svs,Normal\n",
        "\ufeffslide,class\ntumor_1.svs, tumor \n\nnormal_1.svs,Normal\n",
    ],
)
def test_a_reference_may_name_files(tmp_path, run, text):
    run("tumor_1", tumor=True)
    run("normal_1")
    reference = tmp_path / "Reference.CSV"
    reference.write_text(text, encoding="utf-8")
    found = judge(tmp_path, reference)
    assert found["tumor_1"].is_tumor
    assert (found["normal_1"].is_tumor, found["normal_1"].assumed) == (False, False)


def test_a_dot_in_a_name_is_part_of_it(tmp_path, run):
    run("TCGA-01.9F2C")
    (tmp_path / "r.csv").write_text("TCGA-01.9F2C,Normal\nTCGA-01.svs,Tumor\n")
    found = judge(tmp_path, tmp_path / "r.csv")
    assert not found["TCGA-01.9F2C"].assumed


def test_a_reference_in_a_folder_is_found_whatever_its_capitals(tmp_path, run, truth):
    run("b")
    (truth("a.xml") / "Reference.csv").write_text("b,Normal\n")
    assert not judge(tmp_path)["b"].assumed


def test_outlines_that_count_from_the_scanned_part(tmp_path, run, truth):
    run("a", tumor=True, scanned_from=(704.0, 0.0))
    truth("a.xml", (-704, 0))
    wrong = judge(tmp_path)["a"]
    assert wrong.hits.lesion_scores.tolist() == [0]
    for offset in ("scanned", (704.0, 0.0)):
        options = OutlineOptions(bounds_offset=offset)
        found = judge(tmp_path, outlines=options)["a"]
        assert found.hits.lesion_scores.min() > 0.5


def test_a_record_that_does_not_say_where_the_scan_begins_asks_for_it(
    tmp_path, run, truth
):
    run("a", tumor=True)
    truth("a.xml")
    options = OutlineOptions(bounds_offset="scanned")
    assert "give --bounds-offset Y X" in judge(tmp_path, outlines=options)["a"].reason


def test_classes_that_the_user_called_tumor(tmp_path, run, geojson, feature, box):
    run("a", tumor=True)
    run("b")
    folder = tmp_path / "truth"
    folder.mkdir()
    ring = box(320, 256, 960, 512)
    for name, kind in (("a", "Metastase"), ("b", "Stroma")):
        one = feature([ring], classification={"name": kind})
        geojson(folder / f"{name}.geojson", one)
    assert "'Metastase'" in judge(tmp_path)["a"].reason
    options = OutlineOptions(tumor_classes=("Metastase",))
    found = judge(tmp_path, outlines=options)
    assert found["a"].hits.lesion_scores.min() > 0.5
    assert "1 outline of the class 'Stroma'" in found["b"].reason


def test_a_truth_that_is_mirrored_is_told(tmp_path, run, truth):
    folder = run("a", tumor=True)
    tissue = np.zeros((30, 40), bool)
    tissue[3:14, 3:22] = True
    for name in ("rgb", "hsv", "threshold"):
        write_mask_tiff(folder / f"tissue_{name}.tif", tissue, (15.552, 15.552))
    truth("a.xml")
    assert judge(tmp_path)["a"].notes == ()
    mirrored = LESION * (1, -1) + (0, SHAPE[1] * CELL)
    write_asap_xml(tmp_path / "truth" / "a.xml", Annotations((mirrored,), ()))
    (note,) = judge(tmp_path)["a"].notes
    assert "mirrored left to right, it would be 100%" in note
    masks = masks_of(tmp_path, "a_mask.tif")
    assert judge(tmp_path, masks)["a"].notes == ()
    path = masks / "a_mask.tif"
    tifffile.imwrite(path, tifffile.imread(path)[::-1])
    (note,) = judge(tmp_path, masks)["a"].notes
    assert "mirrored top to bottom" in note
