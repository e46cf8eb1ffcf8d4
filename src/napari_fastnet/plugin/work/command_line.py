"""What was done in the panel, as a line for the terminal."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from napari_fastnet.core.options import DEFAULT_COLOURS, TissueParameters
from napari_fastnet.plugin.detection.detection import detection_of
from napari_fastnet.results.ome_tiff import write_mask_tiff

if TYPE_CHECKING:
    from napari_fastnet.detection.run import SlideRun
    from napari_fastnet.plugin.work.slide import SlideWork

MASK = "tissue_roi_edited.tif"


def detect_command(run: SlideRun, work: SlideWork) -> str:
    """Return the ``napari-fastnet detect`` line that reproduces a run.

    Masks that the line's options do not describe, those edited by hand or computed in
    another way, are written beside the run and named in the line.

    Parameters
    ----------
    run : SlideRun
        As it was laid out.
    work : SlideWork
        Its slide, threshold and back end.

    Raises
    ------
    OutputError
        The mask cannot be written.
    """
    detection = detection_of(work)
    assert detection is not None
    assert run.folder is not None
    request, tissue = detection.request, run.tissue
    words = ["napari-fastnet", "detect", str(run.slide.path.absolute())]
    words += [
        "-o",
        str(run.folder.parent.absolute()),
        "--model",
        str(request.network.model),
    ]
    if run.options.stride is not None:
        words += ["--stride", str(run.options.stride)]
    if run.options.anchor is not None:
        words += ["--anchor", *(repr(float(at)) for at in run.options.anchor)]
    if run.slide.mpp_source == "user":
        words += ["--mpp", f"{run.slide.require_mpp()[0]!r}"]
    words += ["--low", f"{tissue.parameters.low:g}"]
    words += ["--high", f"{tissue.parameters.high:g}"]
    told = TissueParameters(low=tissue.parameters.low, high=tissue.parameters.high)
    if tissue.edited_px or tissue.parameters != told:
        path = run.folder / MASK
        write_mask_tiff(path, tissue.masks.roi, tissue.mpp, record={})
        words += ["--mask", str(path.absolute())]
    words += [
        "--threshold",
        f"{work.threshold:g}",
        "--backend",
        request.network.backend,
    ]
    if request.colours != DEFAULT_COLOURS:
        words += ["--colours", request.colours]
    return shlex.join(words)


def copy_to_clipboard(text: str) -> None:
    """Put text on the clipboard."""
    from qtpy.QtGui import QGuiApplication

    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    clipboard.setText(text)
