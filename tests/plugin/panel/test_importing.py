"""Files that are brought to the panel: where to look, and corrected regions."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
from PIL import Image

from napari_fastnet.annotations.qupath.object_writing import write_qpdata
from napari_fastnet.annotations.qupath.objects import read_qpdata
from napari_fastnet.plugin.work import importing
from napari_fastnet.results.record import read_record

pytestmark = pytest.mark.gui

#: The slide is 1200 x 1600 px of 1 µm, a px of its masks 8 µm.
CORNERS = [[400, 240], [800, 240], [800, 640], [400, 640], [400, 240]]  # x, y


@pytest.fixture
def outlines(tmp_path):
    def write(corners, kind="Tumor"):
        path = tmp_path / "edited.geojson"
        feature = {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [corners]},
            "properties": {"classification": {"name": kind}},
        }
        content = {"type": "FeatureCollection", "features": [feature]}
        path.write_text(json.dumps(content))
        return path

    return write


def wait(qtbot, section):
    qtbot.waitUntil(lambda: read_all(section.work), timeout=20_000)


def read_all(work):
    """Return whether all files are read that the user chose."""
    return not any(job.running for job in work.imports.values())


def test_outlines_become_the_region_of_interest(
    panel, compute, outlines, qtbot
) -> None:
    work = compute(panel)
    before = work.editor.mask("roi")
    panel.tissue.load_roi(outlines(CORNERS, "my class"))
    wait(qtbot, panel.tissue)
    expected = np.zeros((150, 200), bool)
    expected[30:80, 50:100] = True
    np.testing.assert_array_equal(work.editor.mask("roi"), expected)
    np.testing.assert_array_equal(work.layers.get("roi").data > 0, expected)
    panel.tissue.drop.native.click()
    np.testing.assert_array_equal(work.editor.mask("roi"), before)


def test_so_does_a_picture_and_detection_keeps_to_it(
    panel, compute, detect, tmp_path, qtbot
) -> None:
    compute(panel)
    mask = np.zeros((150, 200), np.uint8)
    mask[60:90, 70:110] = 1
    Image.fromarray(mask).save(tmp_path / "roi.png")
    panel.tissue.load_roi(tmp_path / "roi.png")
    wait(qtbot, panel.tissue)
    work = detect(panel)
    rows, columns = np.nonzero(work.heatmap.computed)
    y, x = np.array(
        [work.heatmap.grid.cell_centre(*at) for at in zip(rows, columns, strict=True)]
    ).T
    assert (y.min() > 400, y.max() < 800) == (True, True)
    assert (x.min() > 480, x.max() < 960) == (True, True)


def test_a_mask_of_another_slide_is_told_and_nothing_changes(
    panel, compute, errors, tmp_path, qtbot
) -> None:
    work = compute(panel)
    before = work.editor.mask("roi")
    Image.fromarray(np.ones((50, 50), np.uint8)).save(tmp_path / "roi.png")
    panel.tissue.load_roi(tmp_path / "roi.png")
    wait(qtbot, panel.tissue)
    assert len(errors) == 1
    assert "the mask is 50 x 50 px" in errors[0]
    assert work.editor.mask("roi") is before


def test_corrected_regions_are_shown_and_exported_until_the_threshold_moves(
    panel, detect, outlines, tmp_path, qtbot
) -> None:
    work = detect(panel)
    qtbot.waitUntil(lambda: len(work.regions) == 1)
    found_mm2 = work.regions[0].area_mm2
    panel.regions.load_regions(outlines(CORNERS))
    wait(qtbot, panel.regions)
    qtbot.waitUntil(lambda: work.regions[0].area_mm2 != found_mm2)
    assert work.regions[0].area_mm2 == pytest.approx(0.16)
    wanted = "edited.geojson: 1 lesion, 0.16 mm²; you: none of 1 decided"
    assert panel.regions.totals.value == wanted

    panel.export.folder.value = tmp_path / "files"
    panel.export.save.native.click()
    qtbot.waitUntil(lambda: panel.export.save.enabled, timeout=30_000)
    geojson = json.loads((tmp_path / "files" / "regions.geojson").read_text())
    (feature,) = geojson["features"]
    assert feature["properties"]["measurements"]["area mm^2"] == pytest.approx(0.16)
    totals = read_record(tmp_path / "files" / "run.json").regions
    assert totals.outlines == str(tmp_path / "edited.geojson")
    assert totals.tissue_mm2 == work.masks.area_mm2
    assert totals.tissue_fraction == pytest.approx(0.16 / work.masks.area_mm2, rel=0.05)

    work.set_threshold(work.threshold)
    qtbot.waitUntil(lambda: work.regions[0].area_mm2 == found_mm2)


def test_outlines_outside_the_slide_are_told(
    panel, detect, outlines, errors, qtbot
) -> None:
    work = detect(panel)
    qtbot.waitUntil(lambda: len(work.regions) == 1)
    panel.regions.load_regions(outlines([[x + 9000, y] for x, y in CORNERS]))
    wait(qtbot, panel.regions)
    assert "outside the slide of 1600 x 1200 px" in errors[0]
    assert work.region_finder.outlines is None


def test_corrected_regions_beside_the_tissue_are_no_share_of_it(
    panel, detect, outlines, tmp_path, qtbot
) -> None:
    """All of the slide is drawn round: 1.92 mm², all of the tissue and more."""
    work = detect(panel)
    panel.regions.load_regions(outlines([[0, 0], [1600, 0], [1600, 1200], [0, 1200]]))
    wait(qtbot, panel.regions)
    panel.export.folder.value = tmp_path / "files"
    panel.export.save.native.click()
    qtbot.waitUntil(lambda: panel.export.save.enabled, timeout=30_000)
    totals = read_record(tmp_path / "files" / "run.json").regions
    assert totals.area_mm2 == pytest.approx(1.92)
    assert totals.tissue_fraction == 1.0
    assert work.masks.area_mm2 < 1.0


@pytest.fixture
def held(monkeypatch):
    """Let what reads outlines wait until it is let go."""
    go_on = threading.Event()
    read = importing.read_outlines

    def wait_and_read(*arguments):
        assert go_on.wait(20)
        return read(*arguments)

    monkeypatch.setattr(importing, "read_outlines", wait_and_read)
    yield go_on
    go_on.set()


@pytest.mark.parametrize("change", ["spacing", "closed"])
def test_a_file_that_was_being_read_for_what_is_gone_is_dropped(
    panel, viewer, detect, outlines, held, qtbot, change
) -> None:
    work = detect(panel)
    panel.regions.load_regions(outlines(CORNERS))
    if change == "spacing":
        work.set_mpp(2.0)
    else:
        viewer.layers.remove(work.layer)
    held.set()
    qtbot.waitUntil(lambda: read_all(work), timeout=20_000)
    qtbot.wait(200)
    assert work.region_finder.outlines is None


def test_of_two_files_the_later_holds(
    panel, detect, outlines, held, tmp_path, qtbot
) -> None:
    work = detect(panel)
    first = outlines(CORNERS).rename(tmp_path / "first.geojson")
    panel.regions.load_regions(first)
    panel.regions.load_regions(outlines(CORNERS))
    held.set()
    wait(qtbot, panel.regions)
    qtbot.wait(200)
    assert work.region_finder.outlines_path == str(tmp_path / "edited.geojson")


def test_the_truth_is_shown_where_it_lies_and_compared(
    panel, viewer, detect, outlines, told, qtbot
) -> None:
    detect(panel)
    corners = [[520, 400], [920, 400], [920, 800], [520, 800], [520, 400]]
    for _ in range(2):  # the second in the place of the first
        panel.regions.load_truth(outlines(corners))
        wait(qtbot, panel.regions)
    assert sum(layer.name == "truth" for layer in viewer.layers) == 1
    layer = viewer.layers["truth"]
    rows, columns = np.nonzero(layer.data)
    middle = layer.data_to_world((rows.mean(), columns.mean()))
    assert middle == pytest.approx((600, 720), abs=4)  # the slide is of 1 µm/px
    assert viewer.layers.units == layer.units  # one unit for all, or none is used
    panel.slide.work.set_mpp(2.0)
    middle = layer.data_to_world((rows.mean(), columns.mean()))
    assert middle == pytest.approx((1200, 1440), abs=8)  # it lies where it lay
    words = [message for message in told if "Dice" in message]
    assert len(words) == 2
    assert float(words[0].split("Dice ")[1][:4]) > 0.9


def test_the_truth_of_another_slide_is_told(panel, outlines, errors, qtbot) -> None:
    panel.regions.load_truth(outlines([[x + 9000, y] for x, y in CORNERS]))
    wait(qtbot, panel.regions)
    assert "in level-0 px" in errors[0]


def test_outlines_may_count_from_the_scanned_part(
    panel, detect, outlines, qtbot
) -> None:
    work = detect(panel)
    path = outlines([[x - 160, y - 240] for x, y in CORNERS])
    panel.regions.load_regions(path, (240.0, 160.0))
    wait(qtbot, panel.regions)
    ring = work.region_finder.outlines.positive[0]
    assert ring.min(axis=0).tolist() == [240, 400]
    panel.tissue.load_roi(path, (240.0, 160.0))
    wait(qtbot, panel.tissue)
    expected = np.zeros((150, 200), bool)
    expected[30:80, 50:100] = True
    np.testing.assert_array_equal(work.editor.mask("roi"), expected)


def test_regions_that_are_mirrored_are_told(
    panel, detect, outlines, told, qtbot
) -> None:
    """The tissue fills 200 to 1200 px of the slide's 1600 px from its left edge."""
    detect(panel)
    corners = [[1300, 400], [1380, 400], [1380, 480], [1300, 480], [1300, 400]]
    panel.regions.load_regions(outlines(corners))
    wait(qtbot, panel.regions)
    (message,) = (text for text in told if "of what is outlined" in text)
    assert "only 0%" in message
    assert "mirrored left to right, it would be 100%" in message


def test_verdicts_of_a_project_are_decisions_that_can_be_undone(
    panel, detect, tmp_path, qtbot
) -> None:
    work = detect(panel)
    qtbot.waitUntil(lambda: len(work.review.reviewed) == 1)
    panel.export.folder.value = tmp_path / "project"
    panel.export.formats.formats = ("qupath-project",)
    panel.export.save.native.click()
    qtbot.waitUntil(lambda: panel.export.save.enabled, timeout=30_000)
    path = tmp_path / "project/data/1/data.qpdata"
    (lesion,) = read_qpdata(path.read_bytes())
    assert lesion["properties"]["classification"]["names"] == ["Tumor", "Undecided"]
    lesion["properties"]["classification"] = {
        "name": "Unsure"
    }  # as a person does there
    path.write_bytes(write_qpdata([lesion], {}, {"Unsure": (255, 170, 0)}))

    assert panel.regions.verdicts.enabled
    panel.regions.load_verdicts(tmp_path / "project/project.qpproj")
    wait(qtbot, panel.regions)
    qtbot.waitUntil(lambda: work.review.reviewed[0].status == "unsure")
    decision = work.review.reviewed[0].decision
    assert decision.origin == str(tmp_path / "project/project.qpproj")
    work.review.undo()
    assert work.review.reviewed[0].status == "undecided"


def test_a_project_without_the_slide_is_told(panel, detect, errors, tmp_path, qtbot):
    work = detect(panel)
    path = tmp_path / "project.qpproj"
    path.write_text('{"images": []}')
    panel.regions.load_verdicts(path)
    wait(qtbot, panel.regions)
    qtbot.waitUntil(lambda: len(errors) == 1)
    assert "none of its images is" in errors[0]
    assert work.review.reviewed[0].decision is None
