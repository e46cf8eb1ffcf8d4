"""Stain matching: one colour map from a slide's stain to that of a model's training data.

The statistics come from the tissue of the whole slide at low resolution, never tile by
tile: a tile of tumor and a tile of fat differ in colour because they are different.
Slide and training data are measured at the same ``STATISTICS_MPP``, because the spread
of colours grows with resolution.

Three maps, all of which leave white as it is:

- ``reinhard``: mean and spread of each axis of a decorrelated colour space [1]_. The
  original uses Ruderman's log-cone space; here it is CIELAB, which restored colours
  better on stain-shifted lymph-node patches. The map fades out towards white, which it
  would otherwise tint.
- ``macenko``: two stain vectors and the 99th percentile of their concentrations in
  optical density [2]_. Density off the plane of the two stains is kept, so a slide
  matched to itself does not change.
- ``density``: the second moments of optical density about glass (density 0), by the
  linear map of Monge and Kantorovich [3]_: Macenko's physics without separating two
  stains.

References
----------
.. [1] E. Reinhard et al., "Color transfer between images", IEEE Computer Graphics and
   Applications 21(5), 2001, doi 10.1109/38.946629.
.. [2] M. Macenko et al., "A method for normalizing histology slides for quantitative
   analysis", ISBI 2009, doi 10.1109/ISBI.2009.5193250.
.. [3] F. Pitié and A. Kokaram, "The linear Monge-Kantorovitch linear colour mapping
   for example-based colour transfer", CVMP 2007, doi 10.1049/cp:20070055.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from napari_fastnet.core import colour
from napari_fastnet.core.options import StainMethod
from napari_fastnet.errors import OptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.core.arrays import Bytes, Floats


#: µm/px at which colour statistics are taken, of slides and of training data alike.
STATISTICS_MPP = 8.0

#: Fewer tissue pixels than this (0.03 mm² at 8 µm/px) say too little about a stain.
MINIMUM_PIXELS = 500

# Mean optical density below which a pixel is glass, as in Macenko et al.
_GLASS_DENSITY = 0.15

# More pixels than this do not make the statistics better.
_ENOUGH_PIXELS = 200_000

# The table has 64 bins a channel of 4 grey values each.
_TABLE_BITS = 6
_BIN_SHIFT = 8 - _TABLE_BITS
_BINS = 1 << _TABLE_BITS

#: Names of the rows, three numbers each, that a method measures. Reinhard: L, a, b.
#: Macenko: two unit vectors of optical density (R, G, B), then the 99th percentile of
#: their concentrations and a 0. Density: mean products of R, G, B densities.
ROWS = {
    "reinhard": ("mean", "deviation"),
    "macenko": ("haematoxylin", "eosin", "maximum"),
    "density": ("red", "green", "blue"),
}

# A larger factor between two stains is an error of measurement.
_LARGEST_GAIN = 3.0

# Colours that spread less than this in optical density are one colour.
_ONE_COLOUR = 0.01

# Stains closer than this (sine of 2 degrees) are one stain.
_ONE_STAIN = 0.035

# Mean optical density over which Reinhard's map fades in, from glass to tissue.
_FADE_IN = (0.05, 0.20)


@dataclass(frozen=True, slots=True)
class StainStatistics:
    """Statistics of the stain of a slide or of training data, for one method.

    Parameters
    ----------
    method : {"reinhard", "macenko", "density"}
        The method the numbers belong to.
    pixels : int
        Number of tissue pixels measured.
    values : tuple of tuple of float
        The numbers, row by row; `ROWS` names the rows of a method.

    Raises
    ------
    OptionError
        There is no such method, or the numbers do not fit it.
    """

    method: StainMethod
    pixels: int
    values: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        if self.method not in ROWS:
            raise OptionError(
                f"stain method is {self.method!r}; statistics exist for "
                f"{', '.join(ROWS)}"
            )
        rows = len(ROWS[self.method])
        shaped = len(self.values) == rows and all(len(row) == 3 for row in self.values)
        if not shaped or not np.isfinite(self.values).all():
            raise OptionError(
                f"{self.method} statistics are {self.values}; give {rows} rows of "
                "3 finite numbers"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the statistics as plain JSON, each row under its name."""
        names = ROWS[self.method]
        rows = {name: list(row) for name, row in zip(names, self.values, strict=True)}
        return {"method": self.method, "pixels": self.pixels, **rows}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> StainStatistics:
        """Read statistics from plain JSON.

        Parameters
        ----------
        content : dict
            From ``to_dict``.

        Returns
        -------
        StainStatistics
            The same numbers.

        Raises
        ------
        OptionError
            A part is missing or no number.
        """
        names = ROWS.get(str(content.get("method")), ())
        missing = [key for key in ("method", "pixels", *names) if key not in content]
        if missing:
            raise OptionError(
                f"stain statistics lack {', '.join(missing)}; write them with to_dict"
            )
        try:
            values = tuple(tuple(float(v) for v in content[name]) for name in names)
            pixels = int(content["pixels"])
        except (TypeError, ValueError, OverflowError) as cause:
            raise OptionError(
                f"stain statistics {content} hold something other than numbers"
            ) from cause
        return cls(content["method"], pixels, values)


def estimate(pixels: Bytes, method: StainMethod) -> StainStatistics | None:
    """Measure the stain of tissue pixels.

    Parameters
    ----------
    pixels : (n, 3) uint8 ndarray
        RGB of the tissue at ``STATISTICS_MPP``. Glass among them (mean optical
        density below 0.15) is left out.
    method : {"none", "reinhard", "macenko", "density"}
        The method of matching.

    Returns
    -------
    StainStatistics or None
        None where the stain cannot be measured: method "none", fewer than
        ``MINIMUM_PIXELS`` of tissue, all of one colour, or, for Macenko, no two
        stains. A match without statistics changes nothing.

    Raises
    ------
    OptionError
        There is no such method.
    """
    _check_method(method)
    if method == "none":
        return None
    tissue = pixels.reshape(-1, 3)
    tissue = tissue[:: max(1, len(tissue) // _ENOUGH_PIXELS)]
    density = colour.rgb_to_density(tissue)
    stained = density.mean(axis=1) >= _GLASS_DENSITY
    if np.count_nonzero(stained) < MINIMUM_PIXELS:
        return None
    values = _measure(tissue[stained], density[stained], method)
    if values is None:
        return None
    rows = tuple(tuple(float(value) for value in row) for row in values)
    return StainStatistics(method, int(np.count_nonzero(stained)), rows)


@dataclass(frozen=True)
class StainMatch:
    """A colour map from a slide's stain to a model's.

    Parameters
    ----------
    method : {"none", "reinhard", "macenko", "density"}
        "none" changes nothing.
    source : StainStatistics or None
        The slide's; None (its stain cannot be measured) changes nothing.
    target : StainStatistics or None
        The model's; needed unless the method is "none".

    Raises
    ------
    OptionError
        There is no such method, the target is missing, or statistics belong to
        another method.
    """

    method: StainMethod
    source: StainStatistics | None = None
    target: StainStatistics | None = None

    def __post_init__(self) -> None:
        _check_method(self.method)
        if self.method == "none":
            return
        if self.target is None:
            raise OptionError(
                f"the model has no {self.method} colour statistics to match to; use "
                "stain none or another model"
            )
        for name, statistics in (("source", self.source), ("target", self.target)):
            if statistics is not None and statistics.method != self.method:
                raise OptionError(
                    f"the {name} statistics are {statistics.method}'s and the stain "
                    f"method is {self.method}; measure them with the same method"
                )

    @property
    def is_identity(self) -> bool:
        """Whether `apply` changes nothing: no method, or a slide of unknown stain."""
        return self.method == "none" or self.source is None

    def apply(self, image: Bytes) -> Bytes:
        """Return an image in the target's stain.

        Parameters
        ----------
        image : (..., 3) uint8 ndarray
            RGB, glass included.

        Returns
        -------
        (..., 3) uint8 ndarray
            The same array where nothing changes, else a new one.

        Notes
        -----
        A table built once holds the change at the middle of 64³ bins of colour; it is
        added to each pixel of the bin. That takes some 20 ms for 1536 x 1536 px and is
        within about 1 grey value of the exact map.
        """
        if self.is_identity:
            return image
        # Narrow integers keep the three lookups in the processor's cache.
        bins = (image[..., 0] >> _BIN_SHIFT).astype(np.int32)
        for channel in (1, 2):
            bins <<= _TABLE_BITS
            bins |= image[..., channel] >> _BIN_SHIFT
        matched = self._changes.take(bins, axis=0)
        matched += image
        np.clip(matched, 0, 255, out=matched)
        return matched.astype(np.uint8)

    def apply_exactly(self, colours: NDArray[np.floating]) -> Floats:
        """Map colours without the table.

        Parameters
        ----------
        colours : (n, 3) ndarray
            RGB, 0..255.

        Returns
        -------
        (n, 3) float64 ndarray
            RGB, unrounded.
        """
        if self.source is None or self.target is None:
            return np.asarray(colours, dtype=np.float64)
        return _transform(
            np.asarray(colours, dtype=np.float64),
            np.array(self.source.values),
            np.array(self.target.values),
            self.method,
        )

    @cached_property
    def _changes(self) -> NDArray[np.int16]:
        """Changes of the colours of each bin, (64³, 3)."""
        middles = (np.arange(_BINS) + 0.5) * (1 << _BIN_SHIFT) - 0.5
        colours = np.stack(np.meshgrid(middles, middles, middles, indexing="ij"), -1)
        colours = colours.reshape(-1, 3)
        changes: NDArray[np.int16] = np.rint(
            self.apply_exactly(colours) - colours
        ).astype(np.int16)
        return changes

    def to_dict(self) -> dict[str, Any]:
        """Return method, source and target as plain JSON for the run's record."""
        return {
            "method": self.method,
            "source": self.source.to_dict() if self.source else None,
            "target": self.target.to_dict() if self.target else None,
        }


def _check_method(method: str) -> None:
    """Raise OptionError where there is no such method."""
    if method not in get_args(StainMethod):
        raise OptionError(
            f"stain is {method!r}; use one of {', '.join(get_args(StainMethod))}"
        )


def _measure(pixels: Bytes, density: Floats, method: str) -> Floats | None:
    """Return the `ROWS` of a method for tissue pixels; None where impossible."""
    if density.std(axis=0).max() < _ONE_COLOUR:
        return None
    if method == "reinhard":
        lab = colour.rgb_to_lab(pixels)
        return np.stack([lab.mean(axis=0), lab.std(axis=0)])
    if method == "density":
        return density.T @ density / len(density)
    if method == "macenko":
        return _measure_macenko(density)
    raise ValueError(f"no statistics are defined for method {method!r}")


def _transform(colours: Floats, source: Floats, target: Floats, method: str) -> Floats:
    """Return (n, 3) colours 0..255 mapped from one stain to another, unrounded."""
    if method == "reinhard":
        return _transform_reinhard(colours, source, target)
    density = colour.rgb_to_density(colours)
    if method == "density":
        return colour.density_to_rgb(density @ _density_map(source, target))
    if method == "macenko":
        return colour.density_to_rgb(density @ _macenko_map(source, target))
    raise ValueError(f"no map is defined for method {method!r}")


def _transform_reinhard(colours: Floats, source: Floats, target: Floats) -> Floats:
    """Return colours with the target's mean and deviation in CIELAB."""
    (source_mean, source_spread), (target_mean, target_spread) = source, target
    gain = _limited(target_spread / np.maximum(source_spread, 1e-6))
    matched = colour.lab_to_rgb(
        (colour.rgb_to_lab(colours) - source_mean) * gain + target_mean
    )
    start, end = _FADE_IN
    density = colour.rgb_to_density(colours).mean(axis=-1, keepdims=True)
    stained = np.clip((density - start) / (end - start), 0, 1)
    faded: Floats = stained * matched + (1 - stained) * colours
    return faded


def _measure_macenko(density: Floats) -> Floats | None:
    """Return two stain vectors and their strongest concentrations (Macenko 2009)."""
    _, axes = np.linalg.eigh(np.cov(density.T))
    plane = axes[:, :0:-1]  # the two directions of largest spread, largest first
    # Densities are positive, so the first direction is made to point that way.
    plane = plane * np.where(plane.sum(axis=0) < 0, -1.0, 1.0)
    across, up = (density @ plane).T[::-1]
    angles = np.percentile(np.arctan2(across, up), [1, 99])
    ends = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ plane.T
    ends /= np.linalg.norm(ends, axis=1, keepdims=True)
    if np.linalg.norm(np.cross(ends[0], ends[1])) < _ONE_STAIN:
        return None
    # Eosin takes away green light above all.
    stains = ends[np.argsort(ends[:, 1])]
    maximum = np.percentile(density @ np.linalg.inv(_with_normal(stains)), 99, axis=0)
    if maximum[:2].min() <= 0:
        return None
    return np.vstack([stains, [maximum[0], maximum[1], 0.0]])


def _macenko_map(source: Floats, target: Floats) -> Floats:
    """Return the 3 x 3 map of row vectors of optical density, stain for stain."""
    stains, maximum = source[:2], source[2, :2]
    straight = np.sum(stains * target[:2])
    crossed = np.sum(stains[::-1] * target[:2])
    if crossed > straight:  # named the wrong way round: pair the similar ones
        stains, maximum = stains[::-1], maximum[::-1]
    gain = np.append(_limited(target[2, :2] / maximum), 1.0)
    mixed = np.linalg.inv(_with_normal(stains)) @ np.diag(gain)
    return mixed @ _with_normal(target[:2])


def _with_normal(stains: Floats) -> Floats:
    """Return two stain vectors and the unit vector off their plane, as rows."""
    normal = np.cross(stains[0], stains[1])
    return np.vstack([stains, normal / np.linalg.norm(normal)])


def _density_map(source: Floats, target: Floats) -> Floats:
    """Return the symmetric 3 x 3 map that turns one second moment into another.

    Of all linear maps that do so it moves the colours least (Pitié and Kokaram).
    """
    # A hundredth of a density limits the gain along a direction without stain.
    floor = _ONE_COLOUR**2 * np.eye(3)
    root = _symmetric_power(source + floor, 0.5)
    back = _symmetric_power(source + floor, -0.5)
    linear = back @ _symmetric_power(root @ (target + floor) @ root, 0.5) @ back
    gains, axes = np.linalg.eigh((linear + linear.T) / 2)
    limited: Floats = axes @ np.diag(_limited(gains)) @ axes.T
    return limited


def _symmetric_power(matrix: Floats, exponent: float) -> Floats:
    """Return a power of a symmetric matrix without negative eigenvalues."""
    values, axes = np.linalg.eigh((matrix + matrix.T) / 2)
    power: Floats = axes @ np.diag(np.maximum(values, 1e-12) ** exponent) @ axes.T
    return power


def _limited(gain: Floats) -> Floats:
    """Return gains held between a third and three."""
    return np.clip(gain, 1 / _LARGEST_GAIN, _LARGEST_GAIN)
