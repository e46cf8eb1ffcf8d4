"""Only the last of what was asked for is taken, and always on the GUI's thread."""

from __future__ import annotations

import threading
import time

import pytest

from napari_fastnet.plugin.threads.latest import Latest

pytestmark = pytest.mark.gui


class Asker:
    """Asks for numbers; a gate holds the thread that finds them."""

    def __init__(self, **options):
        self.number, self.gate = 0, threading.Event()
        self.found, self.threads = [], set()
        self.latest = Latest(self.prepare, self.take, **options)

    def prepare(self):
        number = self.number
        if number < 0:
            return None

        def find():
            assert self.gate.wait(10)
            self.threads.add(threading.current_thread())
            if number == 13:
                raise ValueError("unlucky")
            return number

        return find

    def take(self, number):
        assert threading.current_thread() is threading.main_thread()
        self.found.append(number)

    def ask(self, number):
        self.number = number
        self.latest.ask()


def test_what_came_in_between_is_left_out(qtbot) -> None:
    asker = Asker()
    for number in range(5):
        asker.ask(number)
    asker.gate.set()
    qtbot.waitUntil(lambda: asker.found == [0, 4], timeout=20_000)
    qtbot.wait(100)
    assert asker.found == [0, 4]
    assert threading.main_thread() not in asker.threads


def test_nothing_to_do_is_nothing(qtbot) -> None:
    asker = Asker()
    asker.gate.set()
    asker.ask(-1)
    asker.ask(2)
    qtbot.waitUntil(lambda: asker.found == [2], timeout=20_000)


def test_what_is_dropped_is_not_taken_and_the_next_is(qtbot) -> None:
    asker = Asker()
    asker.ask(1)
    asker.ask(2)
    asker.latest.drop()
    asker.gate.set()
    qtbot.wait(200)
    assert asker.found == []
    asker.ask(3)
    qtbot.waitUntil(lambda: asker.found == [3], timeout=20_000)


def test_an_error_is_raised_in_the_event_loop_and_the_next_is_taken(qtbot) -> None:
    asker = Asker()
    asker.gate.set()
    with qtbot.captureExceptions() as raised:
        asker.ask(13)
        qtbot.waitUntil(lambda: bool(raised), timeout=20_000)
    assert raised[0][0] is ValueError
    asker.ask(4)
    qtbot.waitUntil(lambda: asker.found == [4], timeout=20_000)


def test_it_rests_after_taking_took_long(qtbot, monkeypatch) -> None:
    asker, times = Asker(rest=3), []

    def take(number):
        times.append(time.perf_counter())
        time.sleep(0.1)

    monkeypatch.setattr(asker.latest, "_take", take)
    asker.gate.set()
    asker.ask(1)
    asker.ask(2)
    qtbot.waitUntil(lambda: len(times) == 2, timeout=20_000)
    assert times[1] - times[0] > 0.38
