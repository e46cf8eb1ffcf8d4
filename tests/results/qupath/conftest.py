"""A run of three lesions and a candidate, beside which decisions can lie."""

from dataclasses import replace

import numpy as np
import pytest

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.evidence import (
    find_candidates,
    lesion_totals,
    lesions_of,
)
from napari_fastnet.core.options import EvidenceScale, LesionRule
from napari_fastnet.results.record import RunRecord, SlideFacts, TissueFacts
from napari_fastnet.results.result import Result

#: Of four squares of cells, the first three are lesions; the last is a candidate.
VALUES = np.zeros((30, 60), np.float32)
for column, side, value in ((2, 10, 0.999), (16, 6, 0.99), (30, 5, 0.98), (50, 3, 0.9)):
    VALUES[4 : 4 + side, column : column + side] = value
HEATMAP = Heatmap(VALUES, Grid((0.0, 0.0), (64.0, 64.0), VALUES.shape), (0.25, 0.25))
SCALE = EvidenceScale(
    scale=1, offset=-1, beside=0, certain=99, fewer=1, balanced=0, more=-9
)
RULE = LesionRule(0.5, 0.0, SCALE)
SLIDE = SlideFacts(
    "/s l/a.svs",
    *("sha256:1", 3840, 1920, (0.25, 0.25), "header"),
    vendor="aperio",
    scanned_from=(0.0, 0.0),
)


@pytest.fixture
def make_run(tmp_path):
    """Return a function that writes a run of a slide, and returns its folder."""

    def make(**facts):
        candidates = find_candidates(HEATMAP, RULE)
        record = RunRecord(
            slide=replace(SLIDE, **facts),
            grid=HEATMAP.grid,
            threshold=0.5,
            lesion_threshold=0.0,
            evidence=SCALE,
            tissue=TissueFacts(area_mm2=5.0),
            regions=lesion_totals(candidates, RULE, HEATMAP, 5.0),
        )
        result = Result(
            record=record,
            heatmap=HEATMAP,
            regions=lesions_of(candidates, RULE),
            candidates=candidates,
        )
        return result.save(tmp_path / "runs")

    return make


@pytest.fixture
def run(make_run):
    """Return the folder of a run."""
    return make_run()
