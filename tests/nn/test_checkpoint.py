from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file

from napari_fastnet.errors import BundleError, OptionError, OutputError
from napari_fastnet.nn.checkpoint import export_onnx, load_weights, save_weights
from napari_fastnet.nn.classifier import PatchClassifier
from napari_fastnet.nn.fastnet import FastNet, FastNetConfig

onnxruntime = pytest.importorskip("onnxruntime")


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


def test_weights_come_back_bit_by_bit(random_network, tmp_path):
    save_weights(random_network, tmp_path / "w.safetensors")
    loaded = load_weights(tmp_path / "w.safetensors")
    assert not loaded.training
    assert loaded.config == random_network.config
    expected = random_network.state_dict()
    assert loaded.state_dict().keys() == expected.keys()
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_the_file_knows_the_variant(tmp_path):
    config = FastNetConfig(convolution="standard", shortcut=False, pool_cells=3)
    save_weights(FastNet(config), tmp_path / "w.safetensors")
    assert load_weights(tmp_path / "w.safetensors").config == config


def test_the_same_weights_give_the_same_bytes(random_network, tmp_path):
    for name in ("a", "b"):
        save_weights(random_network, tmp_path / name)
        export_onnx(random_network, tmp_path / f"{name}.onnx", patch_size=64)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "a.onnx", "b", "b.onnx"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BundleError, match=r"none\.safetensors"):
        load_weights(tmp_path / "none.safetensors")


def test_a_truncated_file_is_refused(random_network, tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(random_network, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BundleError, match="no safetensors file"):
        load_weights(path)


def test_a_pickle_is_not_read(tmp_path):
    torch.save({"weight": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(BundleError, match="no safetensors file"):
        load_weights(tmp_path / "w.pt")


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"fastnet": "{"},
        {"fastnet": json.dumps({"depth": 3})},
        {"fastnet": json.dumps({"convolution": "round"})},
        {"fastnet": json.dumps({})},  # a FastNet's options over other tensors
    ],
)
def test_another_network_is_refused_in_one_line(metadata, tmp_path):
    save_file({"weight": torch.zeros(1)}, tmp_path / "w.safetensors", metadata)
    with pytest.raises(BundleError, match="does not hold a FastNet") as caught:
        load_weights(tmp_path / "w.safetensors")
    assert "\n" not in str(caught.value)


def test_weights_that_cannot_be_written_are_an_output_error(random_network, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        save_weights(random_network, tmp_path / "file" / "w.safetensors")


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
    (given,), (found,) = model.graph.input, model.graph.output
    assert (given.name, found.name) == ("patches", "probability")
    assert given.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert found.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    sizes = [d.dim_param or d.dim_value for d in given.type.tensor_type.shape.dim]
    assert sizes == ["N", "H", "W", 3]
    assert model.metadata_props[0].value == "64"
    # Only the norms in front of the blocks, whose shortcuts need them, remain.
    norms = [n for n in model.graph.node if n.op_type == "BatchNormalization"]
    assert len(norms) == 3


def test_exporting_does_not_change_the_network(random_network, tmp_path):
    before = {k: v.clone() for k, v in random_network.state_dict().items()}
    export_onnx(random_network, tmp_path / "m.onnx", patch_size=64)
    for name, value in random_network.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize(
    "calibration",
    [{"scale": 1.0}, {"scale": 0.0, "offset": 0.0}, {"scale": -1, "offset": 0}],
)
def test_a_calibration_that_cannot_be_is_refused(calibration, random_network, tmp_path):
    with pytest.raises(OptionError, match="calibration"):
        export_onnx(
            random_network, tmp_path / "m.onnx", patch_size=64, calibration=calibration
        )
    assert not list(tmp_path.iterdir())
