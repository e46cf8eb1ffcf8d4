"""MODEL_CARD.md: the card of a trained model, its data and its figures.

It states measured figures and words of the user only, since any patches can be trained on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from napari_fastnet.core.display import counted
from napari_fastnet.core.metrics.calibration import at_share
from napari_fastnet.machine.templates import templates_of

if TYPE_CHECKING:
    from napari_fastnet.model.description import ModelDescription

#: Shares of tumor among the patches of a slide that a card speaks of.
_SHARES = (0.5, 0.1, 0.01, 0.001)


def write_card(description: ModelDescription) -> str:
    """Write the card of a trained model as Markdown, every figure from its description."""
    if description.adapted is not None:
        return _rendered("adapted.md.jinja", model=description)
    options = description.training.options
    # Those of the augmentation stand among the others.
    flat = {**options, **options.get("augmentation", {})}
    flat.pop("augmentation", None)
    words = ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in flat.items()
    )
    rows = _by_share(description)
    return _rendered("card.md.jinja", model=description, options=words, by_share=rows)


def _by_share(description: ModelDescription) -> list[tuple[float, float, float]]:
    """Return shares of tumor, and both the threshold and the precision moved there."""
    metrics = description.metrics
    fitted = (metrics.positives or 0) / (metrics.n or 1)
    if not 0 < fitted < 1:
        return []  # undefined, with patches of one class
    precision = metrics.precision or 0.0  # undefined where nothing is called tumor
    return [
        (
            share,
            at_share(description.threshold, share, fitted),
            at_share(precision, share, fitted),
        )
        for share in _SHARES
    ]


def with_lesions(card: str, description: ModelDescription) -> str:
    """Return a card with the section on lesions replaced by that of a description."""
    section = _rendered("lesions.md.jinja", model=description)
    before = re.sub(r"^## Lesions\n.*?(?=^## |\Z)", "", card, flags=re.M | re.S)
    limits = before.find("\n## Limits")
    at = len(before) if limits < 0 else limits + 1
    return f"{before[:at]}{section}\n{before[at:]}"


def _rendered(template: str, **values: Any) -> str:
    environment = templates_of("napari_fastnet.model")
    environment.filters["number"] = _number
    environment.filters["counted"] = counted
    return environment.get_template(template).render(**values)


def _number(value: float | None, kind: str) -> str:
    """Format a number; an unknown one is an empty text."""
    return "" if value is None else format(value, kind)


def section_of(card: str, heading: str) -> str | None:
    """Return the text below a heading of the second level, up to the next; None: no such."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", card, re.M | re.S)
    return found[1].strip() if found else None
