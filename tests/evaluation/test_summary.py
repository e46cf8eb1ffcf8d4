from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from napari_fastnet.annotations.truth_files import SlideTruth, Truths
from napari_fastnet.core.metrics.candidates import Candidates
from napari_fastnet.core.metrics.froc import Found, SlideHits
from napari_fastnet.core.metrics.lesions import Lesion
from napari_fastnet.core.metrics.pixels import BINS, PixelCounts
from napari_fastnet.core.metrics.slides import FEATURES, SlideFeatures
from napari_fastnet.errors import DataError
from napari_fastnet.evaluation.options import SlideEvaluationOptions
from napari_fastnet.evaluation.output import write_evaluation
from napari_fastnet.evaluation.slides import EvaluatedSlide, SkippedSlide
from napari_fastnet.evaluation.sources import read_candidates
from napari_fastnet.evaluation.summary import summarise_slides

LESION = Lesion(1, (100.0, 200.0), 0.3, 700.0, False)
ITC = Lesion(2, (900.0, 200.0), 0.003, 90.0, True)
TRUTHS = Truths(
    {name: SlideTruth(name) for name in ("tumor_001", "tumor_002", "tumor_009")},
    has_reference=False,
    has_outlines=True,
)
FAST = SlideEvaluationOptions(bootstrap=20)


def judged(name, found=(), wrong=(), **changes):
    scores = [f.score for f in found if f.hits] + list(wrong)
    candidates = Candidates(np.array(scores, float), np.zeros((len(scores), 2)))
    slide = EvaluatedSlide(
        name=name,
        is_tumor=bool(found),
        assumed=not found,
        score=max(scores, default=0.0),
        candidates=candidates,
        hits=SlideHits(tuple(found), np.array(wrong, float)),
    )
    return replace(slide, **changes)


def hit(score):
    return Found(LESION, 1, score, (100.0, 200.0))


@pytest.fixture
def slides():
    """Return three slides: a lesion found, one missed beside isolated cells, none."""
    return [
        judged("tumor_001", [hit(0.9)], [0.5]),
        judged("tumor_002", [Found(LESION), Found(ITC, 2, 0.7, (0.0, 0.0))], [0.8]),
        judged("normal_001", [], [0.6]),
    ]


def test_the_numbers_done_by_hand(slides):
    found = summarise_slides(slides, TRUTHS, FAST).to_dict()
    assert (found["slides"], found["tumour"], found["normal"]) == (3, 2, 1)
    assert found["lesions"] == {
        "counted": 2,
        "found": 1,
        "isolated": 1,
        "false_positives": 3,
    }
    assert found["sensitivity"] == dict.fromkeys(
        ("0.25", "0.5", "1", "2", "4", "8"), 0.5
    )
    assert found["froc"] == 0.5
    # 0.9 and 0.8 against 0.6
    assert found["slide_auc"] == 1
    assert found["pixels"] is None
    assert found["slide_auc_by_feature"] == {}
    json.dumps(found, allow_nan=False, default=list)


def test_what_has_no_partner_is_named(slides):
    skipped = SkippedSlide("tumor_003", "no truth")
    unknown = judged("tumor_004", is_tumor=True, assumed=False, hits=None)
    slides[0] = replace(slides[0], notes=("outline '_3': a Dot encloses nothing",))
    found = summarise_slides([*slides, skipped, unknown], TRUTHS, FAST).to_dict()
    assert found["without_slide"] == ["tumor_009"]
    assert found["assumed_normal"] == ["normal_001"]
    assert found["without_outlines"] == ["tumor_004"]
    assert found["skipped"] == [{"slide": "tumor_003", "reason": "no truth"}]
    assert [note["slide"] for note in found["odd_outlines"]] == ["tumor_001"]
    # it counts for the slide AUC and leaves the curve as it was
    assert (found["slides"], found["froc"]) == (4, 0.5)
    row = {row["slide"]: row for row in found["per_slide"]}["tumor_004"]
    assert (row["lesions"], row["false_positives"]) == (None, None)


def test_a_single_slide_of_a_kind_gives_no_interval(slides):
    found = summarise_slides(slides, TRUTHS, FAST)
    assert (found.auc.auc, found.auc.ci95) == (1, None)
    two = [*slides, judged("normal_002", [], [0.5])]
    low, high = summarise_slides(two, TRUTHS, FAST).auc.ci95
    assert 0.3 < low < 0.5  # two slides of a kind prove little
    assert high == 1


def test_without_outlines_there_is_an_auc_and_no_curve(slides):
    labelled = replace(TRUTHS, has_outlines=False, has_reference=True)
    slides = [replace(slide, hits=None) for slide in slides]
    found = summarise_slides(slides, labelled, FAST)
    assert found.curve is None
    assert found.to_dict()["froc"] is None
    assert found.auc.auc == 1


def test_slides_of_one_kind_have_no_auc():
    found = summarise_slides([judged("n", wrong=[0.4])], TRUTHS, FAST).to_dict()
    assert found["slide_auc"] is None
    assert found["slide_auc_ci95"] is None
    assert found["froc"] is None
    assert found["sensitivity"]["8"] is None


def test_no_slide_left_is_an_error_that_says_why():
    skipped = SkippedSlide("tumor_003", "its file is damaged")
    with pytest.raises(DataError, match=r"1 were skipped.*tumor_003: its file"):
        summarise_slides([skipped], TRUTHS, FAST)
    with pytest.raises(DataError, match="no slide was given"):
        summarise_slides([], TRUTHS, FAST)


def counts(tp, fp, fn):
    bins = np.zeros((2, BINS), np.int64)
    bins[0, -1], bins[0, 0], bins[1, -1], bins[1, 0] = tp, fn, fp, 10
    return PixelCounts(*bins, tp, fp, fn)


def test_px_are_summed_over_slides_and_given_for_each(slides):
    slides[0] = replace(slides[0], pixels=counts(3, 1, 2))
    slides[2] = replace(slides[2], pixels=counts(0, 1, 0))
    found = summarise_slides(slides, TRUTHS, FAST)
    assert found.to_dict()["pixels"]["dice"] == pytest.approx(6 / 10)
    assert found.to_dict()["pixels"]["iou"] == pytest.approx(3 / 7)
    dice = [row["dice"] for row in found.rows]
    assert dice == [pytest.approx(6 / 9), None, 0]
    assert all(slide.pixels is None for slide in found.slides)


def test_every_number_of_the_heatmaps_has_its_auc(slides):
    for index, slide in enumerate(slides):
        numbers = SlideFeatures(maximum=slide.score, area_mm2_high=float(index))
        slides[index] = replace(slide, features=numbers)
    by_feature = summarise_slides(slides, TRUTHS, FAST).auc.by_feature
    assert tuple(by_feature) == FEATURES
    assert by_feature["maximum"] == 1
    assert by_feature["area_mm2_high"] == 0
    assert by_feature["share_low"] == 0.5


def test_intervals_repeat_and_can_be_left_out(slides):
    found = summarise_slides(slides, TRUTHS, FAST)
    again = summarise_slides(slides, TRUTHS, FAST)
    assert found.froc_ci95 == again.froc_ci95
    assert found.froc_ci95[0] < 0.5 < found.froc_ci95[1]
    none = summarise_slides(slides, TRUTHS, SlideEvaluationOptions(bootstrap=0))
    assert (none.froc_ci95, none.auc.ci95) == (None, None)


def test_tables_pictures_and_candidates_are_written(slides, tmp_path):
    slides[0] = replace(slides[0], pixels=counts(3, 1, 2))
    found = summarise_slides(slides, TRUTHS, FAST)
    files = write_evaluation(tmp_path / "out", found)
    assert [path.name for path in files] == [
        "slides.csv",
        "froc.csv",
        "froc.png",
        "lesions.csv",
        "pixel_roc.csv",
        "evaluation.json",
    ]
    assert all(path.stat().st_size for path in files)
    said = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert said["froc"] == 0.5
    with (tmp_path / "out" / "lesions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["slide"] for row in rows] == ["tumor_001", "tumor_002", "tumor_002"]
    candidates = read_candidates(tmp_path / "out" / "candidates" / "tumor_001.csv")
    assert candidates.scores.tolist() == [0.9, 0.5]


def test_without_outlines_and_heatmaps_only_what_is_known_is_written(slides, tmp_path):
    labelled = replace(TRUTHS, has_outlines=False)
    files = write_evaluation(tmp_path, summarise_slides(slides, labelled, FAST))
    assert [path.name for path in files] == ["slides.csv", "evaluation.json"]
