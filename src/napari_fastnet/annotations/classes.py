"""Meanings of the classes of outlines: tumor, taken out of it, normal, or unknown.

An outline is tumor only if its author or the user says so: the meaning of a class is
never guessed. Classes are compared without regard to case and to spaces around them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

#: Groups and classes whose outlines are tumor (CAMELYON16, CAMELYON17, ASAP, QuPath),
#: those whose outlines are taken out of it, and those that are neither.
POSITIVE_GROUPS = ("_0", "_1", "Tumor", "Tumour", "metastases", "metastasis")
NEGATIVE_GROUPS = ("_2", "Exclusion", "normal", "Not tumor")
UNSURE_GROUPS = ("Unsure",)

#: Groups and classes that take out of a region of interest; any other is part of it.
NOT_OF_INTEREST = ("_2", "Exclusion", "Ignore*")

#: Classes of labels that teach a network, those of QuPath among them: tumor, normal, and
#: neither of both. What was taken out of a tumor without a name is not said to be normal.
TUMOR_LABELS = (
    *POSITIVE_GROUPS,
    "Cancer",
    "Carcinoma",
    "Macrometastasis",
    "Micrometastasis",
)
NORMAL_LABELS = (
    *("_2", "Normal", "Not tumor", "Not tumour", "Non-tumor", "Non-tumour", "Benign"),
    *("Other", "Stroma", "Immune cells", "Lymphocytes"),
)
IGNORED_LABELS = ("Ignore*", "Ignore", "Exclusion")
#: Names derived from a class of which the program itself, and no person, was the author;
#: the second is the one that a person sees in a project of QuPath.
UNDECIDED = "decided by no person"
UNDECIDED_NAMES = (UNDECIDED, "Undecided")
#: Key in the metadata of an annotation whose class alone says what a person decided.
EXPORTED_AS = "exported as"

#: Names for no class.
UNCLASSIFIED = ("None", "Unclassified")

Meaning = Literal["tumor", "region of interest", "labels"]
Verdict = Literal[
    "inside", "taken out", "ignored", "left out", "unclassified", "unknown"
]

#: A class and the classes derived from it, as in QuPath's ``Tumor: Positive``; empty is
#: no class.
ClassNames = tuple[str, ...]


def class_names(value: Any) -> ClassNames:
    """Return the names of a class from a file.

    Parameters
    ----------
    value : object
        Text, with ``: `` before a derived class; a list of such; QuPath's
        ``{"name": ...}`` or ``{"names": [...]}``, the Digital Slide Archive's
        ``{"value": ...}``; or nothing.

    Returns
    -------
    tuple of str
        Empty without a class, and for ``UNCLASSIFIED``.
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
    """Return a class as QuPath displays it."""
    return ": ".join(names)[:80]


@dataclass(frozen=True, slots=True)
class Classes:
    """The meanings of classes in a file.

    Parameters
    ----------
    meaning : {"tumor", "region of interest", "labels"}
        Meaning of the file's outlines; normal labels count as taken out.
    tumor : tuple of str
        Classes named tumor by the user, with those derived from them; ``None`` stands
        for outlines without a class. Then no other class is tumor, and outlines that are
        not taken out of it are left out. By default ``POSITIVE_GROUPS`` are tumor, and of
        labels ``TUMOR_LABELS``.
    """

    meaning: Meaning = "tumor"
    tumor: tuple[str, ...] = ()

    def verdict(self, names: ClassNames) -> Verdict:
        """Return the meaning of a class.

        Parameters
        ----------
        names : tuple of str
            From `class_names`. A derived class has the meaning of its first name:
            ``Exclusion: Necrosis`` is an exclusion. A tumor class with a derived name
            that is no tumor is unknown.

        Returns
        -------
        {"inside", "taken out", "ignored", "left out", "unclassified", "unknown"}
            All but ``NOT_OF_INTEREST`` is inside a region of interest. Labels are never
            unclassified or unknown, but left out.
        """
        if self.meaning == "labels":
            return self._label(names)
        if self.meaning == "region of interest":
            out = bool(names) and _is_one_of(names[0], NOT_OF_INTEREST)
            return "taken out" if out else "inside"
        if self.tumor:
            return self._by_the_user(names)
        if not names:
            return "unclassified"
        if _is_one_of(names[0], NEGATIVE_GROUPS):
            return "taken out"
        if _is_one_of(names[0], UNSURE_GROUPS):
            return "left out"
        doubtful = any(_is_one_of(name, NEGATIVE_GROUPS) for name in names[1:])
        if _is_one_of(names[0], POSITIVE_GROUPS) and not doubtful:
            return "inside"
        return "unknown"

    def _label(self, names: ClassNames) -> Verdict:
        if any(_is_one_of(name, UNDECIDED_NAMES) for name in names):
            return "left out"
        if self.tumor and self._by_the_user(names) == "inside":
            return "inside"
        groups: tuple[tuple[Verdict, tuple[str, ...]], ...] = (
            ("inside", () if self.tumor else TUMOR_LABELS),
            ("taken out", NORMAL_LABELS),
            ("ignored", IGNORED_LABELS),
        )
        said = [v for name in names for v, group in groups if _is_one_of(name, group)]
        whole = bool(said) and any(_is_one_of(names[0], group) for _, group in groups)
        return said[0] if whole and len(set(said)) == 1 else "left out"

    def _by_the_user(self, names: ClassNames) -> Verdict:
        called = {class_names(name) for name in map(str.casefold, self.tumor)}
        own = tuple(name.casefold() for name in names)
        if own in called or any(own[:end] in called for end in range(1, len(own))):
            return "inside"
        if names and _is_one_of(names[0], NEGATIVE_GROUPS):
            return "taken out"
        return "left out"


def is_known(names: ClassNames) -> bool:
    """Return whether a class has a meaning without the user naming it."""
    return Classes().verdict(names) in ("inside", "taken out")


def is_unsure(names: ClassNames) -> bool:
    """Return whether a class says that a person is in doubt."""
    return bool(names) and _is_one_of(names[0], UNSURE_GROUPS)


def _is_one_of(name: str, known: tuple[str, ...]) -> bool:
    return name.strip().casefold() in map(str.casefold, known)
