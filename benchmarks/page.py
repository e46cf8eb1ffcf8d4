"""Put what a benchmark measured between two marks of a page of the docs."""

# ruff: noqa: INP001  scripts on their own, no package

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_between(page: Path, mark: str, text: str) -> None:
    """Replace what stands between ``<!-- mark: begin -->`` and ``<!-- mark: end -->``."""
    begin, end = (f"<!-- {mark}: {where} -->" for where in ("begin", "end"))
    before, rest = page.read_text().split(begin)
    _, after = rest.split(end)
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")
