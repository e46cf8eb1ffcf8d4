"""Pictures of a report: slide and lesions as JPEG, with outlines over them as SVG paths.

Outlines stay lines: they print sharp, and the tissue under them can be looked at.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from napari_fastnet.core.geometry import Box
from napari_fastnet.results.overview import length_words, round_length

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_fastnet.case.case import CaseSlide
    from napari_fastnet.case.findings import Finding
    from napari_fastnet.core.arrays import Bytes
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.outlines import Polygon
    from napari_fastnet.slide.slide import Slide

#: Longer side of a slide's picture, and side of a lesion's, px.
SLIDE_PX, LESION_PX = 1200, 360
#: A lesion's picture shows so many times its extent, and at least so much, µm.
AROUND, LEAST_UM = 1.6, 400.0
#: A scale bar's share of the picture's width, at most.
SCALE_BAR = 0.3


@dataclass(frozen=True, slots=True)
class Shape:
    """A path, its kind (a class of the page's style), and a label beside its point."""

    kind: str
    path: str
    label: str = ""
    at: Pair = (0.0, 0.0)


@dataclass(slots=True, eq=False)
class Picture:
    """A part of a slide with shapes over it.

    Parameters
    ----------
    uri : str
        The part as a JPEG in a data URI.
    height, width : int
        Of the picture, px.
    box : Box
        Its place, level-0 px.
    mpp : tuple of float
        (y, x) µm per level-0 px.
    shapes : list of Shape
        Over it, in px.
    """

    uri: str
    height: int
    width: int
    box: Box
    mpp: Pair
    shapes: list[Shape] = field(default_factory=list)

    @classmethod
    def of(cls, pixels: Bytes, box: Box, mpp: Pair) -> Picture:
        """Return the picture of px, (height, width, 3), that show a box."""
        file = BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=82)
        uri = f"data:image/jpeg;base64,{b64encode(file.getvalue()).decode()}"
        return cls(uri, pixels.shape[0], pixels.shape[1], box, mpp)

    @property
    def bar(self) -> tuple[float, str]:
        """Length of the scale bar in px, and the length that it stands for."""
        px_um = self.box.width * self.mpp[1] / self.width
        length_um = round_length(SCALE_BAR * self.width * px_um)
        return length_um / px_um, length_words(length_um)

    def point(self, at: Pair) -> Pair:
        """Return the (x, y) in px of a (y, x) in level-0 px."""
        y = (at[0] - self.box.top) * self.height / self.box.height
        x = (at[1] - self.box.left) * self.width / self.box.width
        return round(x, 1), round(y, 1)

    def outline(self, kind: str, polygons: Iterable[Polygon], label: str = "") -> None:
        """Add the outline of polygons, (y, x) level-0 px, labelled at a corner of it."""
        rings = [
            [self.point((y, x)) for y, x in ring.tolist()]
            for polygon in polygons
            for ring in polygon
        ]
        # corners nearer than the px of the picture are one
        path = "".join(f"M{_points(dict.fromkeys(ring))}Z" for ring in rings)
        corners = np.array([point for ring in rings for point in ring])
        # pieces at the left, lesions at the right, so that both can be read
        side = -1 if kind == "piece" else 1
        x, y = corners[(side * corners[:, 0] - corners[:, 1]).argmax()].tolist()
        self.shapes.append(Shape(kind, path, label, (x, y)))

    def line(self, kind: str, ends: tuple[Pair, Pair]) -> None:
        """Add a line between two (y, x), level-0 px."""
        self.shapes.append(Shape(kind, "M" + _points(map(self.point, ends))))


def _points(points: Iterable[Pair]) -> str:
    return "L".join(f"{x:g} {y:g}" for x, y in points)


def slide_picture(slide: Slide, about: CaseSlide) -> Picture:
    """Return the picture of a slide with its numbered pieces and lesions."""
    whole = Box.of_shape(slide.shape)
    picture = Picture.of(slide.thumbnail(SLIDE_PX), whole, slide.require_mpp())
    for number, polygons in about.pieces.items():
        exteriors = [polygon[:1] for polygon in polygons]
        label = f"piece {number}" if len(about.pieces) > 1 else ""
        picture.outline("piece", exteriors, label)
    for finding in about.findings.reviewed:
        if finding.counts or finding.status == "unsure":
            polygons, label = finding.region.polygons, str(finding.region.label)
            picture.outline(kind_of(finding), polygons, label)
    return picture


def lesion_picture(slide: Slide, finding: Finding) -> Picture:
    """Return the picture of a lesion with its outline and longest axis."""
    mpp = slide.require_mpp()
    points = np.concatenate([polygon[0] for polygon in finding.region.polygons])
    low, high = points.min(axis=0), points.max(axis=0)
    side_um = max(LEAST_UM, AROUND * float(((high - low) * mpp).max()))
    middle, half = (low + high) / 2, side_um / 2 / np.asarray(mpp)
    box = Box(*map(float, (*(middle - half), *(middle + half))))
    pixels = slide.read(box, side_um / LESION_PX, damaged="white")
    picture = Picture.of(pixels, box, mpp)
    picture.outline(kind_of(finding), finding.region.polygons)
    if finding.line is not None:
        picture.line("axis", finding.line)
    return picture


def kind_of(finding: Finding) -> str:
    """Return the style of a finding: tumor, undecided, unsure or not-tumor."""
    return finding.status.replace(" ", "-")
