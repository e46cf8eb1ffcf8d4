"""What a run was asked to do, as one digest: equal digests, equal results."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING

from napari_fastnet.errors import MaskError
from napari_fastnet.io.annotation_files import SUFFIXES as OUTLINES
from napari_fastnet.io.record import to_json

if TYPE_CHECKING:
    from napari_fastnet.engine.runs import RunOptions
    from napari_fastnet.io.bundle import ModelBundle
    from napari_fastnet.io.slide import Slide

#: Options that change how a result is come by, and not the result.
NEUTRAL = ("fresh", "readers", "memory_mb")
#: Bump when other areas come of the same outlines.
OUTLINE_RULES = 2


def request_digest(slide: Slide, bundle: ModelBundle, options: RunOptions) -> str:
    """Return a hash of all that a run's results depend on.

    Parameters
    ----------
    slide : Slide
        Open; its contents and its µm/px count, its path does not.
    bundle : ModelBundle
        The model: its description with threshold and calibration, and its files.
    options : RunOptions
        What is asked for; of a mask, the file's bytes count.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    MaskError
        The mask cannot be read.
    """
    asked = {k: v for k, v in asdict(options).items() if k not in NEUTRAL}
    offset = asked.pop("bounds_offset")
    if options.mask is not None:
        if options.mask.suffix.lower() in OUTLINES:
            asked["outlines"] = [OUTLINE_RULES, offset]
        try:
            asked["mask"] = hashlib.sha256(options.mask.read_bytes()).hexdigest()
        except OSError as error:
            raise MaskError(
                f"{options.mask}: cannot be read ({error.strerror}); check the path"
            ) from error
    request = {
        "slide": slide.fingerprint,
        "mpp": slide.mpp,
        "model": {**bundle.to_dict(), "files": bundle.files},
        "options": asked,
    }
    return hashlib.sha256(to_json(request).encode()).hexdigest()
