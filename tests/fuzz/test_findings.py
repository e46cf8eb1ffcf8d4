"""What fuzzing found, each with the smallest input that shows it."""

from __future__ import annotations

import json
import shutil
import struct

import numpy as np
import pytest
import tifffile

from napari_fastnet.annotations.asap_xml import read_asap_xml
from napari_fastnet.annotations.masks import read_picture
from napari_fastnet.core.geometry import Grid
from napari_fastnet.errors import (
    AnnotationError,
    BundleError,
    DataError,
    MaskError,
    OptionError,
    StoreError,
    TileReadError,
)
from napari_fastnet.machine.json_text import parse_json
from napari_fastnet.model.description import ModelDescription, parse_description
from napari_fastnet.model.user_models import keep, read_candidate
from napari_fastnet.patches.store import open_patch_store
from napari_fastnet.results.reading import read_heatmap_ome_tiff, read_regions_geojson
from napari_fastnet.results.record import read_record
from napari_fastnet.slide.samples import LARGEST_TILE_PX, check_claim
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.store.format import (
    MAXIMUM_BLOCKS,
    MAXIMUM_CELLS,
    RunDescription,
    read_description,
    record_bytes,
)
from napari_fastnet.store.store import read_store

DEEP = b"[" * 100_000


def test_json_nested_too_deep_is_a_value_error():
    with pytest.raises(ValueError, match="too deep"):
        parse_json(DEEP)


def test_numbers_beyond_all_are_refused_where_asked():
    assert parse_json("1e999") == float("inf")
    with pytest.raises(ValueError, match="larger than any number"):
        parse_json("1e999", strict=True)
    with pytest.raises(ValueError, match="NaN"):
        parse_json("NaN", strict=True)


def test_deep_descriptions_records_and_regions(tmp_path):
    run = tmp_path / "run.zarr"
    run.mkdir()
    (run / "zarr.json").write_bytes(DEEP)
    (tmp_path / "run.json").write_bytes(DEEP)

    with pytest.raises(StoreError, match="too deep"):
        read_store(run)
    with pytest.raises(StoreError, match="too deep"):
        read_record(tmp_path / "run.json")
    with pytest.raises(StoreError, match="too deep"):
        read_regions_geojson(tmp_path / "run.json")


def test_a_run_whose_key_is_nested_as_deep_as_json_is_read():
    whole = described((5, 6), 4).content
    deep = whole.replace(b'"key": {}', b'"key": ' + b"[" * 900 + b"]" * 900)
    parse_json(deep)

    with pytest.raises(ValueError, match=r"describes no run|contradicts"):
        read_description(deep)


def test_xml_in_an_encoding_that_python_does_not_read(tmp_path):
    path = tmp_path / "a.xml"
    path.write_bytes(b'<?xml version="1.0" encoding="shift_jis"?><ASAP_Annotations/>')

    with pytest.raises(AnnotationError, match="not an XML file"):
        read_asap_xml(path)


def test_a_whole_number_that_no_float_holds():
    content = ModelDescription(
        name="a", version="1", patch_size_pixels=96, spacing_um_px=1.0
    ).to_dict()
    parse_description(content)

    with pytest.raises(BundleError, match="threshold"):
        parse_description(content | {"threshold": 10**400})


def test_a_model_whose_texts_cannot_be_written(models_here, wsinfer_model, tmp_path):
    folder = tmp_path / "stranger"
    shutil.copytree(wsinfer_model, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architecture": "\ud800"}))

    with pytest.raises(BundleError, match="holds what cannot be written"):
        keep(read_candidate(folder, allow_torchscript=True))
    assert not any(models_here.glob("*"))


def described(shape, side):
    return RunDescription({}, Grid((0.0, 0.0), (1.0, 1.0), shape), (1.0, 1.0), side)


def test_a_run_is_no_larger_than_any_slide():
    described((2**13, MAXIMUM_CELLS // 2**13), 96)
    with pytest.raises(OptionError, match="choose a larger stride"):
        described((2**13, MAXIMUM_CELLS // 2**13 + 1), 96)
    described((MAXIMUM_BLOCKS, 1), 1)
    with pytest.raises(OptionError, match="blocks can be kept"):
        described((MAXIMUM_BLOCKS + 1, 1), 1)
    with pytest.raises(OptionError, match="whole numbers"):
        described((4, 4), 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("shape", [65536, 65536]),
        ("shape", ["5", 6]),
        ("origin_px", [0.0]),
        ("mpp", [None, 0.25]),
        ("block_cells", 1.5),
    ],
)
def test_a_sealed_description_of_an_absurd_run(fuzz_scripts, field, value):
    _, targets = fuzz_scripts
    content = json.loads(described((5, 6), 4).content)
    own = content["attributes"]
    (own if field in own else own["grid"])[field] = value
    sealed = targets._resealed(json.dumps(content).encode())

    with pytest.raises(ValueError, match=r"run|grid|blocks|contradicts"):
        read_description(sealed)


@pytest.mark.parametrize("record", [[], {"counts": [1]}, {"model": "m"}])
def test_a_sealed_record_of_another_kind_counts_as_damaged(tmp_path, record):
    run = tmp_path / "run.zarr"
    run.mkdir()
    (run / "zarr.json").write_bytes(described((5, 6), 4).content)
    (run / "record.json").write_bytes(record_bytes(json.dumps(record)))

    store, found = read_store(run)

    assert found == ""
    assert "damaged" in store.notes[0]


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("slide", "path", 7), ("slide", "path", "\0"), ("model", "name", [])],
)
def test_a_run_record_with_a_value_of_another_kind(
    fuzz_scripts, tmp_path, section, key, value
):
    _, targets = fuzz_scripts
    record = targets._record()
    path = tmp_path / "run.json"
    path.write_text(json.dumps(record))
    assert read_record(path).slide.path == "/s/a.svs"
    record[section][key] = value
    path.write_text(json.dumps(record))

    with pytest.raises(StoreError, match=f"'{section}.{key}' is missing or of another"):
        read_record(path)


def test_regions_without_numbers(fuzz_scripts, tmp_path):
    _, targets = fuzz_scripts
    (whole,) = targets.TARGETS["regions"].examples(tmp_path)
    path = tmp_path / "regions.geojson"
    path.write_bytes(whole.replace(b"[0, 64]", b"[0, null]"))

    with pytest.raises(StoreError, match="no number"):
        read_regions_geojson(path)


@pytest.mark.parametrize("name", ["../other", "/etc", "..", ""])
def test_a_patch_store_that_names_slides_outside(tmp_path, name):
    store = tmp_path / "patches.zarr"
    store.mkdir()
    own = {"napari_fastnet_patches": 1, "whole": True, "options": {}, "slides": [name]}
    (store / "zarr.json").write_text(json.dumps({"attributes": own}))

    with pytest.raises(DataError, match="outside of itself"):
        open_patch_store(store)


def test_a_picture_that_claims_four_billion_px(tmp_path):
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, np.zeros((8, 8), np.uint8), metadata=None)
    data = bytearray(path.read_bytes())
    first = struct.unpack_from("<I", data, 4)[0]
    for at in range(first + 2, len(data) - 12, 12):
        if struct.unpack_from("<H", data, at)[0] in (256, 257, 278):  # its sides
            struct.pack_into("<HII", data, at + 2, 4, 1, 65536)
    path.write_bytes(data)
    assert len(data) < 1000

    with pytest.raises(MaskError, match=r"claims 4,294,967,296 bytes"):
        read_picture(path)
    with pytest.raises(StoreError, match=r"claims 4,294,967,296 bytes"):
        read_heatmap_ome_tiff(path)


def test_a_small_picture_in_a_tile_that_is_wide_beyond_measure(tmp_path):
    path = tmp_path / "m.tif"
    options = {"tile": (16, 16), "compression": "deflate", "metadata": None}
    tifffile.imwrite(path, np.zeros((8, 8), np.float32), **options)
    data = bytearray(path.read_bytes())
    first = struct.unpack_from("<I", data, 4)[0]
    for at in range(first + 2, len(data) - 12, 12):
        if struct.unpack_from("<H", data, at)[0] == 322:  # the tile's width
            struct.pack_into("<HII", data, at + 2, 4, 1, 2**26)
    path.write_bytes(data)

    with pytest.raises(MaskError, match=r"claims 4,294,967,296 bytes"):
        read_picture(path)


def test_a_mask_whose_compressed_bytes_are_damaged(tmp_path):
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, np.ones((64, 64), np.uint8), compression="deflate")
    with tifffile.TiffFile(path) as tif:
        (offset,), (count,) = tif.pages[0].dataoffsets, tif.pages[0].databytecounts
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xab" * count)

    with pytest.raises(MaskError, match="not a picture that can be read"):
        read_picture(path)


def test_a_tile_that_claims_more_px_than_a_tile_has(tmp_path, texture, write_svs):
    path = write_svs(tmp_path / "a.svs", texture(128, 128), compression="jpeg")
    data = bytearray(path.read_bytes())
    at = data.find(b"\xff\xc0")
    while at > 0:
        struct.pack_into(">HH", data, at + 5, 65500, 65500)
        at = data.find(b"\xff\xc0", at + 1)
    path.write_bytes(data)

    with open_slide(path) as slide, pytest.raises(TileReadError, match="65500 x 65500"):
        slide.read_level(0, 0, 0, 8, 8)


def jpeg2000(height, width):
    return b"\xff\x4f\xff\x51" + struct.pack(">HH6I", 41, 0, width, height, 0, 0, 1, 1)


def jpeg(height, width):
    return b"\xff\xd8\xff\xe0\0\4ab\xff\xc0\0\x0b\x08" + struct.pack(
        ">HH", height, width
    )


@pytest.mark.parametrize("header", [jpeg, jpeg2000])
def test_claims_up_to_the_largest_tile(header):
    side = 2**13
    check_claim(header(LARGEST_TILE_PX // side, side) + b"\0" * 8)
    with pytest.raises(ValueError, match="claims"):
        check_claim(header(LARGEST_TILE_PX // side + 1, side) + b"\0" * 8)
