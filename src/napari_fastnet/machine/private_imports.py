"""Imports of the libraries that report their use to their makers, with that disabled.

ONNX Runtime writes an identifier of the computer and a file of events into the home
folder, and sends them to a host of Microsoft's. OpenVINO forks a process when it is
imported, which sends an event to a host of Google's. Both are imported here and nowhere
else, in whatever process: one of the command line, a worker, a probe of ``doctor``, napari.

    from napari_fastnet.machine.private_imports import onnxruntime, openvino
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    import onnxruntime as onnxruntime
    import openvino as openvino

#: Variable that ONNX Runtime reads when it is loaded; child processes inherit it.
ONNXRUNTIME_SWITCH = "ORT_DISABLE_TELEMETRY"
#: The package with which OpenVINO sends; without it, it takes a stub of its own.
OPENVINO_SENDER = "openvino_telemetry"
#: The part of OpenVINO that imports the sender, for good.
_SENDS = "openvino.tools.ovc.telemetry_utils"
_LOCK = Lock()


def __getattr__(name: str) -> ModuleType:
    """Import a library and return it."""
    if name not in _IMPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _IMPORTS[name]()


def _import_onnxruntime() -> ModuleType:
    os.environ[ONNXRUNTIME_SWITCH] = "1"
    library = import_module("onnxruntime")
    # In case it was imported elsewhere before, and for Windows' own events.
    library.disable_telemetry_events()
    return library


def _import_openvino() -> ModuleType:
    """Import OpenVINO while the package that sends cannot be imported."""
    with _LOCK:
        if "openvino" in sys.modules:
            return import_module("openvino")
        before = {k: sys.modules[k] for k in (OPENVINO_SENDER,) if k in sys.modules}
        sys.modules[OPENVINO_SENDER] = None  # type: ignore[assignment]
        try:
            return import_module("openvino")
        finally:
            # Other packages may want the sender. They get it back once OpenVINO has
            # taken its stub; where OpenVINO would look for it later, it stays away.
            if "openvino" not in sys.modules or _SENDS in sys.modules:
                del sys.modules[OPENVINO_SENDER]
                sys.modules.update(before)


_IMPORTS = {"onnxruntime": _import_onnxruntime, "openvino": _import_openvino}
