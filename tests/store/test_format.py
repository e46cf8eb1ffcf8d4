"""The files of a stored run: other zarr readers agree, and no damage is believed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import zarr

from napari_fastnet.core.geometry import Grid
from napari_fastnet.store.format import (
    RunDescription,
    chunk_path,
    decode,
    encode,
    read_chunks,
    read_description,
    read_record,
    record_bytes,
)

if TYPE_CHECKING:
    from pathlib import Path

RUN = RunDescription(
    {"slide": "a", "stain": {"method": "none"}, "spacing": 0.97},
    Grid((-3.5, 16.002), (384.0, 383.952), (5, 7)),
    (0.25, 0.251),
    3,
)
VALUES = np.linspace(0, 1, 35, dtype=np.float32).reshape(5, 7)


def write(folder: Path) -> None:
    (folder / "zarr.json").write_bytes(RUN.content)
    for row in range(2):
        for column in range(3):
            path = chunk_path(folder, row, column)
            path.parent.mkdir(parents=True, exist_ok=True)
            part = VALUES[3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
            path.write_bytes(encode(part, 3))


def test_zarr_reads_what_is_written(tmp_path: Path) -> None:
    write(tmp_path)
    array = zarr.open_array(str(tmp_path), mode="r")
    np.testing.assert_array_equal(array[:], VALUES)
    assert array.attrs["key"] == RUN.key
    chunk_path(tmp_path, 0, 0).unlink()
    assert np.isnan(array[:3, :3]).all()


def test_what_zarr_writes_is_read(tmp_path: Path) -> None:
    (tmp_path / "zarr.json").write_bytes(RUN.content)
    zarr.open_array(str(tmp_path), mode="r+")[:] = VALUES
    values, damaged = read_chunks(tmp_path, RUN)
    np.testing.assert_array_equal(values, VALUES)
    assert damaged == []


def test_zarr_notices_damage_too(tmp_path: Path) -> None:
    write(tmp_path)
    path = chunk_path(tmp_path, 0, 0)
    path.write_bytes(bytes(len(path.read_bytes())))
    with pytest.raises(ValueError, match="checksum"):
        zarr.open_array(str(tmp_path), mode="r")[:3, :3]


def test_a_description_comes_back_as_it_was() -> None:
    assert read_description(RUN.content) == RUN


def test_no_changed_description_is_taken_for_one() -> None:
    content = RUN.content
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1
        # None: the version's digit; that begins a new run, too.
        try:
            assert read_description(bytes(changed)) is None
        except ValueError:
            continue


@pytest.mark.parametrize(
    "content",
    [b"", bytes(900), b"[]", b"{}", b"null", RUN.content[:-1], RUN.content[:300]],
    ids=["empty", "zeros", "list", "object", "null", "short", "half"],
)
def test_what_is_no_description_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_description(content)


def test_a_foreign_array_is_a_value_error(tmp_path: Path) -> None:
    zarr.create_array(str(tmp_path), shape=(5, 7), dtype="float32")
    with pytest.raises(ValueError, match="no run"):
        read_description((tmp_path / "zarr.json").read_bytes())


def test_no_changed_chunk_is_taken_for_one() -> None:
    chunk = encode(VALUES[:3, :3], 3)
    np.testing.assert_array_equal(decode(chunk, 3), VALUES[:3, :3])
    changed = [chunk[:end] for end in range(len(chunk))]
    changed += [bytes(end) for end in range(len(chunk) + 1)]
    changed.append(chunk + b"\0")
    for place in range(len(chunk)):
        for bit in range(8):
            flipped = bytearray(chunk)
            flipped[place] ^= 1 << bit
            changed.append(bytes(flipped))
    for content in changed:
        with pytest.raises(ValueError, match=r"."):
            decode(content, 3)


def test_a_chunk_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="reshape"):
        decode(encode(VALUES[:3, :3], 4), 3)


def test_a_record_is_read_or_refused(tmp_path: Path) -> None:
    assert read_record(tmp_path).text == ""
    text = '{"threshold": 0.5, "counts": {"computed": 3}}'
    path = tmp_path / "record.json"
    path.write_bytes(record_bytes(text))
    found = read_record(tmp_path)
    assert json.loads(found.text) == json.loads(text)
    assert (found.computed, found.model) == (3, None)
    changed = json.loads(path.read_bytes())
    changed["record"]["threshold"] = 0.6
    for content in (b"", bytes(80), b"[]", json.dumps(changed).encode()):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"."):
            read_record(tmp_path)
