"""Candidates as CAMELYON16 has them: one CSV a slide, lines of ``p,x,y``."""

from __future__ import annotations

import csv
import io
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.detections import Candidates
from napari_fastnet.errors import DataError
from napari_fastnet.io.files import write_bytes

if TYPE_CHECKING:
    from pathlib import Path


def write_candidates(path: Path, candidates: Candidates) -> None:
    """Write a slide's candidates, in their order, no header.

    Parameters
    ----------
    path : Path
        Usually ``<slide>.csv``.
    candidates : Candidates
        Points are written as whole level-0 px, probabilities with all their digits.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(
        (repr(score), int(x), int(y))
        for score, (y, x) in zip(
            candidates.scores.tolist(), candidates.points.tolist(), strict=True
        )
    )
    write_bytes(path, text.getvalue().encode())


def read_candidates(path: Path) -> Candidates:
    """Read a slide's candidates.

    Parameters
    ----------
    path : Path
        Lines of probability, x, y in level-0 px; may be empty.

    Returns
    -------
    Candidates
        In the file's order. A line of probability 0 says that nothing is there and is
        left out.

    Raises
    ------
    DataError
        The file cannot be read, or a line is not three numbers: a probability and a
        place on a slide.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: no candidates to read ({error})") from error
    rows = [
        _row(path, number, line) for number, line in enumerate(lines, 1) if line.strip()
    ]
    table = np.array([row for row in rows if row[0] > 0], np.float64).reshape(-1, 3)
    return Candidates(table[:, 0], np.ascontiguousarray(table[:, :0:-1]))


def _row(path: Path, number: int, line: str) -> tuple[float, float, float]:
    try:
        score, x, y = (float(word) for word in line.split(","))
        fine = 0 <= score <= 1 and min(x, y) >= 0 and isfinite(x) and isfinite(y)
    except ValueError:
        fine = False
    if not fine:
        raise DataError(
            f"{path}, line {number}: {line.strip()[:60]!r} is not p,x,y: a probability "
            "in 0..1 and a place in level-0 px"
        )
    return score, x, y
