"""`export` as its users type it: every format of a finished run, and each fault."""

from __future__ import annotations

import json
import re
import shutil
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_fastnet.cli.app import main
from napari_fastnet.errors import StoreError
from napari_fastnet.evaluation.sources import Source, load_source
from napari_fastnet.plugin.reader import read_layers
from napari_fastnet.results.decisions import Decisions
from napari_fastnet.results.loading import load
from napari_fastnet.results.record import RunRecord, SlideFacts
from napari_fastnet.results.result import FORMATS, Result
from napari_fastnet.store.format import Seconds

pytest.importorskip("pyarrow")
#: What lies beside these files, in folders of the same format.
BESIDE = {"qupath-project": {"classifiers", "data"}}
#: What each format leaves of a run with masks, heatmap and regions.
FILES = {
    "ome-tiff": {
        *(f"tissue_{name}.tif" for name in ("rgb", "hsv", "threshold", "roi")),
        "heatmap.ome.tif",
        "quality.tif",
    },
    "ome-zarr": {"heatmap.ome.zarr"},
    "geojson": {"regions.geojson"},
    "qupath-project": {"project.qpproj"},
    "asap": {"heatmap_asap.tif", "regions.xml"},
    "csv": {"regions.csv"},
    "xlsx": {"regions.xlsx"},
    "patches-csv": {"patches.csv"},
    "parquet": {"regions.parquet", "patches.parquet"},
    "png": {"overview.png"},
}


@pytest.fixture(scope="module")
def run(slide_file, dark_bundle, tmp_path_factory):
    """Return the folder of a finished run."""
    folder = tmp_path_factory.mktemp("run")
    words = [slide_file, "-o", folder, "--model", dark_bundle, "--threshold", "0.3"]
    assert main(["detect", *map(str, words), "--stride", "patch"]) == 0
    return folder / "block"


def export(capsys, *words):
    code = main(["export", *map(str, words)])
    return code, capsys.readouterr()


def names_in(folder):
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def test_every_format_is_tested_here_or_needs_a_package():
    assert set(FORMATS) == {*FILES, "spatialdata"}


def test_help_and_page_name_every_format(capsys):
    main(["export", "--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert ", ".join(FORMATS) in printed
    page = Path(__file__).parents[2] / "docs/howto/take-results-elsewhere.md"
    rows = re.findall(r"^\| `([\w-]+)` \|", page.read_text("utf-8"), re.M)
    assert rows == list(FORMATS)


@pytest.mark.parametrize("name", FILES)
def test_a_format_leaves_its_files(run, tmp_path, capsys, name):
    code, captured = export(capsys, run, "-f", name, "-o", tmp_path / "out")
    assert (code, captured.err) == (0, "")
    assert names_in(tmp_path / "out") == FILES[name] | BESIDE.get(name, set())
    assert {line.rpartition("/")[2] for line in captured.out.split()} == FILES[name]


def test_several_formats_and_json(run, tmp_path, capsys):
    words = ("-f", "csv,geojson", "-f", "asap", "--json")
    code, captured = export(capsys, run / "run.zarr", "-o", tmp_path / "out", *words)
    assert code == 0
    wanted = FILES["csv"] | FILES["geojson"] | FILES["asap"]
    assert names_in(tmp_path / "out") == wanted
    assert len(json.loads(captured.out)["files"]) == len(wanted)


def test_what_detect_left_comes_out_the_same(run, tmp_path, capsys):
    export(capsys, run, "-f", "ome-tiff,geojson,csv", "-o", tmp_path)
    for name in FILES["ome-tiff"]:
        np.testing.assert_array_equal(
            tifffile.imread(tmp_path / name), tifffile.imread(run / name)
        )
    written, left = (
        json.loads((folder / "regions.geojson").read_text())
        for folder in (tmp_path, run)
    )
    assert written == left
    table = "regions.csv"
    assert (tmp_path / table).read_bytes() == (run / table).read_bytes()


def test_another_threshold_finds_other_regions_and_says_so(run, tmp_path, capsys):
    export(capsys, run, "-f", "geojson", "-o", tmp_path, "--threshold", "0.99")
    collection = json.loads((tmp_path / "regions.geojson").read_text())
    assert collection["features"] == []
    assert collection["napari_fastnet"]["threshold"] == 0.99
    assert collection["napari_fastnet"]["regions"]["regions"] == 0


def test_another_lesion_threshold_leaves_no_lesion_and_says_so(run, tmp_path, capsys):
    words = ("-f", "geojson,csv", "-o", tmp_path, "--lesion-threshold")
    export(capsys, run, *words, "99.5")
    collection = json.loads((tmp_path / "regions.geojson").read_text())
    assert collection["features"] == []
    assert collection["napari_fastnet"]["lesion_threshold"] == 99.5
    totals = collection["napari_fastnet"]["regions"]
    assert (totals["regions"], totals["candidates"]) == (0, 1)
    assert len((tmp_path / "regions.csv").read_text().splitlines()) == 1
    export(capsys, run, *words, "-99.5")  # and back, from the same run
    collection = json.loads((tmp_path / "regions.geojson").read_text())
    assert len(collection["features"]) == 1


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_lesion_threshold_is_a_finite_number(run, tmp_path, capsys, value):
    code, captured = export(
        capsys, run, "-f", "csv", "-o", tmp_path, "--lesion-threshold", value
    )
    assert code == 1
    (line,) = captured.err.splitlines()
    assert f"lesion threshold is {value}; use a finite number" in line


def test_the_bounds_offset_is_taken_off(run, tmp_path, capsys):
    words = ("-f", "geojson", "-o", tmp_path, "--bounds-offset", "7", "11")
    export(capsys, run, *words)
    corners = []
    for folder in (run, tmp_path):
        collection = json.loads((folder / "regions.geojson").read_text())
        corners.append(collection["features"][0]["geometry"]["coordinates"][0][0])
    assert np.subtract(*corners).tolist() == [11, 7]


@pytest.mark.parametrize("part", ["", "run.zarr", "run.json"])
def test_a_run_is_known_by_its_folder_or_what_lies_in_it(run, tmp_path, capsys, part):
    code, _ = export(capsys, run / part, "-f", "CSV", "-o", tmp_path)
    assert code == 0
    assert names_in(tmp_path) == FILES["csv"]


def test_of_the_folder_of_a_cohort_a_slide_is_asked_for(run, tmp_path, capsys):
    code, printed = export(capsys, run.parent, "-f", "csv", "-o", tmp_path)
    assert code != 0
    assert "holds results of slides in folders of their own (1)" in printed.err
    assert str(run) in printed.err.replace("\n", "")


def test_the_heatmap_of_a_store_does_without_its_tiff(run, tmp_path, capsys):
    copy = shutil.copytree(run, tmp_path / "run")
    (copy / "heatmap.ome.tif").unlink()
    export(capsys, copy, "-f", "ome-tiff", "-o", tmp_path / "out")
    np.testing.assert_array_equal(
        tifffile.imread(tmp_path / "out" / "heatmap.ome.tif"),
        tifffile.imread(run / "heatmap.ome.tif"),
    )


def test_a_store_that_keeps_patches_of_other_masks_is_no_result_of_its_own(
    slide_file, dark_bundle, tmp_path, capsys
):
    """Half of the tissue is left out in a second run, whose patches the store keeps."""
    folder = tmp_path / "block"
    words = [slide_file, "-o", tmp_path, "--model", dark_bundle]
    assert main(["detect", *map(str, words)]) == 0
    all_patches = json.loads((folder / "run.json").read_text())["counts"]["computed"]
    half = np.zeros((160, 240), np.uint8)
    half[:80, :120] = 1
    tifffile.imwrite(tmp_path / "half.tif", half)
    words += ["--mask", tmp_path / "half.tif"]
    assert main(["detect", *map(str, words)]) == 0
    fewer = json.loads((folder / "run.json").read_text())["counts"]["computed"]
    assert 0 < fewer < all_patches
    export(capsys, folder, "-f", "patches-csv", "-o", tmp_path / "out")
    rows = (tmp_path / "out" / "patches.csv").read_text().splitlines()
    assert sum(row[:1].isdigit() for row in rows) == fewer

    (folder / "heatmap.ome.tif").unlink()
    said = f"holds {all_patches:,} patches where the run has {fewer:,}"
    code, printed = export(capsys, folder, "-f", "csv", "-o", tmp_path / "out")
    assert code != 0
    assert said in " ".join(printed.err.split())
    with pytest.raises(StoreError, match=said):
        load_source(Source("block", folder))
    with pytest.raises(StoreError, match=said):
        read_layers(folder / "run.zarr")

    assert main(["detect", *map(str, words)]) == 0  # the mend that is given
    code, _ = export(capsys, folder, "-f", "csv", "-o", tmp_path / "out")
    assert code == 0


def changed_record(run, tmp_path, change):
    """Return a copy of a run whose record says something else."""
    copy = shutil.copytree(run, tmp_path / "run")
    record = json.loads((copy / "run.json").read_text())
    change(record)
    (copy / "run.json").write_text(json.dumps(record))
    return copy


def no_run(run, tmp_path):
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty", "no finished run"


def no_folder(run, tmp_path):
    return tmp_path / "gone", "no such folder"


def slide_gone(run, tmp_path):
    def change(record):
        record["slide"]["path"] = "/gone/slide.svs"

    return changed_record(run, tmp_path, change), "--slide"


def another_slide(run, tmp_path):
    def change(record):
        record["slide"]["fingerprint"] = "another"

    return changed_record(run, tmp_path, change), "not the slide of this run"


@pytest.mark.parametrize("fault", [no_run, no_folder, slide_gone, another_slide])
def test_a_fault_is_one_line(run, tmp_path, capsys, fault):
    folder, words = fault(run, tmp_path)
    code, captured = export(capsys, folder, "-f", "png", "-o", tmp_path / "out")
    (line,) = captured.err.splitlines()
    assert (code, line.startswith("error: ")) == (1, True)
    assert words in line
    assert not (tmp_path / "out").exists()


def test_a_format_that_is_none_names_those_there_are(run, tmp_path, capsys):
    code, captured = export(capsys, run, "-f", "jpeg", "-o", tmp_path / "out")
    assert code == 1
    assert "'jpeg'" in captured.err
    assert all(name in captured.err for name in FORMATS)


def test_a_slide_that_was_moved_is_given(run, slide_file, tmp_path, capsys):
    copy, _ = slide_gone(run, tmp_path)
    words = ("-f", "png", "-o", tmp_path / "out", "--slide", slide_file)
    assert export(capsys, copy, *words)[0] == 0


def test_the_overview_has_other_colours_where_asked(run, tmp_path, capsys):
    pictures = []
    for name, words in (("as it was", ()), ("other", ("--colours", "blue-orange"))):
        out = tmp_path / name
        assert export(capsys, run, "-f", "png", "-o", out, *words)[0] == 0
        pictures.append((out / "overview.png").read_bytes())
    assert pictures[0] != pictures[1]
    assert pictures[0] == (run / "overview.png").read_bytes()


def test_masks_alone_have_no_place_in_geojson(tmp_path):
    from napari_fastnet.errors import OutputError

    slide = SlideFacts("slide.svs", "abc", 8, 8, (1, 1), "vendor")
    record = RunRecord(slide=slide, tissue={}, seconds=Seconds(0, 0, 0))
    result = Result(record=record, masks={"roi": np.ones((2, 2), bool)})
    with pytest.raises(OutputError, match="nothing to export as geojson"):
        result.export(tmp_path, ["geojson"])
    assert len(result.export(tmp_path, ["ome-tiff"])) == 1


def edited(run, path, *, offset=(0, 0)):
    """Write what QuPath leaves of a run's regions after one was drawn: no record."""
    features = json.loads((run / "regions.geojson").read_text())["features"]
    x, y = offset
    corners = [[300 - x, 100 - y], [340 - x, 100 - y], [340 - x, 140 - y]]
    outline = {"type": "Polygon", "coordinates": [[*corners, corners[0]]]}
    drawn = {"type": "Feature", "id": "a", "geometry": outline, "properties": {}}
    features = (
        [{**features[0], "properties": {}}, drawn] if not any(offset) else [drawn]
    )
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_edited_regions_take_the_place_of_those_found(run, tmp_path, capsys):
    path = edited(run, tmp_path / "edited.geojson")
    out = tmp_path / "out"
    assert (
        export(capsys, run, "-f", "geojson,csv", "-o", out, "--regions", path)[0] == 0
    )
    old, new = (
        json.loads((folder / "regions.geojson").read_text()) for folder in (run, out)
    )
    assert len(new["features"]) == 2
    first, drawn = (
        feature["properties"]["measurements"] for feature in new["features"]
    )
    found = old["features"][0]["properties"]["measurements"]
    del found["evidence"], found["confidence"]  # which an outline of a file has not
    assert first == pytest.approx(found)
    assert drawn["area mm^2"] == pytest.approx(40 * 40 / 2 * 4 / 1e6)
    assert "max probability" not in drawn  # on glass: not computed
    assert (out / "regions.csv").read_text().splitlines()[2].split(",")[4:6] == ["", ""]
    assert new["napari_fastnet"]["regions"]["outlines"] == str(path)
    # the triangle lies on glass, and is no part of the tissue
    before, after = (
        about["napari_fastnet"]["regions"]["tissue_fraction"] for about in (old, new)
    )
    assert after == pytest.approx(before, rel=0.05)


def test_outlines_around_all_of_a_slide_are_all_of_its_tissue(run, tmp_path, capsys):
    ring = [[0, 0], [480, 0], [480, 320], [0, 320], [0, 0]]
    path, out = tmp_path / "all.geojson", tmp_path / "out"
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    assert export(capsys, run, "-f", "geojson", "-o", out, "--regions", path)[0] == 0
    about = json.loads((out / "regions.geojson").read_text())["napari_fastnet"]
    assert about["regions"]["tissue_fraction"] == 1.0


def test_edited_regions_of_a_bounding_box_come_back_to_their_place(
    run, tmp_path, capsys
):
    path = edited(run, tmp_path / "edited.geojson", offset=(11, 7))
    words = ("--regions", path, "--bounds-offset", "7", "11")
    export(capsys, run, "-f", "asap", "-o", tmp_path / "out", *words)
    assert 'X="300.000" Y="100.000"' in (tmp_path / "out" / "regions.xml").read_text()


def test_edited_regions_of_another_slide_are_refused(run, tmp_path, capsys):
    path = edited(run, tmp_path / "edited.geojson", offset=(9000, 0))
    words = ("-f", "csv", "-o", tmp_path / "out", "--regions", path)
    code, captured = export(capsys, run, *words)
    assert code == 1
    assert "outside the slide of 480 x 320 px" in captured.err


@pytest.fixture(scope="module")
def run_of_a_user(slide_file, dark_bundle, tmp_path_factory):
    """Return the folder of a run for which the user gave 2.5 µm/px; the tag says 2."""
    folder = tmp_path_factory.mktemp("user")
    words = [slide_file, "-o", folder, "--model", dark_bundle, "--mpp", "2.5"]
    assert main(["detect", *map(str, words), "--stride", "patch"]) == 0
    return folder / "block"


def test_every_format_says_the_um_per_px_that_the_user_gave(
    run_of_a_user, tmp_path, capsys
):
    names = "ome-tiff,ome-zarr,geojson,asap,csv,patches-csv,parquet"
    assert export(capsys, run_of_a_user, "-f", names, "-o", tmp_path)[0] == 0
    heatmap = tmp_path / "heatmap.ome.tif"
    step = json.loads((run_of_a_user / "run.json").read_text())["grid"]["step_px"][0]
    with tifffile.TiffFile(heatmap) as tif:
        assert f'PhysicalSizeX="{step * 2.5}"' in tif.ome_metadata
        assert '"mpp_source": "user"' in unescape(tif.ome_metadata)
    scales = json.loads((tmp_path / "heatmap.ome.zarr" / ".zattrs").read_text())
    (dataset,) = scales["multiscales"][0]["datasets"]
    assert dataset["coordinateTransformations"][0]["scale"] == [step * 2.5, step * 2.5]
    about = json.loads((tmp_path / "regions.geojson").read_text())["napari_fastnet"]
    assert (about["slide"]["mpp"], about["slide"]["mpp_source"]) == ([2.5, 2.5], "user")
    with tifffile.TiffFile(tmp_path / "heatmap_asap.tif") as tif:
        above, below = tif.pages[0].tags["XResolution"].value
        px = 2 ** int(np.log2(step))
        assert 1e4 * below / above == pytest.approx(2.5 * px)
    header = (tmp_path / "regions.csv").read_text().splitlines()[0]
    assert header.endswith("um_per_px_x,um_per_px_y,notice,slide")
    header = (tmp_path / "patches.csv").read_text().splitlines()[0]
    assert "x_px,y_px,x_um,y_um" in header


def test_a_persons_decisions_are_in_the_files_and_a_detection_leaves_them(
    run, slide_file, dark_bundle, tmp_path, capsys
):
    copy = shutil.copytree(run, tmp_path / "runs" / "block")
    result = load(copy)
    kept = copy / "decisions.json"
    decisions = Decisions.open(kept, result.record.slide.fingerprint)
    decisions.decide(result.lesions[:1], "not tumor")
    decisions.note(result.lesions[0], "=a blood vessel")
    before = kept.read_bytes()

    code, _ = export(capsys, copy, "-f", "csv,geojson", "-o", tmp_path / "out")
    assert code == 0
    words = [
        slide_file,
        "-o",
        copy.parent,
        "--model",
        dark_bundle,
        "--threshold",
        "0.4",
    ]
    assert main(["detect", *map(str, words), "--stride", "patch"]) == 0
    assert "By a person: 0 accepted, 1 rejected" in capsys.readouterr().out
    for folder in (tmp_path / "out", copy):
        table = (folder / "regions.csv").read_text()
        assert ",not tumor,found,=a blood vessel," in table
        first, *_ = json.loads((folder / "regions.geojson").read_text())["features"]
        assert first["properties"]["classification"]["name"] == "Not tumor"
    assert kept.read_bytes() == before


def test_decisions_of_another_slide_are_said_and_left(run, tmp_path, capsys):
    copy = shutil.copytree(run, tmp_path / "run")
    kept = copy / "decisions.json"
    Decisions.open(kept, "of another", "other.svs").read_slide("tumor")
    before = kept.read_bytes()
    code, captured = export(capsys, copy, "-f", "csv", "-o", tmp_path / "out")
    assert code == 0
    assert "is about another slide (other.svs); it is left as it is" in captured.err
    assert kept.read_bytes() == before
