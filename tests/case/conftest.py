"""Runs whose lesions are known: a heatmap drawn by hand over a small slide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.options import EvidenceScale
from napari_fastnet.detection.tissue import slide_facts
from napari_fastnet.results.record import Counts, ModelFacts, RunRecord
from napari_fastnet.results.result import Result
from napari_fastnet.slide.slide import open_slide

MPP, STEP = 2.0, 8  # µm/px, and px of a cell: 16 µm
CELLS = (80, 160)  # 1.3 x 2.6 mm
#: Rows and columns of a lesion, whose longest axis is 0.18, 0.36 or 2.3 mm, and of a
#: candidate that is too weak for a lesion.
SIZES = {"ITC": (8, 8), "micro": (16, 16), "macro": (60, 126), "weak": (6, 6)}
#: From heatmap to evidence, whatever that of the shipped model is.
SCALE = EvidenceScale(
    scale=3.0, offset=-7.0, beside=1.0, certain=4.0, fewer=1.0, balanced=0.0, more=-2.0
)
#: Tissue: one piece, or one on the left and one on the right.
TISSUE = {1: ((4, 4, 76, 156),), 2: ((4, 4, 76, 70), (4, 90, 76, 156)), 0: ()}


@pytest.fixture(scope="session")
def make_run(write_svs):
    """Return a function that makes the folder of a run.

    Lesions are (top, left, size), in cells and out of `SIZES`.
    """

    def make(folder, name, *lesions, pieces=1, curve=()):
        values = np.full(CELLS, 0.01, np.float32)
        for top, left, size in lesions:
            rows, columns = SIZES[size]
            values[top : top + rows, left : left + columns] = 0.98
        roi = np.zeros(CELLS, bool)
        for top, left, bottom, right in TISSUE[pieces]:
            roi[top:bottom, left:right] = True
        values[~roi] = np.nan
        grid = Grid((0.0, 0.0), (float(STEP), float(STEP)), CELLS)
        image = np.full((CELLS[0] * STEP, CELLS[1] * STEP, 3), 240, np.uint8)
        image[np.kron(roi, np.ones((STEP, STEP), bool))] = (200, 140, 190)
        image[0, 0] = (sum(name.encode()) % 256, len(name), 0)  # no two are alike
        folder.mkdir(parents=True, exist_ok=True)
        path = write_svs(folder / f"{name}.svs", image, mpp=MPP)
        with open_slide(path) as slide:
            facts = slide_facts(slide)
        count = int(roi.sum())
        record = RunRecord(
            slide=facts,
            model=ModelFacts("fastnet-pcam", "1.0", "5b" * 32, 0.972, 96),
            grid=grid,
            threshold=0.5,
            lesion_threshold=0.0,
            evidence=replace(SCALE, curve=curve),
            counts=Counts(kept=count, computed=count, failed=0),
        )
        result = Result(
            record=record,
            heatmap=Heatmap(values, grid, (MPP, MPP)),
            regions=[],
            masks={"roi": roi},
            mask_mpp=(MPP * STEP, MPP * STEP),
        )
        return result.save(folder)

    return make
