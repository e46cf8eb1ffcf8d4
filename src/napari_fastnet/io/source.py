"""What a reader hands to `Slide`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fastnet.io.spacing import Spacing
    from napari_fastnet.io.tiles import TiledLevel


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """An open slide file as a reader hands it to `Slide`.

    Parameters
    ----------
    levels : tuple of TiledLevel
        The file's own levels, finest first.
    vendor : str
        Scanner maker or kind of file, lower case.
    spacing : Spacing
        µm/px of level 0 as the file states it.
    digest : callable
        Returns bytes that change with the contents' layout (tile tables).
    close : callable
        Closes the file; may be called twice.
    """

    levels: tuple[TiledLevel, ...]
    vendor: str
    spacing: Spacing
    digest: Callable[[], bytes]
    close: Callable[[], None]
