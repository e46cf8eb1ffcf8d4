"""The page of a case: everything is on it, and nothing is outside of it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from napari_fastnet.case.gather import read_cases
from napari_fastnet.case.pictures import LESION_PX, lesion_picture, slide_picture
from napari_fastnet.case.report import report_page, write_report
from napari_fastnet.core.options import CurvePoint
from napari_fastnet.results.decisions import Decisions
from napari_fastnet.results.loading import load
from napari_fastnet.slide.slide import open_slide

VOID = ("meta", "img", "br", "path", "image")


class Texts(HTMLParser):
    """What a page says, what it refers to, and whether every element is closed."""

    def __init__(self, page):
        super().__init__()
        self.words, self.refers, self.open, self.footers = [], [], [], 0
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.refers += [values[n] for n in ("src", "href") if n in values]
        self.footers += tag == "tfoot"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.refers += [dict(attributes)["href"]] if tag == "image" else []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def decided(tmp_path_factory, make_run):
    """Return a run with a lesion of each status, and one that is too weak."""
    folder = tmp_path_factory.mktemp("decided")
    lesions = [(10, 10, "micro"), (10, 60, "ITC"), (40, 20, "ITC"), (60, 60, "weak")]
    run = make_run(folder, "a&b", *lesions, (50, 120, "micro"))
    result = load(run)
    decisions = Decisions.open(run / "decisions.json", result.record.slide.fingerprint)
    first, second, third, fourth, _ = result.candidates
    decisions.decide([first], "tumor")
    decisions.decide([second], "not tumor")
    decisions.decide([third], "unsure")
    decisions.note(second, "a fold & a crease")
    decisions.measure(first, ((80.0, 80.0), (80.0, 130.0)))
    assert fourth.evidence >= 0
    return run


@pytest.fixture(scope="module")
def page(decided):
    return Texts(report_page(read_cases([decided])))


def test_the_page_needs_no_other_file(page):
    assert page.refers
    assert all(one.startswith("data:image/jpeg;base64,") for one in page.refers)


def test_it_says_what_was_found_and_by_whom(page):
    assert "pN0(i+) suggested" in page.text
    assert "1 node examined" in page.text
    assert "3 of 5 candidates decided" in page.text
    assert "0.1 mm, a person's line accepted by a person" in page.text
    assert "the machine's, not decided" in page.text
    assert "a person is unsure" in page.text
    assert re.search(
        r"Rejected by a person: 2 \(0\.\d+ mm, a fold & a crease\)", page.text
    )
    assert "1 weaker candidate below the lesion threshold" in page.text


def test_it_says_how_it_was_made(page):
    assert "fastnet-pcam 1.0, 5b5b5b5b5b5b…" in page.text
    assert "cells from probability 0.5 on" in page.text
    assert "of ten such, about 5 are tumor on validation mosaics" in page.text
    assert "CAMELYON17" in page.text


def test_names_of_files_are_no_markup(decided):
    assert "<h1>a&amp;b</h1>" in report_page(read_cases([decided]))


def test_each_case_has_its_page_with_the_notice(tmp_path, make_run):
    make_run(tmp_path, "a", (10, 10, "micro"))
    table = tmp_path / "cases.csv"
    table.write_text("case,slide,node\np,a,one\np,b,two\np,a,one\nq,c,\n")
    text = report_page(read_cases([table]))
    page = Texts(text)
    assert page.footers == text.count('class="page"') == 3
    assert page.text.count("Research use only. Not for diagnosis.") == 6
    assert "b: missing, not in these numbers. no run of this slide" in page.text
    assert "a: twice, not in these numbers. listed before in this case" in page.text
    assert "No node was examined." in page.text
    assert [one for one in page.refers if one.startswith("#")] == ["#case1", "#case2"]
    assert all(f'id="case{number}"' in text for number in (1, 2))


def test_a_slide_that_moved_is_reported_without_pictures(tmp_path, make_run):
    run = make_run(tmp_path, "a", (10, 10, "micro"))
    (tmp_path / "a.svs").rename(tmp_path / "b.svs")
    page = Texts(report_page(read_cases([run])))
    assert page.refers == []
    assert "No pictures:" in page.text
    assert "0.362 mm" in page.text
    with open_slide(tmp_path / "b.svs") as slide:
        known = {slide.fingerprint: slide}
        assert len(Texts(report_page(read_cases([run]), known)).refers) == 2


def test_a_slide_without_tissue_is_not_called_free(tmp_path, make_run):
    page = Texts(report_page(read_cases([make_run(tmp_path, "a", pieces=0)])))
    assert "that is not free of tumor" in page.text
    assert "No lesion found" not in page.text
    assert "Nothing was examined." in page.text


def test_a_slide_without_a_lesion_says_what_would_have_been_found(tmp_path, make_run):
    point = CurvePoint(
        lesion_threshold=-1.0, false_per_10_mm2=1.25, sensitivity=0.93, from_02_mm=0.8
    )
    run = make_run(tmp_path, "a", curve=(point,))
    page = Texts(report_page(read_cases([run])))
    assert "No lesion found (sensitivity for deposits of 0.2 mm: 80 %)." in page.text
    assert "The machine found no candidate." in page.text
    assert (
        "found there were 93 % of the lesions, with 1.2 false ones on 10 mm²"
        in page.text
    )


def test_the_file_is_written(tmp_path, decided):
    write_report(tmp_path / "new" / "r.html", read_cases([decided]))
    text = (tmp_path / "new" / "r.html").read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")


def test_a_lesion_lies_in_the_middle_of_its_picture_with_a_bar_of_its_scale(decided):
    (case,) = read_cases([decided])
    first = case.findings.reviewed[0]
    with open_slide(decided.parent / "a&b.svs") as slide:
        picture = lesion_picture(slide, first)
        whole = slide_picture(slide, case.slides[0])
    assert (picture.width, picture.height) == (LESION_PX, LESION_PX)
    # 16 cells of 16 µm, shown with 1.6 times that around: 410 µm
    assert picture.box.width * 2 == pytest.approx(1.6 * 256)
    corners = np.array(re.findall(r"[\d.]+", picture.shapes[0].path), float)
    assert corners.min() + corners.max() == pytest.approx(LESION_PX, abs=1)
    length, words = picture.bar
    assert words == "100 µm"
    assert length == pytest.approx(100 / 409.6 * LESION_PX)
    kinds = [shape.kind for shape in whole.shapes]
    assert kinds == ["piece", "tumor", "unsure", "undecided"]
