"""Slides that vanish, change or cannot be read while a run goes on, for `faults`."""

from __future__ import annotations

import errno
import io
import itertools
import os
import shutil
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest.mock import patch

from fault_world import Verdict, chosen, disturbed, draw_slide
from napari_fastnet.slide.tiff_tiles import FileBytes

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fault_world import OnStep, World

#: Reads of tiles that a run makes, about.
READS = 500


def _gone(path: Path, _: random.Random) -> None:
    path.unlink()


def _renamed(path: Path, _: random.Random) -> None:
    path.rename(path.with_name("elsewhere.svs"))


def _cut(path: Path, rng: random.Random) -> None:
    os.truncate(path, rng.randrange(path.stat().st_size))


def _another(path: Path, rng: random.Random) -> None:
    """Put a slide of the same length and layout in its place."""
    other = draw_slide(path.with_name("other.svs"), seed=rng.randrange(1, 99))
    other.replace(path)


def _written_over(path: Path, rng: random.Random) -> None:
    """Write such a slide into the same file, so that open handles read it."""
    other = draw_slide(path.with_name("other.svs"), seed=rng.randrange(1, 99))
    with path.open("r+b") as file:
        file.write(other.read_bytes())
    other.unlink()


HARMS: dict[str, Callable[[Path, random.Random], None]] = {
    "removed": _gone,
    "renamed": _renamed,
    "truncated": _cut,
    "replaced": _another,
    "written over": _written_over,
}


def harmed(name: str) -> Callable[[World, random.Random, Path], Verdict]:
    """Return the case in which a slide is harmed at some step, and put back."""

    def case(world: World, rng: random.Random, folder: Path) -> Verdict:
        slide = folder / "slide.svs"
        shutil.copyfile(world.slide, slide)
        at = chosen(rng)

        @contextmanager
        def fault() -> Iterator[OnStep]:
            yield lambda number: HARMS[name](slide, rng) if number == at else None

        def put_back() -> None:
            shutil.copyfile(world.slide, slide)

        return disturbed(world, folder, fault(), slide=slide, mend=put_back)

    return case


@contextmanager
def _spoilt(change: Callable[[int, bytes], bytes]) -> Iterator[None]:
    """Spoil the bytes of each read by a function of its number, for slides opened now."""
    count, whole = itertools.count(), FileBytes.__init__

    class Spoilt(io.BufferedReader):
        def read(self, size: int | None = -1) -> bytes:
            return change(next(count), super().read(size))

    def begin(self: FileBytes, path: Path) -> None:
        whole(self, path)
        self._file = Spoilt(self._file.detach())

    with (
        patch.object(FileBytes, "__init__", begin),
        patch("napari_fastnet.slide.tiff_tiles.RETRY_S", (0.0, 0.01)),
    ):
        yield


def read_errors(world: World, rng: random.Random, folder: Path) -> Verdict:
    """Let the drive fail for a while, or from some reading on."""
    code = rng.choice((errno.EIO, errno.ESTALE, errno.ETIMEDOUT))
    begin = rng.randrange(READS)
    end = begin + rng.choice((1, 2, 3, 50, 10**9))

    def change(number: int, data: bytes) -> bytes:
        if begin <= number < end:
            raise OSError(code, os.strerror(code))
        return data

    return disturbed(world, folder, _spoilt(change))


def short_reads(world: World, rng: random.Random, folder: Path) -> Verdict:
    """Let the drive give fewer bytes than it was asked for, now and then or always."""
    share = rng.choice((0.01, 0.1, 1.0))

    def change(_: int, data: bytes) -> bytes:
        return data[: rng.randrange(len(data))] if rng.random() < share else data

    return disturbed(world, folder, _spoilt(change))


def slow_reads(world: World, rng: random.Random, folder: Path) -> Verdict:
    """Let some reads take long."""

    def change(_: int, data: bytes) -> bytes:
        if rng.random() < 0.02:
            time.sleep(0.05)
        return data

    return disturbed(world, folder, _spoilt(change))
