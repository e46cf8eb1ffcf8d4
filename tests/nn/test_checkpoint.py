from __future__ import annotations

import copy
import json

import pytest
import torch
from safetensors.torch import save_file

from napari_fastnet.errors import BundleError, OptionError, OutputError
from napari_fastnet.nn.checkpoint import (
    average_weights,
    export_onnx,
    load_weights,
    save_weights,
)
from napari_fastnet.nn.fastnet import FastNet
from napari_fastnet.nn.options import FastNetConfig


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


def test_mean_of_networks_by_hand(random_network):
    other = copy.deepcopy(random_network)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter += 2
    mean = average_weights([random_network, other])
    for name, value in random_network.named_parameters():
        torch.testing.assert_close(mean.get_parameter(name), value + 1)
    assert not mean.training


def test_networks_of_two_variants_have_no_mean(random_network):
    with pytest.raises(OptionError, match="2 variants"):
        average_weights([random_network, FastNet(FastNetConfig(pool_cells=3))])
