from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from napari_fastnet.core.metrics.froc import Found, SlideHits, froc_curve
from napari_fastnet.core.metrics.lesions import Lesion
from napari_fastnet.core.metrics.pixels import BINS, PixelCounts
from napari_fastnet.errors import OutputError
from napari_fastnet.evaluation.output import (
    CURVE,
    ROC_POINTS,
    froc_rows,
    lesion_row,
    roc_rows,
    write_froc_picture,
)
from napari_fastnet.machine.files import write_csv

LESION = Lesion(1, (1000.0, 2000.0), 0.25, 600.0, False)
ITC = Lesion(2, (50.0, 60.0), 0.001, 80.0, True)


def hits(score, *wrong):
    found = Found(LESION, int(score > 0), score, (990.0, 2010.0) if score else None)
    return SlideHits((found, Found(ITC)), np.array(wrong, float))


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_table_has_a_header_and_empty_cells(tmp_path):
    write_csv(tmp_path / "t.csv", [{"a": 1, "b": None}, {"a": "x,y", "b": 2.5}])
    assert (tmp_path / "t.csv").read_bytes() == b'a,b\r\n1,\r\n"x,y",2.5\r\n'


def test_each_lesion_has_a_line(tmp_path):
    path = tmp_path / "lesions.csv"
    write_csv(path, [lesion_row("one", found) for found in hits(0.75).found])
    first, second = read(path)
    assert first == {
        "slide": "one",
        "lesion": "1",
        "isolated": "0",
        "x_px": "2000.0",
        "y_px": "1000.0",
        "area_mm2": "0.250000",
        "major_axis_um": "600.0",
        "hits": "1",
        "score": "0.75",
        "hit_x_px": "2010.0",
        "hit_y_px": "990.0",
    }
    assert (second["isolated"], second["hits"], second["score"]) == ("1", "0", "")


def test_the_curve_s_points_are_written(tmp_path):
    curve = froc_curve([hits(0.5, 0.25), hits(0)])
    write_csv(tmp_path / "froc.csv", froc_rows(curve))
    assert [list(map(float, row.values())) for row in read(tmp_path / "froc.csv")] == [
        [np.inf, 0, 0],
        [0.5, 0, 0.5],
        [0.25, 0.5, 0.5],
    ]


def test_without_lesions_the_sensitivity_stays_empty(tmp_path):
    curve = froc_curve([SlideHits((), np.array([0.5]))])
    write_csv(tmp_path / "froc.csv", froc_rows(curve))
    assert [row["sensitivity"] for row in read(tmp_path / "froc.csv")] == ["", ""]


def test_a_roc_curve_is_thinned_and_keeps_its_ends(tmp_path):
    ones = np.ones(BINS, np.int64)
    counts = PixelCounts(ones, ones, 1, 1, 1)
    write_csv(tmp_path / "roc.csv", roc_rows(counts))
    rows = [tuple(map(float, row.values())) for row in read(tmp_path / "roc.csv")]
    assert len(rows) == ROC_POINTS
    assert (rows[0], rows[-1]) == ((0, 0), (1, 1))
    assert rows == sorted(rows)


def test_the_picture_shows_the_curve(tmp_path):
    path = tmp_path / "froc.png"
    curve = froc_curve([hits(0.5, 0.7, 0.25), hits(0.9)])
    write_froc_picture(path, curve, (0.25, 1.0))
    image = np.asarray(Image.open(path).convert("RGB"))
    red = (image == tuple(bytes.fromhex(CURVE[1:]))).all(axis=-1)
    write_froc_picture(path, froc_curve([SlideHits((), np.array([0.5]))]))
    empty = np.asarray(Image.open(path).convert("RGB"))
    assert image.shape == empty.shape
    assert red.sum() > 1000
    assert not (empty == tuple(bytes.fromhex(CURVE[1:]))).all(axis=-1).any()


def test_a_folder_in_the_way_is_said(tmp_path):
    (tmp_path / "froc.png").mkdir()
    with pytest.raises(OutputError, match=r"froc\.png"):
        write_froc_picture(tmp_path / "froc.png", froc_curve([hits(0.5)]))
