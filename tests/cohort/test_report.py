"""summary.csv and report.html: every slide, ordered by what was found."""

from __future__ import annotations

import csv
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from PIL import Image

from napari_fastnet.cohort.page import report_page, write_thumbnail
from napari_fastnet.cohort.report import write_tables
from napari_fastnet.cohort.rows import COLUMNS, Findings, SlideRow
from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.regions import Totals
from napari_fastnet.results.record import Counts, ModelFacts, RunRecord, SlideFacts
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.store.format import Seconds

CLEAN = Findings(
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
        if tag not in ("meta", "img", "br"):
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
    found = Findings.of(record_of(totals, failed=3), 0.75)
    assert (found.regions, found.size_class) == (2, "micro")
    assert (found.max_probability, found.unreadable_patches) == (0.75, 3)
    assert found.model == "dark 1.0"
    assert (found.mpp_y, found.mpp_x) == (0.5, 0.25)


def test_without_a_highest_probability_nothing_was_scanned() -> None:
    found = Findings.of(record_of(Totals(tissue_mm2=0.0)), None)
    assert found.max_probability is None
    assert found.size_class == "not scanned"


def test_a_slide_that_was_not_scanned_is_not_without_a_lesion() -> None:
    glass = replace(CLEAN, tissue_mm2=0.0, max_probability=None)
    page = report_page("out", [row("glass", glass), row("clean", CLEAN)])
    assert "<b>1</b>without a lesion" in page
    assert "<b>1</b>not scanned" in page
    assert '<span class="class not-scanned">not scanned</span>' in page
    assert "not scanned</span>" not in report_page("out", [row("clean", CLEAN)])


def test_rows_stand_by_burden_then_by_the_highest_probability(tmp_path) -> None:
    write_tables(
        tmp_path,
        [
            row("waits"),
            row("clean", CLEAN),
            row("fails", status="failed", error="no slide"),
            row("doubtful", replace(CLEAN, max_probability=0.45)),
            row("large", LARGE),
        ],
    )
    order = ["large", "doubtful", "clean", "fails", "waits"]
    assert [line["name"] for line in table(tmp_path)] == order
    page = (tmp_path / "report.html").read_text("utf-8")
    places = [page.index(f">{name}<") for name in order[:-1]]
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
    page = report_page("out", rows)
    texts = Texts(page)
    assert texts.open == []
    assert texts.images == ["large/thumbnail.jpg", "a%20b%26c/thumbnail.jpg"]
    assert "a%20b%26c/overview.png" in texts.links
    said = " ".join(texts.words)
    for words in ("a b&c", "<no> slide", "waits", "4.5 mm", "Research use only"):
        assert words in said
    assert "<script" not in page
    assert "http" not in page


def test_a_name_cannot_break_out_of_the_page() -> None:
    name = '"><script>alert(1)</script>'
    page = report_page(name, [row(name, CLEAN), row(name + "2")])
    assert "<script" not in page


def test_no_slide_is_done_yet_and_the_page_says_so(tmp_path) -> None:
    write_tables(tmp_path, [row("waits")])
    texts = Texts((tmp_path / "report.html").read_text("utf-8"))
    assert texts.images == []
    assert "waits" in " ".join(texts.words)


def test_a_small_lesion_shows_in_the_thumbnail(tmp_path, write_svs) -> None:
    image = np.full((1920, 960, 3), 230, np.uint8)
    path = write_svs(tmp_path / "tall.svs", image, factors=(1, 4), mpp=1.0)
    values = np.zeros((1920, 960), np.float32)
    values[401, 201] = 1.0  # in the px (100, 50), and not at its centre
    heatmap = Heatmap(values, Grid((0.0, 0.0), (1.0, 1.0), (1920, 960)), (1.0, 1.0))
    with open_slide(path) as slide:
        write_thumbnail(tmp_path / "thumbnail.jpg", slide, heatmap)
    with Image.open(tmp_path / "thumbnail.jpg") as opened:
        pixels = np.asarray(opened).astype(int)
    assert pixels.shape == (480, 240, 3)
    redness = pixels[..., 0] - pixels[..., 1]
    assert np.unravel_index(redness.argmax(), redness.shape) == (100, 50)
    assert redness.max() > np.median(redness) + 60
