"""Pictures of candidates at two magnifications, read in a thread, kept within bounds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from napari.utils.notifications import show_error
from PIL import Image, ImageDraw
from qtpy.QtGui import QImage, QPixmap
from superqt.utils import ensure_main_thread

from napari_fastnet.core.geometry import Box, Pair
from napari_fastnet.errors import FastNetError

if TYPE_CHECKING:
    from napari_fastnet.core.lesions.regions import Region
    from napari_fastnet.slide.slide import Slide

#: Sides of the two fields, µm; a lesion larger than the first is shown whole there.
OVERVIEW_UM, DETAIL_UM = 1000.0, 250.0
#: Room around a lesion that is larger than the overview, as a multiple of its size.
MARGIN = 1.15
#: Side of a picture, px.
SIDE_PX = 104
#: Most candidates whose two pictures are kept: 65 kB each.
MOST_KEPT = 600
#: The outline: a dark line in a light one is seen on every stain.
LIGHT, DARK = (255, 255, 255), (20, 20, 20)

#: Not a job of low priority: on a busy machine one that is held up while it holds Python's
#: lock holds up the window as well.
_THREAD = ThreadPoolExecutor(1, "fastnet-pictures")

#: Overview and detail, level-0 px, and a digest of the outline drawn into them.
Key = tuple[Box, Box, int]


def fields_of(region: Region, mpp: Pair) -> tuple[Box, Box]:
    """Return the boxes of a region's two pictures.

    Parameters
    ----------
    region : Region
        Anywhere on the slide.
    mpp : tuple of float
        (y, x) µm per level-0 px.

    Returns
    -------
    tuple of Box
        Overview, around the whole region, and detail, around its centre; level-0 px.
    """
    points = np.concatenate([polygon[0] for polygon in region.polygons])
    low, high = points.min(axis=0), points.max(axis=0)
    size_um = float(((high - low) * mpp).max())
    middle = tuple((low + high) / 2)
    overview_um = max(OVERVIEW_UM, MARGIN * size_um)
    return _square(middle, overview_um, mpp), _square(region.centroid, DETAIL_UM, mpp)


def _square(centre: Pair, side_um: float, mpp: Pair) -> Box:
    (y, x), (tall, wide) = centre, (side_um / 2 / mpp[0], side_um / 2 / mpp[1])
    return Box(y - tall, x - wide, y + tall, x + wide)


class Thumbnails:
    """Pictures of the candidates of one slide.

    Attributes
    ----------
    arrived : callable
        Called without arguments on the GUI thread when pictures were read.
    """

    def __init__(self) -> None:
        self.arrived: Callable[[], None] = lambda: None
        self._slide: Slide | None = None
        self._kept: OrderedDict[Key, tuple[QPixmap, QPixmap]] = OrderedDict()
        self._wanted: OrderedDict[Key, Region] = OrderedDict()
        self._busy = False

    def show(self, slide: Slide | None) -> None:
        """Take the pictures of another slide from now on; None: of none."""
        if slide is not self._slide:
            self.close()
            self._slide = slide

    def close(self) -> None:
        """Stop reading, and drop all pictures."""
        self._slide = None
        self._wanted.clear()
        self._kept.clear()

    def pictures(self, region: Region) -> tuple[QPixmap, QPixmap] | None:
        """Return overview and detail of a candidate, None until they are read."""
        if self._slide is None:
            return None
        key = _key(region, self._slide.require_mpp())
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def want(self, regions: Iterable[Region]) -> None:
        """Read these, the first one first, in place of what was wanted before."""
        if self._slide is None:
            return
        mpp = self._slide.require_mpp()
        self._wanted.clear()
        for region in regions:
            key = _key(region, mpp)
            if key not in self._kept and len(self._wanted) < MOST_KEPT:
                self._wanted[key] = region
        self._read()

    def _read(self) -> None:
        """Read the pictures of one candidate; those of the next follow them."""
        slide = self._slide
        if slide is None or self._busy or not self._wanted:
            return
        key, region = self._wanted.popitem(last=False)
        self._busy = True
        taken = ensure_main_thread(self._take)
        future = _THREAD.submit(_pictures, slide, key, region)
        future.add_done_callback(lambda future: taken(slide, key, future))

    def _take(self, slide: Slide, key: Key, future: Future[list[QImage]]) -> None:
        self._busy = False
        if slide is self._slide:  # else it was closed meanwhile
            try:
                overview, detail = map(QPixmap.fromImage, future.result())
            except FastNetError as error:
                show_error(str(error))
                self._wanted.clear()
                return
            self._kept[key] = overview, detail
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
            self.arrived()
        self._read()


def _key(region: Region, mpp: Pair) -> Key:
    outline = b"".join(ring.tobytes() for part in region.polygons for ring in part)
    return (*fields_of(region, mpp), hash(outline))


def _pictures(slide: Slide, key: Key, region: Region) -> list[QImage]:
    return [_picture(slide, box, region) for box in key[:2]]


def _picture(slide: Slide, box: Box, region: Region) -> QImage:
    """Return a box of a slide with an outline, `SIDE_PX` wide."""
    mpp = slide.require_mpp()
    wanted = (box.height * mpp[0] / SIDE_PX, box.width * mpp[1] / SIDE_PX)
    picture = Image.fromarray(slide.read(box, wanted, damaged="white"))
    draw = ImageDraw.Draw(picture)
    scale = (picture.height / box.height, picture.width / box.width)
    for width, colour in ((3, LIGHT), (1, DARK)):
        for part in region.polygons:
            for ring in part:
                places = (
                    np.concatenate((ring, ring[:1])) - (box.top, box.left)
                ) * scale
                draw.line(places[:, ::-1].ravel().tolist(), fill=colour, width=width)
    width, height = picture.size
    pixels = picture.tobytes()
    return QImage(pixels, width, height, 3 * width, QImage.Format.Format_RGB888).copy()
