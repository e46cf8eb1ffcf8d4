"""Verdicts there and back: decided here, exported, changed in QuPath, taken again."""

import json

import numpy as np
import pytest
import shapely

from napari_fastnet.annotations.options import OutlineOptions
from napari_fastnet.annotations.qupath import object_writing
from napari_fastnet.annotations.qupath.objects import read_qpdata
from napari_fastnet.cli.app import main
from napari_fastnet.errors import AnnotationError
from napari_fastnet.results.decisions import Decisions
from napari_fastnet.results.formats.verdicts import import_verdicts
from napari_fastnet.results.labels import labelled_cells, labels_of_runs
from napari_fastnet.results.loading import load
from napari_fastnet.results.regions import PROJECT_CLASSES

COLOURS = {one["name"]: one["color"] for one in PROJECT_CLASSES.values()}
COLOURS |= {"Stroma": (1, 2, 3), "Ignore*": (4, 5, 6)}


@pytest.fixture
def project(run, tmp_path):
    """Return the folder of a project with the lesions of the run."""
    load(run).export(tmp_path / "project", ["qupath-project"])
    return tmp_path / "project"


def objects_in(path):
    """Return the annotations of a data file, with classes as they are exported."""
    found = read_qpdata(path.read_bytes())
    for one in found:
        names = one["properties"]["classification"]["names"]
        one["properties"]["classification"] = {"name": ": ".join(names)}
    return found


def objects(project):
    """Return the annotations of the project's only image, and their file."""
    (path,) = project.glob("data/*/data.qpdata")
    return objects_in(path), path


def rewrite(project, change):
    """Do what a person does in QuPath: change the annotations, and save."""
    found, path = objects(project)
    found = change(found) or found
    path.write_bytes(object_writing.write_qpdata(found, {}, COLOURS))


def named(feature, name):
    feature["properties"]["classification"] = {"name": name}


def drawn(name, x, y, side=400.0, identifier="0" * 32):
    corners = [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]
    return {
        "type": "Feature",
        "id": identifier,
        "geometry": {"type": "Polygon", "coordinates": [corners]},
        "properties": {"name": None, "classification": {"name": name}},
    }


def decisions_of(run):
    return Decisions.open(run / "decisions.json", "sha256:1", "a.svs")


def statuses(run):
    return [one.status for one in load(run).listed]


def test_what_was_decided_is_exported_and_says_the_same_when_read(run, tmp_path):
    result, decisions = load(run), decisions_of(run)
    verdicts = ("tumor", "not tumor", "unsure")
    for lesion, verdict in zip(result.lesions, verdicts, strict=True):
        decisions.decide([lesion], verdict)
    decisions.note(result.lesions[2], "crushed")
    before = (run / "decisions.json").read_bytes()
    load(run).export(tmp_path / "project", ["qupath-project"])
    taken = import_verdicts(run, tmp_path / "project")
    assert taken.words == "nothing new; 3 as they were"
    assert (run / "decisions.json").read_bytes() == before
    assert statuses(run) == list(verdicts)
    # and in the decisions of somebody else, who has none yet
    (run / "decisions.json").unlink()
    taken = import_verdicts(run, tmp_path / "project")
    assert taken.words == "1 tumor, 1 not tumor, 1 unsure, 1 note"
    assert statuses(run) == list(verdicts)
    assert load(run).listed[2].note == "crushed"


def test_what_no_person_decided_on_stays_undecided(run, project):
    assert import_verdicts(run, project).words == "nothing new; 3 without a verdict"
    assert not (run / "decisions.json").exists()


def test_classes_that_were_changed_in_qupath_are_decisions_and_say_whence(run, project):
    decisions_of(run).decide([load(run).lesions[2]], "tumor")

    def change(found):
        for one, name in zip(found, ("Tumor", "Not tumor", "Unsure"), strict=True):
            named(one, name)
        found[1]["properties"]["metadata"]["note"] = "a vessel"

    rewrite(project, change)
    taken = import_verdicts(run, project / "project.qpproj")
    assert taken.words == "1 tumor, 1 not tumor, 1 unsure, 1 note"
    assert statuses(run) == ["tumor", "not tumor", "unsure"]
    origin = str(project / "project.qpproj")
    decided = decisions_of(run)
    assert {one.origin for one in decided.decisions} == {origin}
    assert load(run).listed[1].note == "a vessel"
    # again changes nothing; what is decided here afterwards is of here
    assert import_verdicts(run, project).words == "nothing new; 3 as they were"
    decided.decide([load(run).lesions[0]], "unsure")
    assert load(run).listed[0].decision.origin == ""
    decided.undo()
    assert load(run).listed[0].decision.origin == origin


def test_an_outline_that_was_changed_is_corrected_and_one_that_was_drawn_is_a_lesion(
    run, project
):
    def change(found):
        lesion = shapely.geometry.shape(found[0]["geometry"])
        larger = json.loads(shapely.to_geojson(lesion.buffer(30, join_style="mitre")))
        found[0]["geometry"] = larger
        named(found[0], "Tumor")
        return [*found, drawn("Tumor", 1500, 1300)]

    area = load(run).lesions[0].area_mm2
    rewrite(project, change)
    taken = import_verdicts(run, project)
    assert taken.words == (
        "1 tumor, 1 lesion drawn, 1 outline corrected; 2 without a verdict"
    )
    first, *_, last = load(run).listed
    assert (first.kind, first.status) == ("corrected", "tumor")
    assert first.region.area_mm2 == pytest.approx(area * (700 / 640) ** 2)
    assert (last.kind, last.status) == ("drawn", "tumor")
    assert last.region.area_mm2 == pytest.approx(0.01)
    again = import_verdicts(run, project)
    assert again.words == "nothing new; 2 as they were; 2 without a verdict"


def test_coordinates_that_qupath_rounded_are_the_same_outline(run, project):
    def change(found):
        for one in found:
            rings = one["geometry"]["coordinates"]
            one["geometry"]["coordinates"] = [
                (np.array(ring) + 0.005).tolist() for ring in rings
            ]
            one["id"] = "0" * 32
            named(one, "Tumor")

    rewrite(project, change)
    assert import_verdicts(run, project).words == "3 tumor"


def test_what_is_no_tumor_decides_only_where_a_lesion_is(run, project):
    def change(found):
        here = drawn("Stroma", 1000, 200, 500)  # around the second lesion
        return [*found[:1], here, drawn("Stroma", 1500, 1200), drawn("Ignore*", 9, 9)]

    rewrite(project, change)
    taken = import_verdicts(run, project)
    assert taken.words == "1 not tumor; 2 without a verdict; 1 on no lesion"
    assert statuses(run) == ["undecided", "not tumor", "undecided"]


def test_lesions_that_were_deleted_in_qupath_keep_their_decisions(run, project):
    decisions_of(run).decide([load(run).lesions[0]], "tumor")
    rewrite(project, lambda found: found[1:])
    words = import_verdicts(run, project).words
    assert words.endswith("1 not in the file, and left as they are")
    assert statuses(run)[0] == "tumor"


def test_the_scanned_part_is_where_a_project_begins(make_run, tmp_path):
    run = make_run(scanned_from=(100.0, 30.0))
    load(run).export(tmp_path / "project", ["qupath-project"])
    rewrite(tmp_path / "project", lambda found: named(found[0], "Tumor"))
    taken = import_verdicts(run, tmp_path / "project")
    assert taken.words == "1 tumor; 2 without a verdict"
    # its objects alone do not say so
    (path,) = tmp_path.glob("project/data/1/data.qpdata")
    scanned = OutlineOptions(bounds_offset="scanned")
    assert import_verdicts(run, path, scanned).same == 1


def test_geojson_brings_verdicts_too_and_that_of_another_slide_is_refused(
    run, make_run, tmp_path
):
    load(run).export(tmp_path, ["geojson"])
    path = tmp_path / "regions.geojson"
    content = json.loads(path.read_text())
    named(content["features"][0], "Not tumor")
    path.write_text(json.dumps(content))
    taken = import_verdicts(run, path)
    assert taken.words == "1 not tumor; 2 without a verdict"
    other = make_run(path="/b.svs", fingerprint="sha256:2")
    with pytest.raises(AnnotationError, match=r"is of another slide \(/s l/a\.svs\)"):
        import_verdicts(other, path)


def test_outlines_beside_the_slide_are_refused(run, project):
    rewrite(project, lambda _: [drawn("Tumor", 90_000, 9)])
    with pytest.raises(
        AnnotationError, match="all of it lies outside the slide of 3840"
    ):
        import_verdicts(run, project)
    assert not (run / "decisions.json").exists()


def test_labels_of_a_project_go_to_the_runs_of_its_images(run, make_run, project):
    other = make_run(path="/b.svs", fingerprint="sha256:2")

    def change(found):
        named(found[0], "Tumor")
        named(found[1], "Not tumor")

    rewrite(project, change)
    first, second = labels_of_runs([run, other], [project])
    assert [one.kind for one in first.items] == ["tumor", "normal"]
    assert second.items == ()
    cells = labelled_cells(first, (1920, 3840), (0.25, 0.25))
    assert cells.tumor.any()
    assert not cells.tumor.all()
    with pytest.raises(
        AnnotationError, match=r"objects of none of the slides \(b\.svs"
    ):
        labels_of_runs([other], [project])


def test_the_lesions_of_a_project_take_the_place_of_those_found(run, project):
    rewrite(project, lambda found: [found[0], drawn("Tumor", 1500, 1300)])
    result = load(run, regions=project)
    areas = [region.area_mm2 for region in result.lesions]
    assert areas == pytest.approx([0.0256, 0.01])


def test_decide_takes_verdicts_on_the_command_line(run, make_run, project, capsys):
    other = make_run(path="/b.svs", fingerprint="sha256:2")
    rewrite(project, lambda found: named(found[0], "Tumor"))
    words = ["decide", str(run), str(other), "--from", str(project)]
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines() == [
        "a  1 tumor; 2 without a verdict",
        "b  nothing of it in project",
    ]
    assert main([*words[:2], *words[3:], "--json"]) == 0
    (taken,) = json.loads(capsys.readouterr().out).values()
    assert (taken["verdicts"], taken["same"], taken["undecided"]) == ({}, 1, 2)
    assert main(["decide", str(other), "--from", str(project)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "has objects of none of the slides (b.svs)" in line


def test_an_annotation_around_lesions_does_not_overturn_their_own(run, project):
    def change(found):
        for one in found:
            named(one, "Tumor")
        return [*found, drawn("Stroma", 0, 0, 3000)]

    rewrite(project, change)
    around = "3 only surrounded, and left as they are"
    assert import_verdicts(run, project).words == f"3 tumor; {around}"
    again = import_verdicts(run, project).words
    assert again == f"nothing new; 3 as they were; {around}"
    assert statuses(run) == ["tumor"] * 3


def test_an_annotation_around_lesions_leaves_what_was_decided_here(run, project):
    decisions_of(run).decide([load(run).lesions[0]], "tumor")
    rewrite(project, lambda _: [drawn("Stroma", 0, 0, 3000)])
    taken = import_verdicts(run, project)
    assert (taken.verdicts, taken.around) == ({"not tumor": 2}, 1)
    assert statuses(run) == ["tumor", "not tumor", "not tumor"]


def test_two_verdicts_on_one_lesion_are_none(run, project):
    def change(found):
        named(found[0], "Not tumor")
        other = json.loads(json.dumps(found[0])) | {"id": "1" * 32}
        named(other, "Tumor")
        return [*found, other]

    rewrite(project, change)
    for _ in range(2):
        words = import_verdicts(run, project).words
        assert words == (
            "nothing new; 2 without a verdict; 1 with two verdicts, of which none was taken"
        )
    assert not (run / "decisions.json").exists()


@pytest.mark.parametrize("kind", ["qupath-project", "geojson"])
def test_an_old_export_that_nobody_touched_changes_no_later_decision(
    run, tmp_path, kind
):
    first, second, third = load(run).lesions
    decisions = decisions_of(run)
    decisions.decide([first, second, third], "tumor")
    decisions.note(first, "old")
    load(run).export(tmp_path / "project", [kind])
    source = tmp_path / "project"
    source = source / "regions.geojson" if kind == "geojson" else source
    decisions.decide([first], "not tumor")
    decisions.note(first, "new")
    ring = third.polygons[0][0] + 20.0
    decisions.replace([third], [[(ring,)]], "corrected")
    decisions.decide([load(run).listed[2].region], "unsure")
    before = (run / "decisions.json").read_bytes()
    taken = import_verdicts(run, source)
    assert taken.words == (
        "nothing new; 1 as they were; 2 decided here since, and left as they are"
    )
    assert (run / "decisions.json").read_bytes() == before


def test_a_class_that_was_changed_in_qupath_holds_over_that_of_its_export(
    run, tmp_path
):
    decisions_of(run).decide([load(run).lesions[0]], "tumor")
    load(run).export(tmp_path / "project", ["qupath-project"])
    decisions_of(run).decide([load(run).lesions[0]], "not tumor")
    rewrite(tmp_path / "project", lambda found: named(found[0], "Unsure"))
    assert import_verdicts(run, tmp_path / "project").verdicts == {"unsure": 1}


def test_a_slide_of_another_patient_with_the_same_name_gets_nothing(
    make_run, tmp_path, capsys
):
    first = make_run(path="/patient a/1.svs").rename(tmp_path / "first")
    second = make_run(path="/patient b/1.svs", fingerprint="sha256:2")
    load(first).export(tmp_path / "project", ["qupath-project"])
    rewrite(tmp_path / "project", lambda found: named(found[0], "Tumor"))
    words = ["decide", str(first), str(second), "--from", str(tmp_path / "project")]
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines() == [
        "first  1 tumor; 2 without a verdict",
        "1      nothing of it in project",
    ]
    # a project of QuPath does not state its slides: the name is not enough
    (tmp_path / "project/data/1/napari-fastnet.json").unlink()
    with pytest.raises(AnnotationError) as caught:
        import_verdicts(second, tmp_path / "project")
    said = str(caught.value)
    assert "1 1.svs (file:/patient%20a/1.svs) has the name of /patient b/1.svs" in said
    assert said.endswith("give " + str(tmp_path / "project/data/1/data.qpdata"))
    taken = import_verdicts(second, tmp_path / "project/data/1/data.qpdata")
    assert taken.verdicts == {"tumor": 1}
    (note,) = taken.notes
    assert note == (
        "data.qpdata does not say its slide: taken to be of 1.svs, the only one"
    )


def test_another_slide_that_has_the_path_now_gets_nothing(make_run, tmp_path):
    before = make_run().rename(tmp_path / "before")
    load(before).export(tmp_path / "project", ["qupath-project"])
    other = make_run(fingerprint="sha256:2")
    for source in ("project", "project/data/1/data.qpdata"):
        with pytest.raises(AnnotationError, match=r"another slide \(a\.svs\)"):
            import_verdicts(other, tmp_path / source)
    with pytest.raises(AnnotationError, match=r"another slide \(a\.svs\)"):
        labels_of_runs([other], [tmp_path / "project"])


def test_a_slide_that_was_moved_is_known_by_what_the_image_states(run, tmp_path):
    (tmp_path / "a.svs").touch()
    load(run, slide=tmp_path / "a.svs").export(tmp_path / "project", ["qupath-project"])
    rewrite(tmp_path / "project", lambda found: named(found[0], "Tumor"))
    taken = import_verdicts(run, tmp_path / "project")
    assert taken.verdicts == {"tumor": 1}
    assert "found by its name alone" in taken.notes[0]


def test_geojson_that_states_no_slide_is_taken_and_that_is_said(run, tmp_path):
    path = tmp_path / "other.geojson"
    content = {"type": "FeatureCollection", "features": [drawn("Tumor", 1500, 1200)]}
    path.write_text(json.dumps(content))
    (note,) = import_verdicts(run, path).notes
    assert note == (
        "other.geojson does not say its slide: taken to be of a.svs, the only one"
    )
    assert import_verdicts(run, path.rename(tmp_path / "a.geojson")).notes == ()


def test_objects_alone_begin_where_their_project_says(make_run, tmp_path):
    run = make_run(scanned_from=(100.0, 30.0))
    load(run).export(tmp_path / "project", ["qupath-project"])
    rewrite(tmp_path / "project", lambda found: named(found[0], "Tumor"))
    (path,) = tmp_path.glob("project/data/1/data.qpdata")
    taken = import_verdicts(run, path)
    assert taken.words == "1 tumor; 2 without a verdict"
    alone = path.rename(tmp_path / "data.qpdata")
    with pytest.raises(AnnotationError, match="give --qupath-origin or --bounds"):
        import_verdicts(run, alone)
    scanned = OutlineOptions(bounds_offset="scanned")
    assert import_verdicts(run, alone, scanned).same == 1


def test_a_server_that_shows_the_whole_slide_begins_at_its_corner(make_run, tmp_path):
    run = make_run(scanned_from=(100.0, 30.0))
    load(run).export(tmp_path / "project", ["qupath-project"])
    path = tmp_path / "project/project.qpproj"
    content = json.loads(path.read_text())
    content["images"][0]["serverBuilder"]["args"] = ["--no-crop"]
    path.write_text(json.dumps(content))
    rewrite(tmp_path / "project", lambda _: [drawn("Tumor", 1500, 1200)])
    import_verdicts(run, path)
    ring = load(run).listed[-1].region.polygons[0][0]
    assert ring.min(0).tolist() == [1200, 1500]


def test_a_fault_in_one_of_several_runs_changes_none(make_run, tmp_path, capsys):
    runs = [make_run(), make_run(path="/b.svs", fingerprint="sha256:2")]
    for run in runs:
        load(run).export(tmp_path / "project", ["qupath-project"])
    first, second = (tmp_path / f"project/data/{n}/data.qpdata" for n in (1, 2))
    found = objects_in(first)
    named(found[0], "Tumor")
    first.write_bytes(object_writing.write_qpdata(found, {}, COLOURS))
    second.write_bytes(b"damaged")
    words = ["decide", *map(str, runs), "--from", str(tmp_path / "project")]
    assert main(words) == 1
    assert "data/2/data.qpdata: not data of QuPath" in capsys.readouterr().err
    assert not (runs[0] / "decisions.json").exists()


def test_export_review_decide_and_again_goes_round(run, tmp_path):
    project = tmp_path / "project"
    load(run).export(project, ["qupath-project"])
    path = project / "data/1/data.qpdata"
    found = objects_in(path)
    named(found[0], "Tumor")
    path.write_bytes(object_writing.write_qpdata(found, {}, COLOURS))
    assert import_verdicts(run, project).verdicts == {"tumor": 1}
    reviewed = path.read_bytes()
    load(run).export(project, ["qupath-project"])
    assert path.read_bytes() == reviewed  # never written over
    # as it was exported, it holds nothing new; then a person changes it
    assert import_verdicts(run, project).verdicts == {}
    second = project / "data/2/data.qpdata"
    found = objects_in(second)
    named(found[1], "Unsure")
    second.write_bytes(object_writing.write_qpdata(found, {}, COLOURS))
    for verdicts in ({"unsure": 1}, {}):
        taken = import_verdicts(run, project)
        assert taken.verdicts == verdicts
        assert "of 2 images of a.svs, 2 a.svs (2) (file:/s%20l/a.svs)" in taken.notes[0]
    # both are changed since: which is meant, only the person knows
    for one in (path, second):
        found = objects_in(one)
        named(found[2], "Unsure")
        one.write_bytes(object_writing.write_qpdata(found, {}, COLOURS))
    with pytest.raises(AnnotationError, match="more than one image may be a"):
        import_verdicts(run, project)
