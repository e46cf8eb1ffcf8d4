"""Arithmetic of stain matching: the statistics of each method, and the map they give.

Everything here takes and returns plain arrays; ``stain`` checks, names and speeds up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core import colour

if TYPE_CHECKING:
    from napari_fastnet.core.arrays import Bytes, Floats

#: Names of the rows, three numbers each, that a method measures. Reinhard: L, a, b.
#: Macenko: two unit vectors of optical density (R, G, B), then the 99th percentile of
#: their concentrations and of nothing. Density: mean products of R, G, B densities.
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


def measure(pixels: Bytes, density: Floats, method: str) -> Floats | None:
    """Measure the stain of tissue pixels.

    Parameters
    ----------
    pixels : (n, 3) uint8 ndarray
        RGB.
    density : (n, 3) float64 ndarray
        Their optical density.
    method : {"reinhard", "macenko", "density"}
        The method of matching.

    Returns
    -------
    (rows, 3) float64 ndarray or None
        The `ROWS` of the method; None where they cannot be measured.
    """
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


def transform(colours: Floats, source: Floats, target: Floats, method: str) -> Floats:
    """Map colours from one stain to another.

    Parameters
    ----------
    colours : (n, 3) float64 ndarray
        RGB, 0..255.
    source, target : (rows, 3) float64 ndarray
        From `measure`, by the same method.
    method : {"reinhard", "macenko", "density"}
        The method of matching.

    Returns
    -------
    (n, 3) float64 ndarray
        RGB, unrounded.
    """
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
