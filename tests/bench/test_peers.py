"""The peers run as FastNet does, and give what torch gives."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("pytorchcv")

from napari_fastnet.bench.peers import PEERS, export_onnx  # noqa: E402
from napari_fastnet.model.backends.create import network_on_cpu  # noqa: E402
from napari_fastnet.nn.classifier import PatchClassifier  # noqa: E402
from napari_fastnet.nn.peers import PeerConfig  # noqa: E402


@pytest.mark.parametrize("name", PEERS)
def test_they_judge_patches_of_any_number_and_size(name, tmp_path):
    torch.manual_seed(0)
    network = PeerConfig(name).build()
    patches = np.random.default_rng(0).integers(0, 256, (3, 96, 96, 3), np.uint8)

    export_onnx(network, tmp_path / "peer.onnx")
    backend = network_on_cpu(tmp_path / "peer.onnx", name, name="onnx")
    found = backend.predict(patches)

    with torch.inference_mode():
        expected = PatchClassifier(network)(torch.from_numpy(patches)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
