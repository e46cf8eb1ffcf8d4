"""summary.csv and report.html: every slide, ordered by what was found."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from math import log
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_fastnet.cohort import page as cohort_page
from napari_fastnet.cohort.page import (
    kinds,
    napari_command,
    report_page,
    totals,
    write_thumbnails,
)
from napari_fastnet.cohort.report import write_all_regions, write_tables
from napari_fastnet.cohort.rows import COLUMNS, SlideRow
from napari_fastnet.cohort.slide_numbers import SlideNumbers
from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.regions import Totals
from napari_fastnet.core.options import CurvePoint, EvidenceScale
from napari_fastnet.results.record import Counts, ModelFacts, RunRecord, SlideFacts
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.store.format import Seconds

CLEAN = SlideNumbers(
    tissue_mm2=120.0,
    tumour_mm2=0.0,
    tumour_share=0.0,
    macro=0,
    micro=0,
    itc=0,
    largest_lesion_mm=None,
    max_probability=0.31,
    unreadable_patches=0,
    mpp_y=0.25,
    mpp_x=0.25,
    mpp_source="vendor",
    model="fastnet-pcam 1.0",
    threshold=0.5,
    seconds=4.0,
)
LARGE = replace(
    CLEAN,
    tumour_mm2=12.0,
    tumour_share=0.1,
    macro=1,
    itc=2,
    largest_lesion_mm=4.5,
    max_probability=0.99,
)


def row(name, found=None, **changes):
    status = "waiting" if found is None else "done"
    slide = Path("/slides") / f"{name}.svs"
    return SlideRow(name, slide, **({"status": status, "found": found} | changes))


def table(folder):
    with (folder / "summary.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class Texts(HTMLParser):
    """What a page says, what it shows, and whether every element is closed."""

    def __init__(self, page):
        super().__init__()
        self.words, self.images, self.links, self.open = [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.images += [values["src"]] if tag == "img" else []
        self.links += [values["href"]] if tag == "a" else []
        if tag not in ("meta", "img", "br", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def record_of(totals, failed=0):
    return RunRecord(
        slide=SlideFacts("a.svs", "f", mpp=(0.5, 0.25), mpp_source="user"),
        model=ModelFacts("dark", "1.0", "0", 0.972, 96),
        counts=Counts(9, 9 - failed, failed),
        threshold=0.5,
        seconds=Seconds(0.5, 1.0, 1.5),
        regions=totals,
    )


def test_a_record_and_a_highest_probability_are_what_was_found() -> None:
    totals = Totals(
        tissue_mm2=4.0,
        area_mm2=1.0,
        tissue_fraction=0.25,
        micro=1,
        itc=1,
        longest_axis_mm=0.5,
    )
    found = SlideNumbers.of(record_of(totals, failed=3), 0.75)
    assert (found.regions, found.size_class) == (2, "micro")
    assert (found.max_probability, found.unreadable_patches) == (0.75, 3)
    assert found.model == "dark 1.0"
    assert (found.mpp_y, found.mpp_x) == (0.5, 0.25)


def test_without_a_highest_probability_nothing_was_scanned() -> None:
    found = SlideNumbers.of(record_of(Totals(tissue_mm2=0.0)), None)
    assert found.max_probability is None
    assert found.size_class == "not scanned"


def test_a_slide_that_was_not_scanned_is_not_without_a_lesion() -> None:
    glass = replace(CLEAN, tissue_mm2=0.0, max_probability=None)
    page = report_page(Path("/out"), [row("glass", glass), row("clean", CLEAN)])
    assert "<b>1</b>without a lesion" in page
    assert "<b>1</b>not scanned" in page
    assert '<span class="class not-scanned">not scanned</span>' in page
    assert "not scanned</span>" not in report_page(Path("/out"), [row("clean", CLEAN)])


def test_rows_stand_by_suspicion_then_lesions_then_the_highest_probability(
    tmp_path,
) -> None:
    write_tables(
        tmp_path,
        [
            row("waits"),
            row("clean", CLEAN),
            row("fails", status="failed", error="no slide"),
            row("doubtful", replace(CLEAN, max_probability=0.45)),
            row("sure", replace(CLEAN, itc=1, top_evidence=8.0)),
            row("surer of three", replace(LARGE, top_evidence=6.5)),
            row("as sure of one", replace(LARGE, itc=0, top_evidence=6.5)),
            row("large", LARGE),
        ],
    )
    order = ["sure", "surer of three", "as sure of one", "large", "doubtful", "clean"]
    order += ["fails", "waits"]
    assert [line["name"] for line in table(tmp_path)] == order
    page = (tmp_path / "report.html").read_text("utf-8")
    places = [page.index(f">{name}<") for name in order]
    assert places == sorted(places)


def test_the_table_has_every_column_and_leaves_what_is_unknown_empty(tmp_path) -> None:
    rows = [
        row("large", LARGE),
        row("fails", status="failed", error='no "slide", says it'),
    ]
    write_tables(tmp_path, rows)
    large, fails = table(tmp_path)
    assert list(large) == list(COLUMNS)
    assert large["tumour_mm2"] == "12.000000"
    assert (large["largest_lesion_mm"], large["size_class"]) == ("4.5000", "macro")
    assert (large["regions"], large["macro"], large["itc"]) == ("3", "1", "2")
    assert (large["mpp_y"], large["mpp_source"]) == ("0.250000", "vendor")
    assert (large["slide"], large["results"]) == ("/slides/large.svs", "large")
    assert fails["error"] == 'no "slide", says it'
    assert fails["tumour_mm2"] == fails["results"] == ""


def test_the_page_shows_each_slide_and_closes_what_it_opens(tmp_path) -> None:
    rows = [
        row("large", LARGE),
        row("a b&c", CLEAN),
        row("fails", status="failed", error="<no> slide"),
        row("waits"),
    ]
    page = report_page(Path("/out"), rows)
    texts = Texts(page)
    assert texts.open == []
    names = ("thumbnail.jpg", "thumbnail_plain.jpg")
    assert texts.images == [
        f"{folder}/{name}" for folder in ("large", "a%20b%26c") for name in names
    ]
    assert "a%20b%26c/overview.png" in texts.links
    said = " ".join(texts.words)
    for words in ("a b&c", "<no> slide", "waits", "4.5 mm", "Research use only"):
        assert words in said
    assert page.count("<script") == 1
    assert "http" not in page


def test_without_the_script_nothing_is_hidden_but_what_only_the_script_does() -> None:
    page = report_page(Path("/out"), [row("large", LARGE), row("clean", CLEAN)])
    assert re.findall(r"<(\w+)[^>]* hidden", page) == ["p"]  # the search
    assert re.findall(r"<button(?! disabled)", page) == []


def test_slides_are_counted_and_filtered_by_class_flag_decision_and_failure() -> None:
    rows = [
        row("large", replace(LARGE, undecided=2, warn=True)),
        row("decided", replace(LARGE, undecided=0, accepted=3)),
        row("glass", replace(CLEAN, tissue_mm2=0.0, max_probability=None)),
        row("clean", replace(CLEAN, undecided=0)),
        row("fails", status="failed", error="no slide"),
    ]
    assert [kinds(each) for each in rows] == [
        ["macro", "flagged", "undecided"],
        ["macro"],
        ["not-scanned"],
        ["none"],
        ["failed"],
    ]
    found = {total.kind: total.count for total in totals(rows)}
    assert found == {"": 5, "macro": 2, "micro": 0, "ITC": 0, "none": 1} | {
        "not-scanned": 1,
        "flagged": 1,
        "undecided": 1,
        "failed": 1,
    }
    page = report_page(Path("/out"), rows)
    assert '<tr data-is="macro flagged undecided">' in page
    assert '<tr data-is="failed">' in page


def test_a_slide_without_a_lesion_says_so_plainly() -> None:
    page = report_page(Path("/out"), [row("clean", CLEAN)])
    assert '<span class="class none">no lesion found</span></td>' in page
    measured = replace(CLEAN, lesion_threshold=0.0, sensitivity_02_mm=0.914)
    texts = Texts(report_page(Path("/out"), [row("clean", measured)]))
    assert "sensitivity for 0.2 mm: 91 %" in texts.words


def test_a_records_evidence_is_in_the_row_as_log_odds_and_as_a_share() -> None:
    curve = [(1.0, 0.75), (-1.0, 0.9)]
    points = [
        CurvePoint(
            lesion_threshold=at, false_per_10_mm2=1, sensitivity=1, from_02_mm=of
        )
        for at, of in curve
    ]
    scale = EvidenceScale(curve=tuple(points))
    record = replace(
        record_of(Totals(top_evidence=log(3))), lesion_threshold=0.0, evidence=scale
    )
    found = SlideNumbers.of(record, 0.75)
    assert found.top_confidence == pytest.approx(0.75)
    assert found.sensitivity_02_mm == 0.9  # of the next lower threshold
    texts = Texts(report_page(Path("/out"), [row("a", found)]))
    assert "about 8 of 10" in texts.words
    before = SlideNumbers.of(record_of(Totals()), 0.75)
    assert before.top_confidence is before.sensitivity_02_mm is None


@pytest.mark.parametrize(
    ("windows", "slide", "line"),
    [
        (
            False,
            "/s/it's 1.svs",
            """napari '/s/it'"'"'s 1.svs' '/o ut/it'"'"'s 1' --plugin napari-fastnet """
            "--with napari-fastnet FastNet",
        ),
        (
            True,
            "/s/it's 1.svs",
            """napari "/s/it's 1.svs" "/o ut/it's 1" --plugin napari-fastnet """
            "--with napari-fastnet FastNet",
        ),
        (False, "/s/\udcff.svs", ""),  # a name that is no UTF-8
    ],
)
def test_the_command_to_copy_is_quoted_for_the_platform(
    windows, slide, line, monkeypatch
) -> None:
    monkeypatch.setattr(cohort_page, "WINDOWS", windows)
    slide = Path(slide)
    done = SlideRow(slide.stem, slide, "done", found=CLEAN)
    assert napari_command(Path("/o ut"), done) == line
    page = unescape(report_page(Path("/o ut"), [done]))
    assert (f"<code>{line}</code>" in page) is bool(line)


def test_a_name_cannot_break_out_of_the_page() -> None:
    name = '"><script>alert(1)<img src=x>'
    page = report_page(Path(name), [row(name, CLEAN), row(name + "2")])
    assert page.count("<script") == 1
    assert "<img src=x" not in page


def test_no_slide_is_done_yet_and_the_page_says_so(tmp_path) -> None:
    write_tables(tmp_path, [row("waits")])
    texts = Texts((tmp_path / "report.html").read_text("utf-8"))
    assert texts.images == []
    assert "waits" in " ".join(texts.words)


def test_a_small_lesion_shows_in_the_thumbnail(tmp_path, write_svs) -> None:
    image = np.full((1920, 960, 3), 230, np.uint8)
    path = write_svs(tmp_path / "tall.svs", image, factors=(1, 4), mpp=1.0)
    values = np.zeros((1920, 960), np.float32)
    values[401, 201] = 1.0  # in the px (66, 33), and not at its centre
    heatmap = Heatmap(values, Grid((0.0, 0.0), (1.0, 1.0), (1920, 960)), (1.0, 1.0))
    with open_slide(path) as slide:
        write_thumbnails(tmp_path, slide, heatmap)
    with Image.open(tmp_path / "thumbnail.jpg") as opened:
        pixels = np.asarray(opened).astype(int)
    assert pixels.shape == (320, 160, 3)
    redness = pixels[..., 0] - pixels[..., 1]
    assert np.unravel_index(redness.argmax(), redness.shape) == (66, 33)
    assert redness.max() > np.median(redness) + 60
    with Image.open(tmp_path / "thumbnail_plain.jpg") as opened:
        plain = np.asarray(opened).astype(int)
    assert plain.shape == (320, 160, 3)
    assert np.ptp(plain, axis=2).max() < 8  # grey, as the slide is


NOW = "label,size_class,area_mm2,longest_axis_mm,max_probability,mean_probability,"
NOW += "centroid_x_px,centroid_y_px,centroid_x_um,centroid_y_um,um_per_px_x,um_per_px_y"
NOW += ",notice,slide"


def test_the_lesions_of_all_slides_are_one_table_with_the_slides_names(tmp_path):
    lesions = {
        "large": [NOW, '1,macro,12.0,4.5,,,,,,,,,"Only, research",large.svs'],
        "clean": [NOW],
        # of a version that had other columns, and cut off by a full disk
        "old": ["label,new_measure,slide,area_mm2", "1,5,old.svs,0.5", "2,7"],
        "another": ["a;b", "1;2"],
    }
    for name, lines in lesions.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "regions.csv").write_text("\r\n".join([*lines, ""]))
    rows = [row("old", replace(CLEAN, itc=2)), row("large", LARGE), row("gone", LARGE)]
    rows += [row("clean", CLEAN), row("another", CLEAN)]
    rows += [row("large", status="failed")]  # is no lesion a second time
    write_all_regions(tmp_path, rows)
    with (tmp_path / "regions.csv").open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert list(found[0])[:4] == ["name", "label", "size_class", "area_mm2"]
    told = [(f["name"], f["label"], f["area_mm2"], f["slide"]) for f in found]
    assert told == [
        ("large", "1", "12.0", "large.svs"),
        ("old", "1", "0.5", "old.svs"),
        ("old", "2", "", ""),
    ]
    assert found[0]["notice"] == "Only, research"
