"""Tiles of a foreign stain with their truth, and other stains, for the trials of this folder.

A tar with images/NNN.jpg and masks/NNN.jpg, 512 px of 0.972 µm/px; white is tumor.
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from napari_fastnet.core.colour import density_to_rgb, rgb_to_density
from napari_fastnet.core.dense import CELL_PX, DenseScan
from napari_fastnet.nn.classifier import PatchClassifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.nn.fastnet import FastNet

#: Side of a label, cells: 48 px.
LABEL_CELLS = 3
# Numbers of the tiles of two slides.
FIRST, SECOND = range(8), range(32, 40)
#: Tiles that teach, and tiles that judge.
WAYS = {
    "first to second": (FIRST, SECOND),
    "second to first": (SECOND, FIRST),
    "within the first": (FIRST[1::2], FIRST[::2]),
    "within the second": (SECOND[1::2], SECOND[::2]),
}
#: Gains of haematoxylin, eosin and the remainder, and densities added.
STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
SHIFTS = {
    "as it is": ((1.0, 1.0, 1.0), 0.0),
    "pale": ((0.65, 0.65, 0.65), 0.0),
    "dark": ((1.4, 1.4, 1.4), 0.05),
    "blue": ((1.3, 0.6, 1.0), 0.0),
    "red": ((0.7, 1.4, 1.0), 0.05),
}


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """A picture, (512, 512, 3) uint8, and where it is tumor, (512, 512) bool."""

    image: NDArray[np.uint8]
    tumor: NDArray[np.bool_]

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of each cell that is tumor, (32, 32)."""
        side = len(self.tumor) // CELL_PX
        shares = self.tumor.reshape(side, CELL_PX, side, CELL_PX).mean(axis=(1, 3))
        return np.asarray(shares)


@dataclass(frozen=True, slots=True)
class Square:
    """A label: a square of cells of one class, by tile and first cell."""

    tile: int
    row: int
    column: int
    tumor: bool


def read_tiles(path: Path) -> dict[int, Tile]:
    """Read the tiles of a tar by their numbers."""
    pictures: dict[str, NDArray[np.uint8]] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is not None:
                mode = "RGB" if member.name.startswith("images") else "L"
                picture = Image.open(BytesIO(file.read())).convert(mode)
                pictures[member.name] = np.asarray(picture)
    return {
        int(name[7:10]): Tile(image, pictures[f"masks/{name[7:]}"] > 127)
        for name, image in sorted(pictures.items())
        if name.startswith("images/")
    }


def picture_of(image: NDArray[np.uint8], scan: DenseScan) -> NDArray[np.uint8]:
    """Mirror a tile at its edges, so that a dense scan gives each of its cells."""
    before = scan.corner_px + scan.patch_px // 2 - CELL_PX // 2
    after = scan.picture_px(len(image) // CELL_PX) - before - len(image)
    return np.pad(image, ((before, after), (before, after), (0, 0)), mode="reflect")


def pixel_auc(log_odds: Iterable[NDArray[np.floating]], tiles: Sequence[Tile]) -> float:
    """Compute the AUC over all pixels of tiles; each has its cell's log odds."""
    values = np.concatenate([np.ravel(one) for one in log_odds])
    tumor = np.concatenate([tile.shares.ravel() for tile in tiles])[np.argsort(values)]
    below = np.cumsum(1 - tumor) - (1 - tumor) / 2
    return float((tumor * below).sum() / (tumor.sum() * (1 - tumor).sum()))


def tile_auc(network: FastNet, base: ModelBundle, tiles: Sequence[Tile]) -> float:
    """Compute the pixel AUC of a dense scan of tiles, in their own colours."""
    scan = DenseScan(base.patch_size_pixels, base.architecture.pool_cells)
    classifier = PatchClassifier(network, normalisation=base.normalisation)
    found = []
    with torch.inference_mode():
        for tile in tiles:
            picture = torch.from_numpy(picture_of(tile.image, scan))
            found.append(scan.pool(classifier.cell_margins(picture[None])[0].numpy()))
    return pixel_auc(found, tiles)


def squares_of(tiles: dict[int, Tile]) -> list[Square]:
    """List all squares of `LABEL_CELLS` that are of one class."""
    found = []
    for number, tile in tiles.items():
        shares, side = tile.shares, LABEL_CELLS
        for row in range(0, len(shares) - side + 1, side):
            for column in range(0, len(shares) - side + 1, side):
                here = shares[row : row + side, column : column + side]
                if here.min() >= 1 or here.max() <= 0:
                    found.append(Square(number, row, column, bool(here[0, 0])))
    return found


def draw_squares(tiles: dict[int, Tile], count: int, seed: int) -> list[Square]:
    """Draw squares, half of them tumor."""
    squares, generator = squares_of(tiles), np.random.default_rng(seed)
    drawn = []
    for tumor in (False, True):
        own = [square for square in squares if square.tumor == tumor]
        drawn += [own[i] for i in generator.permutation(len(own))[: count // 2]]
    return drawn


def restained(
    images: NDArray[np.uint8], gains: tuple[float, ...], added: float
) -> NDArray[np.uint8]:
    """Return patches with other amounts of each stain, in optical density."""
    stains = STAINS / np.linalg.norm(STAINS, axis=1, keepdims=True)
    change = np.linalg.inv(stains) @ np.diag(gains) @ stains
    density = rgb_to_density(images.reshape(-1, 3).astype(np.float64)) @ change + added
    shifted = np.rint(np.clip(density_to_rgb(density), 0, 255)).astype(np.uint8)
    return shifted.reshape(images.shape)
