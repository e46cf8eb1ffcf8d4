"""A person's decisions: on the disk at once, never lost, found again by overlap."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_fastnet.core.geometry import Box, Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.matching import shapes_of
from napari_fastnet.core.lesions.pieces import NodePiece
from napari_fastnet.core.lesions.regions import find_regions
from napari_fastnet.errors import OptionError, OutputError
from napari_fastnet.results.decisions import Decisions, decisions_path

STEP = 100.0
#: Three lesions: one of 2 x 2 cells with a weaker border, and two of one cell.
VALUES = np.zeros((8, 12), np.float32)
VALUES[1:5, 1:5] = 0.6
VALUES[2:4, 2:4] = 0.95
VALUES[6, 7] = 0.9
VALUES[1, 9] = 0.8
HEATMAP = Heatmap(VALUES, Grid((0.0, 0.0), (STEP, STEP), VALUES.shape), (0.5, 0.25))
SLIDE = Box(0, 0, 800, 1200)
FINGERPRINT = "sha256:ab"


def box(top, left, bottom, right):
    ring = [(top, left), (top, right), (bottom, right), (bottom, left)]
    return (np.array(ring, float) * STEP,)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "decisions.json"


@pytest.fixture
def decisions(path):
    return Decisions.open(path, FINGERPRINT, "slide.svs")


@pytest.fixture
def found():
    return find_regions(HEATMAP, 0.5)


def opened(path):
    again = Decisions.open(path, FINGERPRINT)
    assert again.notes == ()
    return again


def statuses(decisions, candidates):
    return [one.status for one in decisions.reviewed(candidates, HEATMAP, SLIDE)]


def labels(decisions, candidates):
    return [one.region.label for one in decisions.reviewed(candidates, HEATMAP, SLIDE)]


# Pieces of tissue.


def test_pieces_joined_to_a_node_are_said_in_whole_and_stay(path, decisions):
    first = [NodePiece((box(0, 0, 4, 4),), 1, 1), NodePiece((box(0, 6, 4, 9),), 1, 2)]
    decisions.join_pieces(first)
    for each in (decisions, opened(path)):
        assert [(one.node, one.section) for one in each.pieces] == [(1, 1), (1, 2)]
        assert each.pieces[1].polygons[0][0].tolist() == box(0, 6, 4, 9)[0].tolist()
    decisions.join_pieces([])
    assert opened(path).pieces == ()


def test_joining_pieces_is_not_undone_with_the_lesions(decisions, found):
    decisions.join_pieces([NodePiece((box(0, 0, 4, 4),), 2, 1)])
    decisions.decide(found[:1], "tumor")
    assert decisions.undo()
    assert not decisions.undo()
    assert [one.node for one in decisions.pieces] == [2]


def test_a_damaged_note_of_pieces_leaves_the_one_before(decisions):
    decisions.join_pieces([NodePiece((box(0, 0, 4, 4),), 2, 1)])
    decisions.add("pieces", pieces=[1, 3])
    assert [one.node for one in decisions.pieces] == [2]


# Changes.


def test_verdicts_are_on_the_disk_when_the_call_returns(path, decisions, found):
    decisions.decide(found[:2], "tumor")
    decisions.decide([found[2]], "not tumor")
    for each in (decisions, opened(path)):
        assert statuses(each, found) == ["tumor", "tumor", "not tumor"]
        assert [one.kind for one in each.decisions] == ["found"] * 3


def test_opening_leaves_no_file(path, decisions):
    assert not path.exists()
    assert decisions.decisions == ()


def test_the_last_verdict_holds_and_none_takes_it_back(path, decisions, found):
    decisions.decide(found, "tumor")
    decisions.decide(found[:1], "unsure")
    decisions.decide(found[1:2], None)
    assert statuses(opened(path), found) == ["unsure", "undecided", "tumor"]
    assert len(opened(path).decisions) == 2


def test_undo_takes_back_one_change_after_the_other_also_later(path, decisions, found):
    decisions.decide(found, "tumor")
    decisions.note(found[0], "germinal centre?")
    decisions.decide(found[:1], "not tumor")
    assert opened(path).undo()
    assert statuses(opened(path), found) == ["tumor"] * 3
    assert decisions.undo()
    assert [one.note for one in decisions.decisions] == ["", "", ""]
    assert decisions.undo()
    assert statuses(opened(path), found) == ["undecided"] * 3
    assert not decisions.undo()
    # a new change after undoing is the next that is taken back
    decisions.decide(found[:1], "unsure")
    decisions.undo()
    assert opened(path).decisions == ()


def test_notes_and_lines_belong_to_the_lesion(path, decisions, found):
    decisions.note(found[0], " at the hilum ")
    decisions.measure(found[0], ((0, 0), (0, 4000)))
    one = opened(path).reviewed(found, HEATMAP, SLIDE)[0]
    assert (one.status, one.decision.note) == ("undecided", "at the hilum")
    assert one.region.longest_axis_mm == 1.0  # 4000 px of 0.25 µm
    assert one.region.area_mm2 == found[0].area_mm2
    decisions.decide(found[:1], "tumor")
    assert opened(path).decisions[0].note == "at the hilum"
    decisions.measure(found[0], None)
    decisions.note(found[0], "")
    one = opened(path).reviewed(found, HEATMAP, SLIDE)[0]
    assert one.region is not None
    assert one.region.longest_axis_mm == found[0].longest_axis_mm
    assert (one.status, one.decision.note) == ("tumor", "")


def test_a_drawn_lesion_is_measured_on_the_heatmap(path, decisions, found):
    decisions.draw([box(6, 6, 8, 9)])
    (one,) = (r for r in opened(path).reviewed(found[:1], HEATMAP, SLIDE) if r.decision)
    assert (one.decision.kind, one.status) == ("drawn", "tumor")
    assert one.region.label == 2
    assert one.region.area_mm2 == pytest.approx(0.2 * 0.3 / 4 * 0.5)
    assert one.region.max_probability == np.float32(0.9)
    assert one.region.longest_axis_mm == pytest.approx(np.hypot(0.1, 0.075))
    # it takes the place of the candidate under it, and its number
    assert labels(decisions, found) == [1, 2, 3]
    assert statuses(decisions, found).count("tumor") == 1


def test_what_is_drawn_around_decided_lesions_takes_their_place(decisions, found):
    decisions.decide(found[1:], "not tumor")
    decisions.draw([box(0, 6, 8, 12)])
    assert statuses(decisions, found) == ["undecided", "tumor"]
    decisions.undo()
    assert statuses(decisions, found) == ["undecided", "not tumor", "not tumor"]


def test_a_corrected_outline_keeps_verdict_note_and_number(path, decisions, found):
    decisions.decide(found[:1], "tumor")
    decisions.note(found[0], "here")
    decisions.replace(found[:1], [[box(2, 2, 3, 3)]], "corrected")
    one, *others = opened(path).reviewed(found, HEATMAP, SLIDE)
    assert (one.decision.kind, one.status, one.decision.note) == (
        "corrected", "tumor", "here",
    )  # fmt: skip
    assert one.region.label == 1
    assert one.region.area_mm2 == pytest.approx(0.05 * 0.025)
    assert [other.decision for other in others] == [None, None]
    # corrected once more, and decided by the region of the list
    decisions.replace([one.region], [[box(2, 2, 4, 4)]], "corrected")
    (one, *_) = decisions.reviewed(found, HEATMAP, SLIDE)
    decisions.decide([one.region], "unsure")
    assert statuses(opened(path), found) == ["unsure", "undecided", "undecided"]


def test_joined_lesions_are_one_also_where_they_lie_apart(path, decisions, found):
    decisions.replace(found[1:], [[*found[1].polygons, *found[2].polygons]], "joined")
    first, second = opened(path).reviewed(found, HEATMAP, SLIDE)
    assert (first.status, second.status) == ("undecided", "undecided")
    assert second.decision.kind == "joined"
    assert second.region.label == 2
    assert second.region.area_mm2 == pytest.approx(2 * HEATMAP.cell_area_mm2)
    assert second.region.longest_axis_mm == pytest.approx(np.hypot(0.3, 0.075))
    decisions.decide([second.region], "tumor")
    assert statuses(opened(path), found) == ["undecided", "tumor"]


def test_the_parts_of_a_cut_lesion_are_decided_one_by_one(path, decisions, found):
    decisions.decide(found[:1], "tumor")
    decisions.replace(found[:1], [[box(1, 1, 5, 3)], [box(1, 3, 5, 5)]], "cut")
    first, second, *_ = opened(path).reviewed(found, HEATMAP, SLIDE)
    assert [first.status, second.status] == ["tumor", "tumor"]
    assert labels(decisions, found) == [1, 4, 2, 3]
    decisions.decide([second.region], "not tumor")
    assert statuses(opened(path), found)[:2] == ["tumor", "not tumor"]
    decisions.undo()
    decisions.undo()
    assert labels(opened(path), found) == [1, 2, 3]


def test_a_candidate_under_a_persons_outline_is_decided_through_it(decisions, found):
    decisions.replace(found[:1], [[box(2, 2, 4, 4)]], "corrected")
    decisions.decide(found[:1], "not tumor")
    decisions.note(found[0], "seen")
    (one,) = decisions.decisions
    assert (one.kind, one.verdict, one.note) == ("corrected", "not tumor", "seen")


def test_wrong_words_and_empty_outlines_are_refused(path, decisions, found):
    with pytest.raises(OptionError, match="verdict is 'maybe'; use tumor, not tumor"):
        decisions.decide(found, "maybe")
    with pytest.raises(OptionError, match="kind is 'drawn'; use corrected, joined"):
        decisions.replace(found[:1], [found[0].polygons], "drawn")
    with pytest.raises(OptionError, match="encloses nothing"):
        decisions.draw([(np.zeros((3, 2)),)])
    with pytest.raises(OptionError, match="two different points"):
        decisions.measure(found[0], ((1, 1), (1, 1)))
    assert not path.exists()


def test_the_readers_own_verdict_stays_and_is_not_undone(path, decisions, found):
    assert decisions.reading is None
    decisions.read_slide("not tumor")
    decisions.decide(found, "tumor")
    decisions.undo()
    assert not decisions.undo()
    reading = opened(path).reading
    assert reading.verdict == "not tumor"
    assert reading.made.endswith("+00:00")


# Another detection.


def test_decisions_follow_the_threshold(decisions, found):
    decisions.decide(found[:1], "tumor")
    higher = find_regions(HEATMAP, 0.7)
    one = decisions.reviewed(higher, HEATMAP, SLIDE)[0]
    assert one.status == "tumor"
    assert one.region.area_mm2 == 4 * HEATMAP.cell_area_mm2
    again = decisions.reviewed(found, HEATMAP, SLIDE)[0].region
    assert again.area_mm2 == found[0].area_mm2


def test_a_decided_lesion_without_a_candidate_stays_with_its_outline(decisions, found):
    decisions.decide(found[1:2], "tumor")
    higher = find_regions(HEATMAP, 0.85)
    assert statuses(decisions, higher) == ["undecided", "undecided", "tumor"]
    last = decisions.reviewed(higher, HEATMAP, SLIDE)[-1]
    assert last.region.label == 3
    assert last.region.area_mm2 == pytest.approx(found[1].area_mm2)
    assert last.region.max_probability == np.float32(0.8)
    decisions.decide([last.region], "unsure")
    assert statuses(decisions, found) == ["undecided", "unsure", "undecided"]


def test_candidates_under_one_decision_are_one_lesion(decisions):
    values = VALUES.copy()
    values[1:5, 3] = 0.55  # at 0.58 the lesion falls apart
    heatmap = Heatmap(values, HEATMAP.grid, HEATMAP.mpp)
    whole = find_regions(heatmap, 0.5)
    decisions.decide(whole[:1], "tumor")
    parts = find_regions(heatmap, 0.58)
    assert len(parts) == len(whole) + 1
    one, *others = decisions.reviewed(parts, heatmap, SLIDE)
    assert one.status == "tumor"
    assert one.region.area_mm2 == pytest.approx(12 * HEATMAP.cell_area_mm2)
    assert one.region.longest_axis_mm == pytest.approx(whole[0].longest_axis_mm)
    assert [other.decision for other in others] == [None, None]
    decisions.decide([one.region], "not tumor")
    (decision,) = decisions.decisions
    assert decision.verdict == "not tumor"


def test_a_candidate_over_two_decisions_leaves_both_as_they_were_seen(decisions):
    values = VALUES.copy()
    values[1:5, 3] = 0.55
    heatmap = Heatmap(values, HEATMAP.grid, HEATMAP.mpp)
    parts = find_regions(heatmap, 0.58)
    decisions.decide(parts[:1], "tumor")
    decisions.decide(parts[1:2], "not tumor")
    whole = find_regions(heatmap, 0.5)
    first, second, *_ = decisions.reviewed(whole, heatmap, SLIDE)
    assert [first.status, second.status] == ["tumor", "not tumor"]
    assert first.region.area_mm2 == pytest.approx(parts[0].area_mm2)
    # a verdict on the whole replaces both
    decisions.decide(whole[:1], "unsure")
    assert len(decisions.decisions) == 1
    assert statuses(decisions, whole)[0] == "unsure"


def test_a_rejected_spot_hides_no_large_lesion_around_it(decisions):
    spot = find_regions(HEATMAP, 0.9)[:1]  # 4 cells
    decisions.decide(spot, "not tumor")
    large = np.full_like(VALUES, 0.6)
    candidates = find_regions(Heatmap(large, HEATMAP.grid, HEATMAP.mpp), 0.5)
    assert statuses(decisions, candidates) == ["undecided", "not tumor"]


# The file.


def test_a_person_can_read_the_file(path, decisions, found):
    decisions.decide(found[2:], "tumor")
    said = json.loads(path.read_text())
    (event,) = said.pop("events")
    assert said == {
        "format": "napari-fastnet decisions",
        "format_version": 1,
        "notice": "Research use only. Not for diagnosis.",
        "slide_fingerprint": FINGERPRINT,
        "slide_name": "slide.svs",
    }
    assert event["kind"] == "decide"
    assert event["verdict"] == "tumor"
    (lesion,) = event["lesions"]
    assert sorted(lesion["outline"][0][0]) == [
        [600, 700], [600, 800], [700, 700], [700, 800],
    ]  # fmt: skip
    assert len(path.read_text().splitlines()) == 3  # one line for each event


def test_what_another_version_added_is_kept(path, decisions, found):
    decisions.decide(found, "tumor")
    said = json.loads(path.read_text())
    strange = {
        "id": "7",
        "made": "2027-01-01T00:00:00+00:00",
        "kind": "dance",
        "a": [1],
    }
    said["events"].insert(0, strange)
    said["laboratory"] = "North"
    path.write_text(json.dumps(said))
    opened(path).undo()
    after = json.loads(path.read_text())
    assert after["events"][0] == strange
    assert after["laboratory"] == "North"
    assert opened(path).decisions == ()


def test_events_that_are_not_about_lesions_are_for_others(path, decisions):
    decisions.add("join_pieces", pieces=[1, 3], node="A")
    (event,) = opened(path).events("join_pieces")
    assert (event["pieces"], event["node"]) == ([1, 3], "A")
    assert opened(path).events("other") == []


@pytest.mark.parametrize(("content", "why"), [
    (b'{"format": "napari-fast', "is damaged"),
    (b"[]", "holds no decisions"),
    (b'{"format": "napari-fastnet decisions", "format_version": 2}', "version 2"),
    (b'{"format": "napari-fastnet decisions", "format_version": 1}', "no slide"),
    (
        b'{"format": "napari-fastnet decisions", "format_version": 1, "events": [],'
        b' "slide_fingerprint": "x", "slide_name": "b.svs"}',
        r"is about another slide \(b.svs\)",
    ),
    (
        b'{"format": "napari-fastnet decisions", "format_version": 1, "events": [3],'
        b' "slide_fingerprint": "sha256:ab"}',
        "event 1 has no id",
    ),
])  # fmt: skip
def test_a_file_that_cannot_be_used_is_set_aside_and_said(path, found, content, why):
    path.write_bytes(content)
    reader = Decisions.open(path, FINGERPRINT, change=False)
    (note,) = reader.notes
    assert path.read_bytes() == content
    assert "left as it is" in note

    again = Decisions.open(path, FINGERPRINT)
    (note,) = again.notes
    assert str(path) in note
    assert re.search(why, note)
    assert "kept as decisions-set-aside-1.json" in note
    again.decide(found, "tumor")
    path.write_bytes(content)  # once more, while it is open
    again.decide(found[:1], "unsure")
    assert statuses(opened(path), found) == ["unsure", "tumor", "tumor"]
    aside = sorted(path.parent.glob("*-set-aside-*.json"))
    assert [one.name[-6] for one in aside] == ["1", "2"]
    assert all(one.read_bytes() == content for one in aside)


def test_a_damaged_event_is_said_and_the_others_hold(path, decisions, found):
    decisions.decide(found[:1], "tumor")
    decisions.decide(found[1:2], "tumor")
    said = json.loads(path.read_text())
    said["events"][0]["lesions"][0]["outline"] = [[[1, 2]]]
    path.write_text(json.dumps(said))
    again = Decisions.open(path, FINGERPRINT)
    (note,) = again.notes
    assert "event 1 is damaged" in note
    assert statuses(again, found) == ["undecided", "tumor", "undecided"]
    again.decide(found[2:], "unsure")
    assert len(json.loads(path.read_text())["events"]) == 3


def test_a_deleted_file_is_written_again(path, decisions, found):
    decisions.decide(found[:1], "tumor")
    path.unlink()
    decisions.decide(found[1:2], "unsure")
    assert statuses(opened(path), found) == ["tumor", "unsure", "undecided"]


def test_a_folder_that_cannot_be_written_is_said(tmp_path, found):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        Decisions.open(file / "decisions.json", FINGERPRINT).decide(found, "tumor")


def test_decisions_are_copied_and_meet_those_already_there(
    tmp_path, path, decisions, found
):
    other = tmp_path / "elsewhere" / "decisions.json"
    decisions.copy_to(other)
    assert not other.exists()
    decisions.decide(found[:1], "tumor")
    decisions.copy_to(other)
    there = Decisions.open(other, FINGERPRINT)
    there.decide(found[1:2], "unsure")
    decisions.decide(found[2:], "not tumor")
    decisions.copy_to(other)
    decisions.copy_to(other)
    assert statuses(opened(other), found) == ["tumor", "unsure", "not tumor"]
    assert len(json.loads(other.read_text())["events"]) == 3


def test_runs_in_the_cache_have_their_decisions_elsewhere(tmp_path):
    assert decisions_path(tmp_path, False, "a:b") == tmp_path / "decisions.json"
    kept = decisions_path(tmp_path, True, "a:b/c")
    assert tmp_path not in kept.parents
    assert kept.name == "a-b-c.json"


# Several programs, and kills.


def test_threads_that_decide_at_once_lose_nothing(path, found):
    def work(number):
        for _ in range(5):
            Decisions.open(path, FINGERPRINT).note(found[number], f"{number}")

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    assert len(json.loads(path.read_text())["events"]) == 15
    assert [one.note for one in sorted(opened(path).decisions, key=lambda d: d.note)] == [
        "0", "1", "2",
    ]  # fmt: skip


WRITER = """
import sys
import time
from pathlib import Path
import numpy as np
from napari_fastnet.results.decisions import Decisions

path, name = Path(sys.argv[1]), int(sys.argv[2])
decisions = Decisions.open(path, "sha256:ab")
for number in range(100_000):
    corner = np.array([name * 10, number * 10], float)
    ring = corner + [(0, 0), (0, 5), (5, 5), (5, 0)]
    decisions.draw([(ring,)], "tumor")
    print(number, flush=True)  # only what is on the disk is said
    time.sleep(0.005)  # else one of them may never get the lock
"""


def test_processes_killed_at_any_moment_lose_nothing_they_reported(path):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(name)],
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        for name in range(2)
    ]
    said = []
    for writer in writers:
        for number in range(10):  # both are at work
            assert int(writer.stdout.readline()) == number
    time.sleep(0.05)
    for writer in writers:
        writer.kill()
        rest = writer.stdout.read().split()
        writer.wait()
        writer.stdout.close()
        said.append(10 + len(rest))
    again = opened(path)
    tops = [decision.polygons[0][0][0, 0] for decision in again.decisions]
    for name, reported in enumerate(said):
        assert tops.count(name * 10.0) in (reported, reported + 1)
    # and the next one goes on
    again.draw([box(50, 50, 51, 51)])
    assert len(opened(path).decisions) == len(tops) + 1


def test_what_cannot_be_written_is_known_and_written_with_the_next(
    tmp_path, found
) -> None:
    (tmp_path / "run").write_text("in the way")
    path = tmp_path / "run" / "decisions.json"
    decisions = Decisions.open(path, FINGERPRINT)
    with pytest.raises(OutputError, match=r"decisions\.json"):
        decisions.decide(found[:1], "tumor")
    assert statuses(decisions, found)[0] == "tumor"
    (tmp_path / "run").unlink()
    decisions.decide(found[1:2], "unsure")
    assert statuses(opened(path), found)[:2] == ["tumor", "unsure"]


# Whatever is done.

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ("decide", "note", "draw", "corrected", "joined", "cut", "undo")
        ),
        st.integers(0, 99),
        st.sampled_from(("tumor", "not tumor", "unsure", None)),
        st.sampled_from((0.3, 0.5, 0.7, 0.9)),
    ),
    max_size=6,
)


def do(decisions, step, listed):
    what, number, verdict, _ = step
    region = listed[number % len(listed)].region
    corner = np.array((number % 8, number % 11), float) * STEP
    square = (corner + np.array([(0, 0), (0, 150), (150, 150), (150, 0)], float),)
    match what:
        case "decide":
            decisions.decide([one.region for one in listed[number % 3 :][:2]], verdict)
        case "note":
            decisions.note(region, f"{number}")
        case "draw":
            decisions.draw([square], verdict)
        case "corrected":
            decisions.replace([region], [[square]], "corrected")
        case "joined":
            regions = [one.region for one in listed[:2]]
            joined = [polygon for one in regions for polygon in one.polygons]
            decisions.replace(regions, [joined], "joined")
        case "cut":
            top, left = region.polygons[0][0].min(axis=0) / STEP
            parts = [
                [box(top, left, top + 1, left + 0.5)],
                [box(top, left + 0.5, top + 1, left + 1)],
            ]
            decisions.replace([region], parts, "cut")
        case "undo":
            decisions.undo()


@settings(max_examples=20, deadline=None)
@given(STEPS, st.integers(0, 2**31))
def test_no_decision_is_lost_and_no_candidate_twice_in_the_list(steps, seed):
    values = ndimage.gaussian_filter(np.random.default_rng(seed).random((8, 12)), 0.8)
    values = ((values - values.min()) / np.ptp(values)).astype(np.float32)
    heatmap = Heatmap(values, HEATMAP.grid, HEATMAP.mpp)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "decisions.json"
        decisions = Decisions.open(path, FINGERPRINT)
        for step in (*steps, ("undo", 0, None, 0.5)):
            candidates = find_regions(heatmap, step[3])
            listed = decisions.reviewed(candidates, heatmap, SLIDE)
            check(listed, decisions, candidates)
            do(decisions, step, listed)
            again = opened(path).reviewed(candidates, heatmap, SLIDE)
            now = decisions.reviewed(candidates, heatmap, SLIDE)
            assert list(map(summary, again)) == list(map(summary, now))


def summary(one):
    return one.region.label, one.status, one.kind, one.note, one.region.area_mm2


def check(listed, decisions, candidates):
    labels = [one.region.label for one in listed]
    assert len(set(labels)) == len(labels)
    # each decision is there once
    shown = [one.decision for one in listed if one.decision is not None]
    assert set(map(id, shown)) == set(map(id, decisions.decisions))
    assert len(shown) == len(decisions.decisions)
    # each candidate is there, or lies under a decision
    for candidate in candidates:
        alone = [one for one in listed if one.region is candidate]
        (shape,) = shapes_of([candidate.polygons])
        seen = shapely.union_all(
            shapes_of([o for d in shown for o in (d.polygons, *d.replaced)])
        )
        assert len(alone) == 1 or shape.intersection(seen).area >= 0.249 * shape.area
        assert len(alone) <= 1
