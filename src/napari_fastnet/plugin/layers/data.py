"""Layer data of slides and results: the one place that converts px into µm.

World coordinates are µm from the top left corner of the slide. napari puts the
*centre* of an array's first element at ``translate``. Every image here is therefore
moved by half of its own px, so that slide, masks and heatmap begin at the same corner.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_fastnet.core.appearance.flags import Flag
from napari_fastnet.core.colour import HEATMAP_COLOURS
from napari_fastnet.core.geometry import Grid, Pair
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.core.lesions.regions import Region
from napari_fastnet.core.options import DEFAULT_COLOURS, ColoursName
from napari_fastnet.plugin.layers.info import SLIDE_KEY, MaskKind, ResultInfo, SlideInfo
from napari_fastnet.plugin.layers.regions import region_features
from napari_fastnet.slide.slide import Slide

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_fastnet.core.metrics.truth import TruthMask
    from napari_fastnet.results.record import RunRecord


LayerData = tuple[Any, dict[str, Any], str]

UM = ("micrometer", "micrometer")
PX = ("pixel", "pixel")

MASK_NAMES: dict[str, str] = {
    "rgb": "tissue: RGB",
    "hsv": "tissue: HSV",
    "threshold": "tissue: threshold",
    "roi": "tissue ROI",
}
HEATMAP_NAME = "tumor probability"
REGIONS_NAME = "tumor regions"
MARKERS_NAME = "lesion markers"
MARK_NAMES = {"current": "current lesion", "measures": "measures"}

#: Blues and greys, which neither stained slides nor the heatmap's colours have.
MASK_COLOURS = {
    "rgb": "#00a5e0",
    "hsv": "#7a5cff",
    "threshold": "#5f6b7a",
    "roi": "#0047ff",
}
#: The three masks are fainter: on a stained slide their outlines follow every nucleus.
MASK_OPACITY = {"rgb": 0.35, "hsv": 0.35, "threshold": 0.35, "roi": 0.7}
#: Width of a mask's outline, px of the mask: for `Labels.contour`, not a keyword.
MASK_CONTOUR_PX = 2
#: Colours of markers by what was decided about a lesion, and those of outlines.
VERDICT_COLOURS = {
    "undecided": "#ffffff",
    "tumor": "#e0423a",
    "not tumor": "#2fa35b",
    "unsure": "#d99a00",
}
REGION_COLOUR = "#202020"
OUTLINE_COLOURS = VERDICT_COLOURS | {"undecided": REGION_COLOUR}
#: Width of outlines until a viewer's zoom is known (`plugin.layers.screen_width`).
REGION_EDGE_UM = 8.0
#: Opacity of a new heatmap's layer.
HEATMAP_OPACITY = 0.6
#: Opacity of the heatmap's colours, times that of its layer: of normal tissue, which is to
#: be seen through them, at the threshold, and of a certain tumor.
FAINT, AT_THRESHOLD, CERTAIN = 0.25, 0.5, 1.0
#: From clear to the colour of the threshold, in probability.
EDGE = 1e-3


def to_um(points_px: Any, mpp: Pair) -> NDArray[np.float64]:
    """Convert (..., 2) points, (y, x) in level-0 px, to world coordinates, µm."""
    points: NDArray[np.float64] = np.multiply(points_px, mpp, dtype=np.float64)
    return points


def to_px(points_um: Any, mpp: Pair) -> NDArray[np.float64]:
    """Convert (..., 2) world coordinates, µm, to (y, x) in level-0 px."""
    points: NDArray[np.float64] = np.divide(points_um, mpp, dtype=np.float64)
    return points


def rgba(colours: Sequence[str]) -> NDArray[np.float64]:
    """Return colours such as ``#ff0000`` as (n, 4) numbers in 0..1."""
    channels = [[int(c[at : at + 2], 16) for at in (1, 3, 5)] + [255] for c in colours]
    return np.reshape(channels, (-1, 4)) / 255


def slide_layer_data(slide: Slide) -> LayerData:
    """Return a slide as a multiscale image; no pixels are read.

    Parameters
    ----------
    slide : Slide
        Open; must stay open as long as the layer exists.

    Returns
    -------
    tuple
        Lazy levels, keywords, "image". In µm, or in px where the µm/px is unknown or
        absurd.
    """
    keywords = {
        "name": slide.path.stem,
        "rgb": True,
        "multiscale": True,
        "contrast_limits": (0, 255),
        # dask's cache would keep every view, up to a quarter of the memory, without any
        # hit; the slide has a cache of its latest tiles
        "cache": False,
        **_slide_placement(slide),
    }
    return slide.pyramid(), keywords, "image"


def place_slide_layer(layer: Image, slide: Slide) -> None:
    """Change the µm/px of a slide's layer to those of the same slide opened with them.

    Parameters
    ----------
    layer : Image
        Made from `slide_layer_data`; it still reads from its first slide.
    slide : Slide
        The same file, from `Slide.with_mpp`.
    """
    for name, value in _slide_placement(slide).items():
        setattr(layer, name, value)


def mask_layer_data(
    kind: MaskKind,
    mask: NDArray[Any],
    mpp: Pair,
    slide_name: str,
    *,
    fingerprint: str = "",
    record: RunRecord | None = None,
) -> LayerData:
    """Return a tissue mask as a single-scale, paintable Labels layer.

    Parameters
    ----------
    kind : {"rgb", "hsv", "threshold", "roi"}
        The mask, which determines name and colour.
    mask : (height, width) ndarray
        bool or integer; copied. Its top left corner is that of the slide.
    mpp : tuple of float
        (y, x) µm per px of the mask.
    slide_name, fingerprint : str
        As in `ResultInfo`.
    record : RunRecord, optional
        The run record.

    Returns
    -------
    tuple
        Labels 0 and 1 (uint8), keywords, "labels".
    """
    from napari.utils.colormaps import DirectLabelColormap

    clear = "transparent"
    # any label other than 0 is mask
    colours = {None: MASK_COLOURS[kind], 0: clear, 1: MASK_COLOURS[kind]}
    info = ResultInfo(kind, slide_name, fingerprint, mpp, record=record)
    keywords = {
        "name": MASK_NAMES[kind],
        "colormap": DirectLabelColormap(color_dict=colours),
        "opacity": MASK_OPACITY[kind],
        **placement((0.0, 0.0), mpp, UM),
        "metadata": {SLIDE_KEY: info},
    }
    return (np.asarray(mask) != 0).astype(np.uint8), keywords, "labels"


def heatmap_layer_data(
    heatmap: Heatmap,
    slide_name: str,
    opacity: float = HEATMAP_OPACITY,
    *,
    fingerprint: str = "",
    record: RunRecord | None = None,
    colours: ColoursName = DEFAULT_COLOURS,
    folder: Path | None = None,
) -> LayerData:
    """Return a heatmap as a coloured image, clear where nothing was computed.

    Parameters
    ----------
    heatmap : Heatmap
        Its array is shown, not copied: write into it and call ``layer.refresh()``.
        Without any cell, a single NaN is shown.
    slide_name : str
        Of the slide's file, without suffix.
    opacity : float
        0..1.
    fingerprint : str
        Of the slide's contents.
    record : RunRecord, optional
        The run record; the middle of the colours is at its threshold.
    colours : {"red-green", "blue-orange"}
        From normal to tumor.
    folder : Path, optional
        Of the saved run.

    Returns
    -------
    tuple
        Probabilities (rows, columns), keywords, "image".
    """
    values = heatmap.probabilities
    if values.size == 0:
        values = np.full((1, 1), np.nan, np.float32)
    corner_um = to_um(heatmap.grid.origin, heatmap.mpp)
    info = ResultInfo(
        "heatmap", slide_name, fingerprint, heatmap.mpp, heatmap.grid, record, folder
    )
    threshold = None if record is None else record.threshold
    keywords = {
        "name": HEATMAP_NAME,
        "colormap": heatmap_colormap(0.5 if threshold is None else threshold, colours),
        "contrast_limits": (0.0, 1.0),
        "interpolation2d": "nearest",
        "opacity": opacity,
        **placement(corner_um, heatmap.cell_um, UM),
        "metadata": {SLIDE_KEY: info},
    }
    return values, keywords, "image"


def heatmap_colormap(
    threshold: float = 0.5,
    colours: ColoursName = DEFAULT_COLOURS,
    *,
    suspicious_only: bool = False,
) -> Any:
    """Return the colours of a heatmap as a napari Colormap; NaN is clear.

    The colours of normal tissue are faint, those of tumor the less clear the surer it is.

    Parameters
    ----------
    threshold : float
        0..1; the middle of the colours. Values from there on have tumor colours.
    colours : {"red-green", "blue-orange"}
        From normal to tumor.
    suspicious_only : bool
        Leave values below the threshold clear.
    """
    from napari.utils.colormaps import Colormap

    middle = min(max(threshold, 0.01), 0.99)
    at, *channels = np.transpose(HEATMAP_COLOURS[colours])
    at = np.interp(at, (0, 0.5, 1), (0, middle, 1))
    controls = np.sort([*at, middle - EDGE])
    below = 0.0 if suspicious_only else FAINT
    edges = (0, middle - EDGE, middle, 1)
    alpha = np.interp(controls, edges, (below, below, AT_THRESHOLD, CERTAIN))
    mixed = [np.interp(controls, at, channel) / 255 for channel in channels]
    return Colormap(
        colors=np.transpose([*mixed, alpha]),
        controls=controls,
        nan_color=(0.0, 0.0, 0.0, 0.0),
        name="normal to tumor",
        display_name="normal to tumor",
    )


def regions_layer_data(
    regions: Sequence[Region],
    mpp: Pair,
    slide_name: str,
    *,
    fingerprint: str = "",
    record: RunRecord | None = None,
    statuses: Sequence[str] = (),
) -> LayerData:
    """Return regions as outlines, a closed path for each ring.

    Paths instead of polygons: napari triangulates polygons even without a visible face,
    which takes 20 s for a large slide; paths take 0.1 s.

    Parameters
    ----------
    regions : sequence of Region
        May be empty.
    mpp : tuple of float
        (y, x) µm per level-0 px.
    slide_name, fingerprint : str
        As in `ResultInfo`.
    record : RunRecord, optional
        The run record.
    statuses : sequence of str, optional
        What was decided about each region; a key of `VERDICT_COLOURS`. Undecided ones
        are dark.

    Returns
    -------
    tuple
        Rings (n, 2) in µm, keywords, "shapes". The features of a ring are its region,
        its part, whether it is a hole, and the region's measures.
    """
    rings = [r for region in regions for part in region.polygons for r in part]
    said, features = _per_ring(regions, statuses), region_features(regions)
    if said:
        features["status"] = np.array(said, np.str_)
    info = ResultInfo("regions", slide_name, fingerprint, mpp, record=record)
    keywords = {
        "name": REGIONS_NAME,
        "ndim": 2,
        "shape_type": "path",
        "edge_color": [OUTLINE_COLOURS[each] for each in said] or REGION_COLOUR,
        "face_color": "transparent",
        "edge_width": REGION_EDGE_UM,
        "opacity": 1.0,
        "features": features,
        "scale": (1.0, 1.0),
        "units": UM,
        "metadata": {SLIDE_KEY: info},
    }
    closed = [np.concatenate((ring, ring[:1])) for ring in rings]
    return [to_um(ring, mpp) for ring in closed], keywords, "shapes"


def _per_ring(regions: Sequence[Region], statuses: Sequence[str]) -> list[str]:
    """Return the status of each ring; empty if nothing is said about the regions."""
    return [
        status
        for region, status in zip(regions, statuses, strict=bool(statuses))
        for part in region.polygons
        for _ in part
    ]


def _slide_placement(slide: Slide) -> dict[str, Any]:
    """Return units, scale, translate and metadata of a slide's layer."""
    info = SlideInfo.of(slide)
    units = PX if info.mpp is None else UM
    placed = placement((0.0, 0.0), info.mpp or (1.0, 1.0), units)
    return {**placed, "metadata": {SLIDE_KEY: info}}


def placement(corner: Any, size: Pair, units: tuple[str, str]) -> dict[str, Any]:
    """Return units, scale and translate of an image.

    ``corner`` of the first px and ``size`` of a px are in the given units.
    """
    scale = tuple(float(side) for side in size)
    centre = tuple(float(at) + side / 2 for at, side in zip(corner, scale, strict=True))
    return {"scale": scale, "translate": centre, "units": units}


QUALITY_NAME = "quality flags"
#: Colours that stains, heatmap and masks do not have; several flags are white.
FLAG_COLOURS = {Flag.COLOUR: "#ff00ff", Flag.PEN: "#00ffd0", Flag.BLUR: "#ffb000"}
SEVERAL = "#ffffff"


def quality_layer_data(
    flags: NDArray[np.uint8],
    grid: Grid,
    mpp: Pair,
    slide_name: str,
    *,
    fingerprint: str = "",
    record: RunRecord | None = None,
) -> LayerData:
    """Return flags as a single-scale Labels layer, hidden where nothing is flagged.

    Parameters
    ----------
    flags : (rows, columns) uint8 ndarray
        Bits of `core.appearance.flags.Flag`, which are the labels. Without cells, a single 0 is
        shown.
    grid : Grid
        Of the heatmap.
    mpp : tuple of float
        (y, x) µm per level-0 px.
    slide_name, fingerprint : str
        As in `ResultInfo`.
    record : RunRecord, optional
        The run record.

    Returns
    -------
    tuple
        Labels (uint8), keywords, "labels".
    """
    from napari.utils.colormaps import DirectLabelColormap

    colours = {None: "transparent", 0: "transparent"}
    colours |= {value: FLAG_COLOURS.get(Flag(value), SEVERAL) for value in range(1, 8)}
    info = ResultInfo("quality", slide_name, fingerprint, mpp, grid, record)
    size = (grid.step[0] * mpp[0], grid.step[1] * mpp[1])
    keywords = {
        "name": QUALITY_NAME,
        "colormap": DirectLabelColormap(color_dict=colours),
        "opacity": 0.5,
        "visible": bool(flags.any()),
        **placement(to_um(grid.origin, mpp), size, UM),
        "metadata": {SLIDE_KEY: info},
    }
    shown = flags.copy() if flags.size else np.zeros((1, 1), np.uint8)
    return shown, keywords, "labels"


#: Colour of the truth: distinct from heatmap and stains, also for colour-blind users.
COLOUR = (0.0, 0.35, 1.0)
OPACITY = 0.4


def truth_layer_data(truth: TruthMask, mpp: Pair) -> LayerData:
    """Return a truth as an image layer, clear outside the tumor.

    Parameters
    ----------
    truth : TruthMask
        A part of the slide.
    mpp : tuple of float
        (y, x) µm per level-0 px.

    Returns
    -------
    tuple
        uint8 of 0 and 1, keywords, "image".
    """
    from napari.utils.colormaps import Colormap

    values = truth.inside.astype(np.uint8)
    if not values.size:
        values = np.zeros((1, 1), np.uint8)
    size = (truth.step[0] * mpp[0], truth.step[1] * mpp[1])
    keywords: dict[str, Any] = {
        "name": "truth",
        "colormap": Colormap([(*COLOUR, 0.0), (*COLOUR, 1.0)], name="truth"),
        "contrast_limits": (0, 1),
        "opacity": OPACITY,
        "blending": "translucent",
        "interpolation2d": "nearest",
        **placement(np.multiply(truth.first, size), size, UM),
        "metadata": {},
    }
    return values, keywords, "image"
