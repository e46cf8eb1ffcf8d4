"""Slides of every kind the readers know, written on the spot."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

TILE = 64


@pytest.fixture
def real_slides():
    """Return the folder of real slides, or skip the test."""
    folder = os.environ.get("NAPARI_FASTNET_SLIDES")
    if folder is None:
        pytest.skip("no $NAPARI_FASTNET_SLIDES")
    return Path(folder)


def _shrink(image, factor):
    height, width = (max(1, round(side / factor)) for side in image.shape[:2])
    return np.asarray(Image.fromarray(image).resize((width, height), Image.BOX))


@pytest.fixture(scope="session")
def texture():
    """Return a function that makes an image with detail at all scales, no two alike."""

    def make(height, width, seed=0):
        rng = np.random.default_rng(seed)
        image = np.zeros((height, width, 3))
        for cell in (2, 8, 32):
            rough = rng.integers(0, 256, (height // cell + 2, width // cell + 2, 3))
            fine = Image.fromarray(rough.astype(np.uint8)).resize(
                (width, height), Image.BICUBIC
            )
            image += np.asarray(fine) / 3
        return image.astype(np.uint8)

    return make


@pytest.fixture(scope="session")
def write_svs():
    """Return a function that writes an Aperio-like slide."""

    def write(path, image, *, factors=(1,), mpp=0.25, compression="deflate", **options):
        height, width = image.shape[:2]
        field = "" if mpp is None else f"|MPP = {mpp}"
        description = f"Aperio Image Library\r\n{width}x{height}|AppMag = 40{field}"
        common = {
            "photometric": "rgb",
            "compression": compression,
            "description": description,
            "metadata": None,
            **options,
        }
        with tifffile.TiffWriter(path) as tif:
            for index, factor in enumerate(factors):
                level = _shrink(image, factor) if factor != 1 else image
                tif.write(level, tile=(TILE, TILE), **common)
                if index == 0:  # Aperio's second page is the thumbnail
                    tif.write(_shrink(image, 8), rowsperstrip=16, **common)
        return path

    return write


@pytest.fixture(scope="session")
def write_tiff():
    """Return a function that writes a generic TIFF, its levels as pages or subIFDs."""

    def write(path, image, *, factors=(1,), sub_ifds=False, mpp=None, **options):
        common = {"photometric": "rgb", "compression": "deflate", "tile": (TILE, TILE)}
        common |= {"metadata": None, **options}
        with tifffile.TiffWriter(path) as tif:
            for index, factor in enumerate(factors):
                level = _shrink(image, factor) if factor != 1 else image
                extra = {}
                if mpp is not None:
                    y, x = np.broadcast_to(mpp, 2)
                    extra["resolution"] = (1e4 / x / factor, 1e4 / y / factor)
                    extra["resolutionunit"] = "centimeter"
                if index == 0 and sub_ifds:
                    extra["subifds"] = len(factors) - 1
                elif index:
                    extra["subfiletype"] = 1
                tif.write(level, **common, **extra)
        return path

    return write


@pytest.fixture(scope="session")
def tile_place():
    """Return a function that tells where a tile lies in a file: (offset, bytes)."""

    def place(path, index, page=0):
        with tifffile.TiffFile(path) as tif:
            table = tif.pages[page]
            return table.dataoffsets[index], table.databytecounts[index]

    return place


@pytest.fixture
def overwrite():
    """Return a function that replaces bytes in the middle of a file."""

    def replace(path, offset, data):
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    return replace
