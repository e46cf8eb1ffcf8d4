"""Computing the masks of a slide in a thread, or restoring saved ones."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from napari_fastnet.core.options import TissueParameters
from napari_fastnet.detection import tissue_editor
from napari_fastnet.detection.tissue import find_tissue
from napari_fastnet.plugin.threads.job import Job

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_fastnet.plugin.work.slide import SlideWork
    from napari_fastnet.slide.slide import Slide

Masks = Mapping[tissue_editor.MaskKind, "NDArray[np.bool_]"]


def compute_masks(work: SlideWork) -> None:
    """Compute the masks of a slide in a thread, and show them."""

    def computed() -> tissue_editor.TissueEditor:
        return tissue_editor.TissueEditor(find_tissue(work.slide, TissueParameters()))

    start_job(work, computed, work.set_editor)


def start_job(
    work: SlideWork,
    make: Callable[[], tissue_editor.TissueEditor | None],
    take: Callable[[tissue_editor.TissueEditor], None],
) -> None:
    """Make masks in a thread, as the slide's ``tissue_job``.

    Parameters
    ----------
    work : SlideWork
        Its panel shows that the job runs.
    make : callable
        Called in the thread; may return None.
    take : callable
        Gets the masks, on the GUI thread.
    """

    def run(should_stop: Callable[[], bool]) -> Generator[tissue_editor.TissueEditor]:
        # napari imports pandas with its first Labels layer: half a second for the window
        import_module("pandas")
        editor = make()
        if editor is not None:
            yield editor

    work.tissue_job = Job(
        run, on_value=take, on_end=lambda _: work.events.tissue.emit(work)
    )
    work.tissue_job.start()
    work.events.tissue.emit(work)


def restored(
    slide: Slide, parameters: TissueParameters | None, masks: Masks
) -> tissue_editor.TissueEditor | None:
    """Compute the masks of a slide again, and paint them until they equal saved ones.

    Parameters
    ----------
    slide : Slide
        Open, its µm/px known.
    parameters : TissueParameters or None
        As recorded.
    masks : Mapping
        Those that were saved, bool (height, width).

    Returns
    -------
    TissueEditor or None
        Px that no threshold explains count as painted. None if the saved masks have
        another size.
    """
    moved = parameters or TissueParameters()
    automatic = replace(moved, red=None, green=None, blue=None, saturation=None)
    editor = tissue_editor.TissueEditor(find_tissue(slide, automatic))
    if any(mask.shape != editor.mask("roi").shape for mask in masks.values()):
        return None
    unmoved = TissueParameters()
    editor.automatic.update(low=unmoved.low, high=unmoved.high)
    for name in tissue_editor.AUTOMATIC:
        if (value := getattr(moved, name)) is not None:
            editor.set_threshold(name, value)
    for kind in tissue_editor.KINDS:
        if kind in masks:
            editor.paint(kind, masks[kind])
    return editor
