"""Open a slide, detect to the end and close it, many times in one process.

After each cycle the process's memory, threads and open files are noted. Once the first
cycles have warmed up what is kept for good (caches, compiled shaders), none of the three
may grow. --bare leaves out the detection and the panel: what then grows is napari's.

    xvfb-run -a -s "-screen 0 1280x1024x24 +extension GLX"
        python benchmarks/panel/plugin_cycles.py [N] [--slide SLIDE] [--model NAME|DIR]
        [--close window|slide] [--bare] [--json FILE]
        [--page docs/explain/responsiveness.md]

Without a slide a small one is drawn.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))

from napari_fastnet.synthetic.slide import write_slide
from page import write_between
from panel_window import add_panel, add_slide, live, machine, napari_window, wait_until

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
#: Cycles before these are not compared.
WARM_UP = 5
#: A thread that is ending, and the file it holds, are waited for so many times.
SETTLE_LOOKS = 25


@dataclass(frozen=True, slots=True)
class State:
    """What the process holds after a cycle."""

    cycle: int
    memory_mb: float
    threads: int
    files: int

    @classmethod
    def now(cls, cycle: int) -> State:
        """Return the state after tidying up."""
        gc.collect()
        # What was freed goes back to the system, so that only what is held counts.
        ctypes.CDLL(None).malloc_trim(0)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        files = len(list(Path("/proc/self/fd").iterdir()))
        native = len(list(Path("/proc/self/task").iterdir()))
        return cls(cycle, pages * PAGE_BYTES / 1e6, native, files)


def cycle(viewer: Any, panel: Any, slide: Path, folder: Path) -> None:
    """Open a slide, detect to the end unless there is no panel, take all layers away."""
    layer = add_slide(viewer, slide)
    if panel is None:
        viewer.scene.camera.zoom *= 2
        live(1)
    else:
        panel.detect.results.value = folder
        panel.detect.start.native.click()
        detection = panel.slide.work.detection
        wait_until(lambda: not detection.job.running)
        if detection.result is None:
            raise RuntimeError(f"{layer.name}: the detection did not end by itself")
    viewer.layers.clear()
    live(0.2)


def cycles(arguments: argparse.Namespace, slide: Path, folder: Path) -> list[State]:
    """Go through all cycles and return the state after each."""

    def panel_of(viewer: Any) -> Any:
        return None if arguments.bare else add_panel(viewer, arguments.model)

    states = []
    with ExitStack() as stack:
        if arguments.close == "slide":
            kept = stack.enter_context(napari_window())
            panel = panel_of(kept)
        for number in range(1, arguments.cycles + 1):
            runs = folder / str(number)
            if arguments.close == "slide":
                cycle(kept, panel, slide, runs)
            else:
                with napari_window() as viewer:
                    cycle(viewer, panel_of(viewer), slide, runs)
            states.append(settled(number, states))
            note = " ".join(
                f"{name} {value:,.0f}" for name, value in asdict(states[-1]).items()
            )
            sys.stdout.write(note + "\n")
            sys.stdout.flush()
    return states


def settled(number: int, before: list[State]) -> State:
    """Return the state after a cycle, once what ends by itself has: seconds at most."""
    for _ in range(SETTLE_LOOKS):
        state = State.now(number)
        last = before[-1] if before else state
        if state.threads <= last.threads and state.files <= last.files:
            break
        live(0.2)
    return state


def report(found: dict[str, Any]) -> str:
    """Return what was measured as Markdown."""
    states = [State(**state) for state in found["states"]]
    shown = [state for state in states if state.cycle % 5 == 0 or state.cycle == 1]
    lines = ["| cycle | memory MB | threads | open files |", "|---:|---:|---:|---:|"]
    lines += [
        f"| {s.cycle} | {s.memory_mb:.0f} | {s.threads} | {s.files} |" for s in shown
    ]
    warm = states[min(WARM_UP, len(states)) - 1 :]
    growth = warm[-1].memory_mb / warm[0].memory_mb - 1
    return "\n".join(
        [
            *lines,
            "",
            f"From cycle {warm[0].cycle} on memory grows by {growth:.1%}, threads by "
            f"{warm[-1].threads - warm[0].threads}, open files by "
            f"{warm[-1].files - warm[0].files}. {found['what']}; {found['machine']}.",
        ]
    )


def main() -> None:
    """Measure, and write into a file and a page where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cycles", nargs="?", type=int, default=50)
    parser.add_argument("--slide", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--close", choices=("window", "slide"), default="slide")
    parser.add_argument("--bare", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--page", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, slide = Path(place), arguments.slide
        if slide is None:
            slide = folder / "synthetic.svs"
            write_slide(slide, shape=(4096, 5120))
        states = cycles(arguments, slide, folder)
    what = (
        "a slide in napari alone" if arguments.bare else "a slide detected to the end"
    )
    found = {
        "machine": machine(),
        "what": f"{what}, then the {arguments.close} closed",
        "states": [asdict(state) for state in states],
    }
    text = report(found)
    sys.stdout.write(text + "\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2))
    if arguments.page:
        write_between(arguments.page, "plugin_cycles", text)


if __name__ == "__main__":
    main()
