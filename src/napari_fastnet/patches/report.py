"""Report of a store of patches: a table, JSON and a contact sheet."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from napari_fastnet.core.colour import HEATMAP_COLOURS
from napari_fastnet.core.options import DEFAULT_COLOURS
from napari_fastnet.machine.files import atomic_path, write_bytes, write_csv
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
class PatchReport:
    """Report of a store of patches.

    Parameters
    ----------
    store : PatchStore
        Whole.
    rows : list of dict
        Rows of ``slides.csv``, by name, slides at fault too.
    faults : tuple of str
        A line for each slide that gave nothing for a fault.
    odd : tuple of str
        A line for each slide in use with something odd about it.
    notes : tuple of str
        Files of the folder that were left out.
    """

    store: PatchStore
    rows: list[dict[str, Any]]
    faults: tuple[str, ...]
    odd: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def totals(self) -> dict[str, dict[str, int]]:
        """Numbers of patches by part and class."""
        return {
            part: {
                name: sum(row[f"{part}_{name}"] for row in self.rows)
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
            "slides": self.rows,
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
    rows, odd = [], []
    for name in sorted((*store.slides, *faults)):
        if name in faults:
            rows.append(_row(name, {"notes": [faults[name]]}, Counter()))
            continue
        table, facts = store.table(name), store.facts(name)
        pairs = zip(table["parts"].tolist(), table["labels"].tolist(), strict=True)
        rows.append(_row(name, facts, Counter(pairs)))
        if rows[-1]["notes"]:
            odd.append(f"{name}: {rows[-1]['notes']}")
    failed = tuple(f"{name}: {faults[name]}" for name in sorted(faults))
    return PatchReport(store, rows, failed, tuple(odd), tuple(notes))


def _row(
    name: str, facts: Mapping[str, Any], counts: Counter[tuple[int, int]]
) -> dict[str, Any]:
    """Return the row of a slide; counts are of patches stored, by part and label."""
    normal, tumor = facts.get("candidates", (0, 0))
    stored = counts.total()
    kinds = {True: "tumour", False: "normal", None: ""}
    return {
        "slide": name,
        "kind": kinds[facts.get("is_tumour")],
        "tissue_mm2": f"{facts.get('tissue_mm2', 0):.3f}",
        "tumour_mm2": f"{facts.get('tumour_mm2', 0):.3f}",
        "candidates_normal": normal,
        "candidates_tumour": tumor,
        **{
            f"{part}_{class_name}": counts[number, label]
            for number, part in enumerate(PARTS)
            for label, class_name in enumerate(CLASSES)
        },
        "unreadable": facts.get("drawn", stored) - stored,
        "notes": "; ".join(facts.get("notes", ())),
    }


def write_report(folder: Path, report: PatchReport) -> None:
    """Write ``slides.csv``, ``report.json`` and ``contact_sheet.png``.

    The folder is made where it is missing; OutputError where it cannot be written.
    """
    write_csv(folder / SLIDES_CSV, report.rows)
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
