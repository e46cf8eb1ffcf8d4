"""Nothing is reported: what each kind of process loads, and leaves in the home folder."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_fastnet.machine import private_imports
from napari_fastnet.machine.private_imports import ONNXRUNTIME_SWITCH, OPENVINO_SENDER

pytestmark = pytest.mark.slow

#: Python reads it in every process that it begins. It notes what OpenVINO and ONNX
#: Runtime find when their native libraries are loaded.
WITNESS = f"""
import json, os, sys

def seen(event, words):
    if event != "import" or not str(words[0]).startswith(("openvino", "onnxruntime")):
        return
    sender = "{OPENVINO_SENDER}"
    note = {{
        "process": os.getpid(),
        "module": words[0],
        "file": words[1],
        "switch": os.environ.get("{ONNXRUNTIME_SWITCH}"),
        "sender": sender not in sys.modules or sys.modules[sender] is not None,
    }}
    with open(os.environ["SEEN"], "a", encoding="utf-8") as file:
        file.write(json.dumps(note) + "\\n")

sys.addaudithook(seen)
"""

#: Stands in for OpenVINO's sender, so that a test that fails sends nothing either.
SENDER = """
from pathlib import Path

class Telemetry:
    def __init__(self, *_, **__):
        pass

    def send_event(self, *_):
        (Path.home() / "reported").touch()
"""

DETECT = "main(['detect', *{slides}, '-o', OUT, '--model', MODEL, {options}])"
KINDS = {
    "detect": "for name in ('onnx', 'openvino', 'torch'):\n    assert not "
    + DETECT.format(slides="SLIDES[:1]", options="'--fresh', '--backend', name"),
    "workers": "assert not "
    + DETECT.format(
        slides="SLIDES", options="'--workers', '2', '--backend', 'openvino'"
    ),
    "workers of dask": "import distributed\n"
    "with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True,"
    " dashboard_address=':0', memory_limit=0) as cluster:\n    assert not "
    + DETECT.format(
        slides="SLIDES", options="'--scheduler', cluster.scheduler_address"
    ),
    "doctor": "assert not main(['doctor'])",
    "bench": "from napari_fastnet.bench.measure import run_apart\n"
    "from napari_fastnet.model.backends.create import create_backend\n"
    "from napari_fastnet.model.bundle import load_bundle\n"
    "from napari_fastnet.model.options import NetworkChoice\n"
    "create_backend(load_bundle(MODEL), NetworkChoice(backend='openvino'))\n"
    "run_apart(['detect', SLIDES[0], '-o', OUT, '--model', MODEL])",
    "the plugin": "from pathlib import Path\n"
    "from napari_fastnet.plugin.detection.ready_network import NETWORK\n"
    "from napari_fastnet.model.options import NetworkChoice\n"
    "from napari_fastnet.plugin.detection.request import Request\n"
    "for name in ('onnx', 'openvino'):\n"
    "    with NETWORK.used(Request(NetworkChoice(Path(MODEL), name, threads=1),"
    " 1, None, Path(OUT), False, True)):\n        pass",
    "a script": "from napari_fastnet.model.backends.create import create_backend\n"
    "from napari_fastnet.model.bundle import load_bundle\n"
    "from napari_fastnet.model.options import NetworkChoice\n"
    "for name in ('onnx', 'openvino'):\n"
    "    create_backend(load_bundle(MODEL), NetworkChoice(backend=name))",
}
#: How many processes load a library.
PROCESSES = {"workers": 2, "workers of dask": 2, "doctor": 2, "bench": 2}
#: What may lie in the home folder afterwards.
OWN = {".cache/napari-fastnet", ".cache/matplotlib", ".config/matplotlib", ".nv"}


@pytest.fixture(scope="module")
def slides(tmp_path_factory, write_tiff):
    """Return two small slides."""
    image = np.full((128, 192, 3), 245, np.uint8)
    image[:, :96] = (200, 120, 180)
    folder = tmp_path_factory.mktemp("slides")
    return [str(write_tiff(folder / f"{n}.tif", image, mpp=1.0)) for n in "ab"]


@pytest.fixture
def run(tmp_path, slides, tiny_bundle):
    """Return a function that runs Python in an empty home, and what it noted."""
    home, seen = tmp_path / "home", tmp_path / "seen"
    files = {
        "sitecustomize.py": WITNESS,
        f"{OPENVINO_SENDER}/__init__.py": SENDER,
        f"{OPENVINO_SENDER}/backend/__init__.py": "backend_ga4 = None",
        "onnxruntime_made_up/__init__.py": "import onnxruntime_made_up.native",
        "onnxruntime_made_up/native.py": "",
    }
    for name, text in files.items():
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    home.mkdir()
    # As a user has it. On a server for tests the libraries would be silent anyway.
    kept = {key: os.environ[key] for key in ("PATH", "SYSTEMROOT") if key in os.environ}
    env = kept | {
        "HOME": str(home),
        "USERPROFILE": str(home),
        "SEEN": str(seen),
        "PYTHONPATH": os.pathsep.join(
            [str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]
        ),
    }

    def done(code):
        script = tmp_path / "script.py"
        indented = code.replace("\n", "\n    ")
        script.write_text(
            "from napari_fastnet.cli.app import main\n"
            f"SLIDES, MODEL = {slides!r}, {str(tiny_bundle.folder)!r}\n"
            f"OUT = {str(tmp_path / 'out')!r}\n"
            f"if __name__ == '__main__':\n    {indented}\n"
        )
        subprocess.run(
            [sys.executable, str(script)], env=env, check=True, capture_output=True
        )
        notes = [json.loads(line) for line in seen.read_text("utf-8").splitlines()]
        left = {
            "/".join(path.relative_to(home).parts[:2])
            for path in home.rglob("*")
            if path.is_file()
        }
        return [note for note in notes if note["file"]], notes, left

    return done


@pytest.mark.parametrize("kind", KINDS)
def test_no_process_reports_anything(kind, run):
    native, notes, left = run(KINDS[kind])

    switches = {n["switch"] for n in native if n["module"].startswith("onnxruntime")}
    senders = {n["sender"] for n in notes if n["module"].startswith("openvino")}
    assert switches | senders, "no library was loaded at all"
    assert switches <= {"1"}
    assert senders <= {False}
    assert len({note["process"] for note in native}) >= PROCESSES.get(kind, 1)
    assert left <= OWN


def test_the_witness_sees_what_reports(run):
    """Else the test above would hold whatever happened."""
    _, notes, left = run("import onnxruntime_made_up, openvino")

    assert {n["switch"] for n in notes} == {None}
    assert {n["sender"] for n in notes} == {True}
    assert left == {"reported"}


def test_the_sender_is_there_for_others_afterwards(run):
    run(
        "import sys\n"
        "from napari_fastnet.machine.private_imports import openvino\n"
        "assert 'openvino_telemetry' not in sys.modules\n"
        "import openvino_telemetry, openvino.tools.ovc.main\n"
        "from openvino.tools.ovc import convert_impl, telemetry_utils, utils\n"
        "for module in (convert_impl, telemetry_utils, utils):\n"
        "    assert module.tm.__name__ == 'openvino.tools.ovc.telemetry_stub'\n"
    )


def test_a_sender_that_was_imported_before_stays(run):
    run(
        "import sys, openvino_telemetry\n"
        "from napari_fastnet.machine.private_imports import openvino\n"
        "assert sys.modules['openvino_telemetry'] is openvino_telemetry\n"
        "from openvino.tools.ovc import telemetry_utils\n"
        "assert telemetry_utils.tm is not openvino_telemetry\n"
    )


def test_only_one_file_imports_what_reports():
    """Also in tests and benchmarks: who runs them is a user too."""
    root = Path(__file__).parents[1]
    named = [
        f"{path.relative_to(root)}:{node.lineno}"
        for folder in ("src", "tests", "benchmarks", "examples", "scripts", "docs")
        for path in (root / folder).rglob("*.py")
        if path != Path(private_imports.__file__)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in _imported(node)
        if name.partition(".")[0] in ("onnxruntime", "openvino", OPENVINO_SENDER)
    ]
    assert named == []


def _imported(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""]


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'numpy'"):
        _ = private_imports.numpy
