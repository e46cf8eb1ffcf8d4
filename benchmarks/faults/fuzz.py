"""Read what was spoiled on purpose: every case must be read right or refused in words.

    python benchmarks/faults/fuzz.py [--cases 120000] [--targets asap,tiff] [--seed 0]
        [--json benchmarks/results/fuzz.json]

Whole files of each kind (`fuzz_targets`) are changed byte by byte, number by number and
word by word, and read as the product reads them; where atheris is installed it makes half
of the cases, led by which lines of this package they reach. Each target runs in a process
of its own that may take 3 GiB beyond what it begins with; a case of more than 5 s, a
crash, or any error but a FastNetError is a finding, and the exit code is then 1.
"""

# ruff: noqa: T201  a script on its own, no package

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

CASE_SECONDS = 5
MEMORY_BYTES = 3 * 2**30
#: Share of the cases: what costs a process's start or milliseconds gets fewer.
WEIGHTS = {"tiff": 2, "safetensors": 0.3, "onnx": 0.5, "command": 0.3, "wsinfer": 0.5}
#: What this found before it was mended; each has a test in tests/fuzz/test_findings.py.
MENDED = {
    "asap": "encodings that Python's XML reader does not know",
    "regions": "nesting without end, coordinates that are no numbers",
    "model-json": "whole numbers of 400 digits",
    "wsinfer": "text that cannot be written",
    "run": "sealed descriptions of absurd size, records of another kind, deep nesting",
    "record": "values of another kind, deep nesting",
    "tiff": "JPEG tiles that claim 65,500 px a side, which took 12 GB",
    "export": "pages and tiles of four billion px, damaged compression, lengths beyond "
    "the end of the file",
}
#: Findings are kept up to so many kinds a target.
KINDS = 20


def mutated(rng: random.Random, example: bytes, tokens: tuple[bytes, ...]) -> bytes:
    """Return an example with one to eight things changed."""
    data = bytearray(example)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(data) + 1)
        how = rng.randrange(7)
        if how == 0 and at < len(data):
            data[at] = rng.randrange(256)
        elif how == 1 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif how == 2:
            del data[at : at + rng.choice((1, 4, 64, len(data)))]
        elif how == 3:
            data[at:at] = data[at : at + rng.choice((1, 8, 256))]
        elif how == 4 and tokens:
            data[at:at] = rng.choice(tokens)
        elif how == 5 and tokens:
            token = rng.choice(tokens)
            data[at : at + len(token)] = token
        else:
            data = _value_replaced(rng, data, tokens)
    return bytes(data)


def _value_replaced(
    rng: random.Random, data: bytearray, tokens: tuple[bytes, ...]
) -> bytearray:
    """Return data with what stands between two separators replaced, as in JSON, XML."""
    marks = [i for i, byte in enumerate(data[:20_000]) if byte in b':,[]{}" =>']
    if len(marks) < 2 or not tokens:
        return data
    first = rng.randrange(len(marks) - 1)
    end = marks[min(len(marks) - 1, first + rng.choice((1, 1, 2, 4)))]
    return data[: marks[first] + 1] + bytearray(rng.choice(tokens)) + data[end:]


class Watch:
    """Reads cases of one target and writes down what went wrong."""

    def __init__(self, name: str, notes: Path, cases: int) -> None:
        from fuzz_targets import TARGETS

        self.target, self.notes, self.cases = TARGETS[name], notes, cases
        self.tried = 0
        self.found: dict[str, tuple[int, str]] = {}
        self.slowest = 0.0
        self.folder = notes.parent / "case"

    def __call__(self, data: bytes) -> None:
        """Read one case."""
        from fuzz_targets import held

        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        (self.notes.parent / "last").write_bytes(data)
        began = time.perf_counter()
        said = held(self.target, data, self.folder)
        took = time.perf_counter() - began
        self.slowest = max(self.slowest, took)
        self.tried += 1
        if took > CASE_SECONDS:
            said = f"took {took:.1f} s"
        if said is not None:
            kind = said.partition(": ")[0]
            count, example = self.found.get(kind, (0, said))
            self.found[kind] = (count + 1, example)
            if not count and len(self.found) <= KINDS:
                kept = self.notes.parent / f"finding-{len(self.found)}"
                kept.write_bytes(data)
        if self.tried % 50 == 0 or self.tried >= self.cases or said is not None:
            self.write()

    def write(self) -> None:
        """Write down what is known so far; atheris ends without coming back."""
        found = list(self.found.values())
        facts = {"tried": self.tried, "found": found, "slowest": self.slowest}
        self.notes.write_text(json.dumps(facts))


def child(name: str, cases: int, seed: int, notes: Path, led: bool) -> None:
    """Read the cases of one target, in a process that may end at any moment."""
    warnings.simplefilter("ignore")
    if led:
        import atheris

        with atheris.instrument_imports(include=["napari_fastnet"]):
            import fuzz_targets
    else:
        import fuzz_targets
    target = fuzz_targets.TARGETS[name]
    begin = notes.parent / "examples"
    begin.mkdir(exist_ok=True)
    examples = target.examples(begin)
    watch = Watch(name, notes, cases)
    for example in examples:  # loads what is loaded late, before memory is counted
        watch(example)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES,) * 2)
    if not led:
        rng = random.Random(f"{name} {seed}")
        while watch.tried < cases:
            watch(mutated(rng, rng.choice(examples), target.tokens))
        watch.write()
        return
    corpus = notes.parent / "corpus"
    corpus.mkdir(exist_ok=True)
    for number, example in enumerate(examples):
        (corpus / f"example-{number}").write_bytes(example)
    options = [f"-runs={cases}", f"-seed={seed + 1}", f"-timeout={2 * CASE_SECONDS}"]
    options += [
        "-rss_limit_mb=0",
        "-max_len=65536",
        "-verbosity=0",
        "-print_final_stats=0",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], watch)
    atheris.Fuzz()


def fuzzed(name: str, cases: int, seed: int, led: bool, work: Path) -> dict[str, Any]:
    """Return what came of one target's cases."""
    work.mkdir()
    notes = work / "notes.json"
    words = [sys.executable, __file__, "--child", name, "--cases", str(cases)]
    words += ["--seed", str(seed), "--notes", str(notes), *(["--led"] if led else [])]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    with (work / "log").open("wb") as log:
        done = subprocess.run(
            words, stdout=log, stderr=log, env=environment, check=False
        )
    facts: dict[str, Any] = {"tried": 0, "found": [], "slowest": 0.0}
    if notes.exists():
        facts = json.loads(notes.read_text())
    if done.returncode or not facts["tried"]:
        facts["found"].append((1, f"the process ended with {done.returncode}"))
    return facts


def run(
    names: list[str], cases: int, seed: int, keep: Path | None
) -> list[dict[str, Any]]:
    """Return a row for each target."""
    from fuzz_targets import TARGETS

    weights = {name: WEIGHTS.get(name, 1) for name in names}
    has_atheris = find_spec("atheris") is not None
    rows = []
    with tempfile.TemporaryDirectory() as place:
        root = keep or Path(place)
        root.mkdir(exist_ok=True)
        for name in names:
            began = time.perf_counter()
            share = max(1, round(cases * weights[name] / sum(weights.values())))
            parts = [False, True] if has_atheris else [False]
            done = [
                fuzzed(name, share // len(parts), seed, led, root / f"{name}-{led:d}")
                for led in parts
            ]
            tried = sum(part["tried"] for part in done)
            found = [item for part in done for item in part["found"]]
            broken = sum(count for count, _ in found)
            slowest = max(part["slowest"] for part in done)
            said = "; ".join(f"{count} x {what}" for count, what in found)
            outcome = (
                f"read right or refused in words; the slowest took {slowest:.2f} s"
            )
            if name in MENDED:
                outcome += f"; found before and mended: {MENDED[name]}"
            row = {
                "fault": TARGETS[name].about,
                "tried": tried,
                "held": tried - broken,
                "outcome": said or outcome,
            }
            rows.append(row)
            seconds = time.perf_counter() - began
            print(
                f"{name:12} {tried:7,} {broken:6,} {seconds:6.0f} s  {row['outcome']}"
            )
            sys.stdout.flush()
    return rows


def main() -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--cases", type=int, default=120_000)
    parser.add_argument("--targets", default="")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path, help="keep findings in this new folder")
    for hidden in ("--child", "--notes"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--led", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.cases, given.seed, Path(given.notes), given.led)
        return 0
    from fuzz_targets import TARGETS

    names = given.targets.split(",") if given.targets else list(TARGETS)
    rows = run(names, given.cases, given.seed, given.keep)
    if given.json:
        facts = {
            "command": "python benchmarks/faults/fuzz.py --json benchmarks/results/fuzz.json",
            "short": "make test ARGS=tests/fuzz",
            "machine": {
                "python": platform.python_version(),
                "processor": platform.processor() or platform.machine(),
                "cores": os.cpu_count(),
            },
            "rows": rows,
        }
        given.json.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    return int(any(row["held"] < row["tried"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
