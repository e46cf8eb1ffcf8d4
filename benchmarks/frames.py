"""Count the package's own functions on three ways through the program.

    xvfb-run -a -s "-screen 0 1280x1024x24 +extension GLX"
        python benchmarks/frames.py [--json FILE]

The ways: from `napari_fastnet.detect` to the network (the call of ONNX Runtime or
OpenVINO), from there to the bytes of the slide's file, and from the click on "Detect
tumors" to the network. At each arrival the functions on the stack are noted; of a
thread, those of the code that handed it the work come first. The deepest arrival
counts. Without a display the panel is left out.
"""

from __future__ import annotations

import argparse
import builtins
import inspect
import io
import os
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_fastnet.machine import private_imports
from napari_fastnet.synthetic.slide import write_slide
from page import tell

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE = "napari_fastnet."
#: The most own functions on each way that DESIGN allows.
AIMS = {"detect to network": 8, "detect to bytes": 13, "click to network": 14}
#: Frames that are no functions: in Python 3.12 they are gone.
COMPREHENSIONS = {"<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>"}
#: The slot of the button.
START = "napari_fastnet.plugin.panel.detect:DetectSection._start"

_thread = threading.local()


class Watch:
    """Notes the deepest stack of own functions at each place that is reached."""

    def __init__(self) -> None:
        self.deepest: dict[str, list[str]] = {}

    def note(self, place: str) -> None:
        """Keep the stack at hand, if it is the deepest that began as asked for."""
        stack = own_stack()
        if place == "network" and START in stack:
            self._keep("click to network", stack[stack.index(START) :])
        elif stack and stack[0].endswith("cohort.detect:detect"):
            self._keep(f"detect to {place}", stack)

    def _keep(self, way: str, stack: list[str]) -> None:
        self.deepest[way] = max(self.deepest.get(way, []), stack, key=len)


def own_stack() -> list[str]:
    """Return the package's functions, outermost first, across threads."""
    found: list[str] = []
    frame = inspect.currentframe()
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith(PACKAGE) and frame.f_code.co_name not in COMPREHENSIONS:
            found.append(f"{module}:{frame.f_code.co_qualname}")
        frame = frame.f_back
    return getattr(_thread, "before", []) + found[::-1]


def carried(work: Callable[..., Any]) -> Callable[..., Any]:
    """Return work for another thread that remembers who handed it over."""
    stack = own_stack()

    @wraps(work)
    def run(*args: Any, **kwargs: Any) -> Any:
        kept, _thread.before = getattr(_thread, "before", []), stack
        try:
            return work(*args, **kwargs)
        finally:
            _thread.before = kept

    return run


def follow_threads() -> None:
    """Let threads know who handed them their work."""
    submit, start = ThreadPoolExecutor.submit, threading.Thread.start

    def submit_carried(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        return submit(self, carried(fn), *args, **kwargs)

    def start_carried(self: Any) -> None:
        self.run = carried(self.run)
        start(self)

    ThreadPoolExecutor.submit = submit_carried  # type: ignore[method-assign]
    threading.Thread.start = start_carried  # type: ignore[method-assign]


def watch_networks(watch: Watch) -> None:
    """Note each call of a library that computes the network."""

    def noted(call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def run(*args: Any, **kwargs: Any) -> Any:
            watch.note("network")
            return call(*args, **kwargs)

        return run

    places = [(private_imports.onnxruntime.InferenceSession, "run")]
    if find_spec("openvino") is not None:
        library = private_imports.openvino
        places += [
            (library.InferRequest, "infer"),
            (library.AsyncInferQueue, "start_async"),
        ]
    for kind, name in places:
        setattr(kind, name, noted(getattr(kind, name)))


def watch_file(watch: Watch, path: Path) -> None:
    """Note each reading of a file."""

    class Watched(io.FileIO):
        def readinto(self, buffer: Any) -> int | None:
            watch.note("bytes")
            return super().readinto(buffer)

    opened, pread = io.open, os.pread

    def open_watched(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if mode == "rb" and not isinstance(file, int) and Path(file) == path:
            return io.BufferedReader(Watched(file, "rb"))
        return opened(file, mode, *args, **kwargs)

    def pread_watched(*args: Any) -> bytes:
        watch.note("bytes")
        return pread(*args)

    builtins.open = io.open = open_watched  # type: ignore[assignment]
    os.pread = pread_watched


def click(slide: Path, folder: Path) -> None:
    """Open the slide in the panel and let the button do its work."""
    sys.path.append(str(Path(__file__).parent / "panel"))
    from panel_window import add_panel, add_slide, live, napari_window, wait_until

    with napari_window() as viewer:
        add_slide(viewer, slide)
        panel = add_panel(viewer, None)
        panel.detect.results.value = folder
        live(1)
        panel.detect.start.native.click()
        cancel = panel.detect.cancel
        wait_until(
            lambda: panel.detect.progress.value == 100 and not cancel.enabled, 60
        )
        live(0.5)


def main() -> None:
    """Count, and write into a file where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    watch = Watch()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        slide = folder / "synthetic.svs"
        write_slide(slide, shape=(4096, 4096))
        follow_threads()
        watch_networks(watch)
        watch_file(watch, slide)
        from napari_fastnet import detect

        detect(slide, folder / "headless")
        if os.environ.get("DISPLAY"):
            click(slide, folder / "panel")
    found = {
        way: {"frames": len(stack), "aim": AIMS[way], "functions": stack}
        for way, stack in sorted(watch.deepest.items())
    }
    tell(found, arguments.json)


if __name__ == "__main__":
    main()
