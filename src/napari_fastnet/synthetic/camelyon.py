"""A small synthetic CAMELYON16: drawn slides in exactly the published layout."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from napari_fastnet.annotations.asap_xml import write_asap_xml
from napari_fastnet.annotations.truth_files import REFERENCE
from napari_fastnet.core.polygons import Annotations
from napari_fastnet.machine.files import write_bytes
from napari_fastnet.synthetic.slide import Truth, write_slide

if TYPE_CHECKING:
    from pathlib import Path

#: (height, width) of level 0, px: 1.0 x 1.2 mm.
SHAPE = (4096, 5120)


def write_camelyon(
    folder: Path,
    *,
    normal: int = 2,
    tumour: int = 2,
    testing: int = 0,
    shape: tuple[int, int] = SHAPE,
    seed: int = 0,
) -> dict[str, Truth]:
    """Write slides, annotations and reference as CAMELYON16 has them.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    normal, tumour, testing : int
        Slides of each kind; of those for testing, every other one has tumour, the
        first among them.
    shape : tuple of int
        As `write_slide` takes it.
    seed : int
        Equal seeds give equal folders.

    Returns
    -------
    dict of str to Truth
        By name of the slide.

    Raises
    ------
    OptionError
        The shape is not allowed.
    OutputError
        The folder cannot be written.
    """
    training, tests = folder / "training", folder / "testing"
    plan = [
        *((f"normal_{n:03}", training / "normal", False) for n in _numbers(normal)),
        *((f"tumor_{n:03}", training / "tumor", True) for n in _numbers(tumour)),
        *((f"test_{n:03}", tests / "images", n % 2 == 1) for n in _numbers(testing)),
    ]
    truths = {}
    for number, (name, place, lesions) in enumerate(plan):
        path = place / f"{name}.tif"
        truth = write_slide(
            path, shape=shape, seed=1000 * seed + number, lesions=lesions
        )
        truths[name] = truth
        if lesions:
            annotations = place.parent / "lesion_annotations" / f"{name}.xml"
            write_asap_xml(annotations, Annotations(truth.lesions, ()))
    if testing:
        text = io.StringIO(newline="")
        for name, _, lesions in plan[normal + tumour :]:
            words = ("Tumor", "IDC", "Macro") if lesions else ("Normal", "None", "None")
            csv.writer(text).writerow((name, *words))
        write_bytes(tests / REFERENCE, text.getvalue().encode())
    return truths


def _numbers(count: int) -> range:
    return range(1, count + 1)
