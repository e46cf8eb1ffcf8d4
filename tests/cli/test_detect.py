"""`detect` as its users type it: results, exit codes, and one line for each fault."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.ndimage import gaussian_filter

from napari_fastnet.cli.app import main
from napari_fastnet.core.colour import HEATMAP_COLOURS
from napari_fastnet.core.geometry import Box
from napari_fastnet.results.record import read_record
from napari_fastnet.slide import tiff as tiff_reader


def detect(capsys, *arguments):
    code = main(["detect", *map(str, arguments)])
    return code, capsys.readouterr()


def assert_one_line(captured, *words) -> None:
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ")
    for word in words:
        assert word in line
    assert "Traceback" not in line


def test_it_prints_what_it_found_and_where_it_is(
    slide_file, dark_bundle, tmp_path, capsys
) -> None:
    code, captured = detect(
        capsys, slide_file, "-o", tmp_path, "--model", dark_bundle, "--threshold", "0.3"
    )
    assert code == 0
    assert "macro" in captured.out
    assert "Research use only" in captured.out
    assert str(tmp_path / "block" / "overview.png") in captured.out
    assert read_record(tmp_path / "block" / "run.json").threshold == 0.3


def test_json_is_the_record(slide_file, dark_bundle, tmp_path, capsys) -> None:
    code, captured = detect(
        capsys, slide_file, "-o", tmp_path, "--model", dark_bundle, "--json"
    )
    assert code == 0
    printed = json.loads(captured.out)
    files = printed.pop("files")
    assert printed == json.loads((tmp_path / "block" / "run.json").read_text())
    assert len(files) == 11


@pytest.mark.parametrize(
    ("given", "least", "lesions"),
    [
        (["--alarms", "fewer"], 1.0, 0),
        (["--alarms", "more"], -60.0, 1),
        (["--lesion-threshold", "0"], 0.0, 0),
        (["--lesion-threshold", "-3.5"], -3.5, 1),
        ([], -50.0, 1),
    ],
    ids=str,
)
def test_lesions_are_those_of_the_alarms_that_were_asked_for(
    slide_file, dark_bundle, tmp_path_factory, capsys, given, least, lesions
) -> None:
    """Tissue of 0.35 is one candidate, of little evidence; only the first time computes."""
    out = tmp_path_factory.getbasetemp() / "alarms"
    words = [slide_file, "-o", out, "--model", dark_bundle, "--threshold", "0.3"]
    assert detect(capsys, *words, *given)[0] == 0
    record = read_record(out / "block" / "run.json")
    assert record.lesion_threshold == least
    assert (record.regions.regions, record.regions.candidates) == (lesions, 1)
    assert record.regions.cell_share == 1.0
    rows = (out / "block" / "regions.csv").read_text().splitlines()[1:]
    assert len(rows) == lesions


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--lesion-threshold", "nan"], ["lesion threshold is nan", "finite"]),
        (
            ["--lesion-threshold", "1", "--alarms", "more"],
            ["alarms is 'more'", "one of the two"],
        ),
    ],
    ids=str,
)
def test_lesion_thresholds_at_fault_are_one_line(
    slide_file, tmp_path, capsys, given, words
) -> None:
    code, captured = detect(capsys, slide_file, "-o", tmp_path, *given)
    assert code == 1
    assert_one_line(captured, *words)


def test_an_unknown_name_of_alarms_is_wrong_usage(slide_file, tmp_path, capsys) -> None:
    code, captured = detect(capsys, slide_file, "-o", tmp_path, "--alarms", "many")
    assert code == 2
    assert "'fewer', 'balanced', 'more'" in captured.err


def test_help_says_what_alarms_and_lesion_threshold_are(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for command in ("detect", "export"):
        assert main([command, "--help"]) == 0
        text = " ".join(capsys.readouterr().out.split())
        assert (
            "--lesion-threshold <float> Lowest evidence of a lesion, log odds" in text
        )
        if command == "detect":
            assert "--alarms <fewer|balanced|more>" in text
            assert "fewer false lesions, or more small ones found [balanced]" in text


def test_stride_in_px_gives_a_finer_heatmap(
    slide_file, dark_bundle, tmp_path, capsys
) -> None:
    shapes = []
    for stride in ("patch", "dense", "8"):
        folder = tmp_path / stride
        detect(
            capsys, slide_file, "-o", folder, "--model", dark_bundle, "--stride", stride
        )
        shapes.append(tifffile.imread(folder / "block" / "heatmap.ome.tif").shape)
    assert shapes == [(10, 15), (20, 30), (40, 60)]


@pytest.mark.parametrize(
    ("option", "name", "value"),
    [
        ("--red", "red", 150.0),
        ("--saturation", "saturation", 30.0),
        ("--glass-margin", "glass_margin", 0.0),
        ("--minimum-hole-um2", "minimum_hole_um2", 50.0),
    ],
)
def test_masks_found_with_other_parameters_are_another_run(
    slide_file, dark_bundle, tmp_path, capsys, option, name, value
) -> None:
    common = (slide_file, "-o", tmp_path, "--model", dark_bundle)
    records = []
    for options in ((), (option, str(value)), (option, str(value))):
        assert detect(capsys, *common, *options)[0] == 0
        records.append(read_record(tmp_path / "block" / "run.json"))
    parameters = [getattr(record.tissue.parameters, name) for record in records]
    assert parameters[0] != value
    assert parameters[1:] == [value, value]
    usual, other, again = (record.options.request for record in records)
    assert usual != other == again


@pytest.mark.parametrize("colours", HEATMAP_COLOURS)
def test_the_overview_has_the_colours_asked_for(
    slide_file, dark_bundle, tmp_path, capsys, colours
) -> None:
    code, _ = detect(
        capsys, slide_file, "-o", tmp_path, "--model", dark_bundle, "--colours", colours
    )
    assert code == 0
    folder = tmp_path / "block"
    with Image.open(folder / "overview.png") as picture:
        px = np.asarray(picture.convert("RGB"), int)
    for name, stops in HEATMAP_COLOURS.items():
        of_legend = (abs(px - stops[-1][1:]).max(axis=-1) <= 2).sum()
        assert (of_legend > 20) == (name == colours)
    assert read_record(folder / "run.json").options.colours == colours


@pytest.mark.parametrize("stride", ["sparse", "0", "33", "-1", "1.5"])
def test_a_stride_that_is_none_is_one_line(
    slide_file, dark_bundle, tmp_path, capsys, stride
) -> None:
    code, captured = detect(
        capsys, slide_file, "-o", tmp_path, "--model", dark_bundle, f"--stride={stride}"
    )
    assert code == 1
    assert_one_line(captured, "stride", stride)


def missing(tmp_path, _):
    return tmp_path / "missing.svs"


def text(tmp_path, _):
    (tmp_path / "notes.svs").write_text("not a slide")
    return tmp_path / "notes.svs"


def empty(tmp_path, _):
    (tmp_path / "empty.tif").write_bytes(b"")
    return tmp_path / "empty.tif"


def truncated(tmp_path, slide_file):
    path = tmp_path / "short.tif"
    content = slide_file.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def a_folder(tmp_path, _):
    (tmp_path / "folder.svs").mkdir()
    return tmp_path / "folder.svs"


@pytest.mark.parametrize("make", [missing, text, empty, truncated, a_folder])
def test_what_is_no_slide_is_one_line_and_writes_nothing(
    slide_file, dark_bundle, tmp_path, capsys, make
) -> None:
    path = make(tmp_path, slide_file)
    out = tmp_path / "out"
    code, captured = detect(capsys, path, "-o", out, "--model", dark_bundle)
    assert code == 1
    assert_one_line(captured, path.name)
    assert not out.exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [((), ("--mpp",)), (("--mpp", "12"), ("12",)), (("--mpp", "0"), ("0",))],
)
def test_unknown_or_absurd_spacing_is_one_line_with_the_mend(
    slide_without_mpp, dark_bundle, tmp_path, capsys, given, words
) -> None:
    out = tmp_path / "out"
    code, captured = detect(
        capsys, slide_without_mpp, "-o", out, "--model", dark_bundle, *given
    )
    assert code == 1
    assert_one_line(captured, slide_without_mpp.name, *words)
    assert not out.exists()


def test_spacing_that_is_given_is_used_and_recorded(
    slide_without_mpp, dark_bundle, tmp_path, capsys
) -> None:
    code, _ = detect(
        capsys, slide_without_mpp, "-o", tmp_path, "--model", dark_bundle, "--mpp", "2"
    )
    assert code == 0
    slide = read_record(tmp_path / "unknown" / "run.json").slide
    assert (slide.mpp, slide.mpp_source) == ((2.0, 2.0), "user")


@pytest.mark.parametrize("file", ["model.onnx", "weights.safetensors", "model.json"])
def test_a_changed_model_is_one_line(
    slide_file, dark_bundle, tmp_path, capsys, file
) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(dark_bundle, changed)
    with (changed / file).open("ab") as opened:
        opened.write(b"x")
    out = tmp_path / "out"
    code, captured = detect(capsys, slide_file, "-o", out, "--model", changed)
    assert code == 1
    assert_one_line(captured, file)
    assert not out.exists()


def test_a_model_that_does_not_exist_is_one_line(slide_file, tmp_path, capsys) -> None:
    code, captured = detect(capsys, slide_file, "-o", tmp_path, "--model", "resnet")
    assert code == 1
    assert_one_line(captured, "resnet")


def test_a_mask_of_a_wrong_size_is_one_line(
    slide_file, dark_bundle, tmp_path, capsys
) -> None:
    Image.new("L", (100, 100)).save(tmp_path / "mask.png")
    out = tmp_path / "out"
    code, captured = detect(
        capsys,
        slide_file,
        "-o",
        out,
        "--model",
        dark_bundle,
        "--mask",
        tmp_path / "mask.png",
    )
    assert code == 1
    assert_one_line(captured, "mask.png", "480")
    assert not out.exists()


def test_an_output_folder_that_cannot_be_is_one_line(
    slide_file, dark_bundle, tmp_path, capsys
) -> None:
    (tmp_path / "out").write_text("a file")
    code, captured = detect(
        capsys, slide_file, "-o", tmp_path / "out", "--model", dark_bundle
    )
    assert code == 1
    assert_one_line(captured, "out")
    assert (tmp_path / "out").read_text() == "a file"


def test_a_corrupt_tile_is_reported_and_the_run_goes_on(
    write_svs, tile_place, overwrite, dark_bundle, tmp_path, capsys
) -> None:
    image = np.full((512, 512, 3), (150, 90, 140), np.uint8)
    image[:, :128] = 245
    path = write_svs(tmp_path / "damaged.svs", image, mpp=2.0)
    offset, count = tile_place(path, 20)
    overwrite(path, offset, b"\xff" * count)
    code, captured = detect(capsys, path, "-o", tmp_path, "--model", dark_bundle)
    assert code == 0
    assert "could not be read" in captured.out
    assert "1 damaged tile, taken as glass" in captured.out
    assert read_record(tmp_path / "damaged" / "run.json").counts.failed > 0


def test_wrong_usage_exits_with_2(capsys) -> None:
    assert main(["detect"]) == 2
    assert main(["detect", "a.svs", "-o", "out", "--backend", "magic"]) == 2
    capsys.readouterr()


@pytest.mark.slow
def test_detection_on_the_cpu_loads_neither_torch_nor_napari(
    slide_file, dark_bundle, tmp_path
) -> None:
    script = (
        "import sys\n"
        "from napari_fastnet.cli.app import main\n"
        "code = main(sys.argv[1:])\n"
        "loaded = {'torch', 'napari', 'qtpy', 'magicgui'} & set(sys.modules)\n"
        "sys.exit(f'loaded {loaded}' if loaded else code)\n"
    )
    arguments = ["detect", slide_file, "-o", tmp_path, "--model", dark_bundle]
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_damage_that_was_set_aside_is_said(
    slide_file, dark_bundle, tmp_path, capsys
) -> None:
    options = (slide_file, "-o", tmp_path, "--model", dark_bundle)
    detect(capsys, *options)
    (tmp_path / "block" / "run.zarr" / "c" / "0" / "0").write_bytes(b"")
    code, captured = detect(capsys, *options)
    assert code == 0
    assert "set aside in run.zarr.damaged-1" in captured.err


def test_outlines_say_where_to_look(slide_file, dark_bundle, tmp_path, capsys) -> None:
    corners = [[-64, 128], [128, 128], [128, 320], [-64, 320], [-64, 128]]  # x, y
    outline = {"type": "Polygon", "coordinates": [corners]}
    (tmp_path / "roi.geojson").write_text(json.dumps(outline))
    code, captured = detect(
        capsys,
        *(slide_file, "-o", tmp_path, "--model", dark_bundle, "--stride", "patch"),
        *("--roi", tmp_path / "roi.geojson"),
    )
    assert code == 0
    assert "1 of 1 outlines reach beyond the slide of 480 x 320 px" in captured.err
    roi = tifffile.imread(tmp_path / "block" / "tissue_roi.tif") > 0
    expected = np.zeros((80, 120), bool)  # 4 px of the slide each
    expected[32:, :32] = True
    np.testing.assert_array_equal(roi, expected)
    heatmap = tifffile.imread(tmp_path / "block" / "heatmap.ome.tif")
    assert not np.isnan(heatmap).all()
    assert np.isnan(heatmap[:3]).all()
    assert np.isnan(heatmap[:, 5:]).all()


def test_a_slide_to_be_doubted_is_warned_of_on_one_line(
    write_svs, tmp_path, capsys
) -> None:
    rng = np.random.default_rng(0)
    image = np.full((800, 800, 3), 244, np.uint8)
    tissue = np.clip(rng.normal((150, 90, 160), 30, (500, 500, 3)), 0, 255)
    image[150:650, 150:650] = gaussian_filter(tissue, (2, 2, 0)).astype(np.uint8)
    slide = write_svs(tmp_path / "soft.svs", image, mpp=0.972)
    code, captured = detect(capsys, slide, "-o", tmp_path / "out")
    assert code == 0
    lines = [line for line in captured.err.splitlines() if "warning:" in line]
    assert len(lines) == 1
    assert "soft.svs" in lines[0]
    assert "blurred" in lines[0]
    quality = read_record(tmp_path / "out" / "soft" / "run.json").quality
    assert quality.blur > 0.5
    assert quality.blur_known == 1
    flags = tifffile.imread(tmp_path / "out" / "soft" / "quality.tif")
    heatmap = tifffile.imread(tmp_path / "out" / "soft" / "heatmap.ome.tif")
    assert flags.shape == heatmap.shape
    assert not flags[np.isnan(heatmap)].any()


def test_where_qupath_counts_from_another_corner_it_is_said(
    slide_file, dark_bundle, tmp_path, capsys, monkeypatch
) -> None:
    scanned = Box.of_shape((100, 200), (16, 8))
    described = tiff_reader._describe

    def describe(path, file):
        facts, images = described(path, file)
        return replace(facts, bounds=scanned), images

    monkeypatch.setattr(tiff_reader, "_describe", describe)
    words = (slide_file, "-o", tmp_path, "--model", dark_bundle, "--stride", "patch")
    code, captured = detect(capsys, *words)
    assert code == 0
    assert "give `export --bounds-offset 16 8` for QuPath" in captured.err
