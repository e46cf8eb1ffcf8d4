"""The network is loaded once, before it is needed, and given up when nobody needs it."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from napari_fastnet.errors import FastNetError
from napari_fastnet.model.options import NetworkChoice
from napari_fastnet.plugin.detection import ready_network as network
from napari_fastnet.plugin.detection.ready_network import ReadyNetwork
from napari_fastnet.plugin.detection.request import Request


@pytest.fixture
def made(monkeypatch):
    """Return the back ends that were made."""
    create, backends = network.create_backend, []

    def counted(*arguments, **options):
        backends.append(create(*arguments, **options))
        return backends[-1]

    monkeypatch.setattr(network, "create_backend", counted)
    return backends


@pytest.fixture
def request_for(tmp_path):
    """Return a function that returns what the panel asks for."""

    def make(model, density="dense", threads=1):
        network = NetworkChoice(model, threads=threads)
        return Request(network, density, None, tmp_path, True, True)

    return make


def joined():
    """Wait for what was begun to get ready."""
    for thread in threading.enumerate():
        if thread.name == "fastnet-ready":
            thread.join()


def test_what_was_got_ready_is_used_and_shared(made, request_for, dark_bundle) -> None:
    ready, request = ReadyNetwork(), request_for(dark_bundle)
    ready.prepare(request)
    ready.prepare(request)
    with ready.used(request) as (bundle, first), ready.used(request) as (_, second):
        assert first is second
        assert bundle.folder == dark_bundle
    joined()
    assert made == [first]
    ready.drop()


@pytest.mark.parametrize("density", ["dense", 2])
def test_it_is_compiled_for_what_will_be_asked(
    monkeypatch, made, request_for, dark_bundle, density
) -> None:
    ready, request = ReadyNetwork(), request_for(dark_bundle, density)
    asked = []
    counted = network.create_backend

    def watched(*arguments, **options):
        backend = counted(*arguments, **options)
        for name in ("predict", "cell_margins"):
            run = getattr(backend, name)
            monkeypatch.setattr(
                backend, name, lambda x, n=name, r=run: (asked.append(n), r(x))[1]
            )
        return backend

    monkeypatch.setattr(network, "create_backend", watched)
    ready.prepare(request)
    joined()
    assert asked == ["cell_margins" if density == "dense" else "predict"]
    ready.drop()


def test_another_model_or_thread_count_is_another_network(
    made, request_for, dark_bundle, tiny_bundle
) -> None:
    ready = ReadyNetwork()
    request = request_for(dark_bundle)
    for asked in (
        request,
        replace(request, network=replace(request.network, threads=2)),
        request_for(tiny_bundle.folder),
    ):
        with ready.used(asked):
            pass
    assert len(made) == 3
    ready.drop()


def test_it_is_given_up_after_a_while_but_not_while_it_is_used(
    made, request_for, dark_bundle
) -> None:
    ready, request = ReadyNetwork(idle_s=0.05), request_for(dark_bundle)
    with ready.used(request):
        time.sleep(0.3)
        with ready.used(request):
            pass
        time.sleep(0.3)
    assert len(made) == 1
    deadline = time.monotonic() + 10
    while ready._ready is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    with ready.used(request):
        assert len(made) == 2


def test_what_cannot_be_loaded_is_told_when_it_is_used(request_for, tmp_path) -> None:
    ready, request = ReadyNetwork(), request_for(tmp_path / "nowhere")
    ready.prepare(request)
    joined()
    with pytest.raises(FastNetError, match="nowhere"), ready.used(request):
        pytest.fail("there is no such model")
    ready.drop()
