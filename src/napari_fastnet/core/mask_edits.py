"""What a hand added to a computed mask and what it took away.

Kept apart from the mask, so that edits stay when the thresholds move.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.errors import MaskError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class MaskEdits:
    """Additions to a mask and removals from it; no pixel is both.

    Parameters
    ----------
    added, removed : (height, width) bool ndarray
        True where a hand put mask, or took it away.
    """

    added: NDArray[np.bool_]
    removed: NDArray[np.bool_]

    @classmethod
    def none(cls, shape: tuple[int, int]) -> MaskEdits:
        """Return no edits of a mask of a (height, width)."""
        return cls(np.zeros(shape, bool), np.zeros(shape, bool))

    @property
    def count(self) -> int:
        """Pixels that were added or removed by hand."""
        return int(self.added.sum()) + int(self.removed.sum())

    def apply(self, computed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return a computed mask with the edits on top; a new array."""
        mask: NDArray[np.bool_] = (computed | self.added) & ~self.removed
        return mask

    def resized(self, shape: tuple[int, int]) -> MaskEdits:
        """Return the edits on a mask of another (height, width) of the same picture.

        A pixel takes the edit of the pixel that its centre lies in.
        """
        if shape == self.added.shape or 0 in self.added.shape:
            return self if shape == self.added.shape else MaskEdits.none(shape)
        rows, columns = (
            ((np.arange(new) + 0.5) * old / new).astype(np.intp)
            for new, old in zip(shape, self.added.shape, strict=True)
        )
        place = np.ix_(rows, columns)
        return MaskEdits(self.added[place], self.removed[place])

    def painted(
        self, computed: NDArray[np.bool_], painted: NDArray[np.bool_]
    ) -> MaskEdits:
        """Return the edits with which a computed mask looks as it was painted.

        Only pixels that differ from what these edits showed count as painted; the
        others keep their edit, also where the computed mask now agrees with it. A
        pixel painted back to its computed value has no edit any more.

        Parameters
        ----------
        computed, painted : (height, width) bool ndarray
            The mask without edits, and as it looks after painting.

        Raises
        ------
        MaskError
            The painted mask has another shape.
        """
        if painted.shape != computed.shape:
            raise MaskError(
                f"painted mask has shape {painted.shape}, the computed one "
                f"{computed.shape}; paint on the mask that was computed"
            )
        kept = painted == self.apply(computed)
        return MaskEdits(
            np.where(kept, self.added, painted & ~computed),
            np.where(kept, self.removed, ~painted & computed),
        )
