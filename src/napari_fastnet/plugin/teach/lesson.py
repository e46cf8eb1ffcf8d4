"""The part of a teaching that runs in its thread: labels, head, network, heatmap."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from napari_fastnet.core.options import TissueParameters
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.detection.tissue import find_tissue
from napari_fastnet.model.bundle import available, load_bundle, models_folder
from napari_fastnet.plugin.detection.scan import Scan
from napari_fastnet.plugin.settings import read_settings
from napari_fastnet.plugin.teach.ahead import Ahead
from napari_fastnet.plugin.threads.libraries import load_torch
from napari_fastnet.results.labels import labelled_cells
from napari_fastnet.training.adapt.options import AdaptOptions

if TYPE_CHECKING:
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.labelled_cells import LabelledCells
    from napari_fastnet.core.options import LesionRule
    from napari_fastnet.detection.tissue import SlideTissue
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.plugin.detection.request import Request
    from napari_fastnet.plugin.detection.viewport import Viewport
    from napari_fastnet.results.labels import Labels
    from napari_fastnet.slide.slide import Slide
    from napari_fastnet.training.adapt.adapt import Adapted

Stop = Callable[[], bool]

#: Time to compute features of what is seen that were not computed ahead, seconds.
GLANCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Step:
    """The present work in words, and the steps done of it."""

    words: str
    done: int = 0
    total: int = 1

    @property
    def per_cent(self) -> int:
        """The share done, 0..100."""
        return int(100 * self.done / max(self.total, 1))


@dataclass(frozen=True, slots=True, eq=False)
class Taught:
    """A model that was taught."""

    adapted: Adapted


@dataclass(frozen=True, slots=True, eq=False)
class Glance:
    """The heatmap of what is seen by the taught head alone, and the rule for lesions."""

    heatmap: Heatmap
    rule: LesionRule


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Lesson:
    """All that a teaching needs of the window, as it was when it began.

    Parameters
    ----------
    slide : Slide
        Open; stays open.
    request : Request
        Its model is taught.
    labels : callable
        Writes what is painted, and returns the labels of the slide; in the thread.
    viewport : Viewport
        What is seen comes first.
    tissue : SlideTissue or None
        The masks; None computes them first.
    others : sequence of Path, optional
        Runs of other slides.
    options : AdaptOptions, optional
        Steps, seed and part.
    ahead : Ahead or None
        Features that were computed before.
    """

    slide: Slide
    request: Request
    labels: Callable[[], Labels]
    viewport: Viewport
    tissue: SlideTissue | None
    others: Sequence[Path] = ()
    options: AdaptOptions = field(default_factory=AdaptOptions)
    ahead: Ahead | None = None

    def look_ahead(self, should_stop: Stop) -> Generator[Ahead]:
        """Compute features for the head; yields them before they are complete."""
        load_torch()
        cells = self._cells(self.labels())
        ahead = self._ahead(load_bundle(self._model))
        yield ahead
        ahead.compute(cells, self.viewport.box, should_stop)

    def teach(self, should_stop: Stop) -> Generator[Any]:
        """Teach, as `Job` takes it.

        Yields
        ------
        Step, Ahead, Glance, tuple, Taught, Begun, Progress or Result
            What is being done; the features; the head's heatmap of what is seen; notes on
            labels that are left out; the taught model; its heatmap as `Scan` computes it.
        """
        yield Step("reading your labels")
        load_torch()
        bundle, labels = load_bundle(self._model), self.labels()
        yield from self._glance(bundle, self._cells(labels), should_stop)
        for value in self._adapt(bundle, labels, should_stop):
            yield value
            if isinstance(value, Taught):
                yield from self._heatmap(value.adapted, should_stop)

    @property
    def _model(self) -> str | Path:
        return self.request.network.model

    def _cells(self, labels: Labels) -> LabelledCells:
        return labelled_cells(labels, self.slide.shape, self.slide.require_mpp())

    def _tissue(self) -> SlideTissue:
        return self.tissue or find_tissue(self.slide, TissueParameters())

    def _ahead(self, bundle: ModelBundle) -> Ahead:
        """Return the features that were computed before, or what computes them."""
        if self.ahead is not None and self.ahead.serves(bundle, self.tissue):
            return self.ahead
        return Ahead(self.slide, bundle, self._tissue())

    def _glance(
        self, bundle: ModelBundle, cells: LabelledCells, should_stop: Stop
    ) -> Generator[Ahead | Glance]:
        """Teach the head by the labels of this slide, and look at what is seen."""
        if not 0 < cells.tumor.sum() < len(cells.tumor):
            return  # those of other slides may have the class that is missing
        ahead, box = self._ahead(bundle), self.viewport.box
        yield ahead
        ahead.compute(cells, box, should_stop, GLANCE_S)
        if not should_stop() and (head := ahead.fit(cells)) is not None:
            yield Glance(ahead.heatmap(head, box), RunOptions().rule(bundle))

    def _adapt(
        self, bundle: ModelBundle, labels: Labels, should_stop: Stop
    ) -> Generator[Any]:
        """Teach the network by the labels of all slides."""
        # torch takes a second to load
        from napari_fastnet.training.adapt.adapt import AdaptProgress, adapt
        from napari_fastnet.training.adapt.examples import (
            Examples,
            LabelledSlide,
            gather,
            labelled_slides,
        )

        here = LabelledSlide(slide=self.slide, labels=labels)
        slides = [here, *labelled_slides(self.others)]
        for read in gather(slides, bundle, self.options.seed, stopped=should_stop):
            if not isinstance(read, Examples):
                yield Step("reading patches", read.done, read.total)
                continue
            yield read.notes
            for step in adapt(bundle, read, self.options, stopped=should_stop):
                if isinstance(step, AdaptProgress):
                    words = f"step {step.done:,} of {step.total:,}"
                    yield Step(
                        f"teaching {bundle.name}, {words}", step.done, step.total
                    )
                else:
                    yield Taught(step)

    def _heatmap(self, adapted: Adapted, should_stop: Stop) -> Generator[Any]:
        """Compute the slide's heatmap with the taught model, what is seen first."""
        from napari_fastnet.training.adapt.adapt import write_adapted

        with TemporaryDirectory(prefix="fastnet-taught-") as place:
            taught = write_adapted(anyway(adapted), Path(place) / "taught", "taught")
            request = replace(
                self.request,
                network=replace(self.request.network, model=taught.folder),
                threshold=None,
                lesion_threshold=None,
                folder=read_settings().cache_folder,
                in_cache=True,
                view_first=True,
            )
            scan = Scan(self.slide, request, self._tissue(), None, self.viewport)
            yield from scan.work(should_stop)


def anyway(adapted: Adapted) -> Adapted:
    """Return a model that may be written although the gate refuses it."""
    refused = adapted.gate.refusal is not None
    return replace(adapted, options=replace(adapted.options, override=refused))


def write_kept(adapted: Adapted, name: str) -> str:
    """Write a taught model to the user's own, beside others of its name; return its name.

    Raises
    ------
    OptionError
        The name cannot be one of a model.
    OutputError
        It cannot be written.
    """
    from napari_fastnet.training.adapt.adapt import adapted_name, write_adapted

    taken = available()
    for number in count(1):
        free = name if number == 1 else f"{name}-{number}"
        called = adapted_name(adapted.base.name, free)
        if called not in taken:
            break
    write_adapted(anyway(adapted), models_folder() / called, free)
    return called
