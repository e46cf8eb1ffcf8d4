"""What must not be loaded, and where: the contracts, and a look at fresh processes."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from dataclasses import fields
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
import pytest

from napari_fastnet.results.record import RunRecord

HEAVY = {
    "dask", "matplotlib", "napari", "numpy", "onnxruntime", "openvino", "qtpy", "rich",
    "scipy", "skimage", "tiffslide", "torch", "zarr",
}  # fmt: skip


def loaded_by(code: str) -> set[str]:
    """Return the top-level modules that a fresh Python has after running code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}


def test_a_slide_on_a_disk_loads_nothing_for_addresses():
    code = "import napari_fastnet.cohort.detect, napari_fastnet.results.recognise"
    assert not loaded_by(code) & {"asyncio", "fsspec", "aiohttp", "ssl"}


def test_importing_the_package_loads_nothing_heavy():
    assert not loaded_by("import napari_fastnet") & HEAVY


@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["info", "--help"],
        ["detect", "--help"],
        ["train", "--help"],
        ["evaluate", "slides", "--help"],
        ["bench", "--help"],
        ["--version"],
        ["nonsense"],
    ],
)
def test_help_loads_nothing_heavy(argv):
    code = f"from napari_fastnet.cli.app import main; main({argv!r})"
    assert not loaded_by(code) & HEAVY


def test_detection_on_the_cpu_loads_no_torch(dark_bundle, write_tiff, tmp_path):
    image = np.full((128, 192, 3), 245, np.uint8)
    image[:, :96] = (200, 120, 180)  # tissue beside glass
    slide = write_tiff(tmp_path / "slide.tif", image, mpp=2.0)
    argv = ["detect", str(slide), "-o", str(tmp_path), "--model", str(dark_bundle)]
    code = f"from napari_fastnet.cli.app import main; assert main({argv!r}) == 0"
    loaded = loaded_by(code)
    record = json.loads((tmp_path / "slide/run.json").read_text("utf-8"))
    assert record["counts"]["computed"] > 0
    assert loaded & {"onnxruntime", "openvino"}
    assert not loaded & {"napari", "qtpy", "torch"}


def test_results_that_are_no_pictures_load_no_matplotlib():
    code = "from napari_fastnet import *; from napari_fastnet.results import loading"
    assert not loaded_by(code) & {"matplotlib", "napari", "torch"}


def test_matplotlib_comes_when_there_is_something_to_draw():
    """It takes a quarter of the time to the first result of a detection."""
    code = "import napari_fastnet.cohort.task, napari_fastnet.cohort.detect"
    assert not loaded_by(code) & {"matplotlib", "napari", "torch"}


def test_layers_hold():
    linter = pytest.importorskip("importlinter.cli")
    code = linter.lint_imports(
        config_filename=str(Path(__file__).parents[1] / "pyproject.toml"),
        no_logo=True,
        cache_dir=None,
    )
    assert code == linter.EXIT_STATUS_SUCCESS


def test_no_module_imports_itself_round_about():
    """Imports for types alone count: they too make a file hard to read alone."""
    graph = pytest.importorskip("grimp").build_graph(
        "napari_fastnet", exclude_type_checking_imports=False, cache_dir=None
    )
    imports = {
        module: graph.find_modules_directly_imported_by(module)
        for module in graph.modules
    }
    TopologicalSorter(imports).prepare()  # raises CycleError, with the circle


@pytest.mark.parametrize(
    "room",
    [
        "annotations",
        "bench",
        "core",
        "detection",
        "evaluation",
        "model",
        "patches",
        "training",
    ],
)
def test_options_of_commands_load_nothing_heavy(room):
    """The command line takes names, help and defaults from them."""
    assert not loaded_by(f"import napari_fastnet.{room}.options") & HEAVY


def _mappings_of_records(source: str) -> list[str]:
    """Return the names by which a module takes, gives or reads a record as a mapping."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.FunctionDef(name=name, args=args, returns=returns):
                typed = [*args.posonlyargs, *args.args, *args.kwonlyargs]
                kinds = {arg.arg: arg.annotation for arg in typed} | {name: returns}
                found += [
                    name
                    for name, kind in kinds.items()
                    if "record" in name
                    and kind is not None
                    and re.search(r"\b(dict|Mapping)\b", ast.unparse(kind))
                    and name != "to_dict"
                ]
            case ast.Subscript(value=value) | ast.Call(func=ast.Attribute(value=value)):
                # a value out of a section, or a section of what is called a record
                inner = _section_of(value)
                outer = _section_of(node)
                found += [inner] if inner else []
                found += [outer] if outer and "record" in outer else []
    return found


def _section_of(node: ast.AST) -> str:
    """Return the mapping out of which a node reads a section of a record; "" for none."""
    match node:
        case (
            ast.Subscript(value=value, slice=ast.Constant(value=key))
            | ast.Call(
                func=ast.Attribute(value=value, attr="get"),
                args=[ast.Constant(value=key), *_],
            )
        ) if key in SECTIONS:
            return ast.unparse(value)
    return ""


SECTIONS = {field.name for field in fields(RunRecord)} - {"source"}


def test_records_are_mappings_in_their_own_module_alone():
    import napari_fastnet

    package = Path(napari_fastnet.__file__).parent
    found = {}
    for path in package.rglob("*.py"):
        if path != package / "results" / "record.py":
            found[str(path)] = _mappings_of_records(path.read_text("utf-8"))
    assert len(found) > 150
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "source",
    [
        "def f(record: dict[str, Any]) -> None: ...",
        "def f(*, recorded: Mapping[str, Any] | None = None) -> None: ...",
        "def f(then: Mapping[str, Any]) -> str:\n    return then['slide']['path']",
        "def f(then: dict[str, Any]) -> str:\n    return then.get('model', {}).get('name')",
        "def read_record(path: Path) -> dict[str, Any]: ...",
        "path = read_record(folder)['slide']['path']",
        "area = result.record.to_dict()['regions']['area_mm2']",
    ],
)
def test_a_record_as_a_mapping_is_found(source):
    assert _mappings_of_records(source)
