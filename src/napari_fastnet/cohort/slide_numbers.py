"""Numbers of one slide of a cohort, as its table has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_fastnet.core.lesions.evidence import confidence
from napari_fastnet.core.lesions.regions import size_class

if TYPE_CHECKING:
    from napari_fastnet.results.record import RunRecord

#: A slide without tissue, or that could not be read, is not free of tumor.
NOT_SCANNED = "not scanned"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideNumbers:
    """Numbers of one slide's run, named as the columns of the table.

    Parameters
    ----------
    tissue_mm2, tumour_mm2 : float or None
        Areas.
    tumour_share : float or None
        Tumor over tissue, 0..1; None without tissue.
    macro, micro, itc : int
        Lesions by size class.
    largest_lesion_mm : float or None
        Longest axis of any lesion; None without one.
    max_probability : float or None
        Of any cell, in a lesion or not; None where nothing was scanned.
    unreadable_patches : int
        Patches that could not be decoded.
    flagged_share : float or None
        Share of the patches with a quality flag; None where nothing was judged.
    out_of_gamut : bool or None
        Whether the stain lies far from the training data; None where not judged.
    quality : str or None
        The quality in a sentence.
    mpp_y, mpp_x : float
        µm per level-0 px.
    mpp_source : str
        Where that number comes from.
    model : str
        Name and version.
    threshold : float or None
        Probability from which a cell is tumor.
    seconds : float
        Time the slide took.
    warn : bool
        Whether the quality is to be doubted.
    lesion_threshold : float or None
        Evidence from which a candidate is a lesion, log odds; None where not known.
    sensitivity_02_mm : float or None
        Share of lesions of 0.2 to 0.3 mm that are found at that threshold, 0..1, where
        the model's curve was measured.
    top_evidence : float or None
        Of the most suspicious candidate, lesion or not; None without one.
    accepted, rejected, unsure : int or None
        Lesions by a person's verdict: tumor, not tumor, unsure; None before any.
    undecided : int or None
        Lesions without a verdict; None where they were not found by evidence.
    accepted_mm2, accepted_largest_mm : float or None
        Area and longest axis of the accepted ones; all other areas and sizes are those of
        the lesions as found.
    read_as : str or None
        A reader's own verdict on the slide.
    """

    tissue_mm2: float | None
    tumour_mm2: float
    tumour_share: float | None
    macro: int
    micro: int
    itc: int
    largest_lesion_mm: float | None
    max_probability: float | None
    unreadable_patches: int
    flagged_share: float | None = None
    out_of_gamut: bool | None = None
    quality: str | None = None
    mpp_y: float
    mpp_x: float
    mpp_source: str
    model: str
    threshold: float | None
    seconds: float
    warn: bool = False
    lesion_threshold: float | None = None
    sensitivity_02_mm: float | None = None
    top_evidence: float | None = None
    accepted: int | None = None
    accepted_mm2: float | None = None
    accepted_largest_mm: float | None = None
    rejected: int | None = None
    unsure: int | None = None
    undecided: int | None = None
    read_as: str | None = None

    @classmethod
    def of(cls, record: RunRecord, highest: float | None) -> SlideNumbers:
        """Return the numbers of a detection.

        Parameters
        ----------
        record : RunRecord
            With a model and counts.
        highest : float or None
            Highest probability of any cell.
        """
        assert record.model is not None
        assert record.counts is not None
        decided, accepted = record.decisions, record.decisions.totals
        totals, quality = record.regions, record.quality
        measured = record.rule.measured
        to_decide = None if record.lesion_threshold is None else totals.regions
        return cls(
            tissue_mm2=totals.tissue_mm2,
            tumour_mm2=totals.area_mm2,
            tumour_share=totals.tissue_fraction,
            macro=totals.macro,
            micro=totals.micro,
            itc=totals.itc,
            largest_lesion_mm=totals.longest_axis_mm,
            max_probability=highest,
            unreadable_patches=record.counts.failed,
            flagged_share=quality.any,
            out_of_gamut=quality.out_of_gamut,
            quality=quality.verdict or None,
            mpp_y=record.slide.mpp[0],
            mpp_x=record.slide.mpp[1],
            mpp_source=record.slide.mpp_source,
            model=f"{record.model.name} {record.model.version}",
            threshold=record.threshold,
            lesion_threshold=record.lesion_threshold,
            sensitivity_02_mm=None if measured is None else measured.from_02_mm,
            top_evidence=totals.top_evidence,
            accepted=decided.accepted if decided.events else None,
            accepted_mm2=accepted.area_mm2 if decided.events else None,
            accepted_largest_mm=accepted.longest_axis_mm,
            rejected=decided.rejected if decided.events else None,
            unsure=decided.unsure if decided.events else None,
            undecided=decided.undecided if decided.last else to_decide,
            read_as=decided.reading or None,
            seconds=record.seconds.total,
            warn=quality.warn,
        )

    @property
    def top_confidence(self) -> float | None:
        """Share of places with such evidence that are tumor, 0..1."""
        return None if self.top_evidence is None else confidence(self.top_evidence)

    @property
    def regions(self) -> int:
        """Lesions of all classes."""
        return self.macro + self.micro + self.itc

    @property
    def size_class(self) -> str:
        """Class of the largest lesion: macro, micro, ITC, none, or not scanned."""
        if self.largest_lesion_mm is not None:
            return size_class(self.largest_lesion_mm)
        return NOT_SCANNED if self.max_probability is None else "none"
