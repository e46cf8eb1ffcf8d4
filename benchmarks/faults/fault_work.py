"""Threads, networks, devices and clocks that fail in the middle of a run, for `faults`."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np

from fault_world import ERROR, RIGHT, Verdict, World, chosen, clear, disturbed
from napari_fastnet.detection.inference import BlockWork
from napari_fastnet.errors import BusyError
from napari_fastnet.model.backends.onnx import OnnxBackend
from napari_fastnet.store.cache import cached_runs, clear_cache
from napari_fastnet.store.lock import is_held

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from fault_world import OnStep
    from napari_fastnet.model.backends.torch import TorchBackend

#: Blocks that a run reads.
BLOCKS = 12
YEAR_S = 365 * 86_400


class BugError(Exception):
    """What stands for any fault of the program's own."""


@contextmanager
def _instead(name: str, at: int, error: Exception) -> Iterator[None]:
    """Raise an error at a call, by number, of a method of `BlockWork`."""
    whole, count = getattr(BlockWork, name), iter(range(10**9))

    def method(self: BlockWork, *arguments: Any) -> Any:
        if next(count) == at:
            raise error
        return whole(self, *arguments)

    with patch.object(BlockWork, name, method):
        yield


def thread_fails(world: World, rng: random.Random, folder: Path) -> Verdict:
    """Let a thread that reads, or the one that computes, raise something."""
    error = rng.choice((BugError("put in"), MemoryError(), OSError(24, "Too many")))
    fault = _instead(rng.choice(("read", "infer")), rng.randrange(BLOCKS), error)
    # a bug of the program's own shows as it is; what users can mend is one line
    return disturbed(world, folder, fault, also=(BugError, OSError))


@contextmanager
def _network(world: World, network: Any) -> Iterator[None]:
    before, world.network = world.network, network
    try:
        yield
    finally:
        world.network = before


class Unsure:
    """ONNX Runtime's session, but for what it says at some calls."""

    def __init__(self, rng: random.Random) -> None:
        self.at, self.calls, self.rng = rng.randrange(30), 0, rng
        self.value = rng.choice((np.nan, np.inf, -np.inf))

    def run(self, _: list[str], given: dict[str, NDArray[np.uint8]]) -> Any:
        """Return `Dark`'s probabilities, one of them no number at one call."""
        patches = given["patches"]
        found = (1 - patches.mean(axis=(1, 2, 3), dtype=np.float64) / 255).astype(
            np.float32
        )
        if self.calls == self.at:
            found[self.rng.randrange(len(found))] = self.value
        self.calls += 1
        return (found,)


def no_number(world: World, rng: random.Random, folder: Path) -> Verdict:
    """Let the network answer with NaN or infinity once."""
    backend = OnnxBackend(world.bundle.onnx_path, "spoilt")
    unsure: Any = Unsure(rng)
    backend._sessions = {"probability": unsure, "cell_margins": unsure}  # noqa: SLF001
    verdict = disturbed(world, folder, _network(world, backend))
    if not verdict.problem and verdict.outcome != ERROR:
        return Verdict(RIGHT, "no number was taken for one")
    return verdict


# A device that is short of memory


@cache
def _torch(folder: Path) -> TorchBackend:
    from napari_fastnet.model.backends.torch import TorchBackend
    from napari_fastnet.model.bundle import load_bundle

    del folder
    return TorchBackend(load_bundle("fastnet-pcam"), "cpu")


def device_full(world: World, rng: random.Random, folder: Path) -> Verdict:
    """Give the device room for so many px, which are other ones after some calls."""
    import torch

    backend = _torch(world.folder)
    network = backend._classifier  # noqa: SLF001
    side = rng.choice((96, 400, 560))
    dense = side != 96
    count = 1 if dense else rng.randrange(1, 24)
    pixels = np.random.default_rng(rng.randrange(99)).integers(
        0, 256, (count, side, side + 16 * rng.randrange(9) * dense, 3), np.uint8
    )
    whole = _judged(backend, pixels)
    room = rng.uniform(0.02, 1.1) * pixels[..., 0].size

    class Small:
        def __call__(self, given: torch.Tensor) -> torch.Tensor:
            return self._run(network, given)

        def cell_margins(self, given: torch.Tensor) -> torch.Tensor:
            return self._run(network.cell_margins, given)

        def _run(
            self, run: Callable[[torch.Tensor], torch.Tensor], given: torch.Tensor
        ) -> torch.Tensor:
            if given[..., 0].numel() > room:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
            return run(given)

    folder.mkdir(parents=True, exist_ok=True)
    try:
        with patch.object(backend, "_classifier", Small()):
            found = _judged(backend, pixels)
    except Exception as error:  # noqa: BLE001  that is what is looked at
        return Verdict("not even one fits: one line says so", clear(error))
    finally:
        backend.release()
    same = found.shape == whole.shape and np.allclose(found, whole, atol=1e-4)
    return Verdict("judged as at once", "" if same else "halves give something else")


def _judged(backend: TorchBackend, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return probabilities of patches, or of one picture's cells."""
    if pixels.shape[1] == 96:
        return backend.predict(pixels)
    return 1 / (1 + np.exp(-backend.cell_margins(pixels[0])))


# Clocks, and two who write


def clock_jumps(world: World, rng: random.Random, folder: Path) -> Verdict:
    """Let the clock jump by years at a step, and give files times of any age."""
    at, jump_s = chosen(rng), rng.choice((-1, 1)) * rng.uniform(0, 30 * YEAR_S)
    now = time.time

    @contextmanager
    def fault() -> Iterator[OnStep]:
        def on_step(number: int) -> None:
            if number != at:
                return
            patcher = patch("time.time", lambda: now() + jump_s)
            patcher.start()
            stack.append(patcher)
            when = int((now() + jump_s) * 1e9)
            for path in (folder / "out").rglob("*"):
                os.utime(path, ns=(when, when))

        stack: list[Any] = []
        try:
            yield on_step
        finally:
            for patcher in stack:
                patcher.stop()

    verdict = disturbed(world, folder, fault())
    if verdict.outcome == ERROR and not verdict.problem:
        return Verdict(ERROR, "a clock ended the run")
    return verdict


def clock_and_cache(world: World, rng: random.Random, folder: Path) -> Verdict:
    """Clear a cache in which files have times of any age, and one run is computed."""
    run = folder / "runs" / "key" / "slide"
    outcome = Verdict(RIGHT)

    def on_step(number: int) -> None:
        nonlocal outcome
        if number != 3:
            return
        when = rng.choice((0, -(2**31), 2**33, int(time.time()) + 50 * YEAR_S))
        for path in run.rglob("*"):
            os.utime(path, (when, when))
        listed = cached_runs(folder)
        if [item.in_use for item in listed] != [True] or clear_cache(folder):
            outcome = Verdict(RIGHT, "a run in use was not seen to be")

    world.detect(world.slide, run, on_step=on_step, finish=False)
    problem = outcome.problem or world.incomplete(run, finish=False)
    return Verdict(RIGHT, problem)


def two_threads(world: World, rng: random.Random, folder: Path) -> Verdict:
    """Let two threads of one program compute the same run at the same time."""
    errors: list[BaseException] = []
    pause_s = rng.uniform(0, 0.3)

    def second() -> None:
        time.sleep(pause_s)
        try:
            world.detect(world.slide, folder / "out", finish=False)
        except Exception as error:  # noqa: BLE001  that is what is looked at
            errors.append(error)

    @contextmanager
    def fault() -> Iterator[OnStep]:
        thread = threading.Thread(target=second)
        thread.start()
        try:
            yield lambda _: None
        finally:
            thread.join()

    verdict = disturbed(world, folder, fault(), finish=False)
    odd = [e for e in errors if not isinstance(e, BusyError) or clear(e)]
    if odd and not verdict.problem:
        return Verdict(verdict.outcome, f"the second: {odd[0]!r}")
    if is_held(folder / "out" / "run.zarr"):
        return Verdict(verdict.outcome, "a lock")
    return verdict
