"""What an evaluation of slides leaves behind: numbers, tables and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_fastnet.io.candidates import write_candidates
from napari_fastnet.io.evaluation_files import (
    write_froc_csv,
    write_lesions_csv,
    write_roc_csv,
    write_table,
)
from napari_fastnet.io.files import write_bytes
from napari_fastnet.io.froc_picture import write_froc_picture
from napari_fastnet.io.record import to_json

if TYPE_CHECKING:
    from pathlib import Path

    from napari_fastnet.engine.slide_evaluation import SlideEvaluation


def write_evaluation(folder: Path, evaluation: SlideEvaluation) -> list[Path]:
    """Write everything that is known into a folder.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    evaluation : SlideEvaluation
        What to write: ``slides.csv``, each slide's ``candidates/<slide>.csv``,
        ``evaluation.json``; of slides with outlines ``froc.csv``, ``froc.png`` and
        ``lesions.csv``; of heatmaps ``pixel_roc.csv``.

    Returns
    -------
    list of Path
        The files, without those of the candidates.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    names = ["slides.csv"]
    write_table(folder / names[0], evaluation.rows)
    for slide in evaluation.slides:
        write_candidates(folder / "candidates" / f"{slide.name}.csv", slide.candidates)
    if evaluation.curve is not None:
        names += ["froc.csv", "froc.png", "lesions.csv"]
        write_froc_csv(folder / "froc.csv", evaluation.curve)
        write_froc_picture(folder / "froc.png", evaluation.curve, evaluation.froc_ci95)
        lesions = [
            (slide.name, found)
            for slide in evaluation.slides
            if slide.hits
            for found in slide.hits.found
        ]
        write_lesions_csv(folder / "lesions.csv", lesions)
    if evaluation.pixels is not None and evaluation.pixels.auc is not None:
        names.append("pixel_roc.csv")
        write_roc_csv(folder / "pixel_roc.csv", evaluation.pixels)
    # Last: where it is, everything else is.
    names.append("evaluation.json")
    text = to_json(evaluation.to_dict(), indent=2) + "\n"
    write_bytes(folder / "evaluation.json", text.encode())
    return [folder / name for name in names]
