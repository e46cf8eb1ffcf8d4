"""The tissue masks of a whole slide, at low resolution, and their files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import binary_dilation

from napari_fastnet.core.display import enlarged, png_bytes
from napari_fastnet.core.geometry import Box, Pair
from napari_fastnet.core.options import TissueParameters
from napari_fastnet.core.tissue import TissueMasks, compute_masks
from napari_fastnet.detection import slide_checks
from napari_fastnet.errors import MaskError
from napari_fastnet.machine.memory import physical_cores
from napari_fastnet.results.record import (
    MASKS,
    TISSUE_RECORD,
    RunRecord,
    SlideFacts,
    TissueFacts,
    write_record,
)
from napari_fastnet.results.recorded_slide import corner_of
from napari_fastnet.results.result import Result
from napari_fastnet.slide.slide import Slide, opened
from napari_fastnet.slide.tiles import WHITE
from napari_fastnet.store.format import Seconds

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_fastnet.slide.tiles import Damaged

#: Size of a mask pixel, µm; the default parameters were measured at this size.
MASK_MPP = 8.0

#: Most threads that read the slide for its masks; each holds a piece of 12 MB.
MOST_READERS = 4

#: Colour of the tissue's outline in a notebook: teal, unlike any stain.
OUTLINE = (0, 128, 128)


@dataclass(frozen=True, slots=True, repr=False)
class SlideTissue:
    """The tissue masks of a whole slide, with the image they were computed from.

    Parameters
    ----------
    image : (height, width, 3) uint8 ndarray
        The slide at about ``MASK_MPP``; it fills the slide exactly.
    mpp : tuple of float
        (y, x) size of a pixel of image and masks, µm.
    masks : TissueMasks
        Three masks and the region of interest, (height, width).
    parameters : TissueParameters
        Parameters of the masks.
    damaged : int
        Tiles that could not be decoded.
    edited_px : int
        Mask pixels that were changed by hand.
    """

    image: NDArray[np.uint8]
    mpp: Pair
    masks: TissueMasks
    parameters: TissueParameters
    damaged: int
    edited_px: int = 0

    @property
    def by_name(self) -> dict[str, NDArray[np.bool_]]:
        """The masks, in the order of the paper."""
        return {name: getattr(self.masks, name) for name in MASKS}

    @property
    def scanned(self) -> NDArray[np.uint8]:
        """The image with white for what was never scanned: black fill is no pen."""
        if self.masks.fill is None:
            return self.image
        return np.where(self.masks.fill[..., None], np.uint8(WHITE), self.image)

    @property
    def area_mm2(self) -> float:
        """Area of the region of interest, mm²; 0 where there is no tissue."""
        return float(self.masks.roi.sum()) * self.mpp[0] * self.mpp[1] / 1e6

    @property
    def notes(self) -> tuple[str, ...]:
        """A note if a slide that is not empty has no tissue for want of colour."""
        masks = self.masks
        if masks.roi.any() or masks.hsv.any() or not masks.rgb.any():
            return ()
        return (
            "the picture has next to no colour, so that the saturation mask (HSV) finds "
            "no tissue: the models here are for haematoxylin and eosin",
        )

    def with_roi(self, roi: NDArray[np.bool_]) -> SlideTissue:
        """Replace the region of interest, as after painting.

        Parameters
        ----------
        roi : (height, width) bool ndarray
            True where to detect; of the shape of the masks.

        Raises
        ------
        MaskError
            It has another shape or dtype.
        """
        old = self.masks.roi
        if roi.shape != old.shape or roi.dtype != bool:
            raise MaskError(
                f"region of interest is {roi.dtype} {roi.shape}; give bool {old.shape}"
            )
        edited = self.edited_px + int((roi != old).sum())
        return replace(self, masks=replace(self.masks, roi=roi), edited_px=edited)

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.masks.roi.shape))
        return (
            f"<SlideTissue {shape} px of {self.mpp[0]:.3g} µm, {self.area_mm2:.3g} mm²>"
        )

    def _repr_png_(self) -> bytes:
        """Draw the slide with everything but tissue faded, for a notebook."""
        shown = self.image.copy()
        outside = ~self.masks.roi
        shown[outside] = 255 - (255 - shown[outside]) // 4
        shown[self.masks.roi & binary_dilation(outside)] = OUTLINE
        return png_bytes(enlarged(shown))

    @property
    def facts(self) -> TissueFacts:
        """The ``tissue`` section of a run record."""
        return TissueFacts(
            fraction=self.masks.fraction,
            area_mm2=self.area_mm2,
            never_scanned=self.masks.never_scanned,
            mpp=self.mpp,
            thresholds=self.masks.thresholds,
            parameters=self.parameters,
            damaged_tiles=self.damaged,
            edited_px=self.edited_px,
        )


def find_tissue(
    slide: str | Path | Slide, parameters: TissueParameters | None = None
) -> SlideTissue:
    """Compute the tissue masks of a slide.

    Tiles that cannot be decoded are white, so no tissue.

    Parameters
    ----------
    slide : str, Path or Slide
        A file, or an open slide, which stays open. Its µm/px must be known.
    parameters : TissueParameters, optional
        Thresholds, and how the region of interest is closed and cleaned.

    Returns
    -------
    SlideTissue
        Masks without a True where there is no tissue: that is a result.

    Raises
    ------
    SpacingError
        The slide's µm/px is unknown or absurd.
    SlideNotFoundError
        The slide's file vanished or changed while it was read.
    UnreadableSlideError
        Most of the tiles cannot be decoded, in this level and in finer ones.
    SlideFormatError
        Nothing was found in a level that shows another picture than level 0.
    """
    with opened(slide) as own:
        return tissue_at(MASK_MPP, own, parameters or TissueParameters())


def tissue_at(
    mask_mpp: float,
    slide: Slide,
    parameters: TissueParameters,
    damaged: Damaged = "white",
) -> SlideTissue:
    """Compute masks with pixels of about a given size.

    Parameters
    ----------
    mask_mpp : float
        Size of a mask pixel, µm; what is smaller is neither closed nor cleaned.
    slide : Slide
        Its µm/px must be known.
    parameters : TissueParameters
        Thresholds, and how the region of interest is closed and cleaned.
    damaged : {"white", "raise"}, optional
        Whether a tile that cannot be decoded is white or a `TileReadError`.

    Raises
    ------
    SpacingError, SlideNotFoundError, UnreadableSlideError, SlideFormatError
        As for `find_tissue`.
    """
    own = slide.require_mpp()
    whole = Box.of_shape(slide.shape)
    # a slide narrower than half a mask pixel still has one
    wanted = (
        min(mask_mpp, whole.height * own[0]),
        min(mask_mpp, whole.width * own[1]),
    )
    readers = min(physical_cores(), MOST_READERS)
    image = slide.read(whole, wanted, damaged=damaged, threads=readers)
    slide_checks.require_unchanged(slide)
    # Count this level only; the viewer and the detection read other levels.
    level = slide.level_for(wanted)
    if lost := slide.damaged_tiles(level):
        slide_checks.require_present(slide)
        slide_checks.require_readable(slide, lost, slide.written_tiles(level), "tiles")
    mpp = (
        whole.height * own[0] / image.shape[0],
        whole.width * own[1] / image.shape[1],
    )
    masks = compute_masks(image, mpp=mpp, parameters=parameters)
    if damaged == "white" and not masks.roi.any():  # a rough look refuses nothing
        slide_checks.require_same_picture(slide, image, level)
    return SlideTissue(image, mpp, masks, parameters, lost)


def slide_facts(slide: Slide) -> SlideFacts:
    """Describe a slide, whose µm/px is known, for a run record."""
    height, width = slide.shape
    return SlideFacts(
        path=str(slide.path.absolute()),
        fingerprint=slide.fingerprint,
        width=width,
        height=height,
        mpp=slide.require_mpp(),
        mpp_source=slide.mpp_source,
        vendor=slide.vendor,
        icc_profile=slide.profile,
        reading=slide.reading_notes,
        scanned_from=corner_of(slide.bounds),
        finer_tiles={str(level): n for level, n in slide.finer_tiles.items()},
    )


def run_tissue(
    slide: Slide, folder: Path, parameters: TissueParameters | None = None
) -> Result:
    """Compute the tissue masks of a slide and write them into a folder.

    Their record goes to ``tissue.json``: a ``run.json`` beside it belongs to a detection
    and is left unchanged.

    Raises
    ------
    SpacingError
        The slide's µm/px is unknown or absurd.
    OutputError
        A file cannot be written.
    """
    started = perf_counter()
    tissue = find_tissue(slide, parameters)
    seconds = perf_counter() - started
    record = RunRecord(
        slide=slide_facts(slide),
        tissue=tissue.facts,
        seconds=Seconds(read=seconds, infer=0.0, total=seconds),
    )
    result = Result(
        record=record,
        masks=tissue.by_name,
        mask_mpp=tissue.mpp,
        notes=tissue.notes,
    )
    files = result.export(folder, ["ome-tiff"])
    write_record(folder / TISSUE_RECORD, record)
    return replace(result, files=(*files, folder / TISSUE_RECORD))
