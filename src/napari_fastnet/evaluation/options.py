"""Options of evaluation, free of numpy: the command line reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import Literal

from napari_fastnet.annotations.options import OutlineOptions
from napari_fastnet.core.options import (
    StainMethod,  # noqa: TC001  # read with the annotations
)
from napari_fastnet.errors import OptionError


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """Options of evaluating a model on labelled patches.

    Parameters
    ----------
    mpp : float or None
        µm/px of the patches; None is as `patches` wrote.
    part : {"train", "valid", "test"} or None
        Part to evaluate on, of what `patches` wrote; None is all.
    stain : {"none", "reinhard", "macenko", "density"}
        Match the colours to those the model was trained on, with one match for all
        patches, as a slide is matched.
    threshold : float or None
        Tumor from this probability on; None is the model's.
    bootstrap : int
        Resamples for the 95 % intervals; 0 is none.
    seed : int
        Seed of the resamples.
    flips : bool or None
        Average over mirror images, at 4 times the cost; None is as the model says.
    """

    mpp: float | None = None
    stain: StainMethod = "none"
    threshold: float | None = None
    bootstrap: int = 1000
    seed: int = 0
    flips: bool | None = None
    part: Literal["train", "valid", "test"] | None = "valid"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideEvaluationOptions:
    """Options of evaluating whole slides.

    Parameters
    ----------
    threshold : float or None
        Dice and IoU: tumor from this probability on; None is the run's.
    boundary_um : float
        Dice and IoU: leave out px nearer than this to an outline, µm.
    mpp : float or None
        µm/px of level 0 of slides whose candidates come as CSV, or whose file does not
        say; None is 0.243 for CSV.
    mask_value : int or None
        Value of tumor in masks; None is the one value above 0.
    unannotated : {"normal", "skip"} or None
        Class of a slide without truth, where no reference lists it; None is normal among
        outlines (CAMELYON16), skip among masks.
    exclude : tuple of str
        Slide to leave out; may be repeated.
    outlines : OutlineOptions
        Classes that are tumor, and the origin of the outlines.
    bootstrap : int
        Resamples for the 95 % intervals; 0 is none.
    seed : int
        Seed of the resamples.
    """

    threshold: float | None = None
    boundary_um: float = 0.0
    mpp: float | None = None
    mask_value: int | None = None
    unannotated: Literal["normal", "skip"] | None = None
    exclude: tuple[str, ...] = ()
    outlines: OutlineOptions = field(default_factory=OutlineOptions)
    bootstrap: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise OptionError(f"threshold is {self.threshold}; use above 0 up to 1")
        if not (isfinite(self.boundary_um) and 0 <= self.boundary_um <= 1000):
            raise OptionError(f"boundary is {self.boundary_um} µm; use 0 to 1000")
        if self.bootstrap < 0:
            raise OptionError(f"bootstrap is {self.bootstrap}; use 0 or more resamples")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseEvaluationOptions:
    """Options of evaluating the stages of cases.

    Parameters
    ----------
    bootstrap : int
        Resamples for the 95 % interval; 0 is none.
    seed : int
        Seed of the resamples.
    """

    bootstrap: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.bootstrap < 0:
            raise OptionError(f"bootstrap is {self.bootstrap}; use 0 or more resamples")
