"""Labels for tests of an adaptation."""

from __future__ import annotations

import pytest

from napari_fastnet.core.labelled_cells import label_grid, outlines_of
from napari_fastnet.results.labels import Label, Labels
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.training.adapt.examples import LabelledSlide


@pytest.fixture(scope="session")
def labelled():
    """Return a function from a slide's file and its strokes to a labelled slide."""

    def label(path, strokes, *, source="labels.geojson", **options):
        with open_slide(path) as slide:
            grid = label_grid(slide.shape, slide.mpp)
            fingerprint = slide.fingerprint
        items = tuple(
            Label(polygons=(outline,), kind=kind, source=source)
            for number, kind in ((1, "tumor"), (2, "normal"))
            for outline in outlines_of(strokes == number, grid)
        )
        labels = Labels(fingerprint=fingerprint, slide=path.name, items=items)
        return LabelledSlide(slide=path, labels=labels, **options)

    return label
