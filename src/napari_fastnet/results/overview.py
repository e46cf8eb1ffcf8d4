"""``overview.png``: slide, heatmap and regions on one page, made for a slide deck.

Pillow draws it, in a quarter of the time that matplotlib takes to load and draw; the fonts
are matplotlib's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from math import floor, log10
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

import numpy as np
from imagecodecs import PNG, png_encode
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo, putchunk

from napari_fastnet.core.colour import OPACITY, blend, colours_of
from napari_fastnet.core.display import counted, number_words, unreadable_words
from napari_fastnet.core.geometry import Box
from napari_fastnet.core.lesions.evidence import no_lesion_words
from napari_fastnet.core.lesions.regions import summarise
from napari_fastnet.errors import OptionError
from napari_fastnet.results.record import (
    CALIBRATED,
    RESEARCH_USE,
    RunRecord,
    record_json,
)
from napari_fastnet.results.reviewed import (
    Reviewed,
    Status,
    as_reviewed,
    decided_words,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fastnet.core.arrays import Bools, Bytes, Floats
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.lesions.regions import Region
    from napari_fastnet.core.options import ColoursName


WIDTH = 1800.0
MARGIN = 60.0
GAP = 40.0
HEADER = 200.0  # title, totals, the words above the pictures
FOOTER = 250.0  # scale bar and legend, quality, model, notice

# Room for one picture, (height, width): two beside each other, two stacked.
BESIDE = (1120.0, (WIDTH - 2 * MARGIN - GAP) / 2)
STACKED = (480.0, WIDTH - 2 * MARGIN)
STACKED_GAP = 70.0

INK = "#1b1b1f"
GREY = "#5c5c66"
LINE = "#c4c4cc"
OUTLINE = "#14001a"
HATCH = "#2b2b6b"
#: Colour of the outlines by status, and the lengths of dashes and of gaps, px.
STATUS_LINES: dict[Status, tuple[str, tuple[float, float] | None]] = {
    "not tumor": ("#2f6690", (6.6, 2.9)),
    "unsure": ("#8a5a00", (1.8, 3.0)),
    "undecided": (OUTLINE, None),
    "tumor": (OUTLINE, None),
}
STATUS_MARKS: dict[Status, str] = {
    "tumor": " ✓",
    "not tumor": " ✗",
    "unsure": " ?",
    "undecided": "",
}
STATUS_WORDS: dict[Status, str] = {
    "tumor": "✓ accepted",
    "not tumor": "✗ rejected",
    "unsure": "? unsure",
}
MOST_NUMBERS = 100
NUMBER_PX = 17.0
SMALL_PX = 14.0  # rings under this get a hairline
SMOOTH = 2  # lines are drawn so many times as large, and reduced
HATCH_PX = 12  # from one line of a hatch to the next
SCALE_BAR_PX = 300.0  # at most
# The legend: left and right end of the colours, and where its two squares begin.
RAMP = (690.0, 930.0)
RAMP_HEIGHT = 22.0
REGION_X = 1070.0
CLEAR_X = 1370.0
SWATCH = 24.0
ABOUT_ROOM = 370.0  # what the notice leaves of the last line


@dataclass(frozen=True, slots=True)
class Layout:
    """Boxes of the two pictures, page px, and the height of the page."""

    left: Box
    right: Box
    height: float

    @classmethod
    def of(cls, size_um: Pair) -> Layout:
        """Return the layout that shows a slide of (height, width) µm largest."""
        height_um, width_um = size_um

        def fitted(room: Pair) -> Pair:
            scale = min(room[0] / height_um, room[1] / width_um)
            return max(height_um * scale, 1.0), max(width_um * scale, 1.0)

        beside, stacked = fitted(BESIDE), fitted(STACKED)
        if beside[1] >= stacked[1]:
            left = Box.of_shape(beside, (HEADER, MARGIN))
            right = Box.of_shape(beside, (HEADER, MARGIN + BESIDE[1] + GAP))
        else:
            left = Box.of_shape(stacked, (HEADER, MARGIN))
            right = Box.of_shape(stacked, (left.bottom + STACKED_GAP, MARGIN))
        return cls(left, right, right.bottom + FOOTER)


@cache
def font(size: float, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Load DejaVu Sans, which comes with matplotlib, at a size in px."""
    # found, not imported: that alone takes as long as to draw a page
    spec = find_spec("matplotlib")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    fonts = Path(spec.submodule_search_locations[0], "mpl-data", "fonts", "ttf")
    return ImageFont.truetype(
        str(fonts / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")), size
    )


@dataclass(slots=True)
class Page:
    """A page being drawn.

    Parameters
    ----------
    slide : Box
        The whole slide, level-0 px.
    mpp : tuple of float
        (y, x) µm per level-0 px.
    """

    slide: Box
    mpp: Pair
    layout: Layout = field(init=False)
    image: Image.Image = field(init=False)
    _draw: ImageDraw.ImageDraw = field(init=False)
    _hatched: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        height_um = self.slide.height * self.mpp[0]
        self.layout = Layout.of((height_um, self.slide.width * self.mpp[1]))
        size = int(WIDTH), round(self.layout.height)
        self.image = Image.new("RGB", size, "white")
        self._draw = ImageDraw.Draw(self.image)

    def picture(self, box: Box, image: Bytes, words: str) -> None:
        """Draw an image of the box's size, with words above it and a hairline around it."""
        left, top = _whole(box)[:2]
        height, width = image.shape[:2]
        self.image.paste(Image.fromarray(image), (left, top))
        frame = left - 1, top - 1, left + width, top + height
        self._draw.rectangle(frame, outline=LINE)
        at, room = (box.left, box.top - 14), WIDTH - MARGIN - box.left
        self.text(at, words, size=24, room=room, anchor="ld", colour=GREY)

    def outlines(self, box: Box, lesions: Sequence[Reviewed]) -> None:
        """Draw the outlines of lesions over the picture in a box, by status."""
        for status, (colour, dashes) in STATUS_LINES.items():
            regions = [one.region for one in lesions if one.status == status]
            large: list[Floats] = []
            small: list[Floats] = []
            for ring in (
                r for one in regions for polygon in one.polygons for r in polygon
            ):
                points = self._on_page(ring, box)
                kind = large if np.ptp(points, axis=0).max() >= SMALL_PX else small
                kind.append(np.concatenate([points, points[:1]]))
            # light under dark, so that the line shows on red as well as on dark tissue
            self._lines(box, large, "white", 3.6)
            self._lines(box, large, colour, 1.8, dashes)
            # specks stay specks: thousands of them must not hide the heatmap
            self._lines(box, small, colour, 1.0)

    def numbers(self, box: Box, lesions: Sequence[Reviewed]) -> list[tuple[Box, str]]:
        """Write the labels of lesions beside them, the first ones, where there is room.

        Returns the places on the page, and what is written there.
        """
        written: list[tuple[Box, str]] = []
        for lesion in lesions[:MOST_NUMBERS]:
            words = f"{lesion.region.label}{STATUS_MARKS[lesion.status]}"
            width = font(NUMBER_PX, bold=True).getlength(words)
            rings = [polygon[0] for polygon in lesion.region.polygons]
            points = self._on_page(np.concatenate(rings), box)
            for right, down in ((1, -1), (1, 1), (-1, -1), (-1, 1)):
                x, y = points[np.argmax(points @ (right, down))]
                top = float(y - NUMBER_PX * (down < 0))
                left = float(x + (3 if right > 0 else -width - 3))
                place = Box.of_shape((NUMBER_PX, width), (top, left))
                inside = place.intersect(box) == place
                if inside and all(place.intersect(one).is_empty for one, _ in written):
                    written.append((place, words))
                    self._draw.text(
                        (left, top),
                        words,
                        STATUS_LINES[lesion.status][0],
                        font(NUMBER_PX, bold=True),
                        stroke_width=2,
                        stroke_fill="white",
                    )
                    break
        return written

    def _on_page(self, points: Floats, box: Box) -> Floats:
        """Return (y, x), level-0 px, as (x, y) on the page."""
        scale = np.array([box.width / self.slide.width, box.height / self.slide.height])
        placed: Floats = points[:, ::-1] * scale + (box.left, box.top)
        return placed

    def _lines(
        self,
        box: Box,
        rings: Sequence[Floats],
        colour: str,
        width_px: float,
        dashes: tuple[float, float] | None = None,
    ) -> None:
        """Draw closed lines, cut off at the box: cells reach over a slide's edge."""
        if not rings:
            return
        left, top, right, bottom = _whole(box)
        size = (right - left) * SMOOTH, (bottom - top) * SMOOTH
        large = Image.new("L", size)
        draw = ImageDraw.Draw(large)
        width = round(width_px * SMOOTH)
        for ring in rings:
            for line in [ring] if dashes is None else dashed(ring, *dashes):
                points = [(x, y) for x, y in (line - (left, top)) * SMOOTH]
                draw.line(points, 255, width, joint="curve")
        self.image.paste(colour, (left, top, right, bottom), large.reduce(SMOOTH))

    def header(self, title: str, totals: str, decided: str = "") -> None:
        """Draw the title, the machine's totals, and those of a person."""
        room = WIDTH - 2 * MARGIN
        y = (62, 104, 144) if decided else (74, 124, 0)
        self.text((MARGIN, y[0]), title, size=40, bold=True, room=room)
        self.text((MARGIN, y[1]), totals, size=26, colour=GREY, room=room)
        self.text((MARGIN, y[2]), decided, size=26, colour=GREY, room=room)

    def note(self, words: str) -> None:
        """Draw the line under the legend, about the quality."""
        sample = "Hatched: flagged. " if self._hatched else ""
        y = self.layout.right.bottom + 118
        self.text((MARGIN, y), sample + words, size=22, room=WIDTH - 2 * MARGIN)

    def hatch(self, box: Box, cells: Bools, over: Box) -> None:
        """Hatch cells over the picture in a box; together they cover ``over``, px."""
        self._hatched = True
        left, top, right, bottom = _whole(box)
        # the cell of each px of the picture
        y = np.linspace(0, self.slide.height, bottom - top, endpoint=False) - over.top
        x = np.linspace(0, self.slide.width, right - left, endpoint=False) - over.left
        row = np.floor(y * cells.shape[0] / over.height).astype(int)
        column = np.floor(x * cells.shape[1] / over.width).astype(int)
        known = np.pad(cells, 1)  # nothing beyond the edge of the grid
        flagged = known[
            np.ix_(
                np.clip(row + 1, 0, cells.shape[0] + 1),
                np.clip(column + 1, 0, cells.shape[1] + 1),
            )
        ]
        diagonal = np.add.outer(np.arange(bottom - top), np.arange(right - left))
        near = np.abs(diagonal % HATCH_PX - HATCH_PX / 2) / np.sqrt(2)
        mask = np.uint8(255 * np.clip(1.2 - near, 0, 1) * flagged)
        self.image.paste(HATCH, (left, top, right, bottom), Image.fromarray(mask))

    def footer(self, about: str, notice: str) -> None:
        """Draw the last line: the model, and the notice of research use."""
        y = self.layout.height - 44
        self._draw.line((MARGIN, y - 40, WIDTH - MARGIN, y - 40), LINE)
        self.text((MARGIN, y), about, size=22, colour=GREY, room=ABOUT_ROOM)
        self.text((WIDTH - MARGIN, y), notice, size=22, bold=True, anchor="rs")

    def scale_bar(self) -> Box:
        """Draw a bar of a round length, and the length; return its place."""
        px_per_um = self.layout.left.width / (self.slide.width * self.mpp[1])
        length_um = round_length(SCALE_BAR_PX / px_per_um)
        size = 7.0, length_um * px_per_um
        bar = Box.of_shape(size, (self._legend_y - size[0] / 2, MARGIN))
        self._draw.rectangle(_inside(bar), INK)
        self._label(bar.right + 14, length_words(length_um))
        return bar

    def legend(
        self, threshold: float | None, regions: str, colours: ColoursName
    ) -> None:
        """Draw the legend of colours, threshold, outlines and clear cells."""
        y = round(self._legend_y)
        values = np.linspace(0, 1, round(RAMP[1] - RAMP[0]), dtype=np.float32)
        ramp = colours_of(np.tile(values, (round(RAMP_HEIGHT), 1)), 1.0, colours)
        corner = round(RAMP[0]), y - round(RAMP_HEIGHT / 2)
        self.image.paste(Image.fromarray(ramp).convert("RGB"), corner)
        self._label(RAMP[0] - 12, "normal", anchor="rm")
        self._label(RAMP[1] + 12, "tumor")
        if threshold is not None:
            mark = round(RAMP[0] + threshold * (RAMP[1] - RAMP[0]))
            self._draw.rectangle((mark - 3, y - 18, mark + 2, y + 18), "white")
            self._draw.rectangle((mark - 1, y - 18, mark, y + 18), OUTLINE)

        top = round(y - SWATCH / 2)
        for left, colour, width in ((REGION_X, OUTLINE, 3), (CLEAR_X, LINE, 2)):
            square = left, top, left + SWATCH, top + SWATCH
            self._draw.rectangle(square, outline=colour, width=width)
        words = REGION_X + SWATCH + 12
        self._label(words, regions, room=CLEAR_X - words - 20)
        self._label(CLEAR_X + SWATCH + 12, "clear: glass or not computed")

    def _label(
        self, x: float, words: str, *, anchor: str = "lm", room: float = WIDTH
    ) -> None:
        """Draw words of the legend."""
        self.text((x, self._legend_y), words, size=22, room=room, anchor=anchor)

    @property
    def _legend_y(self) -> float:
        """Middle of the row of scale bar and legend."""
        return self.layout.right.bottom + 58

    def text(
        self,
        at: Pair,
        words: str,
        *,
        size: float,
        room: float = WIDTH,
        bold: bool = False,
        colour: str = INK,
        anchor: str = "ls",
    ) -> None:
        """Draw words at (x, y), cut to ``room``; sizes in px, anchors as Pillow has them."""
        style = font(size, bold=bold)
        while (width := style.getlength(words)) > room:
            words = shorten(words, int(len(words) * room / width))
        self._draw.text(at, words, colour, style, anchor=anchor)

    def png(self, *, comment: str) -> bytes:
        """Return the page as a PNG file, with a comment among its text chunks."""
        words = PngInfo()
        words.add_text("Software", "napari-fastnet")
        words.add_itxt("Comment", comment)
        file = BytesIO()
        # one filter for all rows, which Pillow cannot: half the time, 3 % larger
        image = png_encode(np.asarray(self.image), level=1, filter=PNG.FILTER.UP)
        file.write(image[:_PNG_HEAD])
        for kind, content, *_ in words.chunks:
            putchunk(file, kind, content)
        file.write(image[_PNG_HEAD:])
        return file.getvalue()


def _whole(box: Box) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom in whole px, one px apart at least."""
    left, top = round(box.left), round(box.top)
    return left, top, max(round(box.right), left + 1), max(round(box.bottom), top + 1)


def _inside(box: Box) -> tuple[int, int, int, int]:
    """Return the first and last px of a box, as Pillow's rectangles have them."""
    left, top, right, bottom = _whole(box)
    return left, top, right - 1, bottom - 1


def dashed(ring: Floats, dash: float, gap: float) -> list[Floats]:
    """Return the dashes of a line of (n, 2) points, each (m, 2)."""
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(ring, axis=0).T))])
    starts = np.arange(0, along[-1], dash + gap)
    return [
        np.column_stack([np.interp(at, along, axis) for axis in ring.T])
        for start in starts
        # the corners that a dash goes around, between its ends
        for end in [min(start + dash, along[-1])]
        for at in [[start, *along[(along > start) & (along < end)], end]]
    ]


def round_length(limit_um: float) -> float:
    """Return the greatest 1, 2 or 5 times a power of ten up to ``limit_um``."""
    power = 10.0 ** floor(log10(limit_um))
    return next(step * power for step in (5, 2, 1) if step * power <= limit_um)


def length_words(length_um: float) -> str:
    """Return a length in the unit that suits it: ``500 µm``, ``2 mm``."""
    if length_um >= 1000:
        return f"{length_um / 1000:g} mm"
    return f"{length_um:g} µm"


def shorten(words: str, limit: int) -> str:
    """Return words of at most ``limit`` characters, cut in the middle."""
    if len(words) <= limit:
        return words
    start = (limit - 1) // 2
    return f"{words[:start]}…{words[len(words) - (limit - 1 - start) :]}"


#: Meaning and limits of a probability.
# Bytes of a PNG file before the place of its text: the signature, and the size.
_PNG_HEAD = 33
NOTICE = f"{CALIBRATED} {RESEARCH_USE}"


def overview_png(
    thumbnail: Bytes,
    heatmap: Heatmap,
    regions: Sequence[Region],
    record: RunRecord,
    flags: Bytes | None = None,
    *,
    listed: Sequence[Reviewed] | None = None,
) -> bytes:
    """Draw the overview picture, 1800 px wide.

    Parameters
    ----------
    thumbnail : (height, width, 3) ndarray of uint8
        The whole slide; about 1000 to 2000 px on its longer side looks best.
    heatmap : Heatmap
        May have no cells, or none that was computed.
    regions : sequence of Region
        The lesions as found, for the totals. May be empty.
    record : RunRecord
        Of the run; kept as the picture's ``Comment``.
    flags : (rows, columns) ndarray of uint8, optional
        Of the heatmap's cells, which are hatched where it is not 0.
    listed : sequence of Reviewed, optional
        The lesions to draw, with a person's decisions; ``regions`` by default.

    Returns
    -------
    bytes
        A PNG file.

    Raises
    ------
    OptionError
        If the thumbnail is no such array or the slide has no extent.
    """
    if thumbnail.dtype != np.uint8 or thumbnail.ndim != 3 or thumbnail.shape[2] != 3:
        raise OptionError(
            f"thumbnail is {thumbnail.dtype} of shape {thumbnail.shape}; give "
            "(height, width, 3) uint8"
        )
    shape = record.slide.height, record.slide.width
    if thumbnail.size == 0 or min(shape) <= 0:
        raise OptionError(
            f"thumbnail of shape {thumbnail.shape} and slide of {shape} px; both need an "
            "extent"
        )
    colours = record.options.colours
    slide, threshold = Box.of_shape(shape), record.threshold or 0.0
    model = "" if record.model is None else record.model.name
    if record.model is not None and not model.endswith(f"-{record.model.version}"):
        model += f" {record.model.version}"

    page = Page(slide, heatmap.mpp)
    totals = totals_words(heatmap, regions, record)
    page.header(record.slide.name, totals, decided_words(record.decisions))
    left, top, right, bottom = _whole(page.layout.left)
    shape = bottom - top, right - left
    resize = Image.fromarray(thumbnail).resize
    tissue = np.asarray(resize(shape[::-1], Image.Resampling.BICUBIC, reducing_gap=2.0))
    page.picture(page.layout.left, tissue, "Slide")
    values = heatmap.resampled_to(slide, shape)
    with_heatmap = blend(tissue, colours_of(values, OPACITY, colours))
    lesions = list(map(as_reviewed, regions)) if listed is None else listed
    drawn = {one.status for one in lesions}
    marks = [words for status, words in STATUS_WORDS.items() if status in drawn]
    words = "  ·  ".join(("Tumor probability", *marks))
    page.picture(page.layout.right, with_heatmap, words)
    if flags is not None and flags.any():
        page.hatch(page.layout.right, flags != 0, heatmap.grid.box)
    page.outlines(page.layout.right, lesions)
    page.numbers(page.layout.right, lesions)
    page.scale_bar()
    if record.regions.outlines:
        page.legend(None, "lesion, from a file", colours)
        page.footer(model, NOTICE)
    else:
        page.legend(threshold, f"lesion, outline at {threshold:.3g}", colours)
        page.footer(f"{model} · threshold {threshold:.3g}", NOTICE)
    page.note(_quality_words(record))
    return page.png(comment=record_json(record))


def _quality_words(record: RunRecord) -> str:
    """Return the quality of the slide in a sentence, with the patches that are lost."""
    words, counts = record.quality.verdict or "Quality not judged.", record.counts
    if counts is None or not counts.failed:
        return words
    return f"{unreadable_words(counts.failed, counts.kept)}. {words}"


def totals_words(heatmap: Heatmap, regions: Sequence[Region], record: RunRecord) -> str:
    """Return the slide's totals in a line."""
    tissue_mm2 = record.tissue.area_mm2
    file = PureWindowsPath(record.regions.outlines).name
    if not heatmap.probabilities.size or tissue_mm2 == 0:
        return "No tissue was found, so nothing was scanned."
    totals = summarise(regions, tissue_mm2)
    tissue, share = "", ""
    if tissue_mm2 is not None:
        tissue = f" of {number_words(tissue_mm2)} mm² tissue"
        if not file:  # outlines may lie beside the tissue
            share = f" ({number_words(100 * (totals.tissue_fraction or 0))} %)"
    if not heatmap.computed.any():
        return f"Nothing was scanned{tissue}."
    if not regions:
        if file:
            return f"No region in {file}: 0 mm²{tissue}."
        words = no_lesion_words(record.rule)
        return f"{words[0].upper()}{words[1:]}: 0 mm²{tissue}."
    counts = {"macro": totals.macro, "micro": totals.micro, "ITC": totals.itc}
    classes = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    number = counted(len(regions), "region" if file else "lesion")
    number += f" of {file}" if file else ""
    longest_mm = number_words(max(region.longest_axis_mm for region in regions))
    return (
        f"{number} ({classes})  ·  tumor {number_words(totals.area_mm2)} mm²{tissue}{share}"
        f"  ·  longest axis {longest_mm} mm"
    )
