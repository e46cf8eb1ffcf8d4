"""JSON of strangers: what Python's reader lets through or breaks on is a ValueError."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any, NoReturn


def parse_json(content: bytes | str, *, strict: bool = False) -> Any:
    """Return what a JSON text says.

    Parameters
    ----------
    content : bytes or str
        Bytes are UTF-8, 16 or 32.
    strict : bool, optional
        Refuse NaN, Infinity, and numbers too large to be one (1e999), too.

    Returns
    -------
    object
        Dictionaries, lists, text, numbers, truth values, None.

    Raises
    ------
    ValueError
        It is no JSON, or nested deeper than can be read.
    """
    try:
        if not strict:
            return json.loads(content)
        return json.loads(content, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text[:20]} is larger than any number")
    return value
