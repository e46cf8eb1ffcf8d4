"""Slides on a real dask cluster of two processes, one of which is killed."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import threading
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from napari_fastnet.cohort import cluster as cohort_cluster
from napari_fastnet.cohort.cluster import Cluster
from napari_fastnet.cohort.cohort import run_cohort
from napari_fastnet.cohort.slides import find_slides
from napari_fastnet.cohort.task import CohortOptions, SlideTask, run_task
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.errors import OptionError
from napari_fastnet.model.options import NetworkChoice

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scheduler():
    """Return the address of a scheduler with two worker processes of a thread each."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        memory_limit=0,
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def cluster(scheduler):
    with closing(Cluster(scheduler)) as cluster:
        yield cluster


@contextmanager
def listening(answer):
    """Something that listens on a port and is no scheduler; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with suppress(ConnectionError), server.accept()[0] as connection:
                if answer:
                    connection.sendall(answer)
                while connection.recv(1024):
                    pass

        threading.Thread(target=serve, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


def heatmap(folder):
    return tifffile.imread(folder / "heatmap.ome.tif")


def test_slides_are_done_on_the_cluster_and_one_that_fails_does_not_stop_them(
    cohort_folder, dark_bundle, cluster, tmp_path
) -> None:
    options = CohortOptions(
        RunOptions(stride="patch", network=NetworkChoice(dark_bundle))
    )
    slides = [*find_slides([cohort_folder]), tmp_path / "missing.svs"]
    steps = list(run_cohort(slides, tmp_path, options, cluster=cluster))
    assert (steps[0].workers, steps[0].total) == (2, 4)
    assert (steps[-1].done, steps[-1].failed) == (3, 1)
    (failed,) = (s.row for s in steps if s.row and s.row.status == "failed")
    assert "missing.svs" in failed.error
    again = list(run_cohort(slides, tmp_path, options, cluster=cluster))[-1]
    assert (again.earlier, again.failed) == (3, 1)


def test_a_worker_that_is_killed_loses_nothing(
    cohort_folder, dark_bundle, cluster, has_begun, tmp_path
) -> None:
    import distributed

    options = CohortOptions(
        RunOptions(stride=4, flips=True, network=NetworkChoice(dark_bundle))
    )
    slides = find_slides([cohort_folder])
    victims = []

    def kill():
        with distributed.Client(cluster.address, set_as_default=False) as client:
            processes = client.run(os.getpid)
            while not victims:
                time.sleep(0.02)
                working = [w for w, keys in client.processing().items() if keys]
                begun = [s.stem for s in slides if has_begun(tmp_path / s.stem)]
                if working and begun:
                    os.kill(processes[working[0]], signal.SIGKILL)
                    victims.append(working[0])

    killer = threading.Thread(target=kill)
    killer.start()
    last = list(run_cohort(slides, tmp_path, options, cluster=cluster))[-1]
    killer.join()
    assert victims
    assert (last.done, last.failed) == (3, 0)
    for slide in slides:
        straight = tmp_path / "straight" / slide.stem
        run_task(SlideTask(slide, straight, options))
        np.testing.assert_array_equal(heatmap(tmp_path / slide.stem), heatmap(straight))


class Bomb:
    """What cannot be unpickled."""

    def __reduce__(self):
        return pickle.loads, (b"",)


def test_a_fault_of_the_cluster_fails_its_slide_and_no_other(
    cohort_folder, dark_bundle, cluster, tmp_path
) -> None:
    options = CohortOptions(
        RunOptions(stride="patch", network=NetworkChoice(dark_bundle))
    )
    good = SlideTask(cohort_folder / "a.svs", tmp_path / "a", options)
    bad = replace(good, folder=tmp_path / "bad", options=Bomb())
    rows = {outcome.row.name: outcome.row for outcome in cluster.run([bad, good])}
    assert rows["a"].status == "done"
    assert rows["bad"].status == "failed"
    assert "a.svs" in rows["bad"].error


@pytest.mark.parametrize(
    "address",
    ["", "nonsense", "foo://localhost:1", "tcp://no.such.host.invalid:8786"],
)
def test_an_address_that_is_none_is_said_at_once(address) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(OptionError, match="no dask scheduler answers"):
        Cluster(address)


def test_nobody_listens_and_that_is_said_at_once() -> None:
    pytest.importorskip("distributed")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(OptionError, match="--scheduler"):
        Cluster(f"tcp://127.0.0.1:{port}")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_something_else_listens_and_that_is_said_within_seconds(
    answer, monkeypatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(cohort_cluster, "TIMEOUT_S", 0.5)
    with (
        listening(answer) as address,
        pytest.raises(OptionError, match="no dask scheduler answers"),
    ):
        Cluster(address)
