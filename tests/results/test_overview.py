"""The overview picture: it is made for every slide, and shows what it should."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from napari_fastnet.core.geometry import Box, Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.regions import Totals, find_regions
from napari_fastnet.errors import OptionError
from napari_fastnet.results.decision_events import Decision
from napari_fastnet.results.overview import (
    GAP,
    MARGIN,
    MOST_NUMBERS,
    WIDTH,
    Layout,
    Page,
    dashed,
    length_words,
    number_words,
    overview_png,
    round_length,
    shorten,
    totals_words,
)
from napari_fastnet.results.record import ModelFacts, RunRecord, SlideFacts, TissueFacts
from napari_fastnet.results.reviewed import Reviewed, as_reviewed

RECORD = RunRecord(
    slide=SlideFacts("/s/slide.svs", "f"),
    model=ModelFacts("fastnet-pcam", "1.0", "0", 0.972, 96),
    threshold=0.5,
    tissue=TissueFacts(area_mm2=12.5),
)


def of_tissue(area_mm2, outlines=""):
    tissue = TissueFacts(area_mm2=area_mm2)
    return replace(RECORD, tissue=tissue, regions=Totals(outlines=outlines))


def make(values, *, slide=(1000.0, 1000.0), mpp=(0.5, 0.5)):
    values = np.asarray(values, dtype=np.float32)
    step = tuple(side / max(n, 1) for side, n in zip(slide, values.shape, strict=True))
    return Heatmap(values, Grid((0, 0), step, values.shape), mpp)


def draw(path, heatmap, *, slide=(1000.0, 1000.0), record=RECORD, **options):
    height, width = (max(1, round(400 * side / max(slide))) for side in slide)
    thumbnail = np.full((height, width, 3), 200, np.uint8)
    regions = find_regions(heatmap, record.threshold)
    size = {"height": round(slide[0]), "width": round(slide[1])}
    record = replace(record, slide=replace(record.slide, **size))
    png = overview_png(thumbnail, heatmap, regions, record, **options)
    path.write_bytes(png)
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int), image.text


def test_green_lies_where_it_is_normal_and_red_where_there_is_tumour(tmp_path):
    image, _ = draw(tmp_path / "o.png", make([[0.0, np.nan], [np.nan, 1.0]]))
    assert image.shape[1] == WIDTH
    box = Layout.of((1000, 1000)).right

    def colour(y, x):
        return image[
            round(box.top + y * box.height), round(box.left + x * box.width)
        ].tolist()

    red, green, blue = colour(0.25, 0.25)
    assert green > red + 50
    red, green, blue = colour(0.75, 0.75)
    assert red > max(green, blue) + 50
    assert colour(0.25, 0.75) == colour(0.75, 0.25) == [200, 200, 200]


def numbers_of(heatmap):
    page = Page(Box.of_shape((1000, 1000)), heatmap.mpp)
    lesions = list(map(as_reviewed, find_regions(heatmap, 0.5)))
    return page, lesions, page.numbers(page.layout.right, lesions)


def test_lesions_have_their_numbers_beside_them():
    values = np.zeros((10, 10))
    values[2, 2] = values[2, 7] = values[7, 4:6] = 1
    page, lesions, written = numbers_of(make(values))
    box = page.layout.right
    assert [words for _, words in written] == ["1", "2", "3"]
    for (place, _), lesion in zip(written, lesions, strict=True):
        y, x = lesion.region.centroid
        assert abs(place.left - box.left - x * box.width / 1000) < 0.15 * box.width
        assert abs(place.top - box.top - y * box.height / 1000) < 0.15 * box.height
        ink = np.asarray(
            page.image.crop((place.left, place.top, place.right, place.bottom))
        )
        assert (ink < 60).any()


def test_numbers_do_not_hide_each_other_and_stay_in_the_picture():
    values = np.zeros((60, 60))
    values[::2, ::2] = 1  # 900 of them
    page, _, written = numbers_of(make(values))
    places = [place for place, _ in written]
    assert 20 < len(places) <= MOST_NUMBERS
    for index, place in enumerate(places):
        assert place.intersect(page.layout.right) == place
        assert all(place.intersect(other).is_empty for other in places[:index])


def test_outlines_of_the_undecided_are_whole_and_of_the_rejected_dashed() -> None:
    values = np.zeros((10, 10))
    values[2:8, 2:8] = 1
    (region,) = find_regions(make(values), 0.5)
    dark = {}
    for verdict in (None, "not tumor"):
        page = Page(Box.of_shape((1000, 1000)), (0.5, 0.5))
        box = page.layout.right
        decision = Decision(polygons=region.polygons, verdict=verdict)
        page.outlines(box, [Reviewed(region, decision)])
        y = round(box.top + 0.2 * box.height)
        rows = np.asarray(page.image.convert("L"))[y - 2 : y + 3]
        line = rows[
            :, round(box.left + 0.25 * box.width) : round(box.left + 0.7 * box.width)
        ]
        dark[verdict] = (line.min(axis=0) < 160).mean()
    assert dark[None] == 1
    assert 0.5 < dark["not tumor"] < 0.9


def test_dashes_go_around_corners_and_end_with_the_line() -> None:
    ring = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0]])
    first, second = dashed(ring, 5.0, 1.0)
    assert first.tolist() == [[0, 0], [4, 0], [4, 1]]
    assert second.tolist() == [[4, 2], [4, 3]]


def test_flagged_cells_are_hatched_and_no_others() -> None:
    page = Page(Box.of_shape((1000, 1000)), (0.5, 0.5))
    box = page.layout.right
    page.hatch(box, np.array([[True, False]]), Box(0, 0, 500, 1000))
    ink = np.asarray(page.image.convert("L")) < 128
    half = round(box.height / 2), round(box.width / 2)
    top, left = round(box.top), round(box.left)
    flagged = ink[top : top + half[0], left : left + half[1]]
    assert 0.05 < flagged.mean() < 0.3
    assert ink.sum() == flagged.sum()


def test_the_left_picture_is_the_plain_slide(tmp_path):
    image, _ = draw(tmp_path / "o.png", make([[1.0]]))
    box = Layout.of((1000, 1000)).left
    inside = image[
        round(box.top) + 5 : round(box.bottom) - 5,
        round(box.left) + 5 : round(box.right) - 5,
    ]
    assert (inside == 200).all()


@pytest.mark.parametrize(
    ("slide", "values"),
    [
        ((1000.0, 60000.0), np.eye(4, 200)),
        ((60000.0, 1000.0), np.eye(200, 4)),
        ((1.0, 1.0), np.ones((1, 1))),
        ((1000.0, 1000.0), np.full((3, 3), np.nan)),
        ((1000.0, 1000.0), np.empty((0, 0))),
        ((1000.0, 1000.0), np.zeros((3, 3))),
    ],
    ids=["wide", "tall", "one px", "nothing computed", "no cells", "no regions"],
)
def test_every_slide_gets_a_page(tmp_path, slide, values):
    image, _ = draw(tmp_path / "o.png", make(values, slide=slide), slide=slide)
    layout = Layout.of(slide)
    assert image.shape == (round(layout.height), WIDTH, 3)
    y, x = (round(side) for side in layout.left.centre)
    assert image[y, x].tolist() == [200, 200, 200]


@pytest.mark.parametrize(
    ("values", "tissue_mm2", "words"),
    [
        (np.empty((0, 0)), None, "No tissue was found, so nothing was scanned."),
        (np.zeros((2, 2)), 0.0, "No tissue was found, so nothing was scanned."),
        (np.full((2, 2), np.nan), 3.0, "Nothing was scanned of 3 mm² tissue."),
        (np.zeros((2, 2)), None, "No lesion found: 0 mm²."),
        (
            np.eye(2),
            0.25,
            "1 lesion (1 micro)  ·  tumor 0.125 mm² of 0.25 mm² tissue (50 %)"
            "  ·  longest axis 0.707 mm",
        ),
        (
            np.array([[1.0, 0.0, 1.0]]),
            None,
            "2 lesions (2 micro)  ·  tumor 0.167 mm²  ·  longest axis 0.527 mm",
        ),
    ],
)
def test_the_line_of_totals(values, tissue_mm2, words):
    heatmap = make(values)
    assert (
        totals_words(heatmap, find_regions(heatmap, 0.5), of_tissue(tissue_mm2))
        == words
    )


def test_the_line_of_totals_of_outlines_from_a_file_has_no_share_of_the_tissue():
    heatmap = make(np.eye(2))
    regions = find_regions(heatmap, 0.5)
    record = of_tissue(0.25, outlines="/s/drawn.geojson")
    words = totals_words(heatmap, regions, record)
    assert "tumor 0.125 mm² of 0.25 mm² tissue  ·" in words
    assert totals_words(heatmap, [], record) == (
        "No region in drawn.geojson: 0 mm² of 0.25 mm² tissue."
    )


@pytest.mark.parametrize(
    "title", ["$x_1$ \\frac{", "病例 42 🧫.svs", "long_name_" * 40, ""]
)
def test_any_file_name_is_drawn_inside_the_page(tmp_path, title):
    model = replace(RECORD.model, name=title)
    record = replace(RECORD, slide=SlideFacts(title, "f"), model=model)
    image, _ = draw(tmp_path / "o.png", make([[0.5]]), record=record)
    assert (image[:190, int(WIDTH - MARGIN / 2) :] == 255).all()


def test_the_record_is_kept_as_the_comment(tmp_path):
    record = RunRecord(slide=SlideFacts("/s/a.svs", "f", 1000, 1000), threshold=0.5)
    _, text = draw(tmp_path / "o.png", make([[0.5]]), record=record)
    assert json.loads(text["Comment"]) == record.to_dict()


def test_the_same_input_makes_the_same_file(tmp_path):
    for name in ("a.png", "b.png"):
        draw(tmp_path / name, make([[0.2, 0.9]]))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_cells_over_the_edge_of_the_slide_are_cut_off(tmp_path):
    heatmap = Heatmap(
        np.ones((3, 3), np.float32), Grid((-500, -500), (700, 700), (3, 3)), (1, 1)
    )
    image, _ = draw(tmp_path / "o.png", heatmap)
    box = Layout.of((1000, 1000)).right
    between = image[250:800, round(box.left) - 20 : round(box.left) - 2]
    assert (between == 255).all()


@pytest.mark.parametrize(
    "thumbnail",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 3)),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_thumbnail_is_refused(thumbnail):
    with pytest.raises(OptionError, match="thumbnail"):
        overview_png(thumbnail, make([[0.5]]), [], RECORD)


@pytest.mark.parametrize("size_um", [(1, 1), (1, 3), (3, 1), (1, 500), (500, 1)])
def test_pictures_keep_their_proportions_and_do_not_overlap(size_um):
    layout = Layout.of(size_um)
    for box in (layout.left, layout.right):
        assert box.left >= MARGIN
        assert box.right <= WIDTH - MARGIN + 1e-6
        assert box.bottom < layout.height
        assert box.height / box.width == pytest.approx(size_um[0] / size_um[1])
    assert layout.left.intersect(layout.right).is_empty
    beside = layout.right.left >= layout.left.right + GAP - 1e-6
    assert beside or layout.right.top >= layout.left.bottom + GAP


def test_a_wide_slide_is_stacked_and_a_tall_one_is_not():
    assert Layout.of((1, 4)).right.top > Layout.of((1, 4)).left.bottom
    assert Layout.of((4, 1)).right.top == Layout.of((4, 1)).left.top


@pytest.mark.parametrize(
    ("limit_um", "expected"),
    [(1.0, 1), (1.99, 1), (2.0, 2), (4.9, 2), (5.0, 5), (999.0, 500), (1e4, 1e4)],
)
def test_a_scale_bar_is_1_2_or_5(limit_um, expected):
    assert round_length(limit_um) == expected


@pytest.mark.parametrize(
    ("length_um", "words"), [(0.5, "0.5 µm"), (500, "500 µm"), (1000, "1 mm")]
)
def test_lengths_change_to_mm_at_1000_um(length_um, words):
    assert length_words(length_um) == words


def test_the_scale_bar_is_as_long_as_it_says():
    page = Page(Box.of_shape((1000, 1000)), (2.0, 2.0))
    bar = page.scale_bar()
    assert bar.width == pytest.approx(500 * page.layout.left.width / 2000)
    dark = np.asarray(page.image)[round(bar.centre[0])].max(axis=1) < 60
    # the words "500 µm" stand apart
    assert dark[: round(bar.right) + 5].sum() == round(bar.right) - round(bar.left)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0"),
        (0.0005, "under 0.001"),
        (0.0213, "0.0213"),
        (99.95, "100"),
        (1234, "1234"),
    ],
)
def test_numbers_have_no_exponent(value, words):
    assert number_words(value) == words


def test_words_are_cut_in_the_middle():
    assert shorten("abcdefgh", 8) == "abcdefgh"
    assert shorten("abcdefgh", 5) == "ab…gh"
    assert shorten("abcdefgh", 1) == "…"


def test_characters_the_font_lacks_leave_a_mark() -> None:
    page = Page(Box.of_shape((1000, 1000)), (2.0, 2.0))
    page.text((100, 100), "病", size=40)
    assert (np.asarray(page.image) < 100).any()
