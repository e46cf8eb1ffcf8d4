"""The page ``report.html``: light, printable, and complete without a script.

The page shows each slide's thumbnail and links to the files of the slide's own folder,
so the page and the folders can be moved together.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from functools import cache
from os import fsencode
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
from PIL import Image

from napari_fastnet.cohort.rows import NOT_SCANNED
from napari_fastnet.core import regions
from napari_fastnet.core.colour import OPACITY, blend, colours_of
from napari_fastnet.core.display import number_words
from napari_fastnet.core.geometry import Box
from napari_fastnet.core.options import DEFAULT_COLOURS, ColoursName
from napari_fastnet.machine.files import atomic_path
from napari_fastnet.results.record import OVERVIEW, RESEARCH_USE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from jinja2 import Template

    from napari_fastnet.cohort.rows import SlideRow
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.slide.slide import Slide


SIDE_PX = 480
FINER = 4  # samples a px, along y and along x

#: Words for the number of slides whose largest lesion is of a class.
CLASSES = {
    "macro": "with a macro",
    "micro": "with a micro",
    "ITC": "with ITC only",
    "none": "without a lesion",
    NOT_SCANNED: NOT_SCANNED,
}


def write_thumbnail(
    path: Path,
    slide: Slide,
    heatmap: Heatmap,
    colours: ColoursName = DEFAULT_COLOURS,
) -> None:
    """Write the slide with its heatmap as a small JPEG.

    Each px shows the highest probability in it; otherwise a lesion of a few cells could
    fall between the px.

    Parameters
    ----------
    path : Path
        The file, ``.jpg``.
    slide : Slide
        Open.
    heatmap : Heatmap
        Of the slide; may have no cells.
    colours : {"red-green", "blue-orange"}
        Of the heatmap.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    image = slide.thumbnail(SIDE_PX)
    height, width = image.shape[:2]
    finer = heatmap.resampled_to(
        Box.of_shape(slide.shape), (height * FINER, width * FINER)
    )
    parts = finer.reshape(height, FINER, width, FINER)
    highest = np.fmax.reduce(np.fmax.reduce(parts, axis=3), axis=1)
    shown = blend(image, colours_of(highest, OPACITY, colours))
    with atomic_path(path) as aside:
        # colours at full resolution: a lesion may be one px
        Image.fromarray(shown).save(aside, quality=85, subsampling=0)


def report_page(title: str, rows: Sequence[SlideRow]) -> str:
    """Fill in the template.

    Parameters
    ----------
    title : str
        Usually the name of the folder of results.
    rows : sequence of SlideRow
        In the order in which they are to be shown.

    Returns
    -------
    str
        HTML 5, to be written as UTF-8.
    """
    done = [row for row in rows if row.status == "done" and row.found]
    failed = [row for row in rows if row.status == "failed"]
    waiting = [row for row in rows if row.status == "waiting"]
    used = {
        f"{row.found.model}, threshold {row.found.threshold:.3g}"
        for row in done
        if row.found
    }
    when = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    totals = [(len(rows), "slide" if len(rows) == 1 else "slides")]
    totals += [(number, CLASSES[name]) for name, number in count_classes(done).items()]
    totals += [(len(failed), "failed")] if failed else []
    totals += [(len(waiting), "not done yet")] if waiting else []
    return _template().render(
        title=title,
        about=" · ".join(["FastNet cohort report", *sorted(used), when]),
        notice=RESEARCH_USE,
        totals=totals,
        done=done,
        failed=failed,
        waiting=waiting,
        overview_file=OVERVIEW,
        itc_mm=regions.ITC_LIMIT_MM,
        micro_mm=regions.MICRO_LIMIT_MM,
    )


def count_classes(rows: Iterable[SlideRow]) -> dict[str, int]:
    """Count slides by `CLASSES`; not scanned only where there are some."""
    found = Counter(row.found.size_class for row in rows if row.found)
    return {name: found[name] for name in CLASSES if found[name] or name != NOT_SCANNED}


@cache
def _template() -> Template:
    """Read the template, once a process."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("napari_fastnet.cohort", ""),
        autoescape=True,  # names of files may be HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "number": number_words,
        "percentage": _percentage,
        "duration": _duration,
        # not jinja's urlencode, which fails on names that are no valid UTF-8
        "path": lambda name: quote(fsencode(name)),
    }
    return environment.get_template("report.html.jinja")


def _percentage(share: float) -> str:
    """Return a share in words; more digits than two decimals would say nothing."""
    percent = 100 * share
    return "under 0.01 %" if 0 < percent < 0.01 else f"{number_words(percent)} %"


def _duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02} min"
