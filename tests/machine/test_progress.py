"""The progress bar: rate, time left, terminal, notebook and log."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest

from napari_fastnet.machine import progress as module
from napari_fastnet.machine.progress import Progress, clock_text, progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def texts():
    """Return a function from times to a progress, and the texts that it shows."""
    shown: list[str] = []

    def make(*seconds: float, unit="patches"):
        def draw(done, total, text, ended):
            shown.append(text)

        return Progress(unit, draw, print, iter(seconds).__next__), shown

    return make


def test_the_rate_counts_from_the_first_call(texts):
    # a resumed run: 100 were done before; 40 more in 2 s, 60 to go
    progress, shown = texts(10, 12)
    progress.update(100, 200)
    progress.update(140, 200)
    assert shown == ["", "20 patches/s, 0:00:03 left"]


def test_nothing_is_said_before_anything_is_done(texts):
    progress, shown = texts(0, 1)
    progress.update(0, 10)
    progress.update(0, 10)
    assert shown == ["", ""]


@pytest.mark.parametrize(
    ("done", "text"), [(9, "9 px/s"), (95, "95 px/s"), (1234, "1,234 px/s")]
)
def test_rate_is_short(texts, done, text):
    progress, shown = texts(0, 1, unit="px")
    progress.update(0, 2000)
    progress.update(done, 2000)
    assert shown[-1].startswith(f"{text}, 0:")


def test_of_slow_work_the_time_left_is_enough(texts):
    progress, shown = texts(0, 20, unit="slides")
    progress.update(0, 10)
    progress.update(2, 10)
    assert shown[-1] == "0:01:20 left"


def test_time_left_leaves_out_earlier_work_and_ends_with_the_work(texts):
    progress, shown = texts(0, 0, 20, 30, 40, unit="slides")
    progress.update(0, 10)
    progress.update(4, 10, earlier=4)
    progress.update(6, 10, earlier=4)
    progress.update(7, 10, earlier=4, note="1 failed")
    progress.update(10, 10, earlier=4, note="1 failed")
    assert shown == [
        "",
        "",
        "0:00:40 left",
        "1 failed, 0:00:30 left",
        "1 failed",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00:00"),
        (0.01, "0:00:01"),
        (59, "0:00:59"),
        (59.5, "0:01:00"),
        (3600, "1:00:00"),
        (-1, "0:00:00"),
    ],
)
def test_clock_text_rounds_up(seconds, text):
    assert clock_text(seconds) == text


def test_a_log_gets_a_line_now_and_then(monkeypatch):
    monkeypatch.setattr(module, "LINE_EVERY_S", 0.0)
    log = io.StringIO()
    with progress_bar("detect a.svs", stream=log) as bar:
        bar.update(0, 100)
        bar.update(50, 100)
    assert log.getvalue().startswith("detect a.svs: 50 of 100 patches, ")
    assert log.getvalue().count("\n") == 1


def test_a_short_run_leaves_no_line_in_a_log():
    log = io.StringIO()
    with progress_bar("detect a.svs", stream=log) as bar:
        bar.update(0, 100)
        bar.update(100, 100)
    assert log.getvalue() == ""


def test_what_ended_gets_a_line_in_a_log_and_a_message_too():
    log = io.StringIO()
    with progress_bar("out", unit="slides", stream=log) as bar:
        bar.update(1, 2, ended="a")
        bar.say("note: [odd]")
    assert log.getvalue() == "a: 1 of 2 slides\nnote: [odd]\n"


def test_a_terminal_gets_a_bar_with_rate_and_time_left(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    terminal = Terminal()
    with progress_bar("detect [1].svs", stream=terminal) as bar:
        bar.update(0, 100)
        bar.update(50, 100)
        bar.say("note: [odd]")
    said = terminal.getvalue()
    assert "detect [1].svs" in said
    assert "50/100" in said
    assert "patches/s, 0:00:0" in said
    assert "note: [odd]" in said


def test_a_notebook_gets_the_bar_of_tqdm(monkeypatch, capsys):
    shell = SimpleNamespace(config={"IPKernelApp": {}})
    ipython = SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    with progress_bar("a.svs") as bar:
        for done, total in ((64, 790), (128, 830), (830, 830)):  # the masks changed it
            bar.update(done, total)
    assert "830/830 patches" in capsys.readouterr().err
