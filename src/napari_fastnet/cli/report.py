"""``napari-fastnet report``: nodes, largest deposits and the suggested pN of cases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_fastnet.cli.output import print_columns, print_json, wrote
from napari_fastnet.errors import OptionError
from napari_fastnet.machine.progress import progress_bar

if TYPE_CHECKING:
    from napari_fastnet.case.case import Case

_BY = {
    "machine": "the machine",
    "person": "a person",
    "both": "the machine and a person",
}


def report(
    places: Annotated[list[Path], typer.Argument(metavar="RUN...|CASES.csv")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE")],
    as_json: bool = False,
) -> None:
    """Write the report of one or more cases: nodes, largest deposits, suggested pN.

    Parameters
    ----------
    places : list of Path
        Folders that detect left, which are one case; or a CSV file with the columns case,
        slide and node, and the folders of its runs, by default those beside it.
    output : Path
        HTML page to write, which prints to PDF.
    as_json : bool
        Print JSON.
    """
    if output.suffix.lower() not in (".html", ".htm"):
        raise OptionError(f"{output}: the report is a page; name it .html")
    from napari_fastnet.case.gather import gather
    from napari_fastnet.case.listing import find_cases
    from napari_fastnet.case.report import write_report

    listed = find_cases(places)
    cases: list[Case] = []
    with progress_bar("report", unit="cases") as bar:

        def read() -> Iterator[Case]:
            for name, slides in listed.items():
                cases.append(gather(name, slides))
                yield cases[-1]
                bar.update(len(cases), len(listed))

        write_report(output, read())
    if as_json:
        print_json({"cases": [case.to_dict() for case in cases], "files": [output]})
        return
    for case in cases:
        print_columns(_rows(case))
    print_columns(wrote([output]))
    print("Research use only. Not for diagnosis.")


def _rows(case: Case) -> list[tuple[str, str]]:
    """Return a case in rows of (name, text)."""
    found, findings = case.numbers(), case.findings
    largest = "none"
    if found.largest_mm is not None:
        largest = f"{found.largest_mm:.3g} mm, {found.size_class} by size"
    rows = [
        ("case", case.name),
        ("nodes", f"{found.examined} examined, {found.positive} positive"),
        ("largest", largest),
        ("pN", f"{found.stage or 'no node was examined'}, suggested"),
        (
            "by",
            f"{_BY[findings.source]}: {findings.decided} of {len(findings.reviewed)} "
            "candidates decided",
        ),
    ]
    rows += [
        (slide.state, f"{slide.listed.slide}: {slide.listed.reason or 'no tissue'}")
        for slide in case.slides
        if slide.state != "scanned"
    ]
    return rows
