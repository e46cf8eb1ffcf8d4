"""What `fuzz` and the tests of tests/fuzz feed with hostile input, and whole examples.

A target takes the bytes of one file, puts them where a user would have them, and reads
them as the product does. It may return or raise a FastNetError; anything else is a
finding.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shlex
import struct
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_fastnet.annotations.judged import read_judged
from napari_fastnet.annotations.masks import read_picture
from napari_fastnet.annotations.qupath.object_writing import write_qpdata
from napari_fastnet.annotations.qupath.project import objects_of
from napari_fastnet.annotations.reading import read_annotations
from napari_fastnet.core.geometry import Box, Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.errors import FastNetError
from napari_fastnet.machine.json_text import to_json
from napari_fastnet.model import bundle as bundles
from napari_fastnet.model.bundle import VARIABLE, load_bundle
from napari_fastnet.model.user_models import keep, read_candidate, remove_model
from napari_fastnet.results.formats.ome_tiff import write_heatmap_ome_tiff
from napari_fastnet.results.reading import (
    read_heatmap_ome_tiff,
    read_mask_export,
    read_regions_geojson,
    recorded_mpp,
)
from napari_fastnet.results.recognise import content_of
from napari_fastnet.results.record import RunRecord, read_record
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.store.format import RunDescription
from napari_fastnet.store.store import open_store, read_store

if TYPE_CHECKING:
    from collections.abc import Callable

#: What `napari-fastnet` is told in vain; no command here computes anything.
WORDS = (
    *("info", "tissue", "detect", "export", "replay", "evaluate", "models", "cache"),
    *("patches", "slides", "add", "remove", "list", "train", "-o", "--model", "--mpp"),
    *("--stride", "--threshold", "--format", "--mask", "--json", "--workers", "--low"),
    *("nowhere.svs", "missing/*.tif", "../..", "-1", "nan", "1e999", "0", "dense", ""),
)


@dataclass(frozen=True, slots=True)
class Target:
    """Something that reads files of strangers.

    Parameters
    ----------
    about : str
        What is fuzzed, in words.
    read : callable
        Maps (bytes, empty folder) to nothing.
    examples : callable
        Maps an empty folder to whole inputs, from which others are made.
    tokens : tuple of bytes
        What its format is made of; put into inputs here and there.
    """

    about: str
    read: Callable[[bytes, Path], None]
    examples: Callable[[Path], list[bytes]]
    tokens: tuple[bytes, ...] = ()


def held(target: Target, data: bytes, folder: Path) -> str | None:
    """Return what went wrong with an input, None if it was read or refused."""
    try:
        target.read(data, folder)
    except FastNetError as error:
        if not str(error).strip():
            return "a FastNetError without words"
    except Exception as error:  # noqa: BLE001  that is what is looked for
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "napari_fastnet" in frame.filename]
        place = (ours or frames)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        return f"{type(error).__name__} at {where}: {str(error)[:120]}"
    return None


def sealed(content: dict[str, Any]) -> dict[str, Any]:
    """Return what a stranger seals: the checksum of a run's description is no secret."""
    text = json.dumps(content, sort_keys=True)
    return {**json.loads(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}


# Outlines


def _annotation(suffix: str) -> Callable[[bytes, Path], None]:
    def read(data: bytes, folder: Path) -> None:
        path = folder / f"a{suffix}"
        path.write_bytes(data)
        if suffix == ".qpdata":
            read_judged(path)
        read_annotations(path)
        if suffix not in (".xml", ".qpdata"):
            content_of(path)

    return read


def _xml(_: Path) -> list[bytes]:
    points = "".join(f'<Coordinate Order="{i}" X="{i}" Y="{i * i}"/>' for i in range(4))
    return [
        (
            '<?xml version="1.0"?><ASAP_Annotations><Annotations><Annotation Name="a" '
            f'Type="Polygon" PartOfGroup="{group}"><Coordinates>{points}</Coordinates>'
            "</Annotation></Annotations></ASAP_Annotations>"
        ).encode()
        for group in ("Tumor", "_2")
    ]


def _geojson(_: Path) -> list[bytes]:
    ring = [[0, 0], [0, 9], [9, 9], [9, 0], [0, 0]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"classification": {"name": "Tumor"}, "name": "a"},
    }
    many = {"type": "MultiPolygon", "coordinates": [[ring], [ring, ring]]}
    camelyon = {"positive": [{"name": "a", "vertices": ring}], "negative": []}
    collection = {"type": "FeatureCollection", "features": [feature]}
    return [json.dumps(item).encode() for item in (collection, many, camelyon)]


def _features(_: Path) -> list[bytes]:
    """Return data files of QuPath, of no object and of two."""
    ring = [[0, 0], [0, 9], [9, 9], [9, 0], [0, 0]]
    feature = {
        "id": "123e4567-e89b-12d3-a456-426614174000",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {
            "name": "a",
            "classification": {"name": "Tumor"},
            "measurements": {"evidence": 1.5},
            "metadata": {"note": "b"},
        },
    }
    colours = {"Tumor": (200, 0, 0)}
    return [write_qpdata(found, {}, colours) for found in ([], [feature, feature])]


def _read_project(data: bytes, folder: Path) -> None:
    path = folder / "project.qpproj"
    path.write_bytes(data)
    (folder / "data" / "1").mkdir(parents=True)
    (folder / "data" / "1" / "data.qpdata").touch()
    objects_of(path, "/slides/a b.svs", lambda: (1.0, 2.0), (0.0, 0.0))


def _projects(_: Path) -> list[bytes]:
    server = {"builderType": "uri", "uri": "file:/slides/a%20b.svs", "args": []}
    turned = {"builderType": "rotated", "builder": server, "rotation": "ROTATE_90"}
    images = [
        {"serverBuilder": one, "entryID": number, "imageName": "a b.svs"}
        for number, one in enumerate((server, turned), 1)
    ]
    return [
        json.dumps(
            {"uri": "file:/p/project.qpproj", "lastID": 2, "images": some}
        ).encode()
        for some in (images[:1], images, [])
    ]


# Models


def _shipped() -> bundles.ModelBundle:
    return load_bundle(bundles.shipped()[0])


def _read_model_json(data: bytes, folder: Path) -> None:
    (folder / bundles.MODEL_FILE).write_bytes(data)
    for name in (bundles.WEIGHTS_FILE, bundles.ONNX_FILE, bundles.CARD_FILE):
        (folder / name).write_bytes(b"x")
    load_bundle(folder).card()


def _model_json(_: Path) -> list[bytes]:
    content = _shipped().to_dict() | {"training": {}, "metrics": {}, "stain": {}}
    digest = hashlib.sha256(b"x").hexdigest()
    names = (bundles.WEIGHTS_FILE, bundles.ONNX_FILE, bundles.CARD_FILE)
    return [json.dumps(content | {"files": dict.fromkeys(names, digest)}).encode()]


def _read_weights(data: bytes, folder: Path) -> None:
    from napari_fastnet.nn.checkpoint import load_weights

    whole = _shipped().weights_path.read_bytes()
    start = 8 + struct.unpack("<Q", whole[:8])[0]
    path = folder / bundles.WEIGHTS_FILE
    path.write_bytes(data + whole[start:])
    load_weights(path)


def _weights_header(_: Path) -> list[bytes]:
    whole = _shipped().weights_path.read_bytes()
    return [whole[: 8 + struct.unpack("<Q", whole[:8])[0]]]


def _read_onnx(data: bytes, folder: Path) -> None:
    from napari_fastnet.model.backends.onnx import OnnxBackend

    path = folder / bundles.ONNX_FILE
    path.write_bytes(data)
    backend = OnnxBackend(path, "hostile", threads=1)
    backend.predict(np.zeros((1, 32, 32, 3), np.uint8))


def _onnx(_: Path) -> list[bytes]:
    from onnx import TensorProto, helper

    shape = ("n", "h", "w", 3)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["patches"], ["v"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["v", "axes"], ["probability"], keepdims=0),
        ],
        "mean",
        [helper.make_tensor_value_info("patches", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ("n",))],
        [helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3])],
    )
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    return [model.SerializeToString()]


def _read_wsinfer(data: bytes, folder: Path) -> None:
    source = folder / "stranger"
    source.mkdir()
    (source / bundles.CONFIG_FILE).write_bytes(data)
    (source / bundles.TORCHSCRIPT_FILE).write_bytes(b"PK")
    os.environ[VARIABLE] = str(folder / "models")
    added = keep(read_candidate(source, allow_torchscript=True))
    load_bundle(added.name)
    remove_model(added.name)


def _wsinfer(_: Path) -> list[bytes]:
    steps = [{"name": "Resize", "arguments": {"size": 64}}, {"name": "ToTensor"}]
    normalise = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    steps.append({"name": "Normalize", "arguments": normalise})
    config = {
        "spec_version": "1.0",
        "architecture": "resnet34",
        "num_classes": 2,
        "patch_size_pixels": 350,
        "spacing_um_px": 0.25,
        "class_names": ["normal", "tumor"],
        "transform": steps,
    }
    return [json.dumps(config).encode()]


# Runs

_GRID = Grid((0.0, 0.0), (64.0, 64.0), (5, 6))


def _read_run(data: bytes, folder: Path) -> None:
    """Read a run whose description is sealed anew; behind a NUL come other files."""
    description, _, rest = data.partition(b"\0")
    record, _, chunk = rest.partition(b"\0")
    run = folder / "run.zarr"
    (run / "c/0").mkdir(parents=True)
    (run / "zarr.json").write_bytes(_resealed(description))
    if record:
        (run / "record.json").write_bytes(_resealed_record(record))
    (run / "c/0/0").write_bytes(chunk)
    content_of(run)
    store, _ = read_store(run)
    store.heatmap()


def _resealed(description: bytes) -> bytes:
    try:
        document = json.loads(description)
        own = {k: v for k, v in document["attributes"].items() if k != "sha256"}
        document["attributes"] = sealed(own)
        document["shape"] = own["grid"]["shape"]
        chunk = [own["block_cells"]] * 2
        document["chunk_grid"]["configuration"]["chunk_shape"] = chunk
        return json.dumps(document, indent=2, sort_keys=True).encode()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return description


def _resealed_record(record: bytes) -> bytes:
    try:
        content = {"record": json.loads(record)["record"]}
        return json.dumps(sealed(content), sort_keys=True).encode()
    except (ValueError, LookupError, TypeError, RecursionError):
        return record


def _run(folder: Path) -> list[bytes]:
    store = open_store(
        folder / "run.zarr",
        RunDescription(key={"slide": "s"}, grid=_GRID, mpp=(0.25, 0.25), block_cells=4),
    )
    store.write(store.blocks()[0], np.zeros((4, 4), np.float32))
    store.set_record('{"counts": {"computed": 16}, "model": {"name": "m"}}')
    files = ("zarr.json", "record.json", "c/0/0")
    return [b"\0".join((store.folder / name).read_bytes() for name in files)]


def _read_replayed(data: bytes, folder: Path) -> None:
    from napari_fastnet.cohort.replay import replay

    path = folder / "run.json"
    path.write_bytes(data)
    recorded_mpp(path, read_record(path))
    replay(path, folder / "again", slide=folder / "missing.svs")


def _read_options(data: bytes, folder: Path) -> None:
    from napari_fastnet.cohort.replay import options_of

    path = folder / "run.json"
    path.write_bytes(data)
    record = read_record(path)
    if record.options.stride_px and record.grid:
        options_of(record)
    with contextlib.suppress(FastNetError):
        _read_replayed(data, folder)


def _record() -> dict[str, Any]:
    from dataclasses import asdict

    from napari_fastnet.core.options import TissueParameters

    slide = {"path": "/s/a.svs", "fingerprint": "f", "width": 384, "height": 320}
    slide |= {"mpp": [0.25, 0.25], "mpp_source": "user", "vendor": "aperio"}
    model = {"name": "fastnet-pcam", "version": "1", "sha256": "0"}
    grid = {"origin_px": [0, 0], "step_px": [64, 64], "shape": [5, 6]}
    counts = {"kept": 30, "computed": 30, "failed": 0, "stopped": 0}
    options = {"dense": False, "stride_px": 64, "stain": {"method": "none"}}
    return {
        "format": "napari-fastnet run",
        "format_version": 1,
        "slide": slide,
        "model": model | {"mpp": 0.972, "patch": 96},
        "grid": grid,
        "threshold": 0.5,
        "tissue": {"fraction": 1, "parameters": asdict(TissueParameters())},
        "counts": counts,
        "seconds": {"read": 0, "infer": 0, "total": 0},
        "options": options | {"flips": False, "backend": "onnx on cpu"},
        "regions": {},
        "versions": read_versions(),
    }


def read_versions() -> dict[str, str]:
    """Return the versions that a record must name."""
    from napari_fastnet.results.record import PACKAGES

    return dict.fromkeys(("python", *PACKAGES), "1")


def _records(_: Path) -> list[bytes]:
    return [to_json(_record()).encode()]


# Pictures


def _read_slide(data: bytes, folder: Path) -> None:
    path = folder / "a.tif"
    path.write_bytes(data)
    content_of(path)
    with open_slide(path, mpp=0.25) as slide:
        height, width = slide.shape
        middle = Box.of_shape((64, 64), (height / 2, width / 2))
        slide.read(middle, 0.5, damaged="white")
        slide.read_level(0, 0, 0, 64, 64)
        assert slide.fingerprint
        if height * width < 2**22:
            slide.thumbnail(64)


def _slides(folder: Path) -> list[bytes]:
    image = np.random.default_rng(0).integers(0, 255, (96, 80, 3), np.uint8)
    common: dict[str, Any] = {"photometric": "rgb", "metadata": None}
    found = []
    for big, compression in ((False, None), (True, "deflate"), (False, "jpeg")):
        path = folder / "s.tif"
        text = "Aperio Image Library\r\n80x96|AppMag = 40|MPP = 0.25"
        with tifffile.TiffWriter(path, bigtiff=big) as tif:
            options = common | {"tile": (32, 32), "compression": compression}
            tif.write(image, description=text if not big else None, **options)
            tif.write(image[::2, ::2].copy(), subfiletype=1, **options)
        found.append(path.read_bytes())
    return found


def _read_export(data: bytes, folder: Path) -> None:
    for name, read in (
        ("heatmap.ome.tif", read_heatmap_ome_tiff),
        ("tissue_roi.tif", read_mask_export),
        ("m.tif", read_picture),
    ):
        path = folder / name
        path.write_bytes(data)
        with contextlib.suppress(FastNetError):
            read(path)


def _exports(folder: Path) -> list[bytes]:
    path = folder / "heatmap.ome.tif"
    values = np.zeros(_GRID.shape, np.float32)
    record = replace(RunRecord.from_json(_record()), grid=_GRID)
    write_heatmap_ome_tiff(path, Heatmap(values, _GRID, (0.25, 0.25)), record=record)
    return [path.read_bytes()]


def _read_regions(data: bytes, folder: Path) -> None:
    path = folder / "regions.geojson"
    path.write_bytes(data)
    content_of(path)
    recorded_mpp(path, read_regions_geojson(path)[1])


def _regions(_: Path) -> list[bytes]:
    ring = [[0, 0], [0, 64], [64, 64], [64, 0], [0, 0]]
    measured = {"area mm^2": 1, "longest axis mm": 1, "max probability": 1}
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"measurements": measured | {"mean probability": 1}},
    }
    collection = {"type": "FeatureCollection", "features": [feature]}
    from napari_fastnet.results.regions import RECORD_MEMBER

    return [json.dumps(collection | {RECORD_MEMBER: _record()}).encode()]


# The command line


def _run_command(data: bytes, folder: Path) -> None:
    from napari_fastnet.cli.app import DONE, INPUT_AT_FAULT, WRONG_USAGE, main

    try:
        words = shlex.split(data.decode("utf-8", "surrogateescape"))
    except ValueError:
        return
    # not even by chance: what draws, computes for minutes, or belongs to the user
    if {"demo", "bench", "doctor", "experiment", "cache"} & set(words):
        words = [w for w in words if w not in ("demo", "bench", "doctor", "experiment")]
        words += ["--folder", str(folder)] if "cache" in words else []
    os.environ[VARIABLE] = str(folder / "models")
    said, before = io.StringIO(), Path.cwd()
    os.chdir(folder)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(said),
        ):
            code = main(words)
    finally:
        os.chdir(before)
    if code not in (DONE, INPUT_AT_FAULT, WRONG_USAGE):
        raise AssertionError(f"exit code {code}")
    if code == INPUT_AT_FAULT and "error: " not in said.getvalue():
        raise AssertionError(f"no error named: {said.getvalue()[:200]!r}")


def _commands(_: Path) -> list[bytes]:
    return [
        b"info missing.svs --json",
        b"detect missing.svs -o out --stride 8 --threshold 0.5 --model fastnet-pcam",
        b"tissue missing.svs -o out --low 50 --high 240 --channels any",
        b"export run.zarr -o out --format geojson,csv --threshold 0.5",
        b"replay run.json -o out --tolerance 0.1",
        b"models add folder --name a --allow-torchscript",
        b"evaluate patches data.tar --mpp 0.25 --json",
        b"train data -o bundle --epochs 1",
    ]


_JSON = (b"null", b"{}", b"[]", b"-1", b"1e999", b"true", b'""', b'"\\ud800"', b"0")
_JSON += (b"[" * 2000, b"9" * 400, b"4294967296", b'"../../x"', b"[4e9,4e9]", b"NaN")
_WORDS = tuple(word.encode() for word in WORDS)
_NUMBERS = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\0\x80")

TARGETS = {
    "asap": Target(
        "annotations: ASAP XML",
        _annotation(".xml"),
        _xml,
        (
            b'<!ENTITY a "b">',
            b"&a;",
            b"<!DOCTYPE x>",
            b'encoding="shift_jis"',
            b'<?xml version="1.0" encoding="utf-7"?>',
            b"1e400",
            b"nan",
            b"<Annotation>",
        ),
    ),
    "geojson": Target(
        "annotations: GeoJSON and CAMELYON's JSON",
        _annotation(".geojson"),
        _geojson,
        _JSON,
    ),
    "qpdata": Target(
        "data.qpdata of QuPath", _annotation(".qpdata"), _features, _NUMBERS
    ),
    "qpproj": Target("projects of QuPath", _read_project, _projects, _JSON),
    "regions": Target("exported regions.geojson", _read_regions, _regions, _JSON),
    "model-json": Target("model.json", _read_model_json, _model_json, _JSON),
    "wsinfer": Target("config.json of WSInfer", _read_wsinfer, _wsinfer, _JSON),
    "safetensors": Target(
        "safetensors headers", _read_weights, _weights_header, _JSON + _NUMBERS
    ),
    "onnx": Target("ONNX graphs", _read_onnx, _onnx, _NUMBERS),
    "run": Target("run stores: the files of run.zarr", _read_run, _run, _JSON),
    "record": Target("run.json, for replay", _read_options, _records, _JSON),
    "tiff": Target(
        "TIFF slides: tags, page lists, tiles, sizes", _read_slide, _slides, _NUMBERS
    ),
    "export": Target(
        "exported heatmaps and masks, masks of others", _read_export, _exports, _NUMBERS
    ),
    "command": Target("command lines", _run_command, _commands, _WORDS),
}
