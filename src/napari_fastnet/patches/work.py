"""What a worker process does of the patches: look at a slide, write a slide's patches.

Functions, what they take and what they return can be pickled. What is at fault with a
slide is returned, not raised: the other slides go on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.geometry import Box
from napari_fastnet.detection.presence import require_present
from napari_fastnet.errors import FastNetError, OutputError, TileReadError
from napari_fastnet.patches.plan import candidates_of
from napari_fastnet.patches.store import DrawnPatch
from napari_fastnet.patches.writing import stored_digest, write_slide_patches
from napari_fastnet.slide.slide import open_slide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_fastnet.patches.camelyon import CamelyonSlide
    from napari_fastnet.patches.options import PatchOptions
    from napari_fastnet.patches.plan import SlidePatches

#: Patches are read square by square of so many level-0 px: the file's tiles under one
#: are then still decoded when the next patch needs them.
_SQUARE_PX = 2048

#: Folder of what was found on slides.
CANDIDATES = "candidates"


@dataclass(frozen=True, slots=True)
class PatchWork:
    """What all slides have in common.

    Parameters
    ----------
    store : Path
        The zarr.
    log : Path
        Folder beside it: what was found on slides.
    options : PatchOptions
        What patches are cut out.
    """

    store: Path
    log: Path
    options: PatchOptions

    def cache(self, slide: str) -> Path:
        """Return where the candidates of a slide are kept."""
        return self.log / CANDIDATES / f"{slide}.npz"


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What looking at a slide gave.

    Parameters
    ----------
    slide : CamelyonSlide
        Which.
    labels : (n,) uint8 ndarray
        Of its candidates.
    fault : str
        Why there are none; empty where nothing is at fault.
    """

    slide: CamelyonSlide
    labels: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    fault: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """Which candidates of a slide are to be stored.

    Parameters
    ----------
    slide : CamelyonSlide
        Which.
    indices : (n,) intp ndarray
        Of the candidates, ascending.
    parts : (n,) uint8 ndarray
        Of each, see ``PARTS``.
    """

    slide: CamelyonSlide
    indices: NDArray[np.intp]
    parts: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a slide's patches.

    Parameters
    ----------
    slide : str
        Name.
    fault : str
        Why they are not stored; empty where nothing is at fault.
    """

    slide: str
    fault: str = ""


class _StoppedError(FastNetError):
    """The work is to end; never leaves this module."""


def look(
    slide: CamelyonSlide, should_stop: Callable[[], bool], *, work: PatchWork
) -> Look:
    """Find the candidates of a slide."""
    if should_stop():
        return Look(slide, fault="stopped")
    try:
        found = candidates_of(slide, work.options, work.cache(slide.name))
    except OutputError:  # a full disk is no fault of the slide's
        raise
    except FastNetError as error:
        return Look(slide, fault=" ".join(str(error).split()))
    return Look(slide, found.labels)


def write(draw: Draw, should_stop: Callable[[], bool], *, work: PatchWork) -> Written:
    """Read the patches of a slide and store them, unless they are stored."""
    name = draw.slide.name
    try:
        found = candidates_of(draw.slide, work.options, work.cache(name))
        digest = _digest(found, draw)
        if stored_digest(work.store, name) != digest:
            write_slide_patches(
                work.store,
                name,
                _read(draw, found, work.options, should_stop),
                side_px=work.options.patch_px,
                facts={
                    **found.facts,
                    "candidates": np.bincount(found.labels, minlength=2).tolist(),
                    "drawn": len(draw.indices),
                },
                digest=digest,
            )
    except _StoppedError:
        return Written(name, "stopped")
    except OutputError:
        raise
    except FastNetError as error:
        return Written(name, " ".join(str(error).split()))
    return Written(name)


def _digest(found: SlidePatches, draw: Draw) -> str:
    """Return what stands for the patches: where they lie, and of which slide."""
    hashed = sha256(found.facts["fingerprint"].encode())
    for values in (
        found.positions[draw.indices],
        found.weights[draw.indices],
        found.labels[draw.indices],
        draw.parts,
    ):
        hashed.update(np.ascontiguousarray(values).tobytes())
    hashed.update(repr(found.facts["spacing_um_px"]).encode())
    return hashed.hexdigest()


def _read(
    draw: Draw,
    found: SlidePatches,
    options: PatchOptions,
    should_stop: Callable[[], bool],
) -> Iterator[DrawnPatch]:
    """Yield the patches of a slide; those that cannot be decoded are left out."""
    size = found.facts["patch_level0_px"]
    spacing = tuple(found.facts["spacing_um_px"])
    with open_slide(draw.slide.path, mpp=options.slide_mpp) as slide:
        for order in _by_squares(found.positions[draw.indices]):
            if should_stop():
                raise _StoppedError
            index = draw.indices[order]
            y, x = found.positions[index].tolist()
            try:
                image = slide.read(Box.of_shape(size, (y, x)), spacing)
            except TileReadError:
                require_present(slide)
                continue
            yield DrawnPatch(
                image,
                (y, x),
                float(found.weights[index]),
                int(found.labels[index]),
                int(draw.parts[order]),
            )


def _by_squares(positions: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the order in which patches are read."""
    rows, columns = (positions // _SQUARE_PX).T
    order: NDArray[np.intp] = np.lexsort((*positions.T[::-1], columns, rows))
    return order
