"""The pN of a case by the simplified rules of CAMELYON17.

They know the number of nodes and the size of the largest deposit in each, and nothing of
how a node was found, of the 200 cells of an ITC, or of growth beyond the capsule. So the
stage is a suggestion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_fastnet.core.lesions.regions import SizeClass

#: CAMELYON17's five stages, and pN3, which no case of five nodes reaches.
Stage = Literal["pN0", "pN0(i+)", "pN1mi", "pN1", "pN2", "pN3"]
STAGES: tuple[Stage, ...] = get_args(Stage)

#: Nodes with a metastasis from which on a case with a macro is pN2, and pN3.
PN2_NODES, PN3_NODES = 4, 10


def suggest_stage(nodes: Iterable[SizeClass | None]) -> Stage:
    """Suggest the stage of a case.

    Parameters
    ----------
    nodes : iterable of {"ITC", "micro", "macro"} or None
        The size class of the largest deposit of each node; None without a deposit.

    Returns
    -------
    {"pN0", "pN0(i+)", "pN1mi", "pN1", "pN2", "pN3"}
        A node with ITC alone is examined, but not positive.

    Examples
    --------
    >>> suggest_stage(["macro", "ITC", None])
    'pN1'
    """
    found = list(nodes)
    positive = sum(is_positive(node) for node in found)
    if "macro" in found:
        if positive >= PN3_NODES:
            return "pN3"
        return "pN2" if positive >= PN2_NODES else "pN1"
    if positive:
        return "pN1mi"
    return "pN0(i+)" if "ITC" in found else "pN0"


def is_positive(node: SizeClass | None) -> bool:
    """Return whether a node with this largest deposit counts as positive."""
    return node in ("micro", "macro")
