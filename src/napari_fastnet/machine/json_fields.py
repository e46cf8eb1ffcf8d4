"""Dataclasses as objects of JSON, checked part by part against their annotations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from napari_fastnet.errors import OptionError


@dataclass(frozen=True, slots=True)
class JsonFields:
    """Rules to read and write dataclasses.

    Parameters
    ----------
    keys : mapping of str to str
        Fields with other names in JSON.
    sparse : frozenset of str
        Keys that are written only where they say something.
    may_be_empty : frozenset of str
        Classes that are written as ``{}`` where nothing of them is known.
    types : callable
        Gives types by name that annotations name and their modules do not load.
    lenient : bool
        Leave a part of another kind at its default instead of refusing it.
    """

    keys: Mapping[str, str] = field(default_factory=dict)
    sparse: frozenset[str] = frozenset()
    may_be_empty: frozenset[str] = frozenset()
    types: Callable[[], dict[str, Any]] = dict
    lenient: bool = False

    def section(self, kind: Any, value: Mapping[str, Any], at: str) -> Any:
        """Convert an object of JSON to a dataclass, ignoring unknown keys.

        ``at`` is the path of the object in the file, with a point at its end. A ValueError
        names the part that is missing or of another kind.
        """
        hints = _hints(kind, self.types)
        found = {}
        for part in fields(kind):
            key = self.keys.get(part.name, part.name)
            needed = part.default is MISSING and part.default_factory is MISSING
            if key in value:
                passed = (ValueError,) if self.lenient and not needed else ()
                with suppress(*passed):
                    found[part.name] = self.parsed(
                        hints[part.name], value[key], at + key
                    )
            elif needed:
                raise wrong_part(at + key)
        try:
            return kind(**found)
        except OptionError as error:
            raise ValueError(f"{at[:-1]!r} is not possible: {error}") from error

    def written(self, value: Any, source: Any) -> Any:
        """Convert a value to JSON.

        A dataclass keeps the unknown keys of the object that it was read from; keys that
        this object lacked are written only if they have another value than by default.
        """
        if isinstance(value, tuple):
            whole = isinstance(source, list) and len(source) == len(value)
            before = source if whole else [None] * len(value)
            return list(map(self.written, value, before))
        if not is_dataclass(value):
            return value
        source = source if isinstance(source, Mapping) else {}
        keys = {
            self.keys.get(part.name, part.name): part
            for part in fields(value)
            if part.name != "source"
        }
        kind: Any = type(value)
        if kind.__name__ in self.may_be_empty and value == kind():
            return {key: source[key] for key in source.keys() - keys}
        found = dict(source)
        for key, part in keys.items():
            known = getattr(value, part.name)
            item = self.written(known, source.get(key))
            # 0 says something where the default is None
            says = bool(item) or (part.default is None and known is not None)
            if says or (key not in self.sparse and (key in source or not source)):
                found[key] = item
            else:
                found.pop(key, None)
        return found

    def parsed(self, kind: Any, value: Any, at: str) -> Any:
        """Convert a value of JSON to a type; a ValueError names the part at fault."""
        origin, args = get_origin(kind), get_args(kind)
        if origin in (Union, UnionType):
            if value is None and NoneType in args:
                return None
            *others, last = (one for one in args if one is not NoneType)
            for one in others:
                with suppress(ValueError):
                    return self.parsed(one, value, at)
            return self.parsed(last, value, at)
        if is_dataclass(kind) and isinstance(value, dict):
            return self.section(kind, value, f"{at}.")
        if origin is tuple and isinstance(value, list):
            kinds = args[:1] * len(value) if args[-1] is Ellipsis else args
            if len(value) == len(kinds):
                pairs = zip(kinds, value, strict=True)
                return tuple(self.parsed(k, v, at) for k, v in pairs)
        elif origin is Mapping and isinstance(value, dict):
            return {key: self.parsed(args[1], item, at) for key, item in value.items()}
        elif _is_plain(kind, value):
            return value
        raise wrong_part(at)


def wrong_part(at: str) -> ValueError:
    """Return the error of a part that is missing or of another kind."""
    return ValueError(f"{at!r} is missing or of another kind")


@cache
def _hints(kind: Any, types: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    return get_type_hints(kind, localns=types())


def _is_plain(kind: Any, value: Any) -> bool:
    """Return whether a value is a number, a text or a truth value of that kind."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind is float:
        return type(value) in (int, float)
    return kind is Any or (type(value) is kind and "\0" not in str(value))
