"""Disks that are full, refuse, or have gone: what `faults` does to what is written."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from fault_world import Verdict, disturbed, nothing

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fault_world import World

#: What the interpreter tells of each write: to open for writing, to rename, to make.
_EVENTS = {"open": 0, "os.rename": 1, "os.mkdir": 0}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Writes:
    """Watches what this process writes into a folder, and may refuse it.

    Python's audit hooks see every file that is opened, renamed or made by Python code,
    whichever library it is; they cannot be taken away again, so there is one for all.
    """

    def __init__(self) -> None:
        self.folder, self.count = "", 0
        self.refuse: Callable[[int], OSError | None] = lambda _: None
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.folder or event not in _EVENTS:
            return
        place = arguments[_EVENTS[event]]
        if not isinstance(place, str | os.PathLike) or not os.fspath(place).startswith(
            self.folder
        ):
            return
        if event == "open" and not _is_writing(*arguments[1:3]):
            return
        number, self.count = self.count, self.count + 1
        if (error := self.refuse(number)) is not None:
            raise error

    @contextmanager
    def refused(
        self, folder: Path, refuse: Callable[[int], OSError | None]
    ) -> Iterator[None]:
        """Let a function of the write's number say which writes into a folder fail."""
        self.folder, self.count, self.refuse = str(folder), 0, refuse
        try:
            yield
        finally:
            self.folder = ""


def _is_writing(mode: Any, flags: Any) -> bool:
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & _WRITING)


_WRITES: list[Writes] = []


def writes() -> Writes:
    """Return this process's one watch."""
    if not _WRITES:
        _WRITES.append(Writes())
    return _WRITES[0]


def count_writes(world: World, folder: Path) -> int:
    """Return how many writes an undisturbed run makes."""
    with writes().refused(folder / "out", lambda _: None):
        world.detect(world.slide, folder / "out")
    return writes().count


def full_at_a_write(world: World, rng: random.Random, folder: Path) -> Verdict:
    """Refuse one write and all that follow, as a full disk does, or only that one."""
    total = count_writes(world, folder / "counted")
    at, ever_after = rng.randrange(total), rng.random() < 0.7
    code = rng.choice((errno.ENOSPC, errno.EDQUOT, errno.EIO))

    def refuse(number: int) -> OSError | None:
        if number == at or (ever_after and number > at):
            return OSError(code, os.strerror(code))
        return None

    return disturbed(world, folder, writes().refused(folder / "out", refuse))


@contextmanager
def _no_longer_than(count: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def cut_in_a_file(world: World, rng: random.Random, folder: Path) -> Verdict:
    """End every file's growth at some length: the write itself fails half-way."""
    longest = max(p.stat().st_size for p in (world.folder / "undisturbed").rglob("*"))
    return disturbed(world, folder, _no_longer_than(int(longest ** rng.random())))


def may_mount() -> bool:
    """Return whether a small disk can be mounted here: only root may."""
    return sys.platform == "linux" and os.geteuid() == 0


@contextmanager
def small_disk(place: Path, size_kb: int) -> Iterator[Callable[[str], None]]:
    """Mount a disk of so many kB; yields what mounts it anew with other options."""
    place.mkdir()

    def mount(*words: str) -> None:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", ",".join(words), "none", str(place)],
            check=True,
        )

    mount(f"size={size_kb}k")
    try:
        yield lambda option: mount("remount", option)
    finally:
        subprocess.run(["umount", str(place)], check=True)


def small(world: World, rng: random.Random, folder: Path) -> Verdict:
    """Write to a disk that is really too small, and is made larger for the second run."""
    files = [p for p in (world.folder / "undisturbed").rglob("*") if p.is_file()]
    needed_kb = sum(-(-path.stat().st_size // 4096) * 4 for path in files) + 64
    size_kb = max(8, int(needed_kb * rng.random()))
    with small_disk(folder / "disk", size_kb) as remount:
        (folder / "disk" / "case").mkdir()
        return disturbed(
            world, folder / "disk" / "case", nothing(), mend=lambda: remount("size=64m")
        )


def read_only(world: World, rng: random.Random, folder: Path) -> Verdict:
    """Find the folder, with a run half done or none in it, read-only from a step on."""
    begun = rng.random() < 0.7

    class Enough(Exception):  # noqa: N818  no error: half a run is what is wanted
        pass

    def stop(number: int) -> None:
        if number == 5:
            raise Enough

    (folder / "out").mkdir(parents=True)
    if begun:
        with suppress(Enough):
            world.detect(world.slide, folder / "out", on_step=stop)
    code = rng.choice((errno.EROFS, errno.EACCES))
    fault = writes().refused(folder / "out", lambda _: OSError(code, os.strerror(code)))
    return disturbed(world, folder, fault)
