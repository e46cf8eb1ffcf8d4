"""The folder in which the docs' examples run: all the files that they name."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from napari_fastnet.synthetic.slide import write_slide

#: A slide's file, as small as drawn slides go, with a lesion in it.
SHAPE = (1536, 2048)

ANNOTATION = """
<Annotation Name="{name}" Type="Polygon" PartOfGroup="Tumor">
<Coordinates>{points}</Coordinates>
</Annotation>
"""


@pytest.fixture(scope="session")
def drawn_slide(tmp_path_factory):
    """Return the path of a small slide, and the outlines of its lesions."""
    path = tmp_path_factory.mktemp("drawn") / "slide.svs"
    return path, write_slide(path, shape=SHAPE, seed=0).lesions


@pytest.fixture(scope="session")
def normal_slide(tmp_path_factory):
    """Return where a small slide without lesions lies."""
    path = tmp_path_factory.mktemp("drawn") / "normal.svs"
    write_slide(path, shape=SHAPE, seed=1, lesions=False)
    return path


@pytest.fixture(scope="session")
def my_slides(drawn_slide, normal_slide, tmp_path_factory):
    """Return a folder of slides as CAMELYON16 arranges them."""
    folder = tmp_path_factory.mktemp("camelyon")
    tumor_slide, lesions = drawn_slide
    for part, tumour, normal in (
        ("training", "tumor", "normal"),
        ("testing", "images", "images"),
    ):
        (folder / part / "lesion_annotations").mkdir(parents=True)
        for number in ("001", "002"):
            name = f"tumor_{number}" if part == "training" else f"test_{number}"
            (folder / part / tumour).mkdir(exist_ok=True)
            shutil.copy(tumor_slide, folder / part / tumour / f"{name}.svs")
            truth = folder / part / "lesion_annotations" / f"{name}.xml"
            truth.write_text(_annotations(lesions))
        for number in ("003", "004"):
            name = f"normal_{number}" if part == "training" else f"test_{number}"
            (folder / part / normal).mkdir(exist_ok=True)
            shutil.copy(normal_slide, folder / part / normal / f"{name}.svs")
    lines = ["test_001,Tumor", "test_002,Tumor", "test_003,Normal", "test_004,Normal"]
    (folder / "testing/reference.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture
def scene(
    drawn_slide,
    my_slides,
    dark_bundle,
    wsinfer_model,
    tmp_path,
    monkeypatch,
    models_here,
):
    """Work in a folder that has what the examples name; nothing of the user's is touched."""
    folder = tmp_path / "scene"
    shutil.copytree(my_slides, folder / "my_slides", copy_function=os.link)
    for name in ("slide.svs", "a.svs", "b.svs", "slides/c.svs"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(drawn_slide[0], path)
    for seed, part in enumerate(("my_patches", "my_validation")):
        _write_patches(folder / part, seed)
    shutil.copytree(dark_bundle, folder / "my_model")
    shutil.copytree(wsinfer_model, folder / "breast-tumor")
    monkeypatch.chdir(folder)
    from napari_fastnet.machine import files

    monkeypatch.setattr(files, "default_cache_folder", lambda: folder / "cache")
    return folder


def _annotations(outlines):
    shapes = "".join(
        ANNOTATION.format(
            name=name,
            points="".join(
                f'<Coordinate Order="{order}" X="{x:.1f}" Y="{y:.1f}" />'
                for order, (y, x) in enumerate(outline)
            ),
        )
        for name, outline in enumerate(outlines)
    )
    return (
        '<?xml version="1.0"?>\n<ASAP_Annotations><Annotations>'
        f"{shapes}</Annotations></ASAP_Annotations>"
    )


def _write_patches(folder, seed):
    """Write 32 patches of 96 px: tumour is darker."""
    rng = np.random.default_rng(seed)
    for index in range(32):
        label = index % 2
        image = rng.integers(40, 120, (96, 96, 3)) + (0 if label else 100)
        path = folder / str(label) / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.astype(np.uint8)).save(path)
