"""Labelled patches as people have them: cut out with alpha, zipped, as HDF5."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from napari_fastnet.cli.app import main

SIDE = 96


def evaluate(data, model, capsys):
    words = ["evaluate", "patches", data, "--model", model, "--mpp", 2, "--json"]
    assert main(list(map(str, words))) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def cut(stained, tmp_path):
    """Return patches of the picture with glass in them: opaque, and glass transparent.

    What is transparent is black underneath, as programs leave it.
    """
    corners = [(y, x) for y in range(0, 1440, 240) for x in range(0, 1920, 480)]
    for number, (y, x) in enumerate(corners):
        patch = stained.small[y : y + SIDE, x : x + SIDE]
        glass = patch.min(-1) >= 225
        kept = np.where(glass[..., None], 0, patch)
        images = {
            "rgb": np.where(glass[..., None], 255, patch),
            "rgba": np.dstack([kept, np.where(glass, 0, 255)]),
        }
        for kind, image in images.items():
            path = tmp_path / kind / str(number % 2) / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.astype(np.uint8)).save(path)
    return tmp_path


def test_transparent_px_are_glass(cut, dark_bundle, capsys) -> None:
    opaque, clear = (evaluate(cut / k, dark_bundle, capsys) for k in ("rgb", "rgba"))
    assert opaque["n"] == 24
    for name in ("auc", "accuracy", "brier"):
        assert clear[name] == opaque[name]


def test_a_zip_is_its_folder(cut, dark_bundle, capsys) -> None:
    with zipfile.ZipFile(cut / "patches.zip", "w") as archive:
        for path in (cut / "rgb").rglob("*.png"):
            archive.write(path, path.relative_to(cut / "rgb"))
    zipped = evaluate(cut / "patches.zip", dark_bundle, capsys)
    assert zipped["auc"] == evaluate(cut / "rgb", dark_bundle, capsys)["auc"]


def test_patchcamelyon_as_it_is_published_is_called_hdf5(tmp_path, capsys) -> None:
    path = tmp_path / "camelyonpatch_level_2_split_test_x.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(2000))
    assert main(["evaluate", "patches", str(path), "--mpp", "0.972"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "is HDF5" in line
    assert "0/ and 1/" in line
