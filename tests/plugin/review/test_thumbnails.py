"""Pictures of candidates: the right place, read in a thread, within bounds."""

from __future__ import annotations

import threading

import numpy as np
import pytest

pytest.importorskip("qtpy")

from napari_fastnet.core.lesions.regions import Region
from napari_fastnet.plugin.review import thumbnails
from napari_fastnet.plugin.review.thumbnails import SIDE_PX, Thumbnails, fields_of
from napari_fastnet.slide.slide import open_slide


def square(top, left, side):
    ring = np.array(
        [
            (top, left),
            (top, left + side),
            (top + side, left + side),
            (top + side, left),
        ],
        float,
    )
    return Region(
        label=1,
        area_mm2=side**2 / 1e6,
        longest_axis_mm=side / 1000,
        max_probability=1.0,
        mean_probability=1.0,
        centroid=(top + side / 2, left + side / 2),
        polygons=((ring,),),
    )


@pytest.fixture(scope="module")
def slide(tmp_path_factory, write_svs):
    """Return a slide of 2 x 2 mm, 1 µm/px: blue above, red below."""
    image = np.full((2000, 2000, 3), (60, 60, 200), np.uint8)
    image[1000:] = (200, 60, 60)
    path = tmp_path_factory.mktemp("slides") / "flag.svs"
    with open_slide(write_svs(path, image, factors=(1, 4), mpp=1.0)) as slide:
        yield slide


@pytest.fixture
def shown(qapp, slide):
    made = Thumbnails()
    made.show(slide)
    yield made
    made.close()


def test_overview_is_a_millimetre_and_detail_a_quarter() -> None:
    overview, detail = fields_of(square(900, 900, 200), (0.5, 0.25))
    assert (overview.height, overview.width) == (2000, 4000)  # px of 0.5 and 0.25 µm
    assert (detail.height, detail.width) == (500, 1000)
    assert overview.centre == detail.centre == (1000, 1000)


def test_a_lesion_larger_than_the_overview_is_in_it() -> None:
    overview, _ = fields_of(square(0, 0, 3000), (1.0, 1.0))
    assert overview.height == pytest.approx(1.15 * 3000)
    assert overview.contains((0, 0))


def test_pictures_show_the_tissue_and_the_outline(qtbot, shown) -> None:
    region = square(900, 900, 200)
    assert shown.pictures(region) is None
    shown.want([region])
    qtbot.waitUntil(lambda: shown.pictures(region) is not None, timeout=20_000)
    overview, detail = (picture.toImage() for picture in shown.pictures(region))
    assert (overview.width(), overview.height()) == (SIDE_PX, SIDE_PX)
    above, below = (detail.pixelColor(SIDE_PX // 2, y) for y in (30, SIDE_PX - 30))
    assert above.blue() > 150 > above.red()
    assert below.red() > 150 > below.blue()
    # the outline, 200 of 1000 µm wide: dark between two light lines
    row = [overview.pixelColor(x, SIDE_PX // 2 - 4).lightness() for x in range(SIDE_PX)]
    assert max(row) > 200
    assert min(row) < 40
    left, right = np.flatnonzero(np.array(row) < 40)[[0, -1]]
    assert right - left == pytest.approx(0.2 * SIDE_PX, abs=2)


def test_what_is_wanted_first_is_read_first_and_not_by_the_window(
    qtbot, shown, slide, monkeypatch
) -> None:
    read, threads = [], set()
    before = slide.read

    def noted(box, mpp, **how):
        read.append(box)
        threads.add(threading.current_thread())
        return before(box, mpp, **how)

    monkeypatch.setattr(type(slide), "read", lambda _, *a, **k: noted(*a, **k))
    regions = [square(10 * index, 10 * index, 50) for index in range(20)]
    shown.want(regions[10:])
    qtbot.waitUntil(lambda: shown.pictures(regions[-1]) is not None, timeout=20_000)
    wanted = [field for region in regions[10:] for field in fields_of(region, (1, 1))]
    assert read == wanted
    assert threading.main_thread() not in threads


def test_what_scrolled_away_is_not_read(qtbot, shown) -> None:
    first = [square(index, 0, 50) for index in range(300)]
    shown.want(first)
    last = square(1500, 1500, 50)
    shown.want([last])
    qtbot.waitUntil(lambda: shown.pictures(last) is not None, timeout=20_000)
    qtbot.wait(100)
    assert sum(shown.pictures(region) is not None for region in first) < 20


def test_memory_is_bounded(qtbot, shown, monkeypatch) -> None:
    monkeypatch.setattr(thumbnails, "MOST_KEPT", 5)
    regions = [square(10 * index, 0, 50) for index in range(12)]
    for region in regions:
        shown.want([region])
        qtbot.waitUntil(lambda r=region: shown.pictures(r) is not None, timeout=20_000)
    kept = [region for region in regions if shown.pictures(region) is not None]
    assert kept == regions[-5:]


def test_nothing_is_read_once_it_is_closed(qtbot, shown, slide, monkeypatch) -> None:
    regions = [square(index, 0, 50) for index in range(300)]
    read = []
    before = slide.read
    monkeypatch.setattr(
        type(slide), "read", lambda _, *a, **k: (read.append(a), before(*a, **k))[1]
    )
    shown.want(regions)
    shown.close()
    qtbot.wait(200)
    assert len(read) <= 2  # the two pictures that were being read
    assert all(shown.pictures(region) is None for region in regions)
