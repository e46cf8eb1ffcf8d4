"""Textures that resemble H&E-stained lymph node, fat, stroma and tumor.

Each is a square that joins itself on all sides, ``uint8 (TEXTURE_PX, TEXTURE_PX, 3)``
at ``TEXTURE_MPP``. They are drawn, not taken from tissue: sizes, spacing and colours
of the nuclei are those of real patches, the rest is noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import irfft2, rfft2
from scipy.ndimage import gaussian_filter, map_coordinates

if TYPE_CHECKING:
    from napari_fastnet.slide.tiles import Pixels

#: µm/px of the textures: half a px of the 10x level that is read.
TEXTURE_MPP = 0.486

#: Side of a texture, px.
TEXTURE_PX = 768

Colour = tuple[int, int, int]
Canvas = NDArray[np.float32]

GLASS: Colour = (244, 243, 245)
HALO: Colour = (242, 232, 240)


@dataclass(frozen=True, slots=True)
class Nuclei:
    """The appearance of one kind of nucleus; lengths in µm.

    Parameters
    ----------
    spacing_um : float
        Mean distance of neighbours.
    radius_um : (float, float)
        Smallest and largest.
    colour, rim : Colour
        Of the chromatin and of the membrane.
    elongation : float
        Largest ratio of length to width.
    irregularity : float
        Dents, relative to the radius.
    clumps : float
        Contrast of the chromatin, 0..1.
    nucleoli : int
        Most dark spots inside.
    kept : float
        Share of the places that hold a nucleus.
    halo : float
        How much the surroundings pale next to it, 0..1.
    """

    spacing_um: float
    radius_um: tuple[float, float]
    colour: Colour
    rim: Colour
    elongation: float = 1.15
    irregularity: float = 0.05
    clumps: float = 0.25
    nucleoli: int = 0
    kept: float = 0.95
    halo: float = 0.0


LYMPHOCYTES = Nuclei(8.0, (2.9, 3.7), (74, 50, 84), (40, 27, 54), clumps=0.4, halo=0.5)
SPARSE_LYMPHOCYTES = Nuclei(
    9.2, (2.8, 3.8), (80, 54, 88), (42, 28, 56), clumps=0.4, kept=0.85, halo=0.5
)
FIBROBLASTS = Nuclei(
    26, (2.2, 3.0), (104, 72, 118), (72, 48, 88), elongation=6, kept=0.6
)
TUMOR_NUCLEI = Nuclei(
    15.0,
    (4.4, 6.4),
    (172, 126, 172),
    (98, 60, 116),
    elongation=1.6,
    irregularity=0.08,
    clumps=0.35,
    nucleoli=2,
    kept=0.94,
)


def lymphoid(rng: np.random.Generator, *, sparse: bool = False) -> Pixels:
    """Return densely packed lymphocytes or, ``sparse``, the paler pulp between them."""
    pink = (218, 158, 184) if sparse else (206, 156, 188)
    canvas = _between((244, 234, 240), pink, _noise(rng, 3.5) * 0.6 + 0.6)
    _darken(canvas, _noise(rng, 1.2), 0.06)
    _place(canvas, SPARSE_LYMPHOCYTES if sparse else LYMPHOCYTES, rng)
    return _finish(canvas)


def stroma(rng: np.random.Generator) -> Pixels:
    """Return wavy pink fibres with a few thin nuclei."""
    canvas = _fibres(rng, (246, 234, 240), (226, 160, 188))
    _darken(canvas, _noise(rng, 1.2), 0.03)
    _place(canvas, FIBROBLASTS, rng, direction=0.0)
    return _finish(canvas)


def tumor(rng: np.random.Generator) -> Pixels:
    """Return nests of large pale nuclei in pink cytoplasm, parted by pale stroma."""
    cytoplasm = _between((234, 194, 210), (206, 140, 174), _noise(rng, 9) * 0.6 + 0.5)
    _darken(cytoplasm, _noise(rng, 1.5), 0.06)
    septa = np.abs(_noise(rng, 42)) < 0.12
    gaps = (np.abs(_noise(rng, 16)) < 0.05) & ~septa
    band = gaussian_filter(septa.astype(np.float32), 3, mode="wrap")[..., None]
    canvas = (
        cytoplasm * (1 - band) + _fibres(rng, (248, 236, 241), (232, 172, 196)) * band
    )
    gap = gaussian_filter(gaps.astype(np.float32), 1.2, mode="wrap")[..., None]
    canvas += gap * (np.float32(244) - canvas)
    _place(canvas, TUMOR_NUCLEI, rng, allowed=~septa)
    return _finish(canvas)


def fat(rng: np.random.Generator) -> Pixels:
    """Return empty fat cells with thin pink walls."""
    from scipy.spatial import cKDTree

    half = TEXTURE_PX // 2  # distances at half the size, which is fine enough
    centres = _places(rng, 62 / TEXTURE_MPP / 2, half, jitter=0.3)
    rows, columns = np.mgrid[:half, :half]
    points = np.column_stack([rows.ravel(), columns.ravel()]).astype(np.float32)
    near, next_near = cKDTree(centres % half, boxsize=half).query(points, k=2)[0].T
    wall = np.clip(1.6 - (next_near - near) / 1.2, 0, 1).reshape(half, half)
    wall = np.repeat(np.repeat(wall, 2, axis=0), 2, axis=1).astype(np.float32)
    wall = gaussian_filter(wall, 0.8, mode="wrap")
    canvas = _between((243, 242, 244), (206, 150, 184), wall)
    return _finish(canvas)


#: Most sample patches of either tissue, and their px together; at least one is drawn.
SAMPLES, _SAMPLES_PX = 6, 2**21


@dataclass(frozen=True, slots=True, eq=False)
class SamplePatches:
    """Glass, normal lymphoid tissue and metastases, each uint8 (n, side, side, 3)."""

    white: Pixels
    normal: Pixels
    tumor: Pixels


def sample_patches(side_px: int, mpp: float) -> SamplePatches:
    """Draw one patch of glass and up to `SAMPLES` of either tissue, always the same.

    On them a model is tried before it is added: one that was trained on lymph nodes tells
    normal from tumor, any other shows at least that it responds. At a coarse µm/px the
    drawn tissue repeats.
    """
    rng = np.random.default_rng(0)
    side = max(1, round(TEXTURE_PX * TEXTURE_MPP / mpp))
    count = max(1, min(SAMPLES, _SAMPLES_PX // side_px**2))

    def cut(texture: Pixels) -> Pixels:
        image = Image.fromarray(texture).resize((side, side), Image.Resampling.BICUBIC)
        corners = rng.integers(side, size=(count, 2))[..., np.newaxis]
        return np.stack(
            [
                np.asarray(image)
                .take(rows, 0, mode="wrap")
                .take(columns, 1, mode="wrap")
                for rows, columns in corners + np.arange(side_px)
            ]
        )

    white = np.full((1, side_px, side_px, 3), 255, np.uint8)
    return SamplePatches(white, *map(cut, (lymphoid(rng), tumor(rng))))


def _noise(rng: np.random.Generator, sigma_px: float, ratio: float = 1.0) -> Canvas:
    """Return smooth noise of mean 0 and deviation 1, ``ratio`` times longer along x."""
    side = TEXTURE_PX
    white = rfft2(rng.standard_normal((side, side), dtype=np.float32))
    y, x = np.fft.fftfreq(side)[:, None] * sigma_px, np.fft.rfftfreq(side) * sigma_px
    kept = np.exp(-2 * np.pi**2 * (y**2 + (ratio * x) ** 2)).astype(np.float32)
    smooth: Canvas = irfft2(white * kept, s=(side, side))
    smooth /= smooth.std()
    return smooth


def _between(light: Colour, dark: Colour, amount: Canvas) -> Canvas:
    """Return the colour between two, by an amount that is clipped to 0..1."""
    share = np.clip(amount, 0, 1)[..., None]
    first, last = np.array(light, np.float32), np.array(dark, np.float32)
    mixed: Canvas = first + (last - first) * share
    return mixed


def _darken(canvas: Canvas, noise: Canvas, contrast: float) -> None:
    """Make a canvas grainy."""
    canvas *= 1 - contrast * np.clip(noise, -2, 2)[..., None]


def _fibres(rng: np.random.Generator, light: Colour, dark: Colour) -> Canvas:
    """Return fibres along x that wave gently."""
    straight = _noise(rng, 1.0, 14) * 0.35 + _noise(rng, 3, 8) * 0.25 + 0.45
    rows, columns = np.mgrid[:TEXTURE_PX, :TEXTURE_PX].astype(np.float32)
    bend = _noise(rng, 30) * 9
    waved = map_coordinates(straight, (rows + bend, columns), order=1, mode="grid-wrap")
    return _between(light, dark, waved)


def _places(
    rng: np.random.Generator, spacing_px: float, side: int, jitter: float
) -> NDArray[np.float64]:
    """Return (n, 2) places on a shaken hexagonal grid that joins itself."""
    rows = 2 * max(1, round(side / spacing_px / np.sqrt(3)))
    columns = max(1, round(side / spacing_px))
    row, column = np.mgrid[:rows, :columns].reshape(2, -1).astype(float)
    grid = np.column_stack([row / rows, (column + row % 2 / 2) / columns]) * side
    return grid + rng.normal(0, jitter * spacing_px / 2, grid.shape)


def _place(
    canvas: Canvas,
    kind: Nuclei,
    rng: np.random.Generator,
    *,
    allowed: NDArray[np.bool_] | None = None,
    direction: float | None = None,
) -> None:
    """Draw nuclei of a kind onto a canvas, where allowed."""
    stamps = [_stamp(kind, rng, direction) for _ in range(48)]
    for y, x in _places(rng, kind.spacing_um / TEXTURE_MPP, TEXTURE_PX, 0.3):
        spot = (int(y) % TEXTURE_PX, int(x) % TEXTURE_PX)
        if rng.random() > kind.kept or (allowed is not None and not allowed[spot]):
            continue
        colour, cover = stamps[rng.integers(len(stamps))]
        reach = len(cover) // 2
        around = np.arange(-reach, reach + 1)
        where = np.ix_((spot[0] + around) % TEXTURE_PX, (spot[1] + around) % TEXTURE_PX)
        shade = np.float32(rng.normal(1, 0.07))
        canvas[where] += cover * (colour * shade - canvas[where])


def _stamp(
    kind: Nuclei, rng: np.random.Generator, direction: float | None
) -> tuple[Canvas, Canvas]:
    """Return a nucleus: colour (n, n, 3) and cover (n, n, 1) in 0..1."""
    radius = rng.uniform(*kind.radius_um) / TEXTURE_MPP
    stretch = np.sqrt(rng.uniform(1, kind.elongation))
    turn = rng.uniform(0, np.pi) if direction is None else rng.normal(direction, 0.2)
    reach = int(radius * stretch * (1 + 2 * kind.irregularity)) + 4
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    along = (x * np.cos(turn) + y * np.sin(turn)) / stretch
    across = (y * np.cos(turn) - x * np.sin(turn)) * stretch
    angle, distance = np.arctan2(across, along), np.hypot(across, along)
    edge = np.full_like(angle, radius)
    for waves in (2, 3, 5):
        dent = rng.normal(0, kind.irregularity / np.sqrt(waves))
        edge += radius * dent * np.cos(waves * angle + rng.uniform(0, 2 * np.pi))
    depth = edge - distance  # px below the membrane
    chromatin = gaussian_filter(
        rng.standard_normal(depth.shape).astype(np.float32), 1.3
    )
    dark = np.clip(1.4 - depth / 1.6, 0, 1) + kind.clumps * chromatin / chromatin.std()
    for _ in range(rng.integers(kind.nucleoli + 1)):
        spot = rng.normal(0, radius / 3, 2)
        dark += 1.3 * np.exp(-((y - spot[0]) ** 2 + (x - spot[1]) ** 2) / 3.5)
    inside = np.clip(depth + 0.5, 0, 1)[..., None]
    around = kind.halo * np.clip(1 + depth / 3, 0, 1)[..., None] * (1 - inside)
    cover = inside + around
    colour = (
        _between(kind.colour, kind.rim, dark) * inside
        + np.array(HALO, np.float32) * around
    )
    return colour / np.maximum(cover, 1e-6), cover


def _finish(canvas: Canvas) -> Pixels:
    """Return a canvas as px."""
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8)
