"""Output of commands: JSON for machines, columns and progress for people."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import TextIO


def print_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print data as JSON: paths as text, arrays as lists, NaN as null."""
    import json

    from napari_fastnet.machine.json_text import plain

    text = json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:  # a name that is no UTF-8, or a terminal that is not
        text = json.dumps(json.loads(text), indent=2)
    print(text)


def print_columns(rows: Sequence[Sequence[str]], *, indent: str = "") -> None:
    """Print rows as left-aligned columns two spaces apart, never wrapped.

    Parameters
    ----------
    rows : sequence of sequence of str
        Cells; rows may end early.
    indent : str, optional
        Text in front of every line.
    """
    widths: dict[int, int] = {}
    for row in rows:
        for column, cell in enumerate(row):
            widths[column] = max(widths.get(column, 0), len(cell))
    for row in rows:
        cells = (cell.ljust(widths[column]) for column, cell in enumerate(row))
        print((indent + "  ".join(cells)).rstrip())


#: Call it with (done, total) whenever more is done.
Update = Callable[[int, int], None]

#: In a log, one line after so many seconds.
LINE_EVERY_S = 15.0


@contextmanager
def progress_bar(
    title: str, *, unit: str = "patches", stream: TextIO | None = None
) -> Iterator[Update]:
    """Show the progress of long work on standard error.

    Parameters
    ----------
    title : str
        What is going on, e.g. ``"detect slide.svs"``.
    unit : str, optional
        What is counted.
    stream : file, optional
        Where to write; standard error by default.

    Yields
    ------
    callable
        To be called with ``(done, total)``. What was done at the first call counts
        for the bar and not for the rate: a resumed run did it earlier.
    """
    stream = stream or sys.stderr
    if stream.isatty():
        with _bar(title, unit, stream) as update:
            yield update
    else:
        yield _lines(title, unit, stream)


class Pace:
    """The rate of counted work, and from it the time left.

    Parameters
    ----------
    clock : callable, optional
        Returns seconds; for tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start: tuple[float, int] | None = None

    def describe(self, done: int, total: int, unit: str) -> str:
        """Return e.g. ``"411 patches/s, 0:00:14 left"``; empty at the first call."""
        now = self._clock()
        if self._start is None:
            self._start = (now, done)
        began, before = self._start
        if done <= before or now <= began:
            return ""
        rate = (done - before) / (now - began)
        number = f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
        return f"{number} {unit}/s, {clock_text((total - done) / rate)} left"


def clock_text(seconds: float) -> str:
    """Return a duration as ``h:mm:ss``, rounded up to a second."""
    whole = int(-(-max(0.0, seconds) // 1))
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


@contextmanager
def _bar(title: str, unit: str, stream: TextIO) -> Iterator[Update]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}", markup=False),
        console=Console(file=stream),
    )
    pace = Pace()
    with progress:
        task = progress.add_task(title, total=None, pace="")

        def update(done: int, total: int) -> None:
            text = pace.describe(done, total, unit)
            progress.update(task, completed=done, total=total, pace=text)

        yield update


def _lines(title: str, unit: str, stream: TextIO) -> Update:
    pace = Pace()
    written = time.monotonic()

    def update(done: int, total: int) -> None:
        nonlocal written
        text = pace.describe(done, total, unit)
        now = time.monotonic()
        if text and now - written >= LINE_EVERY_S:
            written = now
            print(f"{title}: {done} of {total} {unit}, {text}", file=stream, flush=True)

    return update
