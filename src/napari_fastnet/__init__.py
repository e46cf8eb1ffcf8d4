"""Find tumours in whole-slide images with FastNet; research use only.

What is named here is public. Everything is loaded when it is first used, so that
importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_fastnet.core.geometry import Box, Grid, Level
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.regions import Region, find_regions
    from napari_fastnet.core.tissue import TissueMasks, TissueParameters, compute_masks
    from napari_fastnet.engine.backends import create_backend
    from napari_fastnet.engine.cohort import run_cohort
    from napari_fastnet.engine.cohort_slides import find_slides
    from napari_fastnet.engine.cohort_task import CohortOptions
    from napari_fastnet.engine.replay import Replay, replay
    from napari_fastnet.engine.run_options import RunOptions
    from napari_fastnet.engine.run_result import RunResult
    from napari_fastnet.engine.runs import SlideRun
    from napari_fastnet.engine.saved_results import Saved, load_results
    from napari_fastnet.engine.tissue import SlideTissue, find_tissue
    from napari_fastnet.engine.whole_slide import detect
    from napari_fastnet.errors import FastNetError
    from napari_fastnet.io.bundle import ModelBundle, load_bundle
    from napari_fastnet.io.formats import Results, write_formats
    from napari_fastnet.io.slide import Slide, open_slide

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
    "CohortOptions": "engine.cohort_task",
    "FastNetError": "errors",
    "Grid": "core.geometry",
    "Heatmap": "core.heatmap",
    "Level": "core.geometry",
    "ModelBundle": "io.bundle",
    "Region": "core.regions",
    "Replay": "engine.replay",
    "Results": "io.formats",
    "RunOptions": "engine.run_options",
    "RunResult": "engine.run_result",
    "Saved": "engine.saved_results",
    "Slide": "io.slide",
    "SlideRun": "engine.runs",
    "SlideTissue": "engine.tissue",
    "TissueMasks": "core.tissue",
    "TissueParameters": "core.tissue",
    "compute_masks": "core.tissue",
    "create_backend": "engine.backends",
    "detect": "engine.whole_slide",
    "find_regions": "core.regions",
    "find_slides": "engine.cohort_slides",
    "find_tissue": "engine.tissue",
    "load_bundle": "io.bundle",
    "load_results": "engine.saved_results",
    "open_slide": "io.slide",
    "replay": "engine.replay",
    "run_cohort": "engine.cohort",
    "write_formats": "io.formats",
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
