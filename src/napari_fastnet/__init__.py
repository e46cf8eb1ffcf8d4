"""Find tumours in whole-slide images with FastNet; research use only.

What is named here is public. Everything is loaded when it is first used, so that
importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_fastnet.cohort.cohort import run_cohort
    from napari_fastnet.cohort.detect import detect
    from napari_fastnet.cohort.replay import Replay, replay
    from napari_fastnet.cohort.slides import find_slides
    from napari_fastnet.cohort.task import CohortOptions
    from napari_fastnet.core.geometry import Box, Grid, Level
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.options import TissueParameters
    from napari_fastnet.core.regions import Region, find_regions
    from napari_fastnet.core.tissue import TissueMasks, compute_masks
    from napari_fastnet.detection.options import RunOptions
    from napari_fastnet.detection.run import SlideRun
    from napari_fastnet.detection.tissue import SlideTissue, find_tissue
    from napari_fastnet.errors import FastNetError
    from napari_fastnet.model.backends.backend import create_backend
    from napari_fastnet.model.bundle import ModelBundle, load_bundle
    from napari_fastnet.results.formats import Results, write_formats
    from napari_fastnet.results.result import RunResult, Saved, load_results
    from napari_fastnet.slide.slide import Slide, open_slide

__version__ = "0.1.0"

__all__ = [
    "Box",
    "CohortOptions",
    "FastNetError",
    "Grid",
    "Heatmap",
    "Level",
    "ModelBundle",
    "Region",
    "Replay",
    "Results",
    "RunOptions",
    "RunResult",
    "Saved",
    "Slide",
    "SlideRun",
    "SlideTissue",
    "TissueMasks",
    "TissueParameters",
    "__version__",
    "compute_masks",
    "create_backend",
    "detect",
    "find_regions",
    "find_slides",
    "find_tissue",
    "load_bundle",
    "load_results",
    "open_slide",
    "replay",
    "run_cohort",
    "write_formats",
]

_HOME = {
    "Box": "core.geometry",
    "CohortOptions": "cohort.task",
    "FastNetError": "errors",
    "Grid": "core.geometry",
    "Heatmap": "core.heatmap",
    "Level": "core.geometry",
    "ModelBundle": "model.bundle",
    "Region": "core.regions",
    "Replay": "cohort.replay",
    "Results": "results.formats",
    "RunOptions": "detection.options",
    "RunResult": "results.result",
    "Saved": "results.result",
    "Slide": "slide.slide",
    "SlideRun": "detection.run",
    "SlideTissue": "detection.tissue",
    "TissueMasks": "core.tissue",
    "TissueParameters": "core.options",
    "compute_masks": "core.tissue",
    "create_backend": "model.backends.backend",
    "detect": "cohort.detect",
    "find_regions": "core.regions",
    "find_slides": "cohort.slides",
    "find_tissue": "detection.tissue",
    "load_bundle": "model.bundle",
    "load_results": "results.result",
    "open_slide": "slide.slide",
    "replay": "cohort.replay",
    "run_cohort": "cohort.cohort",
    "write_formats": "results.formats",
}


def __getattr__(name: str) -> Any:
    """Return a public name from the module it lives in."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return __all__
