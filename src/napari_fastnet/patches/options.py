"""Options of making labelled patches, free of numpy: the command line reads them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from napari_fastnet.annotations.options import OutlineOptions
from napari_fastnet.core.options import TissueParameters
from napari_fastnet.errors import OptionError

#: µm/px of the paper's patches: CAMELYON16's finest level.
PAPER_MPP = 0.243
#: Larger images are slides, not patches.
MAXIMUM_SIDE_PX = 4096


@dataclass(frozen=True, slots=True)
class PatchOptions:
    """Size of the patches, and the choice of the tissue to cut them from.

    Parameters
    ----------
    spacing_um_px : float
        µm/px of the patches.
    patch_px : int
        Side of a patch, px; 256 is the paper's WIDTH.
    tissue : TissueParameters
        Parameters of the masks that separate tissue from glass.
    slide_mpp : float or None
        µm per level-0 px of the slides, where the files do not say or are wrong.
    fully_annotated : bool
        Take normal patches of slides on which not all tumor is outlined, too.
    outlines : OutlineOptions
        Classes that are tumor, and the origin of the outlines.
    """

    spacing_um_px: float = PAPER_MPP
    patch_px: int = 256
    tissue: TissueParameters = field(default_factory=TissueParameters)
    slide_mpp: float | None = None
    fully_annotated: bool = False
    outlines: OutlineOptions = field(default_factory=OutlineOptions)

    def __post_init__(self) -> None:
        from napari_fastnet.model.description import MINIMUM_PATCH_PX

        if not 0.05 <= self.spacing_um_px <= 5:
            raise OptionError(f"mpp is {self.spacing_um_px} µm/px; use 0.05 to 5")
        if not MINIMUM_PATCH_PX <= self.patch_px <= MAXIMUM_SIDE_PX:
            raise OptionError(
                f"patch is {self.patch_px} px; use {MINIMUM_PATCH_PX} to "
                f"{MAXIMUM_SIDE_PX}"
            )


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """Drawing of patches, and their division into parts.

    Parameters
    ----------
    sampling : {"balanced", "full"}
        As many normal as tumor patches in each part, or all there are.
    per_slide : int or None
        Most patches of a class from one slide; None is all.
    split : {"slides", "patches"}
        Unit of the division. By patches, the paper's way, neighbors of a training patch
        get into the validation part, and its figures are too good.
    valid_share : float
        Share of the slides, or patches, for validation; 0 to below 1.
    seed : int
        Seed of all random draws, 0 or above.
    """

    sampling: Literal["balanced", "full"] = "balanced"
    per_slide: int | None = None
    split: Literal["slides", "patches"] = "slides"
    valid_share: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.valid_share < 1:
            raise OptionError(f"valid_share is {self.valid_share}; use 0 to below 1")
        if self.per_slide is not None and self.per_slide < 1:
            raise OptionError(f"per_slide is {self.per_slide}; use 1 or more")
        if self.seed < 0:
            raise OptionError(f"seed is {self.seed}; use 0 or more")


@dataclass(frozen=True, slots=True)
class MakeOptions:
    """Options of `make_patches`.

    Parameters
    ----------
    patches : PatchOptions
        Size of the patches, and the choice of the tissue to cut them from.
    sampling : SamplingOptions
        Drawing of patches, and their division into parts.
    testing : bool
        Take the slides for testing too, as a part of their own.
    """

    patches: PatchOptions = field(default_factory=PatchOptions)
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    testing: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the options as the store's attributes have them."""
        outlines = self.patches.outlines
        return {
            **asdict(self.patches),
            # Stores made before there were outline options have None here.
            "outlines": None if outlines == OutlineOptions() else asdict(outlines),
            "sampling": asdict(self.sampling),
            "testing": self.testing,
        }
