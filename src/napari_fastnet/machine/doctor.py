"""An examination of the installation: the parts there, those missing, how to get them.

Every part is tried in a Python process of its own, so that a library that crashes or
hangs while it loads is a finding and not the end of the examination.
"""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TIMEOUT_S = 120
#: The oldest napari and the newest with which `make test-napari` passes.
TESTED_NAPARI = ((0, 7, 1), (0, 10))
QT_LIBRARIES = (
    "sudo apt-get install libgl1 libegl1 libdbus-1-3 libfontconfig1 libglib2.0-0 "
    "libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0"
)


@dataclass(frozen=True, slots=True)
class Probe:
    """One part to try.

    Parameters
    ----------
    name : str
        Name of the part.
    code : str
        Python that prints a line of findings, or fails.
    mend : str
        Remedy for when it fails.
    needed : bool
        Nothing works without it; the other parts are optional.
    """

    name: str
    code: str
    mend: str
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of a probe.

    Parameters
    ----------
    name : str
        The probe's name.
    ok : bool
        The part works.
    needed : bool
        Nothing works without it.
    text : str
        Versions and devices; where it failed, the reason.
    mend : str
        Remedy; empty where it works.
    """

    name: str
    ok: bool
    needed: bool
    text: str
    mend: str


_REINSTALL = 'pip install --upgrade --force-reinstall "napari-fastnet"'

PROBES = (
    Probe(
        "Python",
        "import platform, sys; assert sys.version_info >= (3, 11), 'too old';"
        "print(platform.python_version(), platform.platform())",
        "install Python 3.11 or newer",
        needed=True,
    ),
    Probe(
        "slide reader",
        "import tiffslide, tifffile, zarr; print('tiffslide', tiffslide.__version__,"
        "'tifffile', tifffile.__version__, 'zarr', zarr.__version__)",
        'pip install --upgrade "tiffslide>=3.0.1"',
        needed=True,
    ),
    Probe(
        "tile codecs",
        "import imagecodecs as c; names = 'JPEG8 JPEG2K LZW DEFLATE ZSTD WEBP'.split();"
        "lack = [n for n in names if not getattr(c, n).available];"
        "assert not lack, 'without ' + ' '.join(lack);"
        "print('imagecodecs', c.__version__, 'with', ' '.join(names))",
        "pip install --upgrade imagecodecs",
        needed=True,
    ),
    Probe(
        "models",
        "from napari_fastnet.model.bundle import load_bundle, shipped;"
        "bundles = [load_bundle(name) for name in shipped()];"
        "assert bundles, 'none in the package';"
        "print(', '.join(f'{b.name} {b.version}' for b in bundles))",
        _REINSTALL,
        needed=True,
    ),
    Probe(
        "ONNX Runtime",
        "from napari_fastnet.machine.private_imports import onnxruntime as o;"
        "print(o.__version__, *o.get_available_providers())",
        "pip install --upgrade onnxruntime",
        needed=True,
    ),
    Probe(
        "torch",
        "import torch; cuda = torch.cuda.is_available(); print(torch.__version__,"
        "'on ' + torch.cuda.get_device_name() if cuda else 'on Apple MPS' "
        "if torch.backends.mps.is_available() else 'without a GPU')",
        "pip install --upgrade torch; needed to train and for a GPU only",
    ),
    Probe(
        "OpenVINO",
        "from napari_fastnet.model.backends.openvino import has_bfloat16, openvino;"
        "print(openvino.__version__, 'in bfloat16' if has_bfloat16() else "
        "'without bfloat16: no faster than ONNX Runtime')",
        'pip install "napari-fastnet[openvino]" for a faster CPU back end on x86',
    ),
    Probe(
        "OpenSlide",
        "import openslide; print(openslide.__library_version__)",
        'pip install "napari-fastnet[openslide]" to read MRXS and DICOM slides',
    ),
    Probe(
        "napari",
        "import napari; from napari_fastnet.machine.doctor import napari_found;"
        "print(napari_found(napari.__version__))",
        "pip install --upgrade napari",
    ),
    Probe(
        "Qt",
        "from qtpy import API_NAME, QT_VERSION, QtWidgets; print(API_NAME, QT_VERSION)",
        f'pip install "napari-fastnet[all]"; on Debian also: {QT_LIBRARIES}',
    ),
    Probe(
        "window, OpenGL",
        "from qtpy.QtGui import QOffscreenSurface, QOpenGLContext;"
        "from qtpy.QtWidgets import QApplication;"
        "a = QApplication([]); c = QOpenGLContext(); s = QOffscreenSurface(); s.create();"
        "assert c.create() and c.makeCurrent(s), 'no OpenGL context to be had';"
        "print(a.platformName(), 'OpenGL %d.%d' % c.format().version())",
        "napari's window (not the command line) needs a display with OpenGL; "
        "`napari-fastnet doctor --window` says more",
    ),
)


def napari_found(version: str) -> str:
    """Return a version of napari, and whether it is newer than what was tested.

    Raises
    ------
    SystemExit
        It is older, and the panel will not work.
    """
    oldest, newest = (".".join(map(str, bound)) for bound in TESTED_NAPARI)
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    if found is None:
        return f"{version}; {oldest} to {newest} were tested"
    release = tuple(int(number or 0) for number in found.groups())
    if release < TESTED_NAPARI[0]:
        raise SystemExit(f"{version} is older than {oldest}, the oldest that works")
    if release[:2] > TESTED_NAPARI[1]:
        return f"{version}, newer than {newest}, the newest that was tested"
    return version


def examine(probes: tuple[Probe, ...] = PROBES) -> Iterator[Finding]:
    """Try every part, several at a time; yield the findings in order."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        yield from pool.map(_try, probes)


def _try(probe: Probe) -> Finding:
    ended = apart(("-c", probe.code))
    ok = ended.code == 0
    text = (ended.output.splitlines() or ["there"])[-1] if ok else ended.reason
    return Finding(probe.name, ok, probe.needed, text, "" if ok else probe.mend)


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a Python process that tried something.

    Parameters
    ----------
    code : int or None
        Its exit code, negative after a signal; None where it gave no answer.
    output : str
        All that it printed.
    reason : str
        A line that says why it failed; empty where it did not.
    """

    code: int | None
    output: str
    reason: str


def apart(words: Sequence[str], environment: Mapping[str, str] | None = None) -> Ended:
    """Run Python in a process of its own.

    Parameters
    ----------
    words : sequence of str
        Words of its command line.
    environment : mapping of str to str, optional
        Its environment variables; those of this process by default.

    Returns
    -------
    Ended
        Also where it crashed, or gave no answer within `TIMEOUT_S`.
    """
    command = [sys.executable, "-W", "ignore", *words]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return Ended(None, "", f"no answer within {TIMEOUT_S} s")
    if done.returncode == 0:
        return Ended(0, done.stdout.strip(), "")
    lines = done.stderr.strip().splitlines()
    lines = lines or [f"ended with code {done.returncode}"]
    # A traceback ends with the reason, a loader's complaint begins with it.
    reason = lines[-1 if lines[0].startswith("Traceback") else 0]
    return Ended(done.returncode, done.stdout.strip(), reason)
