"""Trace what each kind of process says to the network, and leaves in the home folder.

    xvfb-run -a -s "-screen 0 1280x1024x24 +extension GLX"
        python benchmarks/telemetry.py [KIND ...] [--seconds 60] [--control]
        [--json FILE] [--page docs/howto/install.md]

Needs strace, so Linux. Each kind lives for so long in a home that is empty, as on a
user's computer (no variable says that a test is going on), all its processes traced:
their sockets are native code's too, which Python's hooks never see. What counts is a
connection to, or a packet for, another computer, a name server among them. Of UDP, a
connection alone sends nothing: it asks the kernel which of its addresses it would take.

With --control the libraries are imported as anybody else would, to see that the trace
finds what they do; they report then.
"""

# ruff: noqa: T201  a script on its own, no package

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path

from napari_fastnet.synthetic.slide import write_slide
from page import tell, write_between

#: What a script begins with.
_HEAD = """
import sys, time
from functools import partial
sys.path.insert(0, {here!r})
SLIDE, FOLDER, OUT, SECONDS = {slide!r}, {folder!r}, {out!r}, {seconds!r}
BEGAN = time.monotonic()

def left():
    return max(0.0, SECONDS - (time.monotonic() - BEGAN))

def cohort(*options):
    from napari_fastnet.cli.app import main
    from threading import Timer
    import os, signal
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also in the background
    stop = Timer(SECONDS, partial(os.kill, os.getpid(), signal.SIGINT))
    stop.daemon = True
    stop.start()
    assert main(["detect", FOLDER, "-o", OUT, *options]) in (0, 130)
    stop.cancel()

if __name__ == "__main__":
"""
_DETECT = """
    from napari_fastnet.cli.app import main
    assert not main(["detect", SLIDE, "-o", OUT, "--backend", {name!r}])
    time.sleep(left())
"""
KINDS = {
    "detect, onnx": _DETECT.format(name="onnx"),
    "detect, openvino": _DETECT.format(name="openvino"),
    "detect, torch": _DETECT.format(name="torch"),
    "workers": """
    cohort("--workers", "2")
""",
    "dask cluster": """
    import distributed
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as cluster:
        cohort("--scheduler", cluster.scheduler_address)
""",
    "doctor": """
    from napari_fastnet.cli.app import main
    while left():
        main(["doctor"])
""",
    "bench": """
    from napari_fastnet.cli.app import main
    assert not main(["bench", SLIDE, "--seconds", "0.1"])
    time.sleep(left())
""",
    "panel": """
    from pathlib import Path
    from panel_window import add_panel, add_slide, live, napari_window, wait_until
    with napari_window() as viewer:
        add_slide(viewer, Path(SLIDE))
        panel = add_panel(viewer, None)
        panel.tissue.compute.clicked.emit()
        wait_until(lambda: "tissue: RGB" in viewer.layers, 60)
        panel.detect.start.clicked.emit()
        wait_until(lambda: "tumor regions" in viewer.layers, 120)
        live(left())
""",
}
#: Without this package's own care: what the trace is there to find.
CONTROL = {
    "control, onnxruntime": "    import onnxruntime\n    time.sleep(left())\n",
    "control, openvino": "    import openvino\n    time.sleep(left())\n",
}
#: How ``strace -yy`` writes a call: its socket, and perhaps an address.
_CALL = re.compile(r"(connect|send\w*)\(\d+<(\w+):\[?([^>]*)>(.*)")
_ADDRESS = re.compile(
    r'sin6?_port=htons\((\d+)\).*?(?:inet_addr|inet_pton)\((?:AF_INET6?, )?"([^"]+)"'
)
_JOINED = re.compile(r"->\[?([0-9a-fA-F.:]+?)\]?:(\d+)\]")


@dataclass(frozen=True, slots=True)
class Traced:
    """What a kind of process did.

    Parameters
    ----------
    processes : int
        That made any call of the network, Unix sockets included.
    reached : list of str
        Other computers, as protocol, address and port: TCP connections that were
        begun, and UDP packets.
    asked : list of str
        Addresses of UDP connections over which nothing was sent.
    home : list of str
        Folders and files in the home folder afterwards, their first two names.
    """

    processes: int
    reached: list[str]
    asked: list[str]
    home: list[str]


def main() -> None:
    """Trace what is asked for."""
    options = _options()
    kinds = KINDS | (CONTROL if options.control else {})
    found = {}
    with tempfile.TemporaryDirectory() as place:
        for number, kind in enumerate(options.kinds or kinds):
            folder = Path(place) / str(number)
            folder.mkdir()
            found[kind] = traced(kinds[kind], folder, options.seconds)
            print(f"{kind}: {found[kind]}", file=sys.stderr, flush=True)
    named = ("onnxruntime", "openvino", "torch", "napari", "distributed")
    figures = {
        "seconds": options.seconds,
        "versions": {name: version(name) for name in named},
        "kinds": {kind: asdict(one) for kind, one in found.items()},
    }
    tell(figures, options.json)
    if options.page:
        write_between(options.page, "telemetry", table(found, options.seconds))
    if any(one.reached for kind, one in found.items() if kind in KINDS):
        sys.exit("another computer was reached")


def traced(code: str, folder: Path, seconds: float) -> Traced:
    """Run a script and all it begins in an empty home, and return what they did."""
    home, log = folder / "home", folder / "trace"
    home.mkdir()
    slides = folder / "slides"
    slides.mkdir()
    slide = slides / "slide.svs"
    write_slide(slide, shape=(2048, 2560))
    for number in range(400):  # more than are done in the time
        os.link(slide, slides / f"{number:03}.svs")
    head = _HEAD.format(
        here=str(Path(__file__).parent),
        slide=str(slide),
        folder=str(slides),
        out=str(folder / "out"),
        seconds=seconds,
    )
    script = folder / "script.py"
    script.write_text(head + code)
    kept = ("PATH", "PYTHONPATH", "DISPLAY", "XAUTHORITY", "LANG")
    env = {key: os.environ[key] for key in kept if key in os.environ}
    words = ["strace", "-f", "-qq", "-yy", "-s", "16", "-e", "trace=network"]
    done = subprocess.run(
        [*words, "-o", str(log), sys.executable, "-W", "ignore", str(script)],
        env=env | {"HOME": str(home)},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr.decode(errors="replace"))
    files = (path.relative_to(home) for path in home.rglob("*") if path.is_file())
    return _read(
        log.read_text(errors="replace"),
        sorted({"/".join(path.parts[:2]) for path in files}),
    )


def _read(log: str, home: list[str]) -> Traced:
    """Return what a trace tells."""
    reached, asked, processes = set(), set(), set()
    for line in log.splitlines():
        processes.add(line.partition(" ")[0])
        call = _CALL.search(line)
        if call is None:
            continue
        name, protocol, joined, words = call.groups()
        place = _ADDRESS.search(words)
        if place is not None:
            port, address = place.groups()
        elif (joined_to := _JOINED.search(joined)) is not None:
            address, port = joined_to.groups()
        else:
            continue  # a Unix socket, or the kernel's own
        if ip_address(address).is_loopback:
            continue
        silent = name == "connect" and protocol.startswith("UDP") and port != "53"
        (asked if silent else reached).add(f"{protocol} {address} {port}")
    return Traced(len(processes), sorted(reached), sorted(asked - reached), home)


def table(found: dict[str, Traced], seconds: float) -> str:
    """Return what was found, as Markdown."""
    lines = [
        f"| for {seconds:g} s | other computers reached | left in an empty home |",
        "|---|---|---|",
    ]
    for kind, one in found.items():
        reached = ", ".join(one.reached) or "none"
        home = ", ".join(f"`{name}`" for name in one.home) or "nothing"
        lines.append(f"| {kind} | {reached} | {home} |")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="; ".join(KINDS))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--control", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--page", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
