"""One progress bar: of rich on a terminal, of tqdm in a notebook, lines in a log."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

#: Seconds from line to line in a log.
LINE_EVERY_S = 15.0


class Counted(Protocol):
    """A value that long work yields."""

    @property
    def done(self) -> int: ...  # noqa: D102

    @property
    def total(self) -> int: ...  # noqa: D102


class Progress:
    """A shown progress; `progress_bar` makes it.

    Parameters
    ----------
    unit : str
        What is counted, in the plural.
    draw : callable
        Shows (done, total, text, name of what just ended or None).
    say : callable
        Prints a line, above a bar.
    clock : callable, optional
        Returns seconds; for tests.
    """

    def __init__(
        self,
        unit: str,
        draw: Callable[[int, int, str, str | None], None],
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.say = say
        self._unit, self._draw, self._clock = unit, draw, clock
        self._start: tuple[float, int] | None = None

    def show(self, step: Counted) -> None:
        """Show how much is done by the last value that the work yielded."""
        self.update(step.done, step.total)

    def update(
        self,
        done: int,
        total: int,
        *,
        earlier: int = 0,
        note: str = "",
        ended: str | None = None,
    ) -> None:
        """Show how much is done.

        What was done at the first call counts for the bar and not for the rate: a
        resumed run did it earlier.

        Parameters
        ----------
        done, total : int
            In all.
        earlier : int, optional
            Those of ``done`` that took no time.
        note : str, optional
            Text in front of rate and time.
        ended : str, optional
            Name of what ended just now; gets a line of its own in a log.
        """
        now, new = self._clock(), done - earlier
        if self._start is None:
            self._start = (now, new)
        began, before = self._start
        words = [note] if note else []
        if new > before and now > began:
            rate = (new - before) / (now - began)
            if rate >= 1:
                number = f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
                words.append(f"{number} {self._unit}/s")
            if total > done:
                words.append(f"{clock_text((total - done) / rate)} left")
        self._draw(done, total, ", ".join(words), ended)


@contextmanager
def progress_bar(
    title: str, *, unit: str = "patches", stream: TextIO | None = None
) -> Iterator[Progress]:
    """Show the progress of long work.

    Parameters
    ----------
    title : str
        Name of the work, for example ``"detect slide.svs"``.
    unit : str, optional
        What is counted, in the plural.
    stream : file, optional
        Where to write; standard error by default.

    Yields
    ------
    Progress
        Its `update` is to be called whenever more is done.
    """
    stream = stream or sys.stderr
    if _in_notebook():
        yield from _in_cell(title, unit)
    elif stream.isatty():
        yield from _on_terminal(title, unit, stream)
    else:
        yield _in_log(title, unit, stream)


def clock_text(seconds: float) -> str:
    """Return a duration as ``h:mm:ss``, rounded up to a second."""
    whole = int(-(-max(0.0, seconds) // 1))
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _in_notebook() -> bool:
    ipython: Any = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    return bool(shell) and "IPKernelApp" in shell.config


def _in_cell(title: str, unit: str) -> Iterator[Progress]:
    from tqdm.auto import tqdm

    layout = "{l_bar}{bar} {n_fmt}/{total_fmt} {unit}{postfix}"
    with tqdm(desc=title, total=0, unit=unit, bar_format=layout) as bar:

        def draw(done: int, total: int, text: str, _: str | None) -> None:
            if bar.total != total:
                bar.reset(total=total)
            bar.n = done
            bar.set_postfix_str(text)

        yield Progress(unit, draw, tqdm.write)


def _on_terminal(title: str, unit: str, stream: TextIO) -> Iterator[Progress]:
    from rich import progress as rich
    from rich.console import Console

    console = Console(file=stream)
    bar = rich.Progress(
        rich.TextColumn("{task.description}", markup=False),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TextColumn("{task.fields[text]}", markup=False),
        console=console,
    )
    with bar:
        task = bar.add_task(title, total=None, text="")

        def draw(done: int, total: int, text: str, _: str | None) -> None:
            bar.update(task, completed=done, total=total, text=f"{unit} {text}")

        say = partial(console.print, markup=False, highlight=False, soft_wrap=True)
        yield Progress(unit, draw, say)


def _in_log(title: str, unit: str, stream: TextIO) -> Progress:
    written = time.monotonic()
    say = partial(print, file=stream, flush=True)

    def draw(done: int, total: int, text: str, ended: str | None) -> None:
        nonlocal written
        if ended is None and (not text or time.monotonic() - written < LINE_EVERY_S):
            return
        written = time.monotonic()
        parts = [f"{done} of {total} {unit}", *([text] if text else [])]
        say(f"{ended or title}: {', '.join(parts)}")

    return Progress(unit, draw, say)
