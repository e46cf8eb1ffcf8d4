"""The page ``report.html``: light, printable, and complete without a script.

The page shows each slide's thumbnails and links to the files of the slide's own folder,
so the page and the folders can be moved together. Its script sorts and filters.
"""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from os import fsencode
from subprocess import list2cmdline  # quotes words, runs nothing
from typing import TYPE_CHECKING
from urllib.parse import quote

from PIL import Image

from napari_fastnet.cohort.rows import SUMMARY
from napari_fastnet.cohort.slide_numbers import NOT_SCANNED
from napari_fastnet.core.colour import OPACITY, blend, colours_of
from napari_fastnet.core.display import number_words, written
from napari_fastnet.core.geometry import Box
from napari_fastnet.core.lesions import regions
from napari_fastnet.core.lesions.evidence import of_ten
from napari_fastnet.core.options import DEFAULT_COLOURS, ColoursName
from napari_fastnet.machine.files import WINDOWS, atomic_path
from napari_fastnet.machine.templates import templates_of
from napari_fastnet.results.record import (
    OVERVIEW,
    PLAIN_THUMBNAIL,
    REGIONS_CSV,
    RESEARCH_USE,
    THUMBNAIL,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from jinja2 import Template

    from napari_fastnet.cohort.rows import SlideRow
    from napari_fastnet.cohort.slide_numbers import SlideNumbers
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.slide.slide import Slide


SIDE_PX = 320

#: Words for the number of slides whose largest lesion is of a class.
CLASSES = {
    "macro": "with a macro",
    "micro": "with a micro",
    "ITC": "with ITC only",
    "none": "without a lesion",
    NOT_SCANNED: NOT_SCANNED,
}
#: Words for the number of slides with a mark; a filter on them narrows that of classes.
MARKS = {"flagged": "flagged ⚠", "undecided": "with lesions to decide"}


@dataclass(frozen=True, slots=True)
class Total:
    """A number of slides in the page's head, and the filter that shows them.

    Parameters
    ----------
    count : int
        Slides.
    words : str
        What they have in common.
    kind : str
        Word of their rows; empty for all slides.
    narrows : bool
        Whether it holds in addition to others, and not in their place.
    """

    count: int
    words: str
    kind: str = ""
    narrows: bool = False


def write_thumbnails(
    folder: Path,
    slide: Slide,
    heatmap: Heatmap,
    colours: ColoursName = DEFAULT_COLOURS,
) -> None:
    """Write the slide as two small JPEGs: with its heatmap, and as it is.

    Each px shows the highest probability in it; otherwise a lesion of a few cells could
    fall between the px.

    Parameters
    ----------
    folder : Path
        Of the slide's results.
    slide : Slide
        Open.
    heatmap : Heatmap
        Of the slide; may have no cells.
    colours : {"red-green", "blue-orange"}
        Of the heatmap.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    image = slide.thumbnail(SIDE_PX)
    highest = heatmap.highest_in(Box.of_shape(slide.shape), image.shape[:2])
    shown = blend(image, colours_of(highest, OPACITY, colours))
    with atomic_path(folder / THUMBNAIL) as aside:
        # colours at full resolution: a lesion may be one px
        Image.fromarray(shown).save(aside, quality=85, subsampling=0)
    with atomic_path(folder / PLAIN_THUMBNAIL) as aside:
        Image.fromarray(image).save(aside, quality=80)


def report_page(folder: Path, rows: Sequence[SlideRow]) -> str:
    """Fill in the template.

    Parameters
    ----------
    folder : Path
        The folder of results, in which the page will lie; its name is the title.
    rows : sequence of SlideRow
        In the order in which they are to be shown.

    Returns
    -------
    str
        HTML 5, to be written as UTF-8.
    """
    folder = folder.absolute()
    done = [row for row in rows if row.status == "done" and row.found]
    used = {_rule_words(row.found) for row in done if row.found}
    when = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    return _template().render(
        title=folder.name,
        about=" · ".join(["FastNet cohort report", *sorted(used), when]),
        notice=RESEARCH_USE,
        totals=totals(rows),
        done=done,
        failed=[row for row in rows if row.status == "failed"],
        waiting=[row for row in rows if row.status == "waiting"],
        kinds=kinds,
        command=partial(napari_command, folder),
        overview_file=OVERVIEW,
        regions_file=REGIONS_CSV,
        summary_file=SUMMARY,
        itc_mm=regions.ITC_LIMIT_MM,
        micro_mm=regions.MICRO_LIMIT_MM,
    )


def totals(rows: Sequence[SlideRow]) -> list[Total]:
    """Count slides by `CLASSES`, by `MARKS` and by status; some only where there are any."""
    count = Counter(kind for row in rows for kind in kinds(row))
    classes = count_classes(rows).items()
    marks = [(name, words, True) for name, words in MARKS.items()]
    marks += [("failed", "failed", False), ("waiting", "not done yet", False)]
    return [
        Total(len(rows), "slide" if len(rows) == 1 else "slides"),
        *(Total(number, CLASSES[name], _word(name)) for name, number in classes),
        *(
            Total(count[name], words, name, narrows)
            for name, words, narrows in marks
            if count[name]
        ),
    ]


def count_classes(rows: Iterable[SlideRow]) -> dict[str, int]:
    """Count slides by `CLASSES`; not scanned only where there are some."""
    found = Counter(row.found.size_class for row in rows if row.found)
    return {name: found[name] for name in CLASSES if found[name] or name != NOT_SCANNED}


def kinds(row: SlideRow) -> list[str]:
    """Return the words by which the page filters a slide."""
    if row.found is None:
        return [row.status]
    marks = {"flagged": row.found.warn, "undecided": bool(row.found.undecided)}
    return [_word(row.found.size_class), *(mark for mark, has in marks.items() if has)]


def _word(size_class: str) -> str:
    """Return a size class as one word, as style sheet and script need it."""
    return size_class.replace(" ", "-")


def napari_command(folder: Path, row: SlideRow) -> str:
    """Return the command that opens a slide and its results in napari.

    Quoted for the shell of this platform; empty for names that are no text, which no
    page can hold.
    """
    words = ["napari", str(row.slide), str(folder / row.name)]
    words += ["--plugin", "napari-fastnet", "--with", "napari-fastnet", "FastNet"]
    line = list2cmdline(words) if WINDOWS else shlex.join(words)
    return line if written(line) == line else ""


@cache
def _template() -> Template:
    """Read the template, once a process."""
    environment = templates_of("napari_fastnet.cohort")
    environment.filters |= {
        "number": number_words,
        "percentage": _percentage,
        "duration": _duration,
        "word": _word,
        "of_ten": of_ten,
        # not jinja's urlencode, which fails on names that are no valid UTF-8
        "path": lambda name: quote(fsencode(name)),
    }
    return environment.get_template("report.html.jinja")


def _rule_words(found: SlideNumbers) -> str:
    """Return a slide's model and thresholds."""
    words = f"{found.model}, outlines from probability {found.threshold:.3g}"
    if found.lesion_threshold is None:
        return words
    return f"{words}, lesions from evidence {found.lesion_threshold:.3g}"


def _percentage(share: float) -> str:
    """Return a share in words; more digits than two decimals would say nothing."""
    percent = 100 * share
    return "<0.01 %" if 0 < percent < 0.01 else f"{number_words(percent)} %"


def _duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02} min"
