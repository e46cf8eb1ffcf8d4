"""``overview.png``: slide, heatmap and regions on one page, made for a slide deck.

matplotlib draws on its Agg canvas, never through pyplot, so this works without a
display, in threads and beside a GUI.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from math import floor, log10
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.patches import Rectangle
from matplotlib.path import Path as Outline
from matplotlib.patheffects import withStroke

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

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

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
DPI = 100
POINTS_PER_PX = 72 / DPI

# Room for one picture, (height, width): two beside each other, two stacked.
BESIDE = (1120.0, (WIDTH - 2 * MARGIN - GAP) / 2)
STACKED = (480.0, WIDTH - 2 * MARGIN)
STACKED_GAP = 70.0

INK = "#1b1b1f"
GREY = "#5c5c66"
LINE = "#c4c4cc"
OUTLINE = "#14001a"
HATCH = "#2b2b6b"
#: Colour and kind of the outlines, by status.
STATUS_LINES: dict[Status, tuple[str, str]] = {
    "not tumor": ("#2f6690", "dashed"),
    "unsure": ("#8a5a00", "dotted"),
    "undecided": (OUTLINE, "solid"),
    "tumor": (OUTLINE, "solid"),
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
FONT = "DejaVu Sans"  # comes with matplotlib
SMALL_PX = 14.0  # rings under this get a hairline
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
    canvas: FigureCanvasAgg = field(init=False)
    axes: Axes = field(init=False)
    _hatched: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        height_um = self.slide.height * self.mpp[0]
        self.layout = Layout.of((height_um, self.slide.width * self.mpp[1]))
        size = WIDTH / DPI, self.layout.height / DPI
        figure = Figure(figsize=size, dpi=DPI, facecolor="white")
        self.canvas = FigureCanvasAgg(figure)
        self.axes = figure.add_axes((0, 0, 1, 1))

    def picture(self, box: Box, image: Bytes, words: str) -> None:
        """Draw an image into a box, with words above it and a hairline around it."""
        extent = (box.left, box.right, box.bottom, box.top)
        self.axes.imshow(
            image, extent=extent, aspect="auto", interpolation="antialiased"
        )
        self._frame(box, LINE, 1 / POINTS_PER_PX)
        style = {"va": "bottom", "color": GREY}
        room = WIDTH - MARGIN - box.left
        self.text(box.left, box.top - 14, words, size=24, room=room, **style)

    def outlines(self, box: Box, lesions: Sequence[Reviewed]) -> None:
        """Draw the outlines of lesions over the picture in a box, by status."""
        for status, (colour, line) in STATUS_LINES.items():
            regions = [one.region for one in lesions if one.status == status]
            large: list[Outline] = []
            small: list[Outline] = []
            for ring in (
                r for one in regions for polygon in one.polygons for r in polygon
            ):
                points = self._on_page(ring, box)
                sides = np.ptp(points, axis=0)
                kind = large if sides.max() >= SMALL_PX else small
                kind.append(Outline([*points, points[0]], closed=True))
            # light under dark, so that the line shows on red as well as on dark tissue
            self._lines(box, large, "white", 3.6)
            self._lines(box, large, colour, 1.8, line)
            # specks stay specks: thousands of them must not hide the heatmap
            self._lines(box, small, colour, 1.0)

    def numbers(self, box: Box, lesions: Sequence[Reviewed]) -> None:
        """Write the labels of lesions beside them, the first ones, where there is room."""
        taken: list[Box] = []
        for lesion in lesions[:MOST_NUMBERS]:
            words = f"{lesion.region.label}{STATUS_MARKS[lesion.status]}"
            height, width = NUMBER_PX, 0.7 * NUMBER_PX * len(words)
            rings = [polygon[0] for polygon in lesion.region.polygons]
            points = self._on_page(np.concatenate(rings), box)
            for right, down in ((1, -1), (1, 1), (-1, -1), (-1, 1)):
                x, y = points[np.argmax(points @ (right, down))]
                corner = y - height * (down < 0), x + (3 if right > 0 else -width - 3)
                place = Box.of_shape(
                    (height, width), (float(corner[0]), float(corner[1]))
                )
                inside = place.intersect(box) == place
                if inside and all(place.intersect(one).is_empty for one in taken):
                    taken.append(place)
                    self.text(
                        place.left,
                        place.top,
                        words,
                        size=NUMBER_PX,
                        va="top",
                        weight="bold",
                        color=STATUS_LINES[lesion.status][0],
                        path_effects=[withStroke(linewidth=2.2, foreground="white")],
                    )
                    break

    def _on_page(self, points: Floats, box: Box) -> Floats:
        """Return (y, x), level-0 px, as (x, y) on the page."""
        scale = np.array([box.width / self.slide.width, box.height / self.slide.height])
        placed: Floats = points[:, ::-1] * scale + (box.left, box.top)
        return placed

    def _lines(
        self,
        box: Box,
        paths: Sequence[Outline],
        colour: str,
        width_px: float,
        line: str = "solid",
    ) -> None:
        """Draw closed paths, cut off at the box: cells reach over a slide's edge."""
        width = width_px * POINTS_PER_PX
        lines = PathCollection(
            paths,
            facecolors="none",
            edgecolors=colour,
            linewidths=width,
            linestyles=line,
        )
        self.axes.add_collection(lines)
        self._clip(lines, box)

    def header(self, title: str, totals: str, decided: str = "") -> None:
        """Draw the title, the machine's totals, and those of a person."""
        room = WIDTH - 2 * MARGIN
        y = (62, 104, 144) if decided else (74, 124, 0)
        self.text(MARGIN, y[0], title, size=40, weight="bold", room=room)
        self.text(MARGIN, y[1], totals, size=26, color=GREY, room=room)
        self.text(MARGIN, y[2], decided, size=26, color=GREY, room=room)

    def note(self, words: str) -> None:
        """Draw the line under the legend, about the quality."""
        sample = "Hatched: flagged. " if self._hatched else ""
        y = self.layout.right.bottom + 118
        self.text(MARGIN, y, sample + words, size=22, room=WIDTH - 2 * MARGIN)

    def hatch(self, box: Box, cells: Bools, over: Box) -> None:
        """Hatch cells over the picture in a box; together they cover ``over``, px."""
        self._hatched = True
        # a rim of nothing, so that the hatch ends at the edge of the grid
        values = np.pad(cells.astype(np.float32), 1)
        rows, columns = (np.arange(-0.5, count + 1) / count for count in cells.shape)
        y = (over.top + rows * over.height) * box.height / self.slide.height + box.top
        x = (over.left + columns * over.width) * box.width / self.slide.width + box.left
        drawn = self.axes.contourf(
            x, y, values, levels=(0.5, 1.5), colors="none", hatches=("///",)
        )
        drawn.set_edgecolor(HATCH)
        drawn.set_linewidth(0)
        self._clip(drawn, box)

    def _clip(self, drawn: Artist, box: Box) -> None:
        frame = Rectangle((box.left, box.top), box.width, box.height)
        frame.set_transform(self.axes.transData)
        drawn.set_clip_path(frame)

    def _frame(self, box: Box, colour: str, width_px: float) -> None:
        """Draw the outline of a box."""
        width = width_px * POINTS_PER_PX
        frame = Rectangle((box.left, box.top), box.width, box.height, ec=colour)
        frame.set(fill=False, linewidth=width)
        self.axes.add_patch(frame)

    def footer(self, about: str, notice: str) -> None:
        """Draw the last line: the model, and the notice of research use."""
        y = self.layout.height - 44
        self.axes.plot((MARGIN, WIDTH - MARGIN), (y - 40, y - 40), color=LINE, lw=1)
        self.text(MARGIN, y, about, size=22, color=GREY, room=ABOUT_ROOM)
        self.text(WIDTH - MARGIN, y, notice, size=22, weight="bold", ha="right")

    def scale_bar(self) -> None:
        """Draw a bar of a round length, and the length."""
        px_per_um = self.layout.left.width / (self.slide.width * self.mpp[1])
        length_um = round_length(SCALE_BAR_PX / px_per_um)
        y, end = self._legend_y, MARGIN + length_um * px_per_um
        self.axes.plot(
            (MARGIN, end),
            (y, y),
            color=INK,
            lw=7 * POINTS_PER_PX,
            solid_capstyle="butt",
        )
        self._label(end + 14, length_words(length_um))

    def legend(
        self, threshold: float | None, regions: str, colours: ColoursName
    ) -> None:
        """Draw the legend of colours, threshold, outlines and clear cells."""
        y = self._legend_y
        ramp = colours_of(np.linspace(0, 1, 256, dtype=np.float32)[None], 1.0, colours)
        extent = (RAMP[0], RAMP[1], y + RAMP_HEIGHT / 2, y - RAMP_HEIGHT / 2)
        self.axes.imshow(ramp, extent=extent, aspect="auto")
        self._label(RAMP[0] - 12, "normal", ha="right")
        self._label(RAMP[1] + 12, "tumor")
        if threshold is not None:
            mark = RAMP[0] + threshold * (RAMP[1] - RAMP[0])
            self.axes.plot((mark, mark), (y - 18, y + 18), color="white", lw=4)
            self.axes.plot((mark, mark), (y - 18, y + 18), color=OUTLINE, lw=2)

        square = Box.of_shape((SWATCH, SWATCH), (y - SWATCH / 2, REGION_X))
        self._frame(square, OUTLINE, 2.5)
        words = REGION_X + SWATCH + 12
        self._label(words, regions, room=CLEAR_X - words - 20)
        square = Box.of_shape((SWATCH, SWATCH), (y - SWATCH / 2, CLEAR_X))
        self._frame(square, LINE, 1.5)
        self._label(CLEAR_X + SWATCH + 12, "clear: glass or not computed")

    def _label(
        self, x: float, words: str, *, ha: str = "left", room: float = WIDTH
    ) -> None:
        """Draw words of the legend."""
        style = {"ha": ha, "va": "center_baseline"}
        self.text(x, self._legend_y, words, size=22, room=room, **style)

    @property
    def _legend_y(self) -> float:
        """Middle of the row of scale bar and legend."""
        return self.layout.right.bottom + 58

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float,
        room: float = WIDTH,
        **style: Any,
    ) -> None:
        """Draw words with their baseline at (x, y), cut to ``room``; sizes in px."""
        shown = drawable(words)
        plain = {"parse_math": False, "usetex": False}  # a name may hold a dollar
        style = {"color": INK, "family": FONT, **plain, **style}
        drawn = self.axes.text(x, y, shown, fontsize=size * POINTS_PER_PX, **style)
        while (width := drawn.get_window_extent().width) > room:
            shown = shorten(shown, int(len(shown) * room / width))
            drawn.set_text(shown)

    def png(self, *, comment: str) -> bytes:
        """Return the page as a PNG file, with a comment among its text chunks."""
        self.axes.set(xlim=(0, WIDTH), ylim=(self.layout.height, 0), aspect="auto")
        self.axes.set_axis_off()
        metadata = {"Software": "napari-fastnet", "Comment": comment}
        # unlike savefig it heeds no user's settings of resolution and margins
        file = BytesIO()
        self.canvas.print_png(  # type: ignore[no-untyped-call]
            file, metadata=metadata, pil_kwargs={"compress_level": 3}
        )
        return file.getvalue()


def round_length(limit_um: float) -> float:
    """Return the greatest 1, 2 or 5 times a power of ten up to ``limit_um``."""
    power = 10.0 ** floor(log10(limit_um))
    return next(step * power for step in (5, 2, 1) if step * power <= limit_um)


def length_words(length_um: float) -> str:
    """Return a length in the unit that suits it: ``500 µm``, ``2 mm``."""
    if length_um >= 1000:
        return f"{length_um / 1000:g} mm"
    return f"{length_um:g} µm"


def drawable(words: str) -> str:
    """Return words with a box for every character that the font does not have."""
    characters = get_font(findfont(FONT)).get_charmap()
    return "".join(one if ord(one) in characters else "□" for one in words)


def shorten(words: str, limit: int) -> str:
    """Return words of at most ``limit`` characters, cut in the middle."""
    if len(words) <= limit:
        return words
    start = (limit - 1) // 2
    return f"{words[:start]}…{words[len(words) - (limit - 1 - start) :]}"


#: Meaning and limits of a probability.
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
    values = heatmap.resampled_to(slide, thumbnail.shape[:2])
    with_heatmap = blend(thumbnail, colours_of(values, OPACITY, colours))
    model = (
        "" if record.model is None else f"{record.model.name} {record.model.version}"
    )

    page = Page(slide, heatmap.mpp)
    totals = totals_words(heatmap, regions, record)
    page.header(record.slide.name, totals, decided_words(record.decisions))
    page.picture(page.layout.left, thumbnail, "Slide")
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
