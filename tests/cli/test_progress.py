"""The progress bar: rate, time left, terminal and log."""

from __future__ import annotations

import io

import pytest

from napari_fastnet.cli import output as progress
from napari_fastnet.cli.output import Pace, clock_text, progress_bar


def clock(*seconds: float):
    return iter(seconds).__next__


def test_pace_counts_from_the_first_call():
    # a resumed run: 100 were done before; 40 more in 2 s, 60 to go
    pace = Pace(clock(10, 12))
    assert pace.describe(100, 200, "patches") == ""
    assert pace.describe(140, 200, "patches") == "20 patches/s, 0:00:03 left"


def test_pace_says_nothing_before_anything_is_done():
    pace = Pace(clock(0, 1))
    pace.describe(0, 10, "patches")
    assert pace.describe(0, 10, "patches") == ""


@pytest.mark.parametrize(
    ("done", "text"), [(9, "9 "), (95, "95 "), (1234, "1,234 "), (0.5, "0.5 ")]
)
def test_rate_is_short(done, text):
    pace = Pace(clock(0, 1))
    pace.describe(0, 2000, "px")
    assert pace.describe(done, 2000, "px").startswith(f"{text}px/s")


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
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    log = io.StringIO()
    with progress_bar("detect a.svs", stream=log) as update:
        update(0, 100)
        update(50, 100)
    assert log.getvalue().startswith("detect a.svs: 50 of 100 patches, ")
    assert log.getvalue().count("\n") == 1


def test_a_short_run_leaves_no_line_in_a_log():
    log = io.StringIO()
    with progress_bar("detect a.svs", stream=log) as update:
        update(0, 100)
        update(100, 100)
    assert log.getvalue() == ""


def test_a_terminal_gets_a_bar_with_rate_and_time_left(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    with progress_bar("detect [1].svs", stream=terminal) as update:
        update(0, 100)
        update(100, 100)
    assert "detect [1].svs" in terminal.getvalue()
    assert "100/100" in terminal.getvalue()
    assert "patches/s, 0:00:00 left" in terminal.getvalue()
