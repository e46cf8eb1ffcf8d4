"""``napari-fastnet info SLIDE``: size, levels, µm/px and where that came from."""

from __future__ import annotations

import sys

from napari_fastnet.cli.options import AsJson, SlideMpp, SlidePath
from napari_fastnet.cli.output import print_columns, print_json


def info(slide: SlidePath, mpp: SlideMpp = None, as_json: AsJson = False) -> None:
    """Show a slide's size, levels, µm/px and its source."""
    from napari_fastnet.io.slide import open_slide
    from napari_fastnet.io.slide_facts import (
        reading_notes,
        slide_description,
        slide_rows,
        spacing_notes,
    )

    with open_slide(slide, mpp=mpp) as opened:
        facts = slide_description(opened)
        notes = (*reading_notes(opened), *spacing_notes(opened))
    for note in notes:
        print(note, file=sys.stderr)
    if as_json:
        print_json(facts)
    else:
        print_columns(slide_rows(facts))
