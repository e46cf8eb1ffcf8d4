"""Values of a stream of Java's object serialisation, as data without behaviour.

The grammar of the streams is in Java's *Object Serialization Specification*, protocol
version 2. Text is ``str``, null is None, and what `writeObject` or `writeExternal` of a
class wrote on its own is a list of blocks of bytes and of values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

MAGIC, VERSION = 0xACED, 5
FIRST_HANDLE = 0x7E0000

NULL, REFERENCE, CLASS_DESC, OBJECT, STRING, ARRAY = 0x70, 0x71, 0x72, 0x73, 0x74, 0x75
CLASS, BLOCK, END_BLOCK, RESET, LONG_BLOCK = 0x76, 0x77, 0x78, 0x79, 0x7A
EXCEPTION, LONG_STRING, PROXY_CLASS_DESC, ENUM = 0x7B, 0x7C, 0x7D, 0x7E

#: Flags of a class: it has a method of its own that writes; is serialisable; is
#: externalisable; wrote blocks; is an enum.
WRITES, SERIALISABLE, EXTERNALISABLE, BLOCKS, IS_ENUM = 1, 2, 4, 8, 16

#: Layouts of numbers for struct, by the code of a field's type.
LAYOUTS = {
    "B": ">b",
    "C": ">H",
    "D": ">d",
    "F": ">f",
    "I": ">i",
    "J": ">q",
    "S": ">h",
    "Z": ">?",
}
#: The same, of arrays.
NUMBERS: dict[str, np.dtype[Any]] = {
    "B": np.dtype(">i1"),
    "C": np.dtype(">u2"),
    "D": np.dtype(">f8"),
    "F": np.dtype(">f4"),
    "I": np.dtype(">i4"),
    "J": np.dtype(">i8"),
    "S": np.dtype(">i2"),
    "Z": np.dtype("?"),
}


@dataclass(frozen=True, slots=True)
class JavaClass:
    """The description of a class.

    Parameters
    ----------
    name : str
        With its package; ``$`` before the name of an inner class.
    version : int
        Its serialVersionUID.
    flags : int
        Sum of ``WRITES``, ``SERIALISABLE`` and so on.
    fields : tuple of (str, str)
        Name and type of each; numbers first, each kind by name, as Java writes them.
    parent : JavaClass or None
        The class that it extends, where that is serialisable, too.
    """

    name: str
    version: int = 1
    flags: int = SERIALISABLE
    fields: tuple[tuple[str, str], ...] = ()
    parent: JavaClass | None = None

    @property
    def line(self) -> list[JavaClass]:
        """The class and those that it extends, the most general first."""
        above = [] if self.parent is None else self.parent.line
        return [*above, self]


@dataclass(slots=True, eq=False)
class JavaObject:
    """An object.

    Parameters
    ----------
    kind : JavaClass
        Its class.
    fields : dict
        Values by name, those of classes that it extends among them.
    written : list
        Blocks of bytes and values that its class wrote on its own.
    """

    kind: JavaClass
    fields: dict[str, Any] = field(default_factory=dict)
    written: list[Any] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class JavaArray:
    """An array: an ndarray of numbers, or a list of values; its class begins with ``[``."""

    kind: JavaClass
    values: Any


@dataclass(frozen=True, slots=True)
class JavaEnum:
    """A constant of an enum."""

    kind: JavaClass
    name: str
