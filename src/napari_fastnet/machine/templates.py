"""Templates of pages and cards, which jinja2 fills in."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def templates_of(room: str) -> Environment:
    """Return the templates that lie in a room, such as ``napari_fastnet.cohort``.

    HTML is escaped, since names of files may be HTML; Markdown is not. A template that
    names an unknown value is an error. Filters may be added, once a process.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    return Environment(
        loader=PackageLoader(room, ""),
        autoescape=select_autoescape(["html", "html.jinja"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
