"""Report of a store of patches: a table, JSON and a contact sheet."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from napari_fastnet.core.colour import HEATMAP_COLOURS
from napari_fastnet.core.options import DEFAULT_COLOURS
from napari_fastnet.machine.files import atomic_path, write_bytes
from napari_fastnet.patches.sampling import PARTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_fastnet.patches.store import DrawnPatch, PatchStore

SLIDES_CSV, REPORT_JSON, SHEET = "slides.csv", "report.json", "contact_sheet.png"

#: Names of the labels in files, in their order.
CLASSES = ("normal", "tumour")

_THUMB, _GAP, _CAPTION, _TITLE = 96, 6, 14, 24
_ACROSS, _DOWN = 10, 4


@dataclass(frozen=True, slots=True)
class SlideRow:
    """Patches of one slide.

    Parameters
    ----------
    slide : str
        Name.
    fault : str
        Reason why there are none; empty where nothing is at fault.
    facts : Mapping
        As stored; empty for a slide at fault.
    counts : dict of (str, str) to int
        Patches stored, by part and class.
    """

    slide: str
    fault: str
    facts: Mapping[str, Any]
    counts: dict[tuple[str, str], int]

    def cells(self) -> dict[str, Any]:
        """Return the row of the table."""
        facts = self.facts
        candidates = facts.get("candidates", (0, 0))
        stored = sum(self.counts.values())
        kind = {True: "tumour", False: "normal", None: ""}[facts.get("is_tumour")]
        return {
            "slide": self.slide,
            "kind": kind,
            "tissue_mm2": f"{facts.get('tissue_mm2', 0):.3f}",
            "tumour_mm2": f"{facts.get('tumour_mm2', 0):.3f}",
            "candidates_normal": candidates[0],
            "candidates_tumour": candidates[1],
            **{
                f"{part}_{name}": self.counts.get((part, name), 0)
                for part in PARTS
                for name in CLASSES
            },
            "unreadable": facts.get("drawn", stored) - stored,
            "notes": "; ".join([*facts.get("notes", ()), *filter(None, [self.fault])]),
        }


@dataclass(frozen=True, slots=True)
class PatchReport:
    """Report of a store of patches.

    Parameters
    ----------
    store : PatchStore
        Whole.
    rows : tuple of SlideRow
        By name, slides at fault too.
    notes : tuple of str
        Files of the folder that were left out.
    """

    store: PatchStore
    rows: tuple[SlideRow, ...]
    notes: tuple[str, ...]

    @property
    def faults(self) -> tuple[str, ...]:
        """A line for each slide that gave nothing for a fault."""
        return tuple(f"{row.slide}: {row.fault}" for row in self.rows if row.fault)

    @property
    def odd(self) -> tuple[str, ...]:
        """A line for each slide in use with something odd about it."""
        noted = ((row.slide, row.facts.get("notes", ())) for row in self.rows)
        return tuple(f"{slide}: {'; '.join(notes)}" for slide, notes in noted if notes)

    @property
    def totals(self) -> dict[str, dict[str, int]]:
        """Numbers of patches by part and class."""
        return {
            part: {
                name: sum(row.counts.get((part, name), 0) for row in self.rows)
                for name in CLASSES
            }
            for part in PARTS
        }

    def to_dict(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        return {
            "store": self.store.folder.name,
            "options": self.store.options,
            "totals": self.totals,
            "leaks": self.store.leaks,
            "slides": [row.cells() for row in self.rows],
            "left_out": list(self.notes),
        }


def report_of(
    store: PatchStore, faults: Mapping[str, str], notes: Sequence[str]
) -> PatchReport:
    """Count the patches of a store; DataError where it is damaged.

    Parameters
    ----------
    store : PatchStore
        Whole.
    faults : Mapping
        Slides that are not in it, and their faults.
    notes : sequence of str
        Files of the folder that were left out.
    """
    rows = [SlideRow(name, fault, {}, {}) for name, fault in faults.items()]
    for name in store.slides:
        table = store.table(name)
        counts = {
            (part, label): int(
                ((table["parts"] == number) & (table["labels"] == value)).sum()
            )
            for number, part in enumerate(PARTS)
            for value, label in enumerate(CLASSES)
        }
        rows.append(SlideRow(name, "", store.facts(name), counts))
    rows.sort(key=lambda row: row.slide)
    return PatchReport(store, tuple(rows), tuple(notes))


def write_report(folder: Path, report: PatchReport) -> None:
    """Write ``slides.csv``, ``report.json`` and ``contact_sheet.png``.

    The folder is made where it is missing; OutputError where it cannot be written.
    """
    text = io.StringIO(newline="")
    cells = [row.cells() for row in report.rows]
    table = csv.DictWriter(text, list(cells[0]))
    table.writeheader()
    table.writerows(cells)
    write_bytes(folder / SLIDES_CSV, text.getvalue().encode())
    content = json.dumps(report.to_dict(), indent=2, ensure_ascii=False)
    write_bytes(folder / REPORT_JSON, content.encode())
    with atomic_path(folder / SHEET) as aside:
        contact_sheet(report).save(aside)


def contact_sheet(report: PatchReport) -> Image.Image:
    """Draw some patches of both classes, of as many slides as there are.

    Above each patch stand its slide and the share of it that is of its class, W over the
    area. Tumor is framed red above, normal is framed green below.
    """
    found = [(label, _some(report.store, label)) for label in (1, 0)]
    cell = _THUMB + _CAPTION + _GAP
    heights = [_TITLE + cell * -(-len(some) // _ACROSS) for _, some in found]
    size = (_ACROSS * (_THUMB + _GAP) + _GAP, sum(heights) + _GAP)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    title, small = ImageFont.load_default(14), ImageFont.load_default(9)
    top, stops = 0, HEATMAP_COLOURS[DEFAULT_COLOURS]
    for (label, some), height in zip(found, heights, strict=True):
        colour = stops[-1 if label else 0][1:]
        total = sum(part[CLASSES[label]] for part in report.totals.values())
        name = CLASSES[label]
        words = f"{name}: {len(some)} of {total:,} patches, and how much is {name}"
        draw.text((_GAP, top + 4), words, "black", title)
        for number, (slide, patch) in enumerate(some):
            x = _GAP + number % _ACROSS * (_THUMB + _GAP)
            y = top + _TITLE + number // _ACROSS * cell
            share = patch.weight / report.store.patch_px**2
            draw.text((x, y), f"{slide[:12]}  {share:.0%}", "black", small)
            box = (x - 2, y + _CAPTION - 2, x + _THUMB + 1, y + _CAPTION + _THUMB + 1)
            draw.rectangle(box, outline=colour, width=2)
            image = Image.fromarray(patch.image)
            thumbnail = image.resize((_THUMB, _THUMB), Image.Resampling.LANCZOS)
            sheet.paste(thumbnail, (x, y + _CAPTION))
        top += height
    return sheet


def _some(store: PatchStore, label: int) -> list[tuple[str, DrawnPatch]]:
    """Return patches of a class, one slide after the other in turn."""
    rng = np.random.default_rng(0)
    left = {
        name: rng.permutation(
            np.flatnonzero(store.table(name)["labels"] == label)
        ).tolist()
        for name in store.slides
    }
    chosen: list[tuple[str, int]] = []
    while any(left.values()) and len(chosen) < _ACROSS * _DOWN:
        chosen += [(name, left[name].pop()) for name in left if left[name]]
    drawn = sorted(chosen[: _ACROSS * _DOWN])
    return [
        (name, patch)
        for name, group in groupby(drawn, key=itemgetter(0))
        for patch in store.read(name, [index for _, index in group])
    ]
