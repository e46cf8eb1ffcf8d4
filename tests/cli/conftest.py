"""A small slide for the commands: a block of tissue on glass."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile


@pytest.fixture(scope="session")
def slide_file(tmp_path_factory):
    """Return a generic TIFF, 320 x 480 px at 2 µm/px, tissue in its left half."""
    image = np.full((320, 480, 3), 245, np.uint8)
    image[:, :240] = (200, 120, 180)
    path = tmp_path_factory.mktemp("slides") / "block.tif"
    tifffile.imwrite(
        path,
        image,
        tile=(64, 64),
        photometric="rgb",
        compression="deflate",
        resolution=(5000, 5000),
        resolutionunit="centimeter",
        metadata=None,
    )
    return path


@pytest.fixture(scope="session")
def slide_without_mpp(tmp_path_factory):
    """Return a TIFF that does not state its µm/px."""
    path = tmp_path_factory.mktemp("slides") / "unknown.tif"
    image = np.full((128, 128, 3), 245, np.uint8)
    tifffile.imwrite(path, image, tile=(64, 64), photometric="rgb", metadata=None)
    return path
