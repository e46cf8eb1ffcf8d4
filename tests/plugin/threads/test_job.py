"""Work in a thread: values arrive, errors are told, and it stops when asked."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import weakref

import pytest

from napari_fastnet.errors import DetectionError

pytest.importorskip("qtpy")
pytestmark = pytest.mark.gui


@pytest.fixture
def errors():
    """Return the notifications that napari is asked to show."""
    from napari.utils.notifications import notification_manager

    shown = []

    def note(notification):
        shown.append(notification)

    notification_manager.notification_ready.connect(note)
    yield shown
    notification_manager.notification_ready.disconnect(note)


@pytest.fixture
def run(qtbot):
    """Return a function that starts a job and notes what it tells."""
    from napari_fastnet.plugin.threads.job import Job

    started = []

    def start(work):
        values, ends = [], []
        job = Job(work, on_value=values.append, on_end=ends.append)
        started.append(job)
        job.start()
        return job, values, ends

    yield start
    for job in started:
        job.abandon()
        qtbot.waitUntil(lambda job=job: not job.running, timeout=20_000)


def test_values_arrive_in_order_on_the_gui_thread(qtbot, run) -> None:
    threads = set()

    def work(should_stop):
        for value in range(3):
            threads.add(threading.current_thread())
            yield value

    _, values, ends = run(work)
    qtbot.waitUntil(lambda: bool(ends))
    assert values == [0, 1, 2]
    assert ends == [True]
    assert threading.main_thread() not in threads


def test_what_torch_raises_is_shown_and_ends_the_job(qtbot, run, errors) -> None:
    def work(should_stop):
        yield 1
        raise RuntimeError("CUDA out of memory")

    job, values, ends = run(work)
    qtbot.waitUntil(lambda: bool(ends))
    assert values == [1]
    assert ends == [False]
    assert not job.running
    assert "RuntimeError: CUDA out of memory" in errors[0].message
    assert "raise RuntimeError" in errors[0].as_text()  # its traceback


def test_an_expected_error_is_shown_with_its_own_words(qtbot, run, errors) -> None:
    def work(should_stop):
        raise DetectionError("the network failed; use another")
        yield

    _, values, ends = run(work)
    qtbot.waitUntil(lambda: bool(ends))
    assert (values, ends) == ([], [False])
    assert [error.message for error in errors] == ["the network failed; use another"]


def test_cancel_is_answered_within_a_step_and_resources_are_closed(qtbot, run) -> None:
    closed = threading.Event()

    def work(should_stop):
        try:
            yield "begun"
            while not should_stop():
                time.sleep(0.01)
        finally:
            closed.set()

    job, values, ends = run(work)
    qtbot.waitUntil(lambda: bool(values))
    job.cancel()
    qtbot.waitUntil(lambda: bool(ends), timeout=20_000)
    assert ends == [False]
    assert closed.is_set()


def test_a_pause_holds_and_a_resume_goes_on(qtbot, run) -> None:
    def work(should_stop):
        for value in range(1000):
            yield value
            time.sleep(0.002)

    job, values, ends = run(work)
    qtbot.waitUntil(lambda: bool(values))
    job.pause()
    assert job.paused
    qtbot.wait(100)
    held = len(values)
    qtbot.wait(150)
    assert len(values) == held < 1000
    paused_s = job.paused_seconds
    assert paused_s > 0.2
    job.resume()
    qtbot.waitUntil(lambda: len(values) > held)
    assert not ends
    qtbot.wait(100)
    assert job.paused_seconds == pytest.approx(paused_s, abs=0.05)


def test_a_resume_right_after_a_pause_is_not_lost(qtbot, run) -> None:
    def work(should_stop):
        for value in range(20):
            time.sleep(0.01)
            yield value

    job, _, ends = run(work)
    job.pause()
    job.resume()
    qtbot.waitUntil(lambda: bool(ends))
    assert ends == [True]


def test_a_paused_job_can_be_cancelled(qtbot, run) -> None:
    def work(should_stop):
        while True:
            yield 0

    job, _, ends = run(work)
    job.pause()
    job.cancel()
    qtbot.waitUntil(lambda: bool(ends), timeout=20_000)
    assert not job.paused


def test_an_abandoned_job_tells_nothing_more(qtbot, run, errors) -> None:
    going = threading.Event()

    def work(should_stop):
        yield 1
        going.wait(2)
        raise ValueError("nobody is left to hear this")

    job, values, ends = run(work)
    qtbot.waitUntil(lambda: bool(values))
    job.abandon()
    going.set()
    qtbot.waitUntil(lambda: not job.running)
    assert (values, ends, errors) == ([1], [], [])


def test_a_shown_error_keeps_nothing_of_the_work_alive(qtbot, run, errors) -> None:
    class Slide:
        pass

    kept = []

    def work(should_stop):
        slide = Slide()
        kept.append(weakref.ref(slide))
        yield 1
        raise RuntimeError("out of memory")

    _, _, ends = run(work)
    qtbot.waitUntil(lambda: bool(ends))
    assert errors
    assert kept[0]() is None


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority there")
def test_only_the_thread_that_works_gives_way(qtbot, run) -> None:
    from napari_fastnet.plugin.threads.job import NICE

    def niceness():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def work(should_stop):
        yield niceness()

    before = niceness()
    _, values, ends = run(work)
    qtbot.waitUntil(lambda: bool(ends))
    assert values == [max(NICE, before)]
    assert niceness() == before


def test_threads_are_used_again_but_not_by_two_at_once(qtbot, run) -> None:
    gate = threading.Event()

    def work(should_stop):
        yield threading.current_thread()
        gate.wait(10)

    one, other = run(work), run(work)
    qtbot.waitUntil(lambda: bool(one[1] and other[1]))
    both = {*one[1], *other[1]}
    assert len(both) == 2
    gate.set()
    qtbot.waitUntil(lambda: bool(one[2] and other[2]))
    _, again, _ = run(work)
    qtbot.waitUntil(lambda: bool(again))
    assert again[0] in both


QUIT = """
import time
from qtpy.QtCore import QCoreApplication, QTimer
from napari_fastnet.plugin.threads.job import Job

def work(should_stop):
    try:
        while not should_stop():
            time.sleep(0.01)
            yield 1
    finally:
        print("closed", flush=True)

app = QCoreApplication([])
job = Job(work, on_value=lambda _: app.quit())
QTimer.singleShot(0, job.start)
app.exec()
print("quit", flush=True)
"""


def test_quitting_ends_what_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", QUIT],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["quit", "closed"]
    assert done.stderr == ""
