"""Features of cells and patches: a network's last feature map, averaged as its head sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_fastnet.core.arrays import Bytes, Floats, Singles
    from napari_fastnet.core.geometry import Box
    from napari_fastnet.core.metrics.calibration import Calibration
    from napari_fastnet.detection.plan import Plan
    from napari_fastnet.nn.classifier import Triple
    from napari_fastnet.nn.fastnet import FastNet
    from napari_fastnet.slide.slide import Slide
    from napari_fastnet.store.store import Block
    from napari_fastnet.training.adapt.head import Head


def head_of(network: FastNet, calibration: Calibration) -> Head:
    """Return a network's head, with which features give calibrated log odds."""
    raise NotImplementedError


def with_head(network: FastNet, head: Head, calibration: Calibration) -> FastNet:
    """Return a copy of a network that has another head.

    Calibrated in the same way, it gives the head's log odds.
    """
    raise NotImplementedError


def patch_features(
    network: FastNet, normalisation: tuple[Triple, Triple], patches: Bytes
) -> Singles:
    """Compute the features, (n, k), of patches, (n, side, side, 3)."""
    raise NotImplementedError


class SlideFeatures:
    """Features of a slide's cells, computed where they are asked for, and kept.

    Parameters
    ----------
    slide : Slide
        Open; stays open.
    plan : Plan
        Of a dense scan: its cells, its stain match. Mirror images are not averaged.
    network : FastNet
        In evaluation mode.
    normalisation : tuple of tuples
        Mean and standard deviation of each channel in 0..1.
    """

    def __init__(
        self,
        slide: Slide,
        plan: Plan,
        network: FastNet,
        normalisation: tuple[Triple, Triple],
    ) -> None:
        raise NotImplementedError

    def blocks_in(self, box: Box) -> list[Block]:
        """Return the blocks that meet a box, the nearest to its centre first."""
        raise NotImplementedError

    def blocks_at(self, points: Floats) -> list[Block]:
        """Return the blocks that hold points, (n, 2), (y, x) of level-0 px."""
        raise NotImplementedError

    def compute(
        self, blocks: Sequence[Block], stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[Block]:
        """Compute the features of blocks that are not kept yet; yield each that is there.

        Parameters
        ----------
        blocks : sequence of Block
            In the order of computing.
        stopped : callable, optional
            Asked before each block; once it returns True, nothing more is yielded.

        Yields
        ------
        Block
            Its features are kept: see `of`.

        Raises
        ------
        SlideNotFoundError
            The slide's file vanished or changed.
        DriveError
            The slide's drive fails.
        """
        raise NotImplementedError

    def of(self, block: Block) -> NDArray[np.float16]:
        """Return the features, (rows, columns, k), of a block that was computed.

        NaN where a cell is not scanned or cannot be read.
        """
        raise NotImplementedError

    def at(self, points: Floats) -> Singles:
        """Return the features, (n, k), of the cells that hold points.

        NaN outside the slide and where none are kept.
        """
        raise NotImplementedError
