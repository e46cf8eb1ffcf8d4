"""Options for outlines from files: tumor classes, and the origin of coordinates."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Literal

from napari_fastnet.core.geometry import Pair
from napari_fastnet.errors import OptionError


@dataclass(frozen=True, slots=True)
class OutlineOptions:
    """Options for the outlines of one slide or of many.

    Parameters
    ----------
    tumor_classes : tuple of str
        Class of outlines that is tumor, and no other; may be repeated. `None` is no
        class.
    bounds_offset : tuple of float or "scanned"
        Level-0 px (y, x) to add to outlines: OpenSlide's bounds-y and bounds-x.
    """

    tumor_classes: tuple[str, ...] = ()
    bounds_offset: Pair | Literal["scanned"] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if self.bounds_offset == "scanned":
            return
        if not all(map(isfinite, self.bounds_offset)):
            raise OptionError(
                f"bounds offset is {self.bounds_offset}; give two numbers of px"
            )

    def offset(self, corner: Callable[[], Pair]) -> Pair:
        """Return the offset of a slide's outlines, (y, x) level-0 px.

        Parameters
        ----------
        corner : callable
            Returns the corner of the scanned part of the slide; called only if needed.
        """
        return corner() if self.bounds_offset == "scanned" else self.bounds_offset
