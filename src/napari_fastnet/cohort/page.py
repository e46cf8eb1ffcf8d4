"""The page of ``report.html``: light, printable, and complete without a script.

It shows each slide's thumbnail out of the slide's own folder and leads to what lies
there, so that the page and the folders move together.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from html import escape
from os import fsencode
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
from PIL import Image

from napari_fastnet.cohort.rows import NOT_SCANNED
from napari_fastnet.core.colour import (
    DEFAULT_COLOURS,
    OPACITY,
    ColoursName,
    blend,
    colours_of,
)
from napari_fastnet.core.display import number_words
from napari_fastnet.core.geometry import Box
from napari_fastnet.core.regions import ITC_LIMIT_MM, MICRO_LIMIT_MM
from napari_fastnet.machine.files import atomic_path
from napari_fastnet.results.record import OVERVIEW, RESEARCH_USE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from napari_fastnet.cohort.rows import Findings, SlideRow
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.slide.slide import Slide


SIDE_PX = 480
FINER = 4  # samples a px, along y and along x


def write_thumbnail(
    path: Path,
    slide: Slide,
    heatmap: Heatmap,
    colours: ColoursName = DEFAULT_COLOURS,
) -> None:
    """Write the slide with its heatmap as a small JPEG.

    A px shows the highest probability in it: a lesion of a few cells would else fall
    between the px.

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


NOTHING = "&ndash;"
LEGEND = (
    "Thumbnails: green is normal, red is tumour, clear is glass or not computed. "
    f"Largest lesion: macro is longer than {MICRO_LIMIT_MM:g} mm, micro longer than "
    f"{ITC_LIMIT_MM:g} mm, ITC shorter; sizes, no diagnoses. Probabilities are calibrated "
    "on the model's validation patches, not on these slides; &#9888;: blurred, with pen, or "
    "unlike the training data, see quality.tif."
)
CLASSES = {
    "macro": "with a macro",
    "micro": "with a micro",
    "ITC": "with ITC only",
    "none": "without a lesion",
    NOT_SCANNED: NOT_SCANNED,
}

STYLE = """
@page { size: A4 landscape; margin: 12mm; }
* { box-sizing: border-box; }
body { font: 14px/1.45 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; margin: 0 auto;
  max-width: 1240px; padding: 32px 24px; color: #1b1b1f; background: #fff; }
h1 { font-size: 26px; margin: 0 0 2px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 32px 0 8px; }
p { margin: 0; }
a { color: #0b5f7a; }
.grey, th { color: #5c5c66; }
.notice { font-weight: 600; }
.totals { margin: 20px 0 24px; border: 1px solid #dcdce2; border-width: 1px 0;
  padding: 12px 0; }
.totals span { display: inline-block; margin-right: 40px; color: #5c5c66; }
.totals b { color: #1b1b1f; font-size: 22px; font-weight: 600; margin-right: 6px; }
table { border-collapse: collapse; width: 100%; }
thead { display: table-header-group; }
th { font-weight: 600; font-size: 12px; text-align: left; vertical-align: bottom; }
th, td { padding: 8px 18px 8px 0; border-bottom: 1px solid #dcdce2; }
td { vertical-align: middle; }
tr { break-inside: avoid; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.picture { width: 176px; }
.picture img { display: block; max-width: 160px; max-height: 110px; }
.name { overflow-wrap: anywhere; min-width: 160px; }
.name a { font-weight: 600; }
.small { font-size: 12px; }
.doubt { color: #8a4b00; }
.legend { margin: 10px 0 0; }
.class { display: inline-block; min-width: 58px; padding: 1px 8px; border-radius: 9px;
  text-align: center; font-size: 12px; font-weight: 600; border: 1px solid; }
.macro { background: #be0a1a; border-color: #be0a1a; color: #fff; }
.micro { background: #f9c9a4; border-color: #d9803f; color: #5a2600; }
.ITC { background: #fff3c2; border-color: #d3b53a; color: #4f4100; }
.not-scanned { background: #f0f0f3; border-color: #b4b4be; color: #44444e; }
.none { background: #e3f2ea; border-color: #84bf9f; color: #0d4a2b; }
@media print { body { padding: 0; font-size: 11px; max-width: none; }
  th, .small, .class { font-size: 10px; } th, td { padding: 5px 14px 5px 0; }
  .picture { width: 132px; } .picture img { max-width: 118px; max-height: 76px; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  a { color: inherit; text-decoration: none; } }
"""

HEAD = (
    ("", ""),
    ("", "slide"),
    ("", "largest lesion"),
    ("number", "tumour<br>mm²"),
    ("number", "of the<br>tissue"),
    ("", "regions"),
    ("number", "highest<br>probability"),
    ("number", "tissue<br>mm²"),
    ("number", "µm/px"),
    ("number", "time"),
)


def report_page(title: str, rows: Sequence[SlideRow]) -> str:
    """Return the page.

    Parameters
    ----------
    title : str
        Usually the name of the folder of results.
    rows : sequence of SlideRow
        In the order in which they are to be shown; those of one status together.

    Returns
    -------
    str
        HTML 5, to be written as UTF-8.
    """
    done = [row for row in rows if row.status == "done"]
    failed = [row for row in rows if row.status == "failed"]
    waiting = [row for row in rows if row.status == "waiting"]
    parts = [
        "<!DOCTYPE html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        f'<p class="grey">{_about(done)}</p>',
        f'<p class="notice">{RESEARCH_USE}</p>',
        f'<p class="totals">{_totals(len(rows), done, failed, waiting)}</p>',
        *_table(done),
        *_failures(failed),
        *_waiting(waiting),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _about(done: Sequence[SlideRow]) -> str:
    """Return the line under the title: with which models, and when."""
    when = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    used = {
        f"{row.found.model}, threshold {row.found.threshold:.3g}"
        for row in done
        if row.found
    }
    return escape(" · ".join(["FastNet cohort report", *sorted(used), when]))


def count_classes(rows: Iterable[SlideRow]) -> dict[str, int]:
    """Return how many slides are of each of `CLASSES`; not scanned only where some are."""
    found = Counter(row.found.size_class for row in rows if row.found)
    return {name: found[name] for name in CLASSES if found[name] or name != NOT_SCANNED}


def _totals(
    count: int,
    done: Sequence[SlideRow],
    failed: Sequence[SlideRow],
    waiting: Sequence[SlideRow],
) -> str:
    """Return the slides in figures: by size class, failed, left."""
    figures = [(count, "slide" if count == 1 else "slides")]
    figures += [(number, CLASSES[name]) for name, number in count_classes(done).items()]
    figures += [(len(failed), "failed")] if failed else []
    figures += [(len(waiting), "not done yet")] if waiting else []
    return "".join(f"<span><b>{number}</b>{what}</span>" for number, what in figures)


def _table(done: Sequence[SlideRow]) -> list[str]:
    """Return the table of slides that are done."""
    if not done:
        return []
    head = "".join(f'<th class="{kind}">{words}</th>' for kind, words in HEAD)
    rows = [_row(row, row.found) for row in done if row.found]
    return [
        f"<table><thead><tr>{head}</tr></thead><tbody>",
        *rows,
        "</tbody></table>",
        f'<p class="grey small legend">{LEGEND}</p>',
    ]


def _row(row: SlideRow, found: Findings) -> str:
    """Return a slide's line of the table."""
    folder = quote(fsencode(row.name))
    overview = f"{folder}/{OVERVIEW}"
    picture = f'<img src="{folder}/{quote(row.picture)}" alt="{escape(row.name)}">'
    longest = (
        "" if found.largest_mm is None else f" {number_words(found.largest_mm)} mm"
    )
    highest = (
        NOTHING if found.max_probability is None else f"{found.max_probability:.2f}"
    )
    tissue = number_words(found.tissue_mm2) if found.tissue_mm2 else "no tissue"
    counts = {"macro": found.macro, "micro": found.micro, "ITC": found.itc}
    regions = [f"{count}&nbsp;{name}" for name, count in counts.items() if count]
    kind = found.size_class.replace(" ", "-")
    y, x = found.mpp
    mpp = f"{y:.3g}" if y == x else f"{y:.3g} &times; {x:.3g}"
    cells = [
        ("picture", f'<a href="{overview}">{picture}</a>'),
        ("name", _name(row, found, overview)),
        (
            "",
            f'<span class="class {kind}">{found.size_class}</span>{longest}',
        ),
        ("number", number_words(found.tumour_mm2)),
        ("number", _percentage(found.share)),
        ("", ", ".join(regions) or NOTHING),
        ("number", highest),
        ("number", tissue),
        (
            "number",
            f'{mpp}<br><span class="small grey">{escape(found.mpp_source)}</span>',
        ),
        ("number", _duration(found.seconds)),
    ]
    line = "".join(f'<td class="{kind}">{content}</td>' for kind, content in cells)
    return f"<tr>{line}</tr>"


def _name(row: SlideRow, found: Findings, overview: str) -> str:
    """Return what stands beside a slide's thumbnail."""
    lines = [f'<a href="{overview}">{escape(row.name)}</a>']
    if row.name != row.slide.stem:  # another slide has the same name
        lines.append(f'<span class="small grey">{escape(str(row.slide))}</span>')
    if found.unreadable:
        words = f"{found.unreadable:,} patches could not be read"
        lines.append(f'<span class="small">{words}</span>')
    if found.warn:
        words = escape(found.quality)
        lines.append(f'<span class="small doubt">&#9888; {words}</span>')
    return "<br>".join(lines)


def _failures(failed: Sequence[SlideRow]) -> list[str]:
    """Return the slides that failed, and why."""
    if not failed:
        return []
    lines = [
        f'<tr><td class="name"><b>{escape(row.name)}</b></td>'
        f"<td>{escape(row.error)}</td></tr>"
        for row in failed
    ]
    return ["<h2>Failed</h2>", "<table><tbody>", *lines, "</tbody></table>"]


def _waiting(waiting: Sequence[SlideRow]) -> list[str]:
    """Return the slides that are not done yet."""
    if not waiting:
        return []
    names = ", ".join(escape(row.name) for row in waiting)
    return ["<h2>Not done yet</h2>", f"<p>{names}</p>"]


def _percentage(share: float | None) -> str:
    """Return a share in words; more digits than two decimals would say nothing."""
    if share is None:
        return NOTHING
    percent = 100 * share
    return "under 0.01 %" if 0 < percent < 0.01 else f"{number_words(percent)} %"


def _duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02} min"
