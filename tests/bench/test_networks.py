"""Rates are counted turn by turn; the peers run as FastNet does."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from napari_fastnet.bench import networks  # noqa: E402
from napari_fastnet.bench.networks import PEERS, ROUNDS, export_onnx, rates  # noqa: E402
from napari_fastnet.model.backends.create import network_on_cpu  # noqa: E402
from napari_fastnet.nn.classifier import PatchClassifier  # noqa: E402
from napari_fastnet.nn.peers import PeerConfig  # noqa: E402


def test_a_rate_is_calls_a_second(monkeypatch):
    now = 0.0

    def takes(seconds):
        def call():
            nonlocal now
            now += seconds

        return call

    monkeypatch.setattr(networks, "perf_counter", lambda: now)
    found = rates({"quick": takes(0.002), "slow": takes(0.02)}, 0.2)

    assert found == {"quick": pytest.approx(500), "slow": pytest.approx(50)}


def test_each_turn_has_a_call_and_warming_up_does_not_count():
    calls = []

    found = rates(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 1e-9
    )

    assert "".join(calls) == "ab" * (ROUNDS + 1)
    assert set(found) == {"a", "b"}


@pytest.mark.parametrize("name", PEERS)
def test_peers_give_what_torch_gives_for_patches_of_any_number_and_size(name, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("pytorchcv")
    torch.manual_seed(0)
    network = PeerConfig(name).build()
    patches = np.random.default_rng(0).integers(0, 256, (3, 96, 96, 3), np.uint8)

    export_onnx(network, tmp_path / "peer.onnx")
    backend = network_on_cpu(tmp_path / "peer.onnx", name, name="onnx")
    found = backend.predict(patches)

    with torch.inference_mode():
        expected = PatchClassifier(network)(torch.from_numpy(patches)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
