"""The main job in one call: a slide's path in, heatmap, regions and files out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_fastnet.engine.backends import create_backend
from napari_fastnet.engine.runs import RunOptions, RunResult, SlideRun
from napari_fastnet.io.bundle import load_bundle
from napari_fastnet.io.slide import open_slide

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.engine.backends import Backend
    from napari_fastnet.engine.detect import Progress

#: The model that is used where none is named.
DEFAULT_MODEL = "fastnet-pcam"


def detect_slide(
    slide: str | Path,
    output: str | Path,
    *,
    model: str | Path = DEFAULT_MODEL,
    options: RunOptions | None = None,
    mpp: float | Pair | None = None,
    backend: Backend | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> RunResult:
    """Find the tumours of a slide, as ``napari-fastnet detect`` does.

    What an earlier, interrupted run in the same place computed is not computed again.

    Parameters
    ----------
    slide : str or Path
        The slide's file.
    output : str or Path
        Results go to ``output/<name of the slide without its suffix>/``.
    model : str or Path, optional
        Name of a shipped model, or the folder of a bundle.
    options : RunOptions, optional
        Stride, tissue, mask, stain, threshold.
    mpp : float or (float, float), optional
        µm per level-0 px where the file does not say or is wrong, one number or
        (y, x).
    backend : Backend, optional
        What runs the network, from `create_backend` for this model; ONNX Runtime on
        the CPU by default.
    on_progress : callable, optional
        Called after each block of patches.

    Returns
    -------
    RunResult
        Heatmap, regions, record and the files written. Without tissue the heatmap has
        no value and there are no regions.

    Raises
    ------
    FastNetError
        The slide, the model or the output folder is at fault; one line says what,
        why and the mend.
    """
    slide, output = Path(slide), Path(output)
    bundle = load_bundle(model)
    with open_slide(slide, mpp=mpp) as opened:
        run = SlideRun(opened, bundle, output / slide.stem, options or RunOptions())
        network = backend or create_backend(bundle)
        for progress in run.steps(network):
            on_progress(progress)
        return run.finish(network.name)
