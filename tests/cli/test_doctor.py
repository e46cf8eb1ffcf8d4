"""``napari-fastnet doctor``, on findings made up."""

from __future__ import annotations

import json

import pytest

from napari_fastnet.cli.app import main
from napari_fastnet.machine import doctor
from napari_fastnet.machine.doctor import Finding

GOOD = Finding("Python", True, True, "3.11.7", "")
OPTIONAL = Finding("OpenVINO", False, False, "No module", "pip install openvino")
BAD = Finding("tile codecs", False, True, "without JPEG8", "pip install imagecodecs")


@pytest.fixture
def found(monkeypatch):
    def use(*findings: Finding) -> None:
        monkeypatch.setattr(doctor, "examine", lambda: iter(findings))

    return use


def test_without_optional_parts_all_is_well(found, capsys):
    found(GOOD, OPTIONAL)
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["ok", "Python", "3.11.7"]
    assert lines[1].split() == ["without", "OpenVINO", "No", "module"]
    assert lines[2].strip() == "pip install openvino"


def test_a_needed_part_missing_is_an_error_that_names_it(found, capsys):
    found(GOOD, BAD)
    assert main(["doctor"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: tile codecs cannot be used")
    assert "pip install imagecodecs" in captured.out


def test_json_lists_the_findings(found, capsys):
    found(GOOD, OPTIONAL)
    assert main(["doctor", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [part["name"] for part in said] == ["Python", "OpenVINO"]
    assert said[1]["mend"] == "pip install openvino"
