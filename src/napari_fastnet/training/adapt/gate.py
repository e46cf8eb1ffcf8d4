"""Gate of an adaptation: what it gained on the corrections, and what it lost at home."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_fastnet.model.training_facts import GateFacts

if TYPE_CHECKING:
    from napari_fastnet.core.arrays import Bools, Indices

#: Most that the AUC at home may fall.
MOST_LOST = 0.02
#: Most that the AUC on the corrections may fall where more of them are right than before:
#: of few labels, which were in order before, it falls by chance.
MOST_DISORDER = 0.02
#: Least AUC on the corrections afterwards: below, they do not fit what is seen.
LEAST_AUC = 0.6
#: Most groups of places that are held out in turn.
FOLDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate(GateFacts):
    """Figures of a model before and after it was adapted, and the verdict on them."""

    @property
    def words(self) -> str:
        """The numbers as a sentence without a full stop."""
        home = f"at home {self.home_before:.3f} to {self.home_after:.3f}"
        if self.corrections_before is None or self.corrections_after is None:
            return f"on your corrections not measured, {home}"
        before, after = (
            f"{value:.2f}"
            for value in (self.corrections_before, self.corrections_after)
        )
        if before == after:
            before = f"{self.corrections_before:.3f}"
            after = f"{self.corrections_after:.3f}"
        right = ""
        if self.right_before is not None and self.right_after is not None:
            right = f" ({self.right_before:.0%} to {self.right_after:.0%} right)"
        return f"on your corrections {before} to {after}{right}, {home}"

    @property
    def refusal(self) -> str | None:
        """Reason to refuse the model; None where it passes."""
        before, after = self.corrections_before, self.corrections_after
        if before is None or after is None:
            return (
                "the corrections of a class lie in one place, so no gain can be shown"
            )
        if after < LEAST_AUC:
            return (
                "the labels hardly fit what is seen; see that they are of these slides "
                "and of the right class"
            )
        more_right = (self.right_after or 0) > (self.right_before or 0)
        if after <= before and not (more_right and before - after <= MOST_DISORDER):
            if self.taught_before:
                return (
                    "the model before was adapted, perhaps by these corrections, so no "
                    "gain can be shown; teach the model it came from"
                )
            return "the corrections gain nothing"
        if self.home_before - self.home_after > MOST_LOST:
            return f"the AUC at home falls by more than {MOST_LOST:g}"
        return None


def share_right(tumor: Bools, called: Bools) -> float:
    """Return the mean share of both classes, (n,), that is called what it is, 0 to 1."""
    return float(np.mean([called[tumor].mean(), (~called[~tumor]).mean()]))


def folds_of(places: Indices, tumor: Bools) -> Indices | None:
    """Divide places into at most `FOLDS` groups to hold out in turn.

    Parameters
    ----------
    places : (n,) ndarray of int
        Place of each patch.
    tumor : (n,) ndarray of bool
        Their labels; both occur.

    Returns
    -------
    (n,) ndarray of int or None
        Group of each patch. Without any one group, both classes are left. None where a
        class lies in one place only.
    """
    known, index = np.unique(places, return_inverse=True)
    counts = np.stack(
        [np.bincount(index[tumor == label], minlength=len(known)) for label in (0, 1)]
    )
    rare, common = counts[np.argsort((counts > 0).sum(axis=1), kind="stable")]
    groups = min(FOLDS, int((rare > 0).sum()))
    if groups < 2:
        return None
    of_place = np.empty(len(known), np.intp)
    filled = np.zeros(groups, int)
    by_rare = np.argsort(-rare, kind="stable")
    for number, place in enumerate(by_rare[: int((rare > 0).sum())]):
        of_place[place] = number % groups
        filled[number % groups] += common[place]
    for place in np.argsort(-common, kind="stable"):
        if not rare[place]:
            of_place[place] = filled.argmin()
            filled[of_place[place]] += common[place]
    return of_place[index]
