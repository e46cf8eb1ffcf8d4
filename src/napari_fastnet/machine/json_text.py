"""JSON: untrusted text in, plain values out; every problem of a text is a ValueError."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from napari_fastnet.errors import OptionError


def parse_json(content: bytes | str, *, strict: bool = False) -> Any:
    """Parse a JSON text; ValueError where it is none, or nested deeper than can be read.

    ``strict`` refuses NaN, Infinity and numbers too large for a float (1e999), too.
    """
    try:
        if not strict:
            return json.loads(content)
        return json.loads(content, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def plain(value: Any) -> Any:
    """Return a value as JSON has it: paths as text, arrays as lists, NaN as None.

    OptionError where the value, or one inside it, has no JSON form.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    raise OptionError(
        f"a run record cannot hold {value!r}; give text, numbers, lists or dictionaries"
    )


def to_json(content: Mapping[str, Any], *, indent: int | None = None) -> str:
    """Return a mapping as JSON with sorted keys and no NaN; ASCII, for TIFF tags."""
    return json.dumps(plain(content), sort_keys=True, indent=indent, allow_nan=False)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text[:20]} is larger than any number")
    return value
