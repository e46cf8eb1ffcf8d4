"""Command line that reproduces what was done in the panel."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from napari_fastnet.core.options import DEFAULT_COLOURS, TissueParameters
from napari_fastnet.results.formats.ome_tiff import write_mask_tiff

if TYPE_CHECKING:
    from napari_fastnet.plugin.detection.detection import Detection

MASK = "tissue_roi_edited.tif"


def detect_command(detection: Detection) -> str:
    """Return the ``napari-fastnet detect`` line that reproduces a detection.

    Masks that the line's options do not describe, because they were edited by hand or
    computed in another way, are written beside the run and named in the line.

    Parameters
    ----------
    detection : Detection
        Its run is laid out.

    Raises
    ------
    OutputError
        The mask cannot be written.
    """
    run, request = detection.run, detection.request
    assert run is not None
    assert run.folder is not None
    tissue = run.tissue
    low, high = tissue.parameters.low, tissue.parameters.high
    options: dict[str, object] = {
        "-o": run.folder.parent.absolute(),
        "--model": request.network.model,
        "--stride": run.options.stride,
        "--mpp": run.slide.require_mpp()[0] if run.slide.mpp_source == "user" else None,
        "--low": f"{low:g}",
        "--high": f"{high:g}",
        "--threshold": f"{detection.work.rule.threshold:g}",
        "--lesion-threshold": f"{detection.work.rule.lesion_threshold:g}",
        "--backend": request.network.backend,
    }
    if tissue.edited_px or tissue.parameters != TissueParameters(low=low, high=high):
        path = options["--mask"] = (run.folder / MASK).absolute()
        write_mask_tiff(path, tissue.masks.roi, tissue.mpp)
    if request.colours != DEFAULT_COLOURS:
        options["--colours"] = request.colours
    words = ["napari-fastnet", "detect", str(run.slide.path.absolute())]
    if run.options.anchor is not None:
        words += ["--anchor", *(repr(float(at)) for at in run.options.anchor)]
    for option, value in options.items():
        if value is not None:
            words += [option, str(value)]
    return shlex.join(words)


def copy_to_clipboard(text: str) -> None:
    """Put text on the clipboard."""
    from qtpy.QtGui import QGuiApplication

    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    clipboard.setText(text)
