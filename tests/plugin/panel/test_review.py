"""Review: candidates are gone through, decided on, and changed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QItemSelectionModel

from napari_fastnet.plugin.review.gallery import words_of
from napari_fastnet.results.decisions import Decisions

pytestmark = pytest.mark.gui

KEYS = {"tumor": "J", "not tumor": "K", "unsure": "U"}


@pytest.fixture
def review(panel, show_candidates):
    show_candidates(panel, 12)
    return panel.review


def statuses(review):
    return [one.status for one in review.work.review.reviewed]


def on_disk(review):
    work = review.work
    return Decisions.open(work.review.decisions.path, work.fingerprint).decisions


def choose(review, *numbers):
    flags = QItemSelectionModel.SelectionFlag
    for number in numbers:
        index = review._view.index_of(number)
        review._chosen.setCurrentIndex(index, flags.Select | flags.Rows)


def test_candidates_come_in_the_order_of_suspicion(review) -> None:
    assert review.table.model().rowCount() == 12
    numbers = [shown.region.label for shown in review._view.shown()]
    assert numbers == list(range(1, 13))
    found = "12 lesions, largest 0.18 mm (ITC by size)"
    assert review.progress.value == f"{found} · 0 of 12 decided: begin with N"


def test_keys_decide_and_the_next_undecided_is_shown(viewer, review, press) -> None:
    press(viewer, "N")
    for key in ("J", "K", "U"):
        press(viewer, key)
    assert statuses(review)[:4] == ["tumor", "not tumor", "unsure", "undecided"]
    assert review.current.region.label == 4
    assert review.progress.value.endswith(" · 2 of 12 decided, 1 unsure")
    assert [decision.verdict for decision in on_disk(review)] == list(KEYS)

    press(viewer, ",")
    press(viewer, ",")
    press(viewer, "J")  # marks are absolute: said twice it stays, said anew it changes
    assert statuses(review)[1] == "tumor"
    press(viewer, ",")
    assert review.current.region.label == 3  # the next undecided was 4
    press(viewer, "Shift+Z")
    assert statuses(review)[1] == "not tumor"
    assert review.current.region.label == 2
    press(viewer, ".")
    assert review.current.region.label == 3


def test_a_verdict_without_a_choice_shows_the_first(viewer, review, press) -> None:
    press(viewer, "J")
    assert set(statuses(review)) == {"undecided"}
    assert review.current.region.label == 1


def test_several_are_decided_at_once_and_undone_at_once(review) -> None:
    choose(review, 2, 5, 6)
    review.not_tumor.native.click()
    rejected = [
        n for n, status in enumerate(statuses(review), 1) if status != "undecided"
    ]
    assert rejected == [2, 5, 6]
    assert review.current.region.label == 7
    review.undo.native.click()
    assert set(statuses(review)) == {"undecided"}


def test_when_all_are_decided_one_is_told(review, told) -> None:
    choose(review, *range(1, 13))
    review.tumor.native.click()
    assert any("all 12 candidates" in message for message in told)


def test_filters_leave_what_is_asked_for(review) -> None:
    choose(review, 1)
    review.tumor.native.click()
    review.filter.value = "undecided"
    assert review.table.model().rowCount() == 11
    review.unsure.native.click()  # the second is gone from the list by that
    assert review.table.model().rowCount() == 10
    assert review.current.region.label == 3


def test_a_filter_says_what_is_not_in_the_list(qtbot, review, told) -> None:
    choose(review, 2)
    review.tumor.native.click()
    review.filter.value = "tumor"
    assert review.current is None  # 3 is filtered out, and no other chosen in its place
    review.go_on()
    assert told[-1] == "none undecided in this list; 11 in all"
    review.go_next()

    def place():
        current = review.work.marks._current
        return "" if current is None else current[1]

    qtbot.waitUntil(lambda: place() == "no. 2 (1 of 1)", timeout=20_000)
    review.filter.value = "all"
    qtbot.waitUntil(lambda: place() == "2 of 12", timeout=20_000)


def test_a_filtered_list_begins_at_its_top(review) -> None:
    lists = (review.gallery, review.table)
    for shown in lists:
        shown.setFixedHeight(160)
    review.go_to(12)
    choose(review, 12)
    review.not_tumor.native.click()
    review.go_to(11)
    review.work.review.decide([review.current.region], "tumor")
    bars = [shown.verticalScrollBar() for shown in lists]
    assert all(bar.value() > 0 for bar in bars)
    review.filter.value = "undecided"  # which 11 is not
    assert [bar.value() for bar in bars] == [0, 0]
    review.go_to(10)
    review.filter.value = "all"
    for shown in lists:
        row = shown.visualRect(review._view.index_of(10))
        assert shown.viewport().rect().intersects(row)


def test_a_note_is_kept_with_its_candidate(review) -> None:
    review.go_next()
    column = review._model.columnCount() - 1
    assert review.table.isColumnHidden(column)
    review.note.value = "sinus, CK asked for"
    review.go_next()
    assert not review.table.isColumnHidden(column)
    assert words_of(review._model.rows[0]).startswith("1 ✎ · ")
    assert review.note.value == ""
    review.go_back()
    assert review.note.value == "sinus, CK asked for"
    assert [decision.note for decision in on_disk(review)] == ["sinus, CK asked for"]
    review.search.value = "ck"
    assert review.table.model().rowCount() == 1


def test_it_flies_at_a_fixed_magnification(viewer, review) -> None:
    review.go_next()
    region = review.current.region
    assert viewer.scene.camera.zoom == 1.0  # 10x is 1 µm a px
    assert viewer.scene.camera.center[-2:] == pytest.approx(region.centroid)
    review.magnification.value = 20.0
    assert viewer.scene.camera.zoom == 2.0
    review.magnification.value = 10.0
    corners = [(500, 100), (500, 1100), (1100, 1100), (1100, 100)]
    review.work.review.draw([(np.array(corners, float),)])  # 1 mm on 400 px
    review.go_to(13)
    assert viewer.scene.camera.zoom == pytest.approx(0.8 * 400 / 1000)


def test_totals_of_machine_and_person_stand_apart(panel, review) -> None:
    assert panel.regions.totals.value.startswith("FastNet: 12 lesions, 0.20 mm²")
    assert panel.regions.totals.value.endswith("you: none of 12 decided")
    choose(review, 1, 2)
    review.tumor.native.click()
    review.not_tumor.native.click()
    wanted = "you: 2 accepted (0.03 mm²), 1 rejected, 3 of 12 decided"
    assert panel.regions.totals.value.endswith(wanted)
    assert panel.regions.totals.value.startswith("FastNet: 12 lesions, 0.20 mm²")


def test_the_evidence_slider_tells_lesions_from_possible_ones(
    qtbot, viewer, panel, review
) -> None:
    sources = [shown.source for shown in review._view.shown()]
    assert set(sources) == {"lesion"}
    panel.slide.work.set_lesion_threshold(1000.0)
    sources = [shown.source for shown in review._view.shown()]
    assert set(sources) == {"possible"}
    assert panel.regions.totals.value.startswith("FastNet: no lesion found")
    layer = viewer.layers["tumor regions"]
    qtbot.waitUntil(lambda: len(layer.data) == 0, timeout=20_000)
    assert review.table.model().rowCount() == 12  # candidates stay


def test_a_new_detection_keeps_the_decisions(qtbot, panel, review) -> None:
    choose(review, 3)
    review.not_tumor.native.click()
    panel.detect.threshold.value = 0.9
    panel.slide.work.region_finder.find()
    qtbot.wait(300)
    assert statuses(review)[2] == "not tumor"


def test_the_current_one_stays_so_when_ranks_change(qtbot, panel, review) -> None:
    review.go_to(4)
    choose(review, 4)
    work = panel.slide.work
    kept = review.current.region.centroid
    work.heatmap.probabilities[40:60, 40:70] = 0.98  # larger, and so the first
    work.region_finder.find()
    qtbot.waitUntil(lambda: len(work.candidates) == 13, timeout=20_000)
    assert review.current.region.label == 5
    assert review.current.region.centroid == kept
    assert [chosen.region.label for chosen in review.chosen()] == [5]


def test_decisions_move_beside_the_run(review, tmp_path) -> None:
    choose(review, 1)
    review.tumor.native.click()
    in_memory = review.work.review.decisions.path
    review.work.review.keep_with(tmp_path / "out" / "square")
    assert review.work.review.decisions.path == tmp_path / "out/square/decisions.json"
    assert in_memory.is_file()
    assert statuses(review)[0] == "tumor"
    assert len(on_disk(review)) == 1


def test_a_decision_that_cannot_be_written_is_said_and_kept(review, errors) -> None:
    path = review.work.review.decisions.path
    path.parent.parent.mkdir(parents=True)
    path.parent.write_text("in the way")
    choose(review, 1)
    review.tumor.native.click()
    assert len(errors) == 1
    assert path.name in errors[0]
    assert statuses(review)[0] == "tumor"
    path.parent.unlink()
    review.not_tumor.native.click()  # of the second: both are written
    assert [decision.verdict for decision in on_disk(review)] == ["tumor", "not tumor"]


# --- by hand ----------------------------------------------------------------------


def drawn(qtbot, viewer, shape, kind):
    layer = viewer.layers["lesion drawing"]
    layer.add(np.array(shape), shape_type=kind)
    qtbot.waitUntil(lambda: "lesion drawing" not in viewer.layers, timeout=20_000)


def test_a_lesion_is_drawn(qtbot, viewer, review) -> None:
    review.draw.native.click()
    assert viewer.layers.selection.active.mode == "add_polygon"
    assert not review.cancel.native.parent().isHidden()
    corners = [(1000, 1200), (1000, 1300), (1100, 1300), (1100, 1200)]
    drawn(qtbot, viewer, corners, "polygon")
    new = review.work.review.reviewed[-1]
    assert (new.decision.kind, new.status) == ("drawn", "tumor")
    assert new.region.area_mm2 == pytest.approx(0.01)
    assert review.cancel.native.parent().isHidden()
    assert "lesion drawing" not in viewer.layers
    review.undo.native.click()
    assert len(review.work.review.reviewed) == 12


def test_drawing_is_dropped_by_cancel(viewer, review) -> None:
    review.draw.native.click()
    review.cancel.native.click()
    assert "lesion drawing" not in viewer.layers
    assert len(review.work.review.reviewed) == 12


def test_an_outline_is_corrected(viewer, review) -> None:
    review.go_next()
    before = review.current.region
    review.correct.native.click()
    layer = viewer.layers["lesion drawing"]
    assert layer.mode == "direct"
    layer.data = [layer.data[0] * (2, 1) - (before.polygons[0][0][:, 0].min(), 0)]
    review.done.native.click()
    first = review.work.review.reviewed[0]
    assert first.decision.kind == "corrected"
    assert first.region.area_mm2 == pytest.approx(2 * before.area_mm2)
    assert first.region.label == before.label


def test_an_outline_that_was_left_as_it_was_is_no_decision(review) -> None:
    review.go_next()
    review.correct.native.click()
    review.done.native.click()
    assert review.work.review.decisions.decisions == ()


def test_chosen_ones_are_joined_and_parted_again(review) -> None:
    choose(review, 1, 2)
    review.join.native.click()
    reviewed = review.work.review.reviewed
    assert len(reviewed) == 11
    assert reviewed[0].decision.kind == "joined"
    assert reviewed[0].region.longest_axis_mm == pytest.approx(
        np.hypot(16 * 24, 128) / 1000
    )
    review.undo.native.click()
    assert len(review.work.review.reviewed) == 12


def test_a_line_cuts_a_candidate_in_two(qtbot, viewer, review, told) -> None:
    review.go_next()
    y, x = review.current.region.centroid
    review.cut.native.click()
    drawn(qtbot, viewer, [(y, x - 100), (y, x)], "line")
    assert any("must cross" in message for message in told)
    review.cut.native.click()
    drawn(qtbot, viewer, [(y, x - 90), (y, x + 90)], "line")
    pieces = [o for o in review.work.review.reviewed if o.decision is not None]
    assert [piece.decision.kind for piece in pieces] == ["cut", "cut"]
    for piece in pieces:
        assert piece.region.area_mm2 == pytest.approx(128 * 64 / 1e6)


def test_deleting_an_outline_rejects_it(qtbot, viewer, review) -> None:
    layer = viewer.layers["tumor regions"]
    layer.selected_data = {1}
    layer.remove_selected()
    assert statuses(review)[1] == "not tumor"
    qtbot.waitUntil(lambda: len(layer.data) == 12, timeout=20_000)
    review.undo.native.click()
    assert set(statuses(review)) == {"undecided"}


# --- second read ------------------------------------------------------------------


def shown_names(viewer):
    return [layer.name for layer in viewer.layers]


def test_a_second_reader_sees_nothing_before_her_verdict(
    qtbot, viewer, panel, show_candidates
) -> None:
    review = panel.review
    review.second_read.value = True
    show_candidates(panel, 12)
    qtbot.wait(50)
    assert shown_names(viewer) == ["square"]
    assert review.table.model().rowCount() == 0
    assert "FastNet" not in panel.regions.totals.value
    panel.detect.threshold.value = 0.4
    panel.slide.work.region_finder.find()
    qtbot.wait(300)
    assert shown_names(viewer) == ["square"]

    review.no_tumor_seen.native.click()
    assert {"tumor probability", "tumor regions"} <= set(shown_names(viewer))
    assert review.table.model().rowCount() == 12
    assert review.readings.value == "you: no tumor seen; FastNet: 12 lesions"
    reading = review.work.review.decisions.reading
    assert reading.verdict == "not tumor"


def test_turning_it_off_shows_what_was_found(qtbot, viewer, review) -> None:
    order = shown_names(viewer)
    review.second_read.value = True
    assert shown_names(viewer) == ["square"]
    review.second_read.value = False
    assert shown_names(viewer) == order
    assert review.readings.value == ""


def test_layers_that_are_opened_meanwhile_stay_out_of_sight(
    qtbot, viewer, panel, show_candidates
) -> None:
    work = show_candidates(panel, 3)
    names = set(shown_names(viewer))
    panel.review.second_read.value = True
    work.heatmap_layer(new=True)  # as of another run
    layer = work.layers.get("heatmap")
    assert layer not in viewer.layers
    viewer.layers.append(layer)  # whoever does that
    qtbot.waitUntil(lambda: layer not in viewer.layers, timeout=20_000)
    panel.review.tumor_seen.native.click()
    assert set(shown_names(viewer)) == names


def test_a_verdict_on_the_slide_is_there_when_it_is_opened_again(
    viewer, panel, show_candidates, make_panel, add_slide, square_svs
) -> None:
    from napari.components import ViewerModel

    panel.review.second_read.value = True
    panel.review.unsure_of_slide.native.click()
    other = ViewerModel()
    add_slide(other, square_svs)
    again = make_panel(other)
    again.review.second_read.value = True
    assert again.slide.work.review.decisions.reading.verdict == "unsure"
    assert not again.slide.work.layers.veiled  # it was read before
