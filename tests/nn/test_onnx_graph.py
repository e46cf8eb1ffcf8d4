from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from napari_fastnet.machine.private_imports import onnxruntime
from napari_fastnet.nn.checkpoint import export_onnx
from napari_fastnet.nn.classifier import PatchClassifier
from napari_fastnet.nn.fastnet import FastNet
from napari_fastnet.nn.options import FastNetConfig


def run_onnx(path, patches):
    """Return the probabilities that a graph gives."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )
    (probability,) = session.run(["probability"], {"patches": patches})
    return probability


def random_patches(*shape):
    return np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)


CONFIGS = [
    FastNetConfig(),
    FastNetConfig(normalise_depthwise=True, pool_cells=2),
    FastNetConfig(convolution="standard", shortcut=False, pool_cells=3),
]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_graph_gives_torch_probabilities_at_any_size(config, tmp_path):
    torch.manual_seed(2)
    model = FastNet(config)
    with torch.no_grad():  # running statistics other than 0 and 1
        for _ in range(5):
            model(torch.rand(4, 3, 64, 64))
    calibration = {"scale": 0.7, "offset": 0.3}
    normalisation = ((0.7, 0.5, 0.6), (0.2, 0.25, 0.3))
    export_onnx(
        model,
        tmp_path / "m.onnx",
        patch_size=64,
        calibration=calibration,
        normalisation=normalisation,
    )
    classifier = PatchClassifier(
        model, calibration=calibration, normalisation=normalisation
    )
    for shape in ((1, 31, 31), (3, 64, 64), (2, 66, 66), (2, 97, 130)):
        patches = random_patches(*shape)
        with torch.inference_mode():
            expected = classifier(torch.from_numpy(patches)).numpy()
        found = run_onnx(tmp_path / "m.onnx", patches)
        assert found.dtype == np.float32
        assert found == pytest.approx(expected, abs=1e-5)


def test_scales_of_both_signs_fold(random_network, patches, tmp_path):
    scales = torch.cat(
        [m.weight for m in random_network.modules() if hasattr(m, "running_mean")]
    )
    assert (scales < 0).any()
    assert (scales > 0).any()
    export_onnx(random_network, tmp_path / "m.onnx", patch_size=64)
    with torch.inference_mode():
        expected = PatchClassifier(random_network)(torch.from_numpy(patches)).numpy()
    found = run_onnx(tmp_path / "m.onnx", patches)
    assert found == pytest.approx(expected, abs=1e-5)
    assert np.ptp(found) > 0.01  # patches are told apart at all


def test_probability_is_the_softmax_of_tumour(random_network, patches, tmp_path):
    export_onnx(random_network, tmp_path / "m.onnx", patch_size=64)
    images = torch.from_numpy(patches).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        expected = random_network(images).softmax(dim=1)[:, 1].numpy()
    assert run_onnx(tmp_path / "m.onnx", patches) == pytest.approx(expected, abs=1e-5)


def test_calibration_moves_the_logit(random_network, patches, tmp_path):
    def logit(p):
        return np.log(p / (1 - p))

    export_onnx(random_network, tmp_path / "plain.onnx", patch_size=64)
    export_onnx(
        random_network,
        tmp_path / "moved.onnx",
        patch_size=64,
        calibration={"scale": 0.5, "offset": 1.0},
    )
    plain = run_onnx(tmp_path / "plain.onnx", patches)
    moved = run_onnx(tmp_path / "moved.onnx", patches)
    assert logit(moved) == pytest.approx(0.5 * logit(plain) + 1, abs=1e-3)


def test_the_graph_keeps_its_contract(random_network, tmp_path):
    export_onnx(random_network, tmp_path / "m.onnx", patch_size=64)
    model = onnx.load(tmp_path / "m.onnx")
    (given,), (found, cells) = model.graph.input, model.graph.output
    assert given.name == "patches"
    assert (found.name, cells.name) == ("probability", "cell_margins")
    assert given.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert found.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    sizes = [d.dim_param or d.dim_value for d in given.type.tensor_type.shape.dim]
    assert sizes == ["N", "H", "W", 3]
    assert model.metadata_props[0].value == "64"
    # Only the norms in front of the blocks, whose shortcuts need them, remain.
    norms = [n for n in model.graph.node if n.op_type == "BatchNormalization"]
    assert len(norms) == 3
