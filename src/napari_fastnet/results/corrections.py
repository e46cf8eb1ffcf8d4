"""Cells that a person painted on a slide, ``corrections.geojson``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.core.labelled_cells import label_grid

if TYPE_CHECKING:
    from pathlib import Path

    from napari_fastnet.core.arrays import Bytes
    from napari_fastnet.core.geometry import Pair


def corrections_path(run: Path, in_cache: bool, fingerprint: str) -> Path:
    """Return the place of what was painted on the slide of a run.

    Parameters
    ----------
    run : Path
        The folder of the run.
    in_cache : bool
        Whether that is in the cache; see `results.decisions.decisions_path`.
    fingerprint : str
        Of the slide.

    Returns
    -------
    Path
        The file; it need not exist.
    """
    raise NotImplementedError


class Corrections:
    """The cells that a person painted on one slide; on the disk when a call returns.

    Parameters
    ----------
    path : Path
        The file; it need not exist.
    fingerprint : str
        Of the slide.
    slide_shape : tuple of int
        (height, width), level-0 px.
    mpp : tuple of float
        (y, x) µm per level-0 px.
    slide : str, optional
        Name of the slide's file, for people who open the file.
    """

    def __init__(
        self,
        path: Path,
        fingerprint: str,
        slide_shape: tuple[int, int],
        mpp: Pair,
        slide: str = "",
    ) -> None:
        self.path = path
        #: Messages for the user, such as a file that was set aside.
        self.notes: tuple[str, ...] = ()
        #: Places of the cells, level-0 px.
        self.grid = label_grid(slide_shape, mpp)
        #: (rows, columns) uint8: 0 none, 1 tumor, 2 normal, 3 ignore. Not to be changed.
        self.cells: Bytes = np.zeros(self.grid.shape, np.uint8)

    @classmethod
    def open(
        cls,
        path: Path,
        fingerprint: str,
        slide_shape: tuple[int, int],
        mpp: Pair,
        slide: str = "",
        *,
        change: bool = True,
    ) -> Corrections:
        """Read what was painted on a slide, or begin anew where nothing was.

        Parameters
        ----------
        path : Path
            The file, as from `corrections_path`.
        fingerprint : str
            Of the slide.
        slide_shape : tuple of int
            (height, width), level-0 px.
        mpp : tuple of float
            (y, x) µm per level-0 px.
        slide : str, optional
            Name of the slide's file.
        change : bool, optional
            Whether a file that cannot be used is renamed at once; without it that is only
            noted, as for a program that does no more than read.

        Returns
        -------
        Corrections
            Its ``notes`` tell of a file that could not be used.
        """
        raise NotImplementedError

    def paint(self, cells: Bytes) -> None:
        """Replace all cells, as after a stroke; `undo` takes it back.

        Parameters
        ----------
        cells : (rows, columns) uint8 ndarray
            As ``cells``, which may then have what another program painted, too.

        Raises
        ------
        OutputError
            They cannot be written; they are known, and written with the next stroke.
        """
        raise NotImplementedError

    def undo(self) -> bool:
        """Take back the last stroke that still holds; False without any."""
        raise NotImplementedError

    def copy_to(self, path: Path) -> None:
        """Add all cells to another file about the same slide.

        Parameters
        ----------
        path : Path
            The file; it need not exist. Where both have a cell, the one painted last holds.
        """
        raise NotImplementedError
