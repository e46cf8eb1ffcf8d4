"""Writer of Java's object serialisation, for values that are built anew each time."""

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
    from collections.abc import Iterable

#: Longest block and text that have a short head, bytes.
_SHORT_BLOCK, _SHORT_TEXT = 0xFF, 0xFFFF


def write_java(values: Iterable[Any]) -> bytes:
    """Write a stream.

    Parameters
    ----------
    values : iterable
        bytes (a block), str, None, `JavaObject`, `JavaArray` or `JavaEnum`. Equal classes
        and texts are written once, and so is the same object.

    Returns
    -------
    bytes
        The stream.
    """
    writer = _Writer()
    for value in values:
        writer.value(value)
    return b"".join(writer.parts)


class _Writer:
    """The parts of a stream, and the values that later ones refer to."""

    def __init__(self) -> None:
        self.parts = [struct.pack(">HH", java.MAGIC, java.VERSION)]
        self._known: dict[Any, int] = {}

    def _put(self, layout: str, *numbers: Any) -> None:
        self.parts.append(struct.pack(layout, *numbers))

    def _refer(self, key: Any) -> bool:
        """Refer to what was written before; False where it was not."""
        if key not in self._known:
            return False
        self._put(">BI", java.REFERENCE, java.FIRST_HANDLE + self._known[key])
        return True

    def _keep(self, key: Any) -> None:
        self._known[key] = len(self._known)

    def value(self, value: Any) -> None:
        if value is None:
            self._put("B", java.NULL)
        elif isinstance(value, bytes):
            self._block(value)
        elif isinstance(value, str):
            self._string(value)
        elif isinstance(value, JavaObject):
            self._object(value)
        elif isinstance(value, JavaArray):
            self._array(value)
        elif isinstance(value, JavaEnum):
            self._put("B", java.ENUM)
            self._class(value.kind)
            self._keep(("enum", len(self._known)))
            self._string(value.name)
        else:
            raise TypeError(f"{value!r} has no form in Java")

    def _block(self, block: bytes) -> None:
        if len(block) <= _SHORT_BLOCK:
            self._put("BB", java.BLOCK, len(block))
        else:
            self._put(">Bi", java.LONG_BLOCK, len(block))
        self.parts.append(block)

    def _text(self, text: str) -> None:
        self._put(">H", len(encoded := encoded_text(text)))
        self.parts.append(encoded)

    def _string(self, text: str) -> None:
        if self._refer(("text", text)):
            return
        encoded = encoded_text(text)
        self._keep(("text", text))
        if len(encoded) <= _SHORT_TEXT:
            self._put(">BH", java.STRING, len(encoded))
        else:
            self._put(">Bq", java.LONG_STRING, len(encoded))
        self.parts.append(encoded)

    def _class(self, kind: JavaClass | None) -> None:
        if kind is None:
            self._put("B", java.NULL)
        elif not self._refer(kind):
            self._put("B", java.CLASS_DESC)
            self._text(kind.name)
            self._put(">q", kind.version)
            self._keep(kind)
            self._put(">BH", kind.flags, len(kind.fields))
            for name, code in kind.fields:
                self._put("B", ord(code[0]))
                self._text(name)
                if code not in java.NUMBERS:
                    self._string(code)
            self._put("B", java.END_BLOCK)
            self._class(kind.parent)

    def _object(self, value: JavaObject) -> None:
        if self._refer(("object", id(value))):
            return
        self._put("B", java.OBJECT)
        self._class(value.kind)
        self._keep(("object", id(value)))
        if value.kind.flags & java.EXTERNALISABLE:  # once for all classes of its line
            self._own(value.written)
            return
        for kind in value.kind.line:
            for name, code in kind.fields:
                self._field(code, value.fields[name])
            if kind.flags & java.WRITES:
                self._own(value.written)

    def _own(self, written: list[Any]) -> None:
        """Write what a class writes on its own."""
        for one in written:
            self.value(one)
        self._put("B", java.END_BLOCK)

    def _field(self, code: str, value: Any) -> None:
        if code in java.LAYOUTS:
            self._put(java.LAYOUTS[code], value)
        else:
            self.value(value)

    def _array(self, array: JavaArray) -> None:
        self._put("B", java.ARRAY)
        self._class(array.kind)
        self._keep(("object", id(array)))
        self._put(">i", len(array.values))
        code = array.kind.name[1:2]
        if code in java.NUMBERS:
            self.parts.append(np.asarray(array.values, java.NUMBERS[code]).tobytes())
        else:
            for one in array.values:
                self.value(one)


def encoded_text(text: str) -> bytes:
    """Encode text as Java's modified UTF-8."""
    units = np.frombuffer(text.encode("utf-16-le", "surrogatepass"), "<u2").tolist()
    plain = "".join(map(chr, units)).encode("utf-8", "surrogatepass")
    return plain.replace(b"\0", b"\xc0\x80")
