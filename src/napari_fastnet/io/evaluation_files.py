"""The tables that an evaluation of slides leaves behind, as CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.io.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from napari_fastnet.core.froc import Found, FrocCurve
    from napari_fastnet.core.pixel_metrics import PixelCounts

LESION_COLUMNS = (
    "slide",
    "lesion",
    "isolated",
    "x_px",
    "y_px",
    "area_mm2",
    "major_axis_um",
    "hits",
    "score",
    "hit_x_px",
    "hit_y_px",
)
#: Points of a ROC curve that are written; it has one a bin.
ROC_POINTS = 512


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV (RFC 4180, UTF-8); what is None stays empty.

    Parameters
    ----------
    path : Path
        The file.
    rows : sequence of Mapping
        At least one; all with the same keys, which become the header.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(rows[0]))
    table.writeheader()
    table.writerows(rows)
    write_bytes(path, text.getvalue().encode())


def write_lesions_csv(path: Path, lesions: Iterable[tuple[str, Found]]) -> None:
    """Write what became of each lesion, as (name of the slide, lesion)."""
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(LESION_COLUMNS)
    for slide, found in lesions:
        lesion = found.lesion
        (y, x), (hit_y, hit_x) = lesion.centre, found.point or (None, None)
        table.writerow(
            [
                slide,
                lesion.label,
                int(lesion.is_itc),
                f"{x:.1f}",
                f"{y:.1f}",
                f"{lesion.area_mm2:.6f}",
                f"{lesion.major_axis_um:.1f}",
                found.hits,
                found.score if found.hits else None,
                hit_x,
                hit_y,
            ]
        )
    write_bytes(path, text.getvalue().encode())


def write_froc_csv(path: Path, curve: FrocCurve) -> None:
    """Write the points of a free-response curve, from the highest threshold."""
    write_table(
        path,
        [
            {
                "threshold": threshold,
                "false_positives_per_slide": wrong,
                "sensitivity": None if np.isnan(right) else right,
            }
            for threshold, wrong, right in zip(
                curve.thresholds.tolist(),
                curve.false_positives.tolist(),
                curve.sensitivity.tolist(),
                strict=True,
            )
        ],
    )


def write_roc_csv(path: Path, pixels: PixelCounts) -> None:
    """Write the ROC curve of px, thinned to `ROC_POINTS` points at most."""
    wrong, right = pixels.roc()
    index = np.linspace(0, len(wrong) - 1, min(ROC_POINTS, len(wrong)))
    write_table(
        path,
        [
            {"false_positive_rate": wrong[i], "true_positive_rate": right[i]}
            for i in np.rint(index).astype(int).tolist()
        ],
    )
