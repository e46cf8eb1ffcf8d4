"""Read ahead: each block once, in an order that may change on the way."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from napari_fastnet.detection.schedule import read_ahead
from napari_fastnet.store.store import Block

BLOCKS = [Block((0, column), (1, column + 1)) for column in range(12)]
MOST = 3


class Reader:
    """Reads as two threads would, when it is told to; the pixels are the block."""

    def __init__(self) -> None:
        self.asked: list[Block] = []
        self.futures: dict[Block, Future] = {}

    def __call__(self, block):
        self.asked.append(block)
        self.futures[block] = future = Future()
        return future

    def begin(self, block) -> None:
        assert self.futures[block].set_running_or_notify_cancel()

    def end(self, block) -> None:
        self.futures[block].set_result(block)

    def at_once(self, block):
        future = self(block)
        future.set_result(block)
        return future


class Middle:
    """The nearest to a column that moves comes first."""

    def __init__(self, column) -> None:
        self.column = column

    def __call__(self, block):
        return abs(block.first[1] - self.column)


def columns(blocks):
    return [block.first[1] for block in blocks]


@pytest.mark.parametrize("most", [1, 3, 20])
def test_without_priority_the_order_is_that_given(most) -> None:
    found = list(read_ahead(Reader().at_once, BLOCKS, most))
    assert found == [(block, block) for block in BLOCKS]


def test_no_block_is_read_twice_while_the_order_stays() -> None:
    reader = Reader()
    found = list(read_ahead(reader.at_once, BLOCKS, MOST, Middle(5.1)))
    assert columns(b for b, _ in found) == [5, 6, 4, 7, 3, 8, 2, 9, 1, 10, 0, 11]
    assert reader.asked == [block for block, _ in found]


def test_a_new_order_holds_from_the_next_block_on() -> None:
    reader, middle = Reader(), Middle(0)
    blocks = read_ahead(reader.at_once, BLOCKS, MOST, middle)
    assert columns([next(blocks)[0], next(blocks)[0]]) == [0, 1]
    middle.column = 9.1
    assert columns(b for b, _ in blocks) == [9, 10, 8, 11, 7, 6, 5, 4, 3, 2]


def test_what_waits_is_called_off_and_what_lies_ready_is_dropped() -> None:
    reader, middle = Reader(), Middle(0)
    blocks = read_ahead(reader.at_once, BLOCKS, MOST, middle)
    next(blocks)
    ready = reader.asked[1:]
    assert columns(ready) == [1, 2]
    middle.column = 11
    next(blocks)
    assert columns(reader.asked[3:]) == [11, 10, 9]
    list(blocks)
    assert [reader.asked.count(block) for block in ready] == [2, 2]

    reader, middle = Reader(), Middle(0)
    blocks = read_ahead(
        lambda b: reader.at_once(b) if b.first[1] in (0, 11) else reader(b),
        BLOCKS,
        MOST,
        middle,
    )
    next(blocks)
    middle.column = 11
    next(blocks)
    assert all(reader.futures[block].cancelled() for block in ready)


def test_readings_that_began_keep_their_room_and_the_next_block_has_some() -> None:
    reader, middle = Reader(), Middle(0)
    blocks = read_ahead(
        lambda b: reader.at_once(b) if b.first[1] in (0, 11) else reader(b),
        BLOCKS,
        MOST,
        middle,
    )
    next(blocks)
    under_way = reader.asked[1:]
    for block in under_way:
        reader.begin(block)
    middle.column = 11
    assert next(blocks)[0] == BLOCKS[11]
    assert columns(reader.asked) == [0, 1, 2, 11]  # never more than three


def test_what_reading_raised_is_raised_and_the_rest_called_off() -> None:
    reader = Reader()

    def read(block):
        future = reader(block)
        if block == BLOCKS[0]:
            future.set_exception(OSError("gone"))
        return future

    with pytest.raises(OSError, match="gone"):
        next(read_ahead(read, BLOCKS, MOST))
    assert all(reader.futures[block].cancelled() for block in BLOCKS[1:MOST])
