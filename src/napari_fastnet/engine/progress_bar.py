"""A progress bar for notebooks and scripts."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_fastnet.engine.detect import Progress


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[Progress], None]]:
    """Show how far a detection is; a widget in a notebook, a line elsewhere.

    Parameters
    ----------
    title : str
        Usually the slide's name.

    Yields
    ------
    callable
        To be called with each `Progress`.
    """
    from tqdm.auto import tqdm

    with tqdm(desc=title, unit=" patches", total=0) as bar:

        def show(progress: Progress) -> None:
            if not bar.total:  # what an earlier run did is not this one's pace
                bar.reset(total=progress.total)
                bar.initial = progress.done
            bar.total = progress.total  # of a first block it was an estimate
            bar.n = progress.done
            bar.refresh()

        yield show
