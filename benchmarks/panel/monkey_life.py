"""One seed of the monkey, in a process of its own: `monkey.py` starts it.

    python benchmarks/panel/monkey_life.py WORK SEED MINUTES

With 0 minutes nothing is done: that is the new window that the others are compared with.
"""

from __future__ import annotations

import faulthandler
import hashlib
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from napari_fastnet.synthetic.slide import write_slide
from panel_window import add_panel, add_slide, live, machine, napari_window, wait_until

WORK, SEED = Path(sys.argv[1]), int(sys.argv[2])
PLACE = WORK / f"seed-{SEED}"
SHAPE = (3072, 4096)

#: No single act, and nothing that follows it, takes longer, seconds.
HANG_S = 180
#: Whether a window waits for an answer is looked at so often, ms.
LOOK_MS = 150


class Life:
    """A window that is used.

    Parameters
    ----------
    viewer : napari.Viewer
        In its window.
    rng : numpy Generator
        Chooses.

    Attributes
    ----------
    panel : FastNetPanel
        As it is docked now.
    files : list of Path
        That can be opened.
    """

    def __init__(self, viewer: Any, rng: np.random.Generator) -> None:
        self.viewer, self.rng = viewer, rng
        self.panel = add_panel(viewer, None)
        self.files = [*sorted((WORK / "slides").iterdir()), PLACE / "out"]

    def redock(self) -> None:
        """Close the panel's dock and open a new panel, as from the menu."""
        from qtpy.QtWidgets import QDockWidget

        for dock in self.viewer.window._qt_window.findChildren(QDockWidget):  # noqa: SLF001
            if dock.isAncestorOf(self.panel.native):
                dock.destroyOnClose()
        live(0.1)
        self.panel = add_panel(self.viewer, None)

    def close_messages(self) -> None:
        """Close what napari told."""
        from napari._qt.dialogs.qt_notification import NapariQtNotification

        for message in list(NapariQtNotification._instances):  # noqa: SLF001
            message.close()

    @staticmethod
    def live(seconds: float) -> None:
        """Let the window live."""
        live(seconds)

    def calm(self) -> None:
        """Stop what is going on and wait until it has ended."""
        works = self.panel.slide.workspace.works
        for work in works:
            for job in (work.tissue_job, work.detection and work.detection.job):
                if job is not None and job.running:
                    job.cancel()
        wait_until(lambda: not any(running(work) for work in works), 60)
        live(1.0)

    def detect_anew(self, slide: Path, folder: Path) -> dict[str, Any]:
        """Close everything, open a slide and detect; return what is known and shown."""
        self.close_messages()
        self.calm()
        self.viewer.layers.clear()
        self.viewer.dims.ndisplay = 2
        self.viewer.canvas.grid.enabled = False
        live(0.5)
        if self.panel.native.window() is not self.viewer.window._qt_window:  # noqa: SLF001
            self.redock()
        add_slide(self.viewer, slide)
        detect = self.panel.detect
        detect.model.value = detect.model.choices[0]
        detect.stride.value, detect.backend.value = "dense", "auto"
        detect.view_first.value = True
        detect.results.value = folder
        live(0.2)
        detect.start.native.click()
        work = self.panel.slide.work
        wait_until(lambda: work.detection is not None and not running(work), 240)
        if work.detection.result is None:
            raise RuntimeError("the detection did not end by itself")
        live(3.0)  # the table follows
        return result_of(work, self.panel)


def running(work: Any) -> bool:
    """Return whether anything of a slide is going on."""
    jobs = (work.tissue_job, work.detection and work.detection.job)
    return any(job is not None and job.running for job in jobs)


def result_of(work: Any, panel: Any) -> dict[str, Any]:
    """Return digests of what a slide's results are, and of what the layers show."""
    found: dict[str, Any] = {"threshold": work.threshold}
    found["heatmap"] = digest(work.heatmap.probabilities)
    found["heatmap cells"] = int(np.isfinite(work.heatmap.probabilities).sum())
    found["grid"] = repr(work.heatmap.grid)
    for kind in ("rgb", "hsv", "threshold", "roi"):
        found[f"mask {kind}"] = digest(work.editor.mask(kind))
        found[f"shown {kind}"] = digest(np.asarray(work.layers.get(kind).data) != 0)
    found["shown heatmap"] = digest(np.asarray(work.layers.get("heatmap").data))
    regions = [
        (r.area_mm2, r.max_probability, r.mean_probability) for r in work.regions
    ]
    found["regions"] = len(regions)
    rings = [ring for r in work.regions for part in r.polygons for ring in part]
    found["outlines"] = digest(np.concatenate(rings)) if rings else ""
    found["measures"] = repr(regions)
    shown = work.layers.get("regions")
    found["shown outlines"] = len(shown.data) if shown is not None else 0
    found["totals"], found["tissue"] = (
        panel.regions.totals.value,
        panel.tissue.percent.value,
    )
    found["table"] = repr(panel.regions.table.to_dataframe().to_dict())
    return found


def digest(values: Any) -> str:
    """Return what tells arrays apart, bit by bit."""
    array = np.ascontiguousarray(values)
    return f"{array.shape} {hashlib.sha256(array.tobytes()).hexdigest()[:16]}"


def slides() -> Path:
    """Draw the slides, once for all seeds; return the one that is detected on."""
    folder = WORK / "slides"
    folder.mkdir(exist_ok=True)
    for name, seed in (("first.svs", 1), ("second.svs", 2)):
        if not (folder / name).is_file():
            write_slide(folder / name, shape=SHAPE, seed=seed)
    return folder / "first.svs"


def use(life: Life, watch: Any, minutes: float, log: Any) -> Counter[str]:
    """Use the window at random; return how often what was done."""
    from qtpy.QtCore import QTimer

    from monkey_acts import Acts
    from monkey_hands import answer
    from monkey_sense import Sense

    acts, sense, done = Acts(life, life.rng), Sense(life), Counter()
    names = [str(PLACE / "out"), str(PLACE / "none.tif"), str(PLACE / "a.csv")]

    def look() -> None:
        if using:  # first: an answer may open another window, and wait for that
            QTimer.singleShot(LOOK_MS, look)
        said = answer(life.rng, names)
        if said:
            told(f"  answered {said}")

    def told(line: str) -> None:
        watch.acts.append(line)
        log.write(f"{time.monotonic() - began:.1f} {line}\n")
        log.flush()

    began = time.monotonic()
    using = [True]
    look()
    while time.monotonic() - began < minutes * 60:
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        sense.look()
        name, what = acts.next()
        done[name] += 1
        told(f"{name} {what}")
        for wrong in sense.wrong(name):
            watch.note("untrue", wrong)
        live(float(life.rng.choice([0.0, 0.02, 0.1, 0.4])))
    faulthandler.dump_traceback_later(HANG_S * 2, exit=True)
    live(1.0)
    using.clear()
    return done


def main() -> None:
    """Live, detect, and report."""
    from monkey_watch import Watch

    faulthandler.enable()
    minutes, watch = float(sys.argv[3]), Watch()
    slide, rng = slides(), np.random.default_rng(SEED)
    report: dict[str, Any] = {"machine": machine(), "acts": {}, "ended": False}
    with napari_window() as viewer, (PLACE / "acts").open("w") as log:
        watch.install()
        life = Life(viewer, rng)
        if minutes:
            add_slide(viewer, slide)
            report["acts"] = dict(use(life, watch, minutes, log))
        found = life.detect_anew(slide, PLACE / "anew")
        if not minutes:
            (WORK / "new_window.json").write_text(json.dumps(found, indent=1))
        wanted = json.loads((WORK / "new_window.json").read_text())
        found = json.loads(json.dumps(found))
        for name in wanted:
            if found[name] != wanted[name]:
                watch.note(
                    "differs", f"{name}: {found[name]}, new window {wanted[name]}"
                )
        report["equal"] = found == wanted
    live(0.5)
    report |= {"faults": watch.faults, "told": dict(watch.told), "ended": True}
    report["of_napari"] = dict(watch.of_napari)
    report["found"] = found
    (PLACE / "report.json").write_text(json.dumps(report, indent=1, ensure_ascii=False))
    faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main()
