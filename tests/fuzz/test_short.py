"""Spoiled input of every kind is read right or refused in words; the short form.

The long one, of 120,000 cases: ``python benchmarks/faults/fuzz.py``.
"""

from __future__ import annotations

import json
import random
import struct
from copy import deepcopy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

BYTES = {"safetensors": 60, "command": 25, "onnx": 100, "tiff": 250}
NAMES = ("asap", "geojson", "regions", "model-json", "wsinfer", "safetensors", "onnx")
NAMES += ("run", "record", "tiff", "export", "command", "qpdata", "qpproj")

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 1, 2**31, 2**32, 2**64, 10**400, 0.5, 1e308]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "\0", "\ud800", "../..", "a" * 5000, "nan"]),
    st.lists(st.sampled_from([0, "", None, [1, 2]]), max_size=3),
    st.dictionaries(st.sampled_from(["name", "type"]), st.integers(), max_size=2),
)


@pytest.mark.parametrize("name", NAMES)
def test_whole_inputs_are_read(name, examples, check):
    found = [check(name, data) for data in examples(name)]

    assert found == [None] * len(found)


@pytest.mark.parametrize("name", NAMES)
def test_spoiled_bytes(name, fuzz_scripts, examples, check):
    fuzz, targets = fuzz_scripts
    rng, whole = random.Random(name), examples(name)
    tokens = targets.TARGETS[name].tokens
    for _ in range(BYTES.get(name, 150)):
        data = fuzz.mutated(rng, rng.choice(whole), tokens)
        assert check(name, data) is None, data


def places(value, path=()):
    """Yield the path to every value inside a value of JSON."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from places(item, (*path, key))


@pytest.mark.parametrize(
    "name",
    ["geojson", "regions", "model-json", "wsinfer", "run", "record", "qpproj"],
)
@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_json_with_another_value_somewhere(name, examples, check, data):
    whole, _, rest = data.draw(st.sampled_from(examples(name))).partition(b"\0")
    content = json.loads(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        # what an earlier change removed is nowhere
        *path, key = data.draw(st.sampled_from(list(places(content)) or [("a",)]))
        at = content
        for step in path:
            at = at[step]
        at[key] = deepcopy(data.draw(ODD))

    spoiled = json.dumps(content).encode()
    assert check(name, spoiled + (b"\0" + rest if rest else b"")) is None


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_tiff_with_other_tags(examples, check, data):
    spoiled = bytearray(data.draw(st.sampled_from(examples("tiff")[::2])))
    first = struct.unpack_from("<I", spoiled, 4)[0]
    tags = struct.unpack_from("<H", spoiled, first)[0]
    numbers = st.sampled_from([0, 1, 2, 7, 64, 2**16, 2**31 - 1, 2**32 - 1])
    for _ in range(data.draw(st.integers(1, 3))):
        place = first + 2 + 12 * data.draw(st.integers(0, tags - 1))
        part, form = data.draw(st.sampled_from([(2, "<H"), (4, "<I"), (8, "<I")]))
        number = data.draw(numbers) % (2**16 if form == "<H" else 2**32)
        struct.pack_into(form, spoiled, place + part, number)

    assert check("tiff", bytes(spoiled)) is None
