"""What the inputs of this folder are made of: one drawn picture, and files of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import tifffile

from napari_fastnet.synthetic.slide import write_slide

if TYPE_CHECKING:
    import numpy as np

#: µm/px of the picture.
MPP = 0.972


@dataclass(frozen=True, eq=False)
class Stained:
    """A drawn slide: its picture at 0.972 µm/px, and where its lesions lie.

    Parameters
    ----------
    small : ndarray
        (1536, 2048, 3) uint8, nodes with lesions on glass.
    lesions : list of ndarray
        (n, 2) corners each, (y, x), px of ``small``.
    """

    small: np.ndarray
    lesions: list[np.ndarray]


@pytest.fixture(scope="session")
def stained(tmp_path_factory):
    """Return the picture that the inputs of this folder show."""
    path = tmp_path_factory.mktemp("stained") / "slide.svs"
    truth = write_slide(path, shape=(6144, 8192), seed=0)
    with tifffile.TiffFile(path) as tif:
        small = tif.pages[2].asarray()
    small.setflags(write=False)
    return Stained(small, [ring / 4 for ring in truth.lesions])


@pytest.fixture(scope="session")
def half():
    """Return a function that halves a picture, each px the mean of four."""

    def halved(image):
        height, width = (side // 2 * 2 for side in image.shape[:2])
        quads = image[:height, :width].reshape(height // 2, 2, width // 2, 2, -1)
        return quads.mean((1, 3)).round().astype(image.dtype)

    return halved


@pytest.fixture(scope="session")
def pyramid(half):
    """Return a function that makes pages for ``tiff``: a picture and its halves."""

    def pages(image, levels=3, **options):
        made = [(image, options)]
        for _ in range(levels - 1):
            image = half(image)
            made.append((image, {**options, "subfiletype": 1}))
        return made

    return pages


@pytest.fixture(scope="session")
def tiff():
    """Return a function that writes pages of (picture, options) as a tiled TIFF."""

    def write(path, pages, mpp=MPP, **options):
        usual = {
            "photometric": "rgb",
            "compression": "jpeg",
            "tile": (256, 256),
            "metadata": None,
            "resolution": (1e4 / mpp, 1e4 / mpp),
            "resolutionunit": "CENTIMETER",
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        with tifffile.TiffWriter(path) as tif:
            for image, own in pages:
                tif.write(image, **{**usual, **options, **own})
        return path

    return write


@pytest.fixture(scope="session")
def box():
    """Return a function that makes a closed GeoJSON ring of a rectangle."""

    def ring(x, y, width, height):
        right, bottom = x + width, y + height
        return [[x, y], [right, y], [right, bottom], [x, bottom], [x, y]]

    return ring


@pytest.fixture(scope="session")
def feature():
    """Return a function that makes a GeoJSON feature."""

    def made(coordinates, kind="Polygon", **properties):
        geometry = {"type": kind, "coordinates": coordinates}
        return {"type": "Feature", "geometry": geometry, "properties": properties}

    return made


@pytest.fixture(scope="session")
def geojson():
    """Return a function that writes features as a GeoJSON file."""

    def write(path, *features):
        collection = {"type": "FeatureCollection", "features": list(features)}
        path.write_text(json.dumps(collection))
        return path

    return write
