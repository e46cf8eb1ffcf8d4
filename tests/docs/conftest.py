"""The folder in which the docs' examples run: all the files that they name."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from napari_fastnet.io.synthetic import write_slide

#: A slide's file, as small as drawn slides go, with a lesion in it.
SHAPE = (1024, 1536)

ANNOTATION = """<?xml version="1.0"?>
<ASAP_Annotations><Annotations>
<Annotation Name="a" Type="Polygon" PartOfGroup="Tumor"><Coordinates>{points}</Coordinates>
</Annotation></Annotations></ASAP_Annotations>
"""


@pytest.fixture(scope="session")
def drawn_slide(tmp_path_factory):
    """Return where a small slide lies, and where its lesions are."""
    return write_slide(
        tmp_path_factory.mktemp("drawn") / "slide.svs", shape=SHAPE, seed=0
    )


@pytest.fixture
def scene(drawn_slide, dark_bundle, wsinfer_model, tmp_path, monkeypatch, models_here):
    """Work in a folder that has what the examples name; nothing of the user's is touched."""
    folder = tmp_path / "scene"
    for name in (
        "slide.svs",
        "a.svs",
        "b.svs",
        "slides/c.svs",
        "testing/images/tumor_1.svs",
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(drawn_slide.path, path)
    truth = folder / "testing/lesion_annotations/tumor_1.xml"
    truth.parent.mkdir()
    truth.write_text(_annotation(drawn_slide.lesions[0]))
    (folder / "testing/reference.csv").write_text("tumor_1,Tumor,None,None\n")
    for part in ("my_patches", "my_validation"):
        _write_patches(folder / part)
    shutil.copytree(dark_bundle, folder / "my_model")
    shutil.copytree(wsinfer_model, folder / "breast-tumor")
    monkeypatch.chdir(folder)
    from napari_fastnet.io import cache

    monkeypatch.setattr(cache, "default_cache_folder", lambda: folder / "cache")
    return folder


def _annotation(outline):
    points = "".join(
        f'<Coordinate Order="{order}" X="{x:.1f}" Y="{y:.1f}" />'
        for order, (y, x) in enumerate(outline)
    )
    return ANNOTATION.format(points=points)


def _write_patches(folder):
    """Write 32 patches of 96 px: tumour is darker."""
    rng = np.random.default_rng(0)
    for index in range(32):
        label = index % 2
        image = rng.integers(40, 120, (96, 96, 3)) + (0 if label else 100)
        path = folder / str(label) / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.astype(np.uint8)).save(path)
