"""``napari-fastnet models``, with a model to whom darkness is tumour."""

from __future__ import annotations

import json

import pytest

from napari_fastnet.cli.app import main
from napari_fastnet.io import bundle


@pytest.fixture
def only_dark(monkeypatch, dark_bundle):
    monkeypatch.setattr(bundle, "shipped", lambda: [str(dark_bundle)])


def test_models_are_listed_with_what_one_needs_to_choose(only_dark, capsys):
    assert main(["models"]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["name", "version"]
    assert row.split()[:5] == ["dark", "1.0", "2", "32", "0.5"]


def test_json_has_hash_and_folder(only_dark, dark_bundle, capsys):
    assert main(["models", "--json"]) == 0
    (said,) = json.loads(capsys.readouterr().out)
    assert said["folder"] == str(dark_bundle)
    assert len(said["sha256"]) == 64


def test_no_models_is_a_list_without_rows(monkeypatch, capsys):
    monkeypatch.setattr(bundle, "shipped", list)
    assert main(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
