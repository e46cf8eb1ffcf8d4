from __future__ import annotations

import json
from math import nan

import numpy as np
import pytest
import tifffile
from scipy.special import expit, logit

from napari_fastnet.annotations.asap_xml import write_asap_xml
from napari_fastnet.annotations.truth_files import find_truths
from napari_fastnet.core.lesions.evidence import strength
from napari_fastnet.core.options import EvidenceScale
from napari_fastnet.core.polygons import Annotations
from napari_fastnet.errors import DataError, OptionError
from napari_fastnet.evaluation.options import SlideEvaluationOptions
from napari_fastnet.evaluation.slides import SkippedSlide, evaluate_slides
from napari_fastnet.evaluation.sources import find_sources
from napari_fastnet.results.loading import load

# 30 x 40 cells of 64 px: 60 x 80 px of the truth.
ROWS, COLUMNS, CELL = 30, 40, 64


def rectangle(top, left, bottom, right):
    """Return an outline around cells."""
    corners = [(top, left), (top, right), (bottom, right), (bottom, left)]
    return np.array(corners, float) * CELL


LESION = rectangle(4, 5, 12, 20)
SPECK = rectangle(25, 35, 26, 36)  # 31 µm: isolated tumour cells


def values(**blocks):
    """Return a heatmap: 0.01, and other values in 3 x 3 cells around ``r4c5``."""
    found = np.full((ROWS, COLUMNS), 0.01, np.float32)
    for name, value in blocks.items():
        row, column = map(int, name[1:].split("c"))
        found[row - 1 : row + 2, column - 1 : column + 2] = value
    return found


def score(value):
    """Return the score of such a block: the strength is that of the least scale, 15.5 µm."""
    weights = np.exp(-0.5 * (np.arange(-3, 4) * 64 * 0.243 / 15.5) ** 2)
    inside = (weights[2:5].sum() / weights.sum()) ** 2
    odds = min(logit(value), 3)
    smooth = inside * odds - (1 - inside) * 3
    return expit(3 * smooth / 2**0.75)


@pytest.fixture
def runs(tmp_path, write_run):
    """Return a folder of four runs, two of them with tumour."""
    write_run(
        tmp_path / "runs" / "tumor_001",
        values(r6c8=0.9, r10c18=0.7, r20c10=0.6, r25c35=0.95),
    )
    write_run(tmp_path / "runs" / "tumor_002", values(r6c8=0.4))
    write_run(tmp_path / "runs" / "normal_001", values(r3c3=0.3, r20c20=0.8))
    write_run(tmp_path / "runs" / "normal_002", np.full((ROWS, COLUMNS), nan))
    return tmp_path / "runs"


@pytest.fixture
def truth(tmp_path):
    """Return a folder with the outlines of the two."""
    folder = tmp_path / "truth"
    folder.mkdir()
    write_asap_xml(folder / "tumor_001.xml", Annotations((LESION, SPECK), ()))
    write_asap_xml(folder / "Tumor_002.xml", Annotations((LESION,), ()))
    return folder


def judge(runs, *truths, **options):
    outcomes = evaluate_slides(
        find_sources([runs]), find_truths(truths), SlideEvaluationOptions(**options)
    )
    return {outcome.name: outcome for outcome in outcomes}


def test_slides_are_judged_by_their_outlines(runs, truth):
    found = judge(runs, truth)
    first, second = found["tumor_001"], found["tumor_002"]
    assert first.is_tumor
    assert not first.assumed
    assert first.score == pytest.approx(score(0.95))
    assert [f.lesion.is_itc for f in first.hits.found] == [False, True]
    assert first.hits.lesion_scores.tolist() == pytest.approx([score(0.9)])
    # .9 and .7 are hits on one lesion, .95 on isolated cells
    assert first.hits.found[0].hits == 2
    assert first.hits.false_positives.tolist() == pytest.approx([score(0.6)])
    assert second.hits.lesion_scores.tolist() == [0]  # nothing reaches the run's 0.5
    normal = found["normal_001"]
    assert (normal.is_tumor, normal.assumed) == (False, True)
    assert normal.hits.false_positives.tolist() == pytest.approx([score(0.8)])
    empty = found["normal_002"]
    assert (empty.score, empty.hits.found) == (0, ())


def test_px_are_compared_too(runs, truth):
    found = judge(runs, truth, threshold=0.5)
    counts = found["tumor_001"].pixels
    # four blocks of 9 cells of 2 x 2 px are called: two in the lesion, a cell on the speck
    assert counts.true_positives == 4 * 19
    assert counts.false_positives == 4 * (9 + 8)
    assert counts.false_negatives == 4 * (8 * 15 + 1 - 19)
    assert found["normal_001"].pixels.false_positives == 4 * 9
    assert judge(runs, truth, threshold=0.35)["tumor_002"].pixels.true_positives == 36
    assert judge(runs, truth)["tumor_002"].pixels.true_positives == 0  # the run's: 0.5


def test_candidates_are_those_of_the_run_down_to_find_more(runs, truth, write_run):
    folder = runs / "tumor_001"
    found = load(folder)
    expected = pytest.approx([score(p) for p in (0.95, 0.9, 0.7, 0.6)])
    assert [expit(one.evidence) for one in found.candidates] == expected
    judged = judge(runs, truth)["tumor_001"].candidates
    assert judged.scores.tolist() == expected
    assert judged.points.tolist() == [
        [1632, 2272],
        [416, 544],
        [672, 1184],
        [1312, 672],
    ]

    # .7 reaches "more" and not the lesion threshold, .6 neither
    scale = EvidenceScale(
        scale=3.0,
        offset=0.0,
        beside=0.0,
        fewer=5.0,
        balanced=float(logit(score(0.9))) - 0.01,
        more=float(logit(score(0.7))) - 0.01,
    )
    write_run(folder, values(r6c8=0.9, r10c18=0.7, r20c10=0.6), evidence=scale)
    assert len(load(folder).lesions) == 1
    judged = judge(runs, truth)["tumor_001"]
    assert judged.candidates.scores.tolist() == pytest.approx([score(0.9), score(0.7)])
    assert judged.hits.false_positives.tolist() == []


def test_a_run_of_version_0_1_has_the_evidence_of_the_shipped_model(
    tmp_path, write_run, truth
):
    """Its record states none; a lesion of 10 x 10 sure cells is one by any threshold."""
    found = np.full((ROWS, COLUMNS), nan, np.float32)
    found[4:14, 7:17], found[20:23, 8:11] = 0.96, 0.9
    path = write_run(tmp_path / "runs" / "tumor_001", found) / "run.json"
    record = json.loads(path.read_text())
    del record["evidence"], record["lesion_threshold"]
    path.write_text(json.dumps(record))
    (candidate,) = judge(tmp_path / "runs", truth)["tumor_001"].candidates.scores
    strengths = strength(load(path.parent).heatmap)
    scale = EvidenceScale()
    assert logit(candidate) == pytest.approx(
        scale.scale * np.nanmax(strengths) + scale.offset, abs=1e-4
    )


def test_candidates_of_others_give_the_same(runs, truth, tmp_path):
    by_heatmap = judge(runs, truth)
    folder = tmp_path / "candidates"
    folder.mkdir()
    lines = {
        "tumor_001": f"{score(0.9)},544,416\n{score(0.7)},1184,672\n"
        f"{score(0.6)},672,1312\n{score(0.95)},2272,1632\n",
        "tumor_002": "",
        "normal_001": f"{score(0.8)},1312,1312\n",
        "normal_002": "",
    }
    for name, text in lines.items():
        (folder / f"{name}.csv").write_text(text)
    by_file = judge(folder, truth)
    for name, judged in by_file.items():
        other = by_heatmap[name]
        assert judged.hits.lesion_scores == pytest.approx(other.hits.lesion_scores)
        assert sorted(judged.hits.false_positives) == pytest.approx(
            sorted(other.hits.false_positives)
        )
        assert judged.score == pytest.approx(max(other.candidates.scores, default=0))
        assert (judged.features, judged.pixels) == (None, None)


def test_masks_give_the_same_as_outlines(runs, truth, tmp_path):
    by_outlines = judge(runs, truth)
    masks = tmp_path / "masks"
    masks.mkdir()
    mask = np.zeros((ROWS * CELL, COLUMNS * CELL), np.uint8)
    mask[4 * CELL : 12 * CELL, 5 * CELL : 20 * CELL] = 255
    tifffile.imwrite(masks / "tumor_002_mask.tif", mask, tile=(256, 256))
    mask[25 * CELL : 26 * CELL, 35 * CELL : 36 * CELL] = 255
    tifffile.imwrite(masks / "tumor_001_mask.tif", mask, tile=(256, 256))
    tifffile.imwrite(masks / "normal_001_mask.tif", np.zeros_like(mask))
    by_masks = judge(runs, masks, unannotated="normal")
    assert not by_masks["normal_001"].assumed
    assert not by_masks["normal_001"].is_tumor
    for name, judged in by_masks.items():
        assert judged.hits.found == by_outlines[name].hits.found


def test_the_reference_says_which_slides_are_normal(runs, truth, tmp_path):
    reference = tmp_path / "reference.csv"
    reference.write_text("tumor_001,Tumor\ntumor_002,Tumor\nnormal_001,Normal\n")
    found = judge(runs, truth, reference)
    assert not found["normal_001"].assumed
    assert isinstance(found["normal_002"], SkippedSlide)
    assert "the reference does not list it" in found["normal_002"].reason


def test_a_tumour_slide_without_outlines_has_a_score_and_no_hits(runs, tmp_path):
    reference = tmp_path / "reference.csv"
    reference.write_text("tumor_001,Tumor\nnormal_001,Normal\n")
    found = judge(runs, reference)
    assert found["tumor_001"].is_tumor
    assert found["tumor_001"].hits is None
    assert found["tumor_001"].pixels is None
    assert found["tumor_001"].score == pytest.approx(score(0.95))


@pytest.mark.parametrize(("kind", "name"), [("Normal", "tumor_001"), ("Tumor", "n")])
def test_reference_and_outlines_that_disagree_skip_the_slide(
    tmp_path, write_run, truth, kind, name
):
    write_run(tmp_path / "runs" / name, values())
    write_asap_xml(truth / "n.xml", Annotations((), ()))
    reference = tmp_path / "reference.csv"
    reference.write_text(f"{name},{kind}\n")
    found = judge(tmp_path / "runs", truth, reference)
    assert f"the reference says {kind}" in found[name].reason


def test_a_tumour_slide_by_its_name_is_not_taken_for_normal(runs, truth):
    (truth / "Tumor_002.xml").unlink()
    found = judge(runs, truth)
    assert "a tumor slide by its name" in found["tumor_002"].reason
    assert found["normal_001"].assumed


def test_broken_outlines_do_not_make_a_slide_normal(runs, truth, tmp_path):
    line = {"name": "line", "vertices": [[10, 10], [20, 20]]}
    content = json.dumps({"positive": [line], "negative": []})
    (truth / "normal_001.json").write_text(content)
    assert "outlines no tumor, and perhaps should" in (
        judge(runs, truth)["normal_001"].reason
    )
    reference = tmp_path / "reference.csv"
    reference.write_text("tumor_001,Tumor\ntumor_002,Tumor\nnormal_001,Normal\n")
    known = judge(runs, truth, reference)["normal_001"]
    assert not known.is_tumor
    assert "line" in known.notes[0]


def test_slides_without_truth_are_skipped_on_request(runs, truth):
    found = judge(runs, truth, unannotated="skip")
    assert "no truth" in found["normal_001"].reason
    assert found["tumor_001"].hits is not None


def test_slides_are_excluded_on_request(runs, truth):
    found = judge(runs, truth, exclude=("TUMOR_002",))
    assert found["tumor_002"].reason == "excluded on request"
    with pytest.raises(OptionError, match="test_114"):
        judge(runs, truth, exclude=("test_114",))


def test_the_truth_of_other_slides_is_refused(runs, tmp_path):
    folder = tmp_path / "others"
    folder.mkdir()
    write_asap_xml(folder / "test_001.xml", Annotations((LESION,), ()))
    with pytest.raises(DataError, match=r"none of 4 slides.*1 others \(test_001"):
        judge(runs, folder)


def test_what_cannot_be_read_is_said_and_the_rest_goes_on(runs, truth):
    (truth / "tumor_001.xml").write_text("<ASAP_Annotations>")
    (runs / "normal_001" / "heatmap.ome.tif").write_bytes(b"II")
    found = judge(runs, truth)
    assert "tumor_001.xml" in found["tumor_001"].reason
    assert "heatmap.ome.tif" in found["normal_001"].reason
    assert found["tumor_002"].hits is not None


def test_candidates_outside_the_mask_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("0.5,10,10\n0.4,640,10\n")
    tifffile.imwrite(tmp_path / "a.tif", np.ones((640, 640), np.uint8))
    found = judge(tmp_path / "a.csv", tmp_path / "a.tif")
    assert "outside the slide's 640 x 640 px" in found["a"].reason
    (tmp_path / "a.csv").write_text("0.5,639,10\n")
    assert judge(tmp_path / "a.csv", tmp_path / "a.tif")["a"].hits is not None


def test_candidates_of_slides_of_another_scanner(tmp_path):
    # A px is 7.776 µm: 8 of them, 62 µm, are isolated cells at 0.243 and not at 2 µm/px.
    (tmp_path / "a.csv").write_text("0.5,300,300\n")
    write_asap_xml(tmp_path / "a.xml", Annotations((rectangle(4, 4, 8, 8),), ()))
    for mpp, is_itc in ((None, True), (2.0, False)):
        found = judge(tmp_path / "a.csv", tmp_path / "a.xml", mpp=mpp)
        assert found["a"].hits.found[0].lesion.is_itc is is_itc


@pytest.mark.parametrize(
    "options",
    [{"threshold": 0}, {"threshold": nan}, {"boundary_um": -1}, {"bootstrap": -1}],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(OptionError):
        SlideEvaluationOptions(**options)
