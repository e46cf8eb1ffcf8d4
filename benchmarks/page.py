"""Keep what a benchmark measured as JSON, and put it between two marks of a page."""

# ruff: noqa: T201  scripts on their own, no package

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from napari_fastnet.machine.json_text import plain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def write_between(page: Path, mark: str, text: str) -> None:
    """Replace what stands between ``<!-- mark: begin -->`` and ``<!-- mark: end -->``."""
    begin, end = (f"<!-- {mark}: {where} -->" for where in ("begin", "end"))
    before, rest = page.read_text().split(begin)
    _, after = rest.split(end)
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


def tell(figures: Mapping[str, Any], file: Path | None) -> None:
    """Print figures as JSON, and write them to a file where one is given."""
    text = json.dumps(plain(figures), indent=2, ensure_ascii=False)
    print(text)
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n", encoding="utf-8")
