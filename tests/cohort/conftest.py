"""Slides that several tests of cohorts share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def cohort_folder(tmp_path_factory, write_svs):
    """Return a folder of three slides at 2 µm/px, a.svs with the most that is dark.

    Looked at every 4 px, each is some seconds' work in hundreds of blocks.
    """
    folder = tmp_path_factory.mktemp("cohort")
    for number, name in enumerate("abc"):
        image = np.full((1024, 1024, 3), 245, np.uint8)
        image[:, :640] = (170, 110, 150)
        side = 64 * (3 - number)
        image[128 : 128 + side, 128 : 128 + side] = (90, 60, 110)
        write_svs(folder / f"{name}.svs", image, mpp=2.0)
    return folder


@pytest.fixture
def has_begun():
    """Return a function that tells whether a run has stored a block of probabilities."""

    def begun(folder: Path) -> bool:
        return any(path.is_file() for path in folder.glob("run.zarr/c/*/*"))

    return begun
