"""A small synthetic CAMELYON16: drawn slides in exactly the published layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_fastnet.annotations.asap_xml import write_asap_xml
from napari_fastnet.annotations.truth_files import REFERENCE
from napari_fastnet.core.polygons import Annotations
from napari_fastnet.machine.files import write_bytes
from napari_fastnet.synthetic.slide import write_slide

if TYPE_CHECKING:
    from pathlib import Path

    from napari_fastnet.synthetic.layout import Layout

#: (height, width) of level 0, px: 1.0 x 1.2 mm.
SHAPE = (4096, 5120)


def write_camelyon(
    folder: Path,
    *,
    normal: int = 2,
    tumor: int = 2,
    testing: int = 0,
    shape: tuple[int, int] = SHAPE,
    seed: int = 0,
) -> dict[str, Layout]:
    """Write slides, annotations and reference in the layout of CAMELYON16.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    normal, tumor, testing : int
        Slides of each kind; of those for testing, every other one has tumor, the
        first among them.
    shape : tuple of int
        (height, width) of each slide, as `write_slide` takes it.
    seed : int
        Equal seeds give equal folders.

    Returns
    -------
    dict of str to Layout
        By name of the slide.
    """
    plan = [
        *((f"training/normal/normal_{n + 1:03}", False) for n in range(normal)),
        *((f"training/tumor/tumor_{n + 1:03}", True) for n in range(tumor)),
        *((f"testing/images/test_{n + 1:03}", n % 2 == 0) for n in range(testing)),
    ]
    truths, reference = {}, []
    for number, (name, lesions) in enumerate(plan):
        path = folder / f"{name}.tif"
        truth = write_slide(
            path, shape=shape, seed=1000 * seed + number, lesions=lesions
        )
        truths[path.stem] = truth
        if lesions:
            annotations = path.parents[1] / "lesion_annotations" / f"{path.stem}.xml"
            write_asap_xml(annotations, Annotations(truth.lesions, ()))
        if name.startswith("testing"):
            kind = "Tumor,IDC,Macro" if lesions else "Normal,None,None"
            reference.append(f"{path.stem},{kind}\r\n")
    if testing:
        write_bytes(folder / "testing" / REFERENCE, "".join(reference).encode())
    return truths
