"""Work that gives way does so in a thread of its own."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from napari_fastnet.plugin.threads.giving_way import NICE, in_own_thread


def niceness():
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority there")
def test_the_thread_that_asks_keeps_its_priority() -> None:
    def values():
        yield niceness()
        yield niceness()

    before = niceness()
    assert list(in_own_thread(values)) == [max(NICE, before)] * 2
    assert niceness() == before


def test_values_errors_and_closing_pass_through_one_thread() -> None:
    seen = []

    def values():
        try:
            seen.append(threading.current_thread())
            yield 1
            seen.append(threading.current_thread())
            raise RuntimeError("out of memory")
        finally:
            seen.append(threading.current_thread())

    found = in_own_thread(values)
    assert next(found) == 1
    with pytest.raises(RuntimeError, match="out of memory"):
        next(found)
    assert len(seen) == 3
    assert len(set(seen)) == 1
    assert seen[0] is not threading.current_thread()


def test_closed_half_way_it_ends_the_work() -> None:
    ended = []

    def values():
        try:
            yield 1
            yield 2
        finally:
            ended.append(threading.current_thread())

    found = in_own_thread(values)
    next(found)
    found.close()
    assert len(ended) == 1
    assert ended[0] is not threading.current_thread()


def test_threads_are_used_again_but_not_by_two_at_once() -> None:
    def values():
        while True:
            yield threading.current_thread()

    one, other = in_own_thread(values), in_own_thread(values)
    both = {next(one), next(other)}
    assert len(both) == 2
    one.close()
    other.close()
    again = in_own_thread(values)
    assert next(again) in both
    again.close()
