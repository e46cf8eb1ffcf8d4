"""Reader of Java's object serialisation: data out of a stream, and no code.

Files may be damaged or hostile: every fault is a ValueError, nothing is loaded by name, and
no more is made than the bytes of the file hold.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fastnet.annotations.qupath import java_values as java
from napari_fastnet.annotations.qupath.java_values import (
    JavaArray,
    JavaClass,
    JavaEnum,
    JavaObject,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: What ends the values that a class wrote on its own.
_END = object()


def read_java(content: bytes) -> Iterator[Any]:
    """Yield the blocks of bytes and the values of a stream, one after another.

    Parameters
    ----------
    content : bytes
        The whole stream.

    Yields
    ------
    object
        bytes, str, None, `JavaObject`, `JavaArray`, `JavaEnum`, or `JavaClass`.

    Raises
    ------
    ValueError
        It is no such stream, or damaged.
    """
    reader = _Reader(content)
    try:
        yield from reader.contents()
    except RecursionError:
        raise ValueError("its objects are nested too deep") from None


class _Reader:
    """A position in a stream, and the values that later ones may refer to."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0
        self._known: list[Any] = []
        self._readers: dict[int, Callable[[], Any]] = {
            java.NULL: lambda: None,
            java.REFERENCE: self._referred,
            java.BLOCK: lambda: self._bytes(self._byte()),
            java.LONG_BLOCK: lambda: self._bytes(self._number(">i")),
            java.STRING: lambda: self._keep(self._text()),
            java.LONG_STRING: lambda: self._keep(self._text(">q")),
            java.OBJECT: self._object,
            java.ARRAY: self._array,
            java.ENUM: self._enum,
            java.CLASS: lambda: self._keep(self._class()),
        }
        if self._numbers(">HH") != (java.MAGIC, java.VERSION):
            raise ValueError("it does not begin as serialised objects of Java do")

    def contents(self) -> Iterator[Any]:
        while self._at < len(self._content):
            yield self._value()

    def _bytes(self, count: int) -> bytes:
        part = self._content[self._at : self._at + count]
        if count < 0 or len(part) < count:
            raise ValueError(f"it ends in the middle of a value, at byte {self._at:,}")
        self._at += count
        return part

    def _numbers(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack(layout, self._bytes(struct.calcsize(layout)))

    def _number(self, layout: str) -> Any:
        return self._numbers(layout)[0]

    def _byte(self) -> int:
        if self._at >= len(self._content):
            self._bytes(1)
        self._at += 1
        return self._content[self._at - 1]

    def _text(self, layout: str = ">H") -> str:
        return _decoded(self._bytes(self._number(layout)))

    def _keep(self, value: Any) -> Any:
        self._known.append(value)
        return value

    def _value(self, *, may_end: bool = False) -> Any:
        """Return the next value, or a block; ``_END`` at the end of what a class wrote."""
        code = self._byte()
        if code == java.END_BLOCK and may_end:
            return _END
        if code == java.RESET:
            self._known.clear()
            return self._value(may_end=may_end)
        if code in (java.CLASS_DESC, java.PROXY_CLASS_DESC):
            return self._class_desc(code)
        if code not in self._readers:
            raise ValueError(f"no value is of kind {code:#x}, at byte {self._at:,}")
        return self._readers[code]()

    def _referred(self) -> Any:
        index = self._number(">I") - java.FIRST_HANDLE
        if not 0 <= index < len(self._known):
            raise ValueError(f"a reference leads nowhere, at byte {self._at:,}")
        return self._known[index]

    def _written(self) -> list[Any]:
        """Return the objects that a class wrote on its own, to its end."""
        found = []
        while (value := self._value(may_end=True)) is not _END:
            found.append(value)
        return found

    def _class(self) -> JavaClass:
        """Return a class of an object; it must be there."""
        kind = self._optional_class()
        if kind is None:
            raise ValueError(f"an object has no class, at byte {self._at:,}")
        return kind

    def _optional_class(self) -> JavaClass | None:
        code = self._byte()
        if code == java.NULL:
            return None
        kind = self._referred() if code == java.REFERENCE else self._class_desc(code)
        if not isinstance(kind, JavaClass):
            raise ValueError(f"a class is none, at byte {self._at:,}")
        return kind

    def _class_desc(self, code: int) -> JavaClass:
        place = len(self._known)
        if code == java.PROXY_CLASS_DESC:
            self._keep(None)
            name = " ".join([self._text() for _ in range(self._count(2))])
            self._written()
            kind = JavaClass(name, parent=self._optional_class())
        elif code == java.CLASS_DESC:
            name, version = self._text(), self._number(">q")
            self._keep(None)  # which nothing in it refers to
            flags, count = self._numbers(">BH")
            fields = tuple(self._field() for _ in range(count))
            self._written()
            kind = JavaClass(name, version, flags, fields, self._optional_class())
        else:
            raise ValueError(f"a class is none, at byte {self._at:,}")
        self._known[place] = kind
        return kind

    def _field(self) -> tuple[str, str]:
        code, name = chr(self._byte()), self._text()
        if code in java.NUMBERS:
            return name, code
        kind = self._value()
        if code not in "L[" or not isinstance(kind, str):
            raise ValueError(f"field {name[:80]!r} has no type, at byte {self._at:,}")
        return name, kind

    def _object(self) -> JavaObject:
        found = JavaObject(self._class())
        self._keep(found)
        if found.kind.flags & java.EXTERNALISABLE:  # once for all classes of its line
            if not found.kind.flags & java.BLOCKS:
                raise ValueError(
                    f"{found.kind.name[:80]} is in a form of before Java 1.2"
                )
            found.written = self._written()
            return found
        for kind in found.kind.line:
            for name, code in kind.fields:
                if code in java.NUMBERS:
                    found.fields[name] = self._number(java.LAYOUTS[code])
                else:
                    found.fields[name] = self._value()
            if kind.flags & java.WRITES:
                found.written += self._written()
        return found

    def _count(self, least_bytes: int) -> int:
        """Return a number of values, each of so many bytes; no more than there can be."""
        count: int = self._number(">i")
        if not 0 <= count * least_bytes <= len(self._content) - self._at:
            raise ValueError(f"{count:,} values do not fit, at byte {self._at:,}")
        return count

    def _array(self) -> JavaArray:
        found = JavaArray(self._class(), ())
        self._keep(found)
        code = found.kind.name[1:2]
        if code in java.NUMBERS:
            count = self._count(java.NUMBERS[code].itemsize)
            found.values = self._array_of(code, count)
        else:
            found.values = [self._value() for _ in range(self._count(1))]
        return found

    def _array_of(self, code: str, count: int) -> Any:
        kind = java.NUMBERS[code]
        return np.frombuffer(self._bytes(count * kind.itemsize), kind)

    def _enum(self) -> JavaEnum:
        kind, place = self._class(), len(self._known)
        self._keep(None)
        name = self._value()
        if not isinstance(name, str):
            raise ValueError(f"a constant has no name, at byte {self._at:,}")
        self._known[place] = JavaEnum(kind, name)
        return JavaEnum(kind, name)


def _decoded(encoded: bytes) -> str:
    """Decode Java's modified UTF-8: 0 as two bytes, what is beyond 0xffff as surrogates."""
    try:
        plain = encoded.replace(b"\xc0\x80", b"\0").decode("utf-8", "surrogatepass")
        return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    except UnicodeError as error:
        raise ValueError(f"a text is damaged ({error})") from error
