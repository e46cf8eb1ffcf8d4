"""``napari-fastnet tissue``."""

from __future__ import annotations

import inspect
import json
from dataclasses import fields
from typing import get_type_hints

import numpy as np
import pytest
import tifffile

from napari_fastnet.cli.app import main
from napari_fastnet.cli.options import with_options
from napari_fastnet.cli.slide import tissue
from napari_fastnet.core.options import PRESETS, TissueParameters

FILES = [
    "tissue.json",
    "tissue_hsv.tif",
    "tissue_rgb.tif",
    "tissue_roi.tif",
    "tissue_threshold.tif",
]


def run(slide, folder, *options, capsys):
    argv = ["tissue", str(slide), "-o", str(folder), "--json", *options]
    assert main(argv) == 0
    return json.loads(capsys.readouterr().out)


def test_masks_and_their_record_are_written(slide_file, tmp_path, capsys):
    said = run(slide_file, tmp_path, capsys=capsys)
    folder = tmp_path / "block"
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert said["files"] == [str(folder / name) for name in (
        "tissue_rgb.tif", "tissue_hsv.tif", "tissue_threshold.tif", "tissue_roi.tif",
        "tissue.json",
    )]  # fmt: skip
    roi = tifffile.imread(folder / "tissue_roi.tif")
    assert roi.shape == (80, 120)  # 640 x 960 µm at 8 µm/px
    assert roi[:, :55].all()
    assert not roi[:, 65:].any()


def test_the_summary_says_how_much_and_where(slide_file, tmp_path, capsys):
    assert main(["tissue", str(slide_file), "-o", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("tissue      50.0% of the slide, 0.31 mm²\n")
    assert str(tmp_path / "block" / "tissue_roi.tif") in out


def test_options_replace_the_preset_s_values(slide_file, tmp_path, capsys):
    options = ("--preset", "paper", "--red", "199", "--channels", "any")
    said = run(slide_file, tmp_path, *options, capsys=capsys)
    used = said["tissue"]["parameters"]
    assert (used["red"], used["channels"], used["closing_um"]) == (199, "any", 0)
    assert said["tissue"]["thresholds"]["red"] == 199


def test_a_threshold_of_zero_is_an_option_given(slide_file, tmp_path, capsys):
    said = run(slide_file, tmp_path, "--saturation", "0", capsys=capsys)
    assert said["tissue"]["thresholds"]["saturation"] == 0


def test_no_tissue_is_a_result(slide_file, tmp_path, capsys):
    options = ("--high", "100", "--low", "90")
    assert main(["tissue", str(slide_file), "-o", str(tmp_path), *options]) == 0
    assert capsys.readouterr().out.startswith("tissue      none\n")


def test_a_record_of_a_detection_stays(slide_file, tmp_path, capsys):
    (tmp_path / "block").mkdir()
    (tmp_path / "block" / "run.json").write_text("of a detection")
    run(slide_file, tmp_path, capsys=capsys)
    assert (tmp_path / "block" / "run.json").read_text() == "of a detection"


def test_masks_that_are_not_those_of_the_detection_beside_them_are_told(
    slide_file, dark_bundle, tmp_path, capsys
):
    words = [str(slide_file), "-o", str(tmp_path)]
    assert main(["detect", *words, "--model", str(dark_bundle)]) == 0
    capsys.readouterr()
    assert main(["tissue", *words]) == 0
    assert "detection" not in capsys.readouterr().err
    assert main(["tissue", *words, "--low", "90"]) == 0
    assert "the masks of its detection were others" in capsys.readouterr().err


def test_masks_of_another_slide_of_the_name_stay(slide_file, tmp_path, capsys):
    run(slide_file, tmp_path / "out", capsys=capsys)
    other = tmp_path / "elsewhere" / slide_file.name
    other.parent.mkdir()
    image = np.full((320, 480, 3), 245, np.uint8)
    image[:, 240:] = (200, 120, 180)
    options = {"tile": (64, 64), "photometric": "rgb", "metadata": None}
    tifffile.imwrite(
        other,
        image,
        resolution=(5000, 5000),
        resolutionunit="centimeter",
        **options,
    )
    run(other, tmp_path / "out", capsys=capsys)
    masks = sorted((tmp_path / "out").glob("*/tissue_roi.tif"))
    assert len(masks) == 2
    left, right = (tifffile.imread(path)[:, :10].mean() for path in masks)
    assert {left > 0, right > 0} == {True, False}


def test_unknown_spacing_ends_with_the_mend(slide_without_mpp, tmp_path, capsys):
    assert main(["tissue", str(slide_without_mpp), "-o", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert "--mpp" in captured.err
    assert captured.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_spacing_given_is_used(slide_without_mpp, tmp_path, capsys):
    said = run(slide_without_mpp, tmp_path, "--mpp", "0.5", capsys=capsys)
    assert said["slide"]["mpp"] == [0.5, 0.5]
    assert said["slide"]["mpp_source"] == "user"


def test_a_folder_that_cannot_be_written_is_one_line(slide_file, tmp_path, capsys):
    (tmp_path / "out").write_text("a file stands here")
    assert main(["tissue", str(slide_file), "-o", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("option", [("--low", "300"), ("--closing-um", "-1")])
def test_a_value_out_of_range_is_one_line(slide_file, tmp_path, option, capsys):
    assert main(["tissue", str(slide_file), "-o", str(tmp_path), *option]) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("field", fields(TissueParameters), ids=lambda f: f.name)
def test_every_parameter_is_an_option_and_its_help_names_the_default(field):
    command = with_options(tissue)
    assert field.name in inspect.signature(command).parameters
    hint = get_type_hints(command, include_extras=True)[field.name]
    default = getattr(PRESETS["default"], field.name)
    text = "automatic (Otsu)" if default is None else f"{default}"
    assert hint.__metadata__[0].help.endswith(f"[{text}].")
