"""``napari-fastnet info``."""

from __future__ import annotations

import json

import pytest

from napari_fastnet.cli.app import main


def test_size_spacing_and_levels_are_shown(slide_file, capsys):
    assert main(["info", str(slide_file)]) == 0
    rows = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    said = dict(rows)
    assert said["slide"] == "block.tif"
    assert said["size"] == "480 x 320 px = 1.0 x 0.6 mm"
    assert said["µm/px"] == "2 (resolution tag)"
    assert said["level"] == "0      480 x 320 px, 1:1"


def test_json_has_height_before_width_only_in_pairs(slide_file, capsys):
    assert main(["info", str(slide_file), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["width"], said["height"]) == (480, 320)
    assert said["mpp"] == pytest.approx([2, 2])
    assert said["mpp_source"] == "resolution tag"
    assert said["width_mm"] == pytest.approx(0.96)
    assert said["levels"] == [
        {"index": 0, "width": 480, "height": 320, "downsample": [1.0, 1.0]}
    ]
    assert len(said["fingerprint"]) >= 16


def test_unknown_spacing_is_said_with_the_mend(slide_without_mpp, capsys):
    assert main(["info", str(slide_without_mpp)]) == 0
    assert "unknown: give it with --mpp" in capsys.readouterr().out
    assert main(["info", str(slide_without_mpp), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["mpp"] is None
    assert said["width_mm"] is None


def test_spacing_given_replaces_the_file_s(slide_file, capsys):
    assert main(["info", str(slide_file), "--mpp", "0.5"]) == 0
    assert "0.5 (user)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "told"), [("2.1", False), ("2.3", True), ("1.7", True)]
)
def test_spacing_far_from_the_file_s_is_told(slide_file, capsys, given, told):
    assert main(["info", str(slide_file), "--mpp", given]) == 0
    said = capsys.readouterr().err
    assert ("while the file states 2;" in said) is told


def test_spacing_that_cannot_be_is_told(tmp_path, write_tiff, texture, capsys):
    path = write_tiff(tmp_path / "a.tif", texture(64, 64), mpp=352.8)
    assert main(["info", str(path)]) == 0
    assert "must lie in 0.05 to 5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "no such file"), (b"", "block.svs"), (b"II*\0 and no TIFF", "block.svs")],
)
def test_what_is_no_slide_is_one_line(tmp_path, content, said, capsys):
    path = tmp_path / "block.svs"
    if content is not None:
        path.write_bytes(content)
    assert main(["info", str(path)]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_absurd_spacing_given_is_refused(slide_file, capsys):
    assert main(["info", str(slide_file), "--mpp", "50"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
