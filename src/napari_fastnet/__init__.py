"""Find tumors in whole-slide images with FastNet; research use only.

The public names are those of ``__init__.pyi``. Each is loaded when it is first used, so
that importing the package costs next to nothing.
"""

from __future__ import annotations

from typing import Any

import lazy_loader

__version__ = "0.1.0"

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]

#: Names of version 0.1, and where they are now; they go in version 0.3.
_MOVED = {
    "Box": "core.geometry.Box",
    "CohortOptions": "cohort.task.CohortOptions",
    "Grid": "core.geometry.Grid",
    "Heatmap": "core.heatmap.Heatmap",
    "Level": "core.geometry.Level",
    "ModelBundle": "model.bundle.ModelBundle",
    "Region": "core.lesions.regions.Region",
    "Replay": "cohort.replay.Replay",
    "Results": "results.result.Result",
    "RunOptions": "Options",
    "RunResult": "results.result.Result",
    "Slide": "slide.slide.Slide",
    "SlideRun": "detection.run.SlideRun",
    "SlideTissue": "detection.tissue.SlideTissue",
    "TissueMasks": "core.tissue.TissueMasks",
    "TissueParameters": "core.options.TissueParameters",
    "compute_masks": "core.tissue.compute_masks",
    "create_backend": "model.backends.create.create_backend",
    "find_regions": "core.lesions.regions.find_regions",
    "find_slides": "cohort.slides.find_slides",
    "load_bundle": "load_model",
    "load_results": "load",
    "replay": "cohort.replay.replay",
    "run_cohort": "cohort.cohort.run_cohort",
    "write_formats": "results.result.Result.export",
}


def __getattr__(name: str) -> Any:
    """Load a public name, or warn of one that moved and load it."""
    if name not in _MOVED:
        return _load(name)
    from pkgutil import resolve_name
    from warnings import warn

    new = f"{__name__}.{_MOVED[name]}"
    warn(
        f"{__name__}.{name} is deprecated; use {new}", DeprecationWarning, stacklevel=2
    )
    return resolve_name(new)
