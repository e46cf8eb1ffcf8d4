"""What the class of an outline says: tumor, taken out of it, or nothing that is known.

Nothing is tumor that the user did not call so: a class of unknown meaning is never
guessed. Classes are compared without regard to case and to spaces around them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

#: Groups and classes whose outlines are tumour (CAMELYON16, CAMELYON17, ASAP, QuPath),
#: and those whose outlines are taken out of it.
POSITIVE_GROUPS = ("_0", "_1", "Tumor", "Tumour", "metastases", "metastasis")
NEGATIVE_GROUPS = ("_2", "Exclusion", "normal")

#: Groups and classes that take out of a region of interest; any other is part of it.
NOT_OF_INTEREST = ("_2", "Exclusion", "Ignore*")

#: What stands where there is no class.
UNCLASSIFIED = ("None", "Unclassified")

Meaning = Literal["tumour", "region of interest"]
Verdict = Literal["inside", "taken out", "left out", "unclassified", "unknown"]

#: From the class down to what was derived from it, as in QuPath's ``Tumor: Positive``;
#: empty is no class.
ClassNames = tuple[str, ...]


def class_names(value: Any) -> ClassNames:
    """Return the names of a class as files have it.

    Parameters
    ----------
    value : object
        Text, with ``: `` before what is derived; a list of such; QuPath's
        ``{"name": ...}`` or ``{"names": [...]}``, the Digital Slide Archive's
        ``{"value": ...}``; or nothing.

    Returns
    -------
    tuple of str
        Empty where there is no class, or one that says that there is none.
    """
    if isinstance(value, dict):
        given = (value.get(key) for key in ("names", "name", "value"))
        value = next((one for one in given if one), None)
    parts = value if isinstance(value, list) else [value]
    texts = [str(part) for part in parts if part is not None]
    names = [name.strip() for text in texts for name in text.split(": ")]
    found = tuple(name for name in names if name)
    return () if len(found) == 1 and _is_one_of(found[0], UNCLASSIFIED) else found


def class_text(names: ClassNames) -> str:
    """Return a class as QuPath shows it."""
    return ": ".join(names)[:80]


@dataclass(frozen=True, slots=True)
class Classes:
    """Which classes mean what.

    Parameters
    ----------
    meaning : {"tumour", "region of interest"}
        What the outlines of a file enclose.
    tumor : tuple of str
        Classes that the user called tumor, with what is derived from them; ``None``
        stands for outlines without a class. Then no other is, and what is not taken
        out of tumor is left out. Without any, ``POSITIVE_GROUPS`` are.
    """

    meaning: Meaning = "tumour"
    tumor: tuple[str, ...] = ()

    def verdict(self, names: ClassNames) -> Verdict:
        """Return what a class says.

        Parameters
        ----------
        names : tuple of str
            As `class_names` gives them. What is derived from a class is judged by it:
            ``Exclusion: Necrosis`` is an exclusion. A tumor of which a later name says
            that it is none is not known.

        Returns
        -------
        {"inside", "taken out", "left out", "unclassified", "unknown"}
            Of a region of interest, all but ``NOT_OF_INTEREST`` is inside.
        """
        if self.meaning == "region of interest":
            out = bool(names) and _is_one_of(names[0], NOT_OF_INTEREST)
            return "taken out" if out else "inside"
        if self.tumor:
            return self._by_the_user(names)
        if not names:
            return "unclassified"
        if _is_one_of(names[0], NEGATIVE_GROUPS):
            return "taken out"
        doubtful = any(_is_one_of(name, NEGATIVE_GROUPS) for name in names[1:])
        if _is_one_of(names[0], POSITIVE_GROUPS) and not doubtful:
            return "inside"
        return "unknown"

    def _by_the_user(self, names: ClassNames) -> Verdict:
        called = {class_names(name) for name in map(str.casefold, self.tumor)}
        own = tuple(name.casefold() for name in names)
        if own in called or any(own[:end] in called for end in range(1, len(own))):
            return "inside"
        if names and _is_one_of(names[0], NEGATIVE_GROUPS):
            return "taken out"
        return "left out"


def is_known(names: ClassNames) -> bool:
    """Return whether a class is tumor or taken out of it without the user's word."""
    return Classes().verdict(names) in ("inside", "taken out")


def _is_one_of(name: str, known: tuple[str, ...]) -> bool:
    return name.strip().casefold() in (one.casefold() for one in known)
