"""Loading of torch in a thread, so that the window goes on while it loads and computes."""

from __future__ import annotations

import ctypes
import os
import sys
from importlib.util import find_spec
from pathlib import Path


def load_torch() -> None:
    """Load torch's large library, if it is not loaded yet; Linux only, where it matters.

    Python's own import would hold all other threads for 0.3 s meanwhile, and so does
    `ctypes.CDLL`; a call of a C function does not.

    OpenMP's threads are told to sleep while they wait for each other. They spin otherwise,
    which on a machine that does something else takes up to twenty times as long.
    """
    found = None if "torch" in sys.modules else find_spec("torch")
    if sys.platform != "linux" or found is None or found.origin is None:
        return
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read as the library is loaded
    path = Path(found.origin).parent / "lib" / "libtorch_cpu.so"
    ctypes.CDLL(None).dlopen(os.fsencode(path), ctypes.c_int(os.RTLD_NOW))
