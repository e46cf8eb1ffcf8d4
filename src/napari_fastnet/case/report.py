"""The report of cases: one HTML page with all its pictures, which prints to PDF."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from napari_fastnet import __version__
from napari_fastnet.case.pictures import Picture, lesion_picture, slide_picture
from napari_fastnet.case.stage import PN2_NODES
from napari_fastnet.core.display import counted, number_words, written
from napari_fastnet.core.lesions import regions
from napari_fastnet.core.lesions.evidence import of_ten
from napari_fastnet.errors import FastNetError
from napari_fastnet.machine.files import write_bytes
from napari_fastnet.machine.remote.url import recorded_path
from napari_fastnet.machine.templates import templates_of
from napari_fastnet.results.record import RESEARCH_USE
from napari_fastnet.slide.slide import open_slide

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from jinja2 import Template

    from napari_fastnet.case.case import Case, CaseSlide
    from napari_fastnet.case.findings import Finding, Source
    from napari_fastnet.results.record import RunRecord
    from napari_fastnet.slide.slide import Slide

#: Most lesions of a slide that are shown in a picture of their own; all are listed.
MOST_PICTURES = 40

#: Whose a number is, in words.
SOURCES: dict[Source, str] = {
    "machine": "the machine's; nobody has decided on its lesions",
    "person": "a person's, who has decided on all candidates",
    "both": "a person's as far as decided, the rest the machine's",
}
#: The same in a table.
BY: dict[Source, str] = {
    "machine": "machine",
    "person": "person",
    "both": "machine and person",
}


@dataclass(frozen=True, slots=True, eq=False)
class ShownSlide:
    """A slide on the page: its pictures, and why there is none if there is none."""

    about: CaseSlide
    picture: Picture | None
    lesions: list[tuple[Finding, Picture | None]]
    without: str = ""


def write_report(
    path: Path, cases: Iterable[Case], slides: Mapping[str, Slide] | None = None
) -> None:
    """Write the page of cases, aside and renamed.

    Parameters
    ----------
    path : Path
        ``.html``.
    cases : iterable of Case
        Each begins a new page in print.
    slides : mapping of str to Slide, optional
        Open slides by fingerprint; others are opened where their run found them.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    write_bytes(path, written(report_page(cases, slides)).encode())


def report_page(
    cases: Iterable[Case], slides: Mapping[str, Slide] | None = None
) -> str:
    """Fill in the template, as `write_report` writes it."""
    shown = [
        (case, [_shown(slide, slides or {}) for slide in case.slides]) for case in cases
    ]
    return _template().render(
        cases=shown,
        title=shown[0][0].name if len(shown) == 1 else counted(len(shown), "case"),
        notice=RESEARCH_USE,
        sources=SOURCES,
        version=__version__,
        when=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        itc_mm=regions.ITC_LIMIT_MM,
        micro_mm=regions.MICRO_LIMIT_MM,
        pn2_nodes=PN2_NODES,
    )


def _shown(about: CaseSlide, slides: Mapping[str, Slide]) -> ShownSlide:
    """Draw the pictures of a slide."""
    counting = [
        finding
        for finding in about.findings.reviewed
        if finding.counts or finding.status == "unsure"
    ]
    bare: list[tuple[Finding, Picture | None]] = [(one, None) for one in counting]
    record = about.record
    if record is None:
        return ShownSlide(about, None, bare)
    with ExitStack() as stack:
        try:
            slide = slides.get(record.slide.fingerprint)
            if slide is None:
                slide = stack.enter_context(_opened(record))
            if slide.fingerprint != record.slide.fingerprint:
                return ShownSlide(
                    about, None, bare, f"{slide.path} is another slide now"
                )
            drawn = [
                (one, lesion_picture(slide, one)) for one in counting[:MOST_PICTURES]
            ]
            rest = bare[MOST_PICTURES:]
            return ShownSlide(about, slide_picture(slide, about), [*drawn, *rest])
        except FastNetError as error:
            return ShownSlide(about, None, bare, str(error))


def _opened(record: RunRecord) -> Slide:
    given = record.slide.mpp if record.slide.mpp_source == "user" else None
    return open_slide(recorded_path(record.slide.path), mpp=given)


def _made(slides: Sequence[ShownSlide]) -> list[tuple[str, str]]:
    """Describe the making of the results in rows of (name, text) without repetition."""
    rows: dict[str, dict[str, None]] = {}

    def add(name: str, text: str) -> None:
        rows.setdefault(name, {})[text] = None

    for shown in slides:
        record = shown.about.record
        if record is None:
            continue
        if record.model is not None:
            model = record.model
            add("model", f"{model.name} {model.version}, {model.sha256[:12]}…")
        if record.threshold is not None:
            add("outlines", f"cells from probability {record.threshold:.3g} on")
        if record.lesion_threshold is not None:
            add(
                "lesions",
                f"evidence from {record.lesion_threshold:.2f} log odds on: of ten such, "
                f"{of_ten(record.lesion_threshold)} are tumor on validation mosaics"
                f"{_measured(record)}",
            )
        package = record.versions.get("napari-fastnet")
        add("detected", f"{record.created[:10]} with napari-fastnet {package}")
        add("µm/px", f"{record.slide.mpp[0]:.4g} ({record.slide.mpp_source})")
    return [(name, "; ".join(texts)) for name, texts in rows.items()]


def _measured(record: RunRecord) -> str:
    """Describe the figures of such a threshold; empty where it was not measured."""
    point = record.rule.measured
    if point is None:
        return ""
    return (
        f"; found there were {100 * point.sensitivity:.0f} % of the lesions, with "
        f"{point.false_per_10_mm2:.1f} false ones on 10 mm² of normal tissue"
    )


def _of_small(record: RunRecord) -> float | None:
    """Return the share of lesions of 0.2 to 0.3 mm that are found; None: not measured."""
    point = record.rule.measured
    return None if point is None else point.from_02_mm


def _size(size_mm: float) -> str:
    return f"{number_words(size_mm)} mm"


@cache
def _template() -> Template:
    """Read the template, once a process."""
    environment = templates_of("napari_fastnet.case")
    environment.filters |= {
        "size": _size,
        "counted": counted,
        "of_small": _of_small,
        "of_ten": of_ten,
        "made": _made,
        "by": BY.__getitem__,
    }
    return environment.get_template("report.html.jinja")
