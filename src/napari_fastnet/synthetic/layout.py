"""Outlines of tissue and lesions on a synthetic slide: the truth about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from skimage.draw import polygon2mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Grid

#: Values of `Layout.labels`.
GLASS, NORMAL, TUMOR = -1, 0, 1

# Nodes as shares of the slide: centre (y, x), radii (y, x).
_NODES = (
    ((0.50, 0.33), (0.41, 0.27)),
    ((0.40, 0.79), (0.28, 0.15)),
    ((0.85, 0.80), (0.09, 0.10)),
)
# Lesions: node, centre as a share of its radii (y, x), radius as a share of the slide.
_LESIONS = (
    (0, (-0.28, -0.22), 0.135),
    (0, (0.48, 0.22), 0.065),
    (0, (-0.10, 0.62), 0.030),
    (1, (0.22, -0.05), 0.085),
)


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The outlines of tissue and tumor on a slide.

    Parameters
    ----------
    shape : tuple of int
        (height, width) of level 0, px.
    nodes, lesions : tuple of ndarray
        Outlines, ``float64 (n, 2)`` corners, (y, x), level-0 px. Lesions lie inside
        nodes and apart from each other.
    """

    shape: tuple[int, int]
    nodes: tuple[NDArray[np.float64], ...]
    lesions: tuple[NDArray[np.float64], ...]

    @classmethod
    def drawn(cls, shape: tuple[int, int], rng: np.random.Generator) -> Layout:
        """Return the layout of a seed: always the same plan, differently shaken."""
        height, width = shape
        scale = np.array(shape, float)
        nodes = [
            _blob(np.array(centre) * scale, np.array(radii) * scale, 0.05, rng)
            for centre, radii in _NODES
        ]
        lesions = []
        for node, offset, radius in _LESIONS:
            centre, radii = (np.array(pair) * scale for pair in _NODES[node])
            size = np.full(2, radius * np.sqrt(height * width))
            lesions.append(_blob(centre + offset * radii, size, 0.12, rng))
        return cls(shape, tuple(nodes), tuple(lesions))

    def labels(self, grid: Grid) -> NDArray[np.int8]:
        """Return the label at the centre of each cell, ``int8 (rows, columns)``.

        -1 glass or fat, 0 normal lymph node, 1 tumor.
        """
        labels = np.full(grid.shape, GLASS, np.int8)
        for value, outlines in ((NORMAL, self.nodes), (TUMOR, self.lesions)):
            for outline in outlines:
                labels[covered(outline, grid)] = value
        return labels


def covered(outline: NDArray[np.float64], grid: Grid) -> NDArray[np.bool_]:
    """Return a mask of the cells whose centre lies inside an outline.

    The outline has (n, 2) corners, (y, x), level-0 px.
    """
    corners = (outline - grid.origin) / grid.step - 0.5
    inside: NDArray[np.bool_] = polygon2mask(grid.shape, corners)
    return inside


def _blob(
    centre: NDArray[np.float64],
    radii: NDArray[np.float64],
    roughness: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the outline of an ellipse with dents."""
    angle = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    radius = np.ones_like(angle)
    for waves in range(2, 8):
        dent = rng.normal(0, roughness / np.sqrt(waves))
        radius += dent * np.cos(waves * angle + rng.uniform(0, 2 * np.pi))
    directions = np.column_stack([np.sin(angle), np.cos(angle)])
    return centre + directions * radii * radius[:, None]
