"""Waiting for a thread keeps the window alive, and brings its result or its error."""

from __future__ import annotations

import threading
import time

import pytest

from napari_fastnet.plugin.threads.waiting import call_in_background

pytestmark = pytest.mark.gui


def test_the_event_loop_goes_on(qtbot) -> None:
    from qtpy.QtCore import QTimer

    beats, timer = [], QTimer()
    timer.timeout.connect(lambda: beats.append(threading.current_thread()))
    timer.start(10)

    def work():
        time.sleep(0.5)
        return threading.current_thread()

    assert call_in_background(work, "working") is not threading.main_thread()
    assert len(beats) > 10
    assert set(beats) == {threading.main_thread()}


def test_an_error_is_raised_where_it_was_asked_for(qtbot) -> None:
    def work():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        call_in_background(work, "working")


def test_without_an_application_it_is_just_called(monkeypatch) -> None:
    qtcore = pytest.importorskip("qtpy.QtCore")

    class NoApplication:
        @staticmethod
        def instance():
            return None

    monkeypatch.setattr(qtcore, "QCoreApplication", NoApplication)
    thread = call_in_background(threading.current_thread, "working")
    assert thread is threading.main_thread()
