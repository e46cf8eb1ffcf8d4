"""Evaluation of cases: suggested stages against those of CAMELYON17, by kappa."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.annotations.truth_files import slide_key
from napari_fastnet.case.gather import gather
from napari_fastnet.case.listing import Runs, find_cases, with_runs
from napari_fastnet.case.stage import STAGES
from napari_fastnet.core.metrics.kappa import kappa_interval, quadratic_kappa
from napari_fastnet.errors import DataError
from napari_fastnet.evaluation.slides import SkippedSlide
from napari_fastnet.results.record import RESEARCH_USE, versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from napari_fastnet.case.case import Case
    from napari_fastnet.case.listing import ListedSlide
    from napari_fastnet.core.metrics.intervals import Interval
    from napari_fastnet.evaluation.options import CaseEvaluationOptions

#: CAMELYON17's stages of patients and classes of slides, each in their order.
PATIENT_STAGES = STAGES[:5]
SLIDE_CLASSES = ("negative", "itc", "micro", "macro")


@dataclass(frozen=True, slots=True)
class StageTruth:
    """The true stages of patients and classes of slides.

    Parameters
    ----------
    patients, slides : mapping of str to str
        By name without suffix; stages as in `PATIENT_STAGES`, classes as in
        `SLIDE_CLASSES`.
    """

    patients: Mapping[str, str]
    slides: Mapping[str, str]

    def patient_of(self, slide: str) -> str | None:
        """Return the patient of a slide, whose name begins with the patient's."""
        key = slide_key(slide)
        owners = [
            name for name in self.patients if key.startswith(slide_key(name) + "_")
        ]
        return max(owners, key=len, default=None)


def read_stages(path: Path) -> StageTruth:
    """Read CAMELYON17's table of stages.

    Parameters
    ----------
    path : Path
        CSV with the columns ``patient`` and ``stage``: a line for each patient
        (``patient_004.zip,pN1``), and perhaps for each slide
        (``patient_004_node_2.tif,micro``).

    Raises
    ------
    DataError
        It cannot be read, or a line has another stage.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: no stages to read ({error})") from error
    lines = csv.DictReader(io.StringIO(text, newline=""))
    if not {"patient", "stage"} <= set(lines.fieldnames or ()):
        raise DataError(f"{path}: its first line is not patient,stage; add it")
    patients: dict[str, str] = {}
    slides: dict[str, str] = {}
    for line in lines:
        name, stage = ((line[key] or "").strip() for key in ("patient", "stage"))
        if stage in PATIENT_STAGES:
            patients[name.removesuffix(".zip")] = stage
        elif stage.casefold() in SLIDE_CLASSES:
            slides[name] = stage.casefold()
        else:
            raise DataError(
                f"{path}, line {lines.line_num}: stage is {stage!r}; use "
                f"{', '.join((*PATIENT_STAGES, *SLIDE_CLASSES))}"
            )
    if not patients:
        raise DataError(
            f"{path}: no patient has a stage; add lines such as patient_0,pN1"
        )
    return StageTruth(patients, slides)


@dataclass(frozen=True, slots=True)
class Graded:
    """A patient or a slide: its name, its true grade and the one found, of one scale."""

    name: str
    truth: str
    found: str


@dataclass(frozen=True, slots=True, eq=False)
class CaseEvaluation:
    """Evaluation of cases.

    Parameters
    ----------
    cases, slides : list of Graded
        Patients by stage, and those of their slides that the truth lists by class.
    kappa, slide_kappa : float or None
        Quadratic-weighted; None where undefined.
    kappa_ci95, slide_kappa_ci95 : tuple of float or None
        95 % intervals, of patients and of slides drawn again.
    skipped : list of SkippedSlide
        Patients left out.
    options : CaseEvaluationOptions
        As given.
    """

    cases: list[Graded]
    slides: list[Graded]
    kappa: float | None
    kappa_ci95: Interval | None
    slide_kappa: float | None
    slide_kappa_ci95: Interval | None
    skipped: list[SkippedSlide]
    options: CaseEvaluationOptions

    def to_dict(self) -> dict[str, Any]:
        """Return the document of ``evaluate cases --json``; undefined is None."""
        return {
            "cases": len(self.cases),
            "kappa": self.kappa,
            "kappa_ci95": self.kappa_ci95,
            "right": sum(one.truth == one.found for one in self.cases),
            "confusion": _confusion(self.cases, PATIENT_STAGES),
            "slides": len(self.slides),
            "slide_kappa": self.slide_kappa,
            "slide_kappa_ci95": self.slide_kappa_ci95,
            "slides_right": sum(one.truth == one.found for one in self.slides),
            "slide_confusion": _confusion(self.slides, SLIDE_CLASSES),
            "skipped": [
                {"case": case.name, "reason": case.reason} for case in self.skipped
            ],
            "per_case": [asdict(one) for one in self.cases],
            "per_slide": [asdict(one) for one in self.slides],
            "options": asdict(self.options),
            "versions": versions(),
            "notice": RESEARCH_USE,
        }


def _confusion(
    graded: Iterable[Graded], scale: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Count what was found by what is true."""
    counts = Counter((one.truth, one.found) for one in graded)
    return {truth: {found: counts[truth, found] for found in scale} for truth in scale}


def evaluate_cases(
    places: Sequence[Path], truth: StageTruth, options: CaseEvaluationOptions
) -> CaseEvaluation:
    """Compare the machine's stages with the true ones.

    Parameters
    ----------
    places : sequence of Path
        Folders of runs, each slide a node of the patient with whose name its own begins;
        or a table of cases, as for `case.listing.find_cases`, named as the patients.
    truth : StageTruth
        From `read_stages`.
    options : CaseEvaluationOptions
        Of the interval.

    Returns
    -------
    CaseEvaluation
        A patient with a slide that is not there or was not scanned is skipped. What is
        beyond pN2 counts as pN2, the last of CAMELYON17's stages.

    Raises
    ------
    DataError
        No patient can be evaluated.
    """
    cases: list[Graded] = []
    slides: list[Graded] = []
    skipped: list[SkippedSlide] = []
    classes = {slide_key(name): grade for name, grade in truth.slides.items()}
    for name, listed in _listed(places, truth).items():
        if name not in truth.patients:
            skipped.append(SkippedSlide(name, "its stage is not listed; add a line"))
            continue
        case = gather(name, listed)
        if why := _unusable(case):
            skipped.append(SkippedSlide(name, why))
            continue
        cases.append(Graded(name, truth.patients[name], _stage(case)))
        slides += _graded_slides(case, classes)
    if not cases:
        raise DataError(
            f"no patient of {len(truth.patients)} can be evaluated; the first left out, "
            f"{skipped[0].name}: {skipped[0].reason}"
            if skipped
            else "no run is of a patient in the table of stages; name the slides as there"
        )
    kappa, ci95 = _agreement(cases, PATIENT_STAGES, options)
    slide_kappa, slide_ci95 = _agreement(slides, SLIDE_CLASSES, options)
    return CaseEvaluation(
        cases, slides, kappa, ci95, slide_kappa, slide_ci95, skipped, options
    )


def _listed(places: Sequence[Path], truth: StageTruth) -> dict[str, list[ListedSlide]]:
    """Return the slides of each patient: of the table, of the truth, or by their names."""
    if any(place.suffix.lower() == ".csv" for place in places):
        return find_cases(places)
    runs = Runs.at(places)
    names = truth.slides or [run.resolve().name for run in runs.all]
    owned = [(truth.patient_of(name), name) for name in names]
    rows = [(patient, name, slide_key(name)) for patient, name in owned if patient]
    return with_runs(rows, runs)


def _unusable(case: Case) -> str:
    """Return the reason against evaluating a case; empty if there is none."""
    for slide in case.slides:
        if slide.state != "scanned":
            return f"{slide.listed.slide}: {slide.state}. {slide.listed.reason}".strip()
    return ""


def _stage(case: Case) -> str:
    stage = case.numbers("machine").stage
    assert stage is not None  # all slides were scanned
    return PATIENT_STAGES[min(STAGES.index(stage), len(PATIENT_STAGES) - 1)]


def _graded_slides(case: Case, classes: Mapping[str, str]) -> Iterator[Graded]:
    """Yield the slides of a case whose true class is known."""
    for slide in case.slides:
        name = slide.listed.slide
        if (truth := classes.get(slide_key(name))) is not None:
            found = slide.findings.size_class("machine")
            yield Graded(name, truth, "negative" if found is None else found.casefold())


def _agreement(
    graded: Sequence[Graded], scale: Sequence[str], options: CaseEvaluationOptions
) -> tuple[float | None, Interval | None]:
    """Return kappa and its interval."""
    truth, found = (
        np.array([scale.index(getattr(one, side)) for one in graded], np.int64)
        for side in ("truth", "found")
    )
    interval = kappa_interval(
        truth, found, resamples=options.bootstrap, seed=options.seed
    )
    return quadratic_kappa(truth, found), interval
