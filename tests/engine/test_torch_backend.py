from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
import torch

from napari_fastnet.engine import torch_backend
from napari_fastnet.engine.backends import create_backend
from napari_fastnet.engine.torch_backend import TorchBackend
from napari_fastnet.errors import BundleError, DetectionError


@pytest.mark.parametrize(
    ("error", "patches_given"),
    [(RuntimeError("CUDA error:\nno device"), 5), (torch.OutOfMemoryError("CUDA"), 1)],
    ids=["RuntimeError", "OutOfMemoryError"],
)
def test_a_runtime_error_does_not_escape(
    error, patches_given, tiny_bundle, patches, monkeypatch
):
    backend = TorchBackend(tiny_bundle)

    def fail(_):
        raise error

    monkeypatch.setattr(backend, "_classifier", fail)
    said = f"torch on cpu failed on {patches_given} patches"
    with pytest.raises(DetectionError, match=said) as caught:
        backend.predict(patches)
    assert "\n" not in str(caught.value)
    assert not isinstance(caught.value, RuntimeError)


def test_damaged_weights_are_a_bundle_error(tiny_bundle, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(tiny_bundle.folder, folder)
    damaged = replace(tiny_bundle, folder=folder)
    damaged.weights_path.write_bytes(b"")
    with pytest.raises(BundleError, match=r"weights\.safetensors"):
        TorchBackend(damaged)


def test_no_gradients_are_kept(tiny_bundle, patches):
    backend = TorchBackend(tiny_bundle)
    backend.predict(patches)
    parameters = list(backend._classifier.parameters())
    assert all(parameter.grad is None for parameter in parameters)
    assert not backend._classifier.training


def test_threads_are_set(tiny_bundle):
    before = torch.get_num_threads()
    try:
        TorchBackend(tiny_bundle, threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_gives_the_probabilities_of_the_cpu(tiny_bundle, patches):
    on_cpu = TorchBackend(tiny_bundle).predict(patches)
    on_gpu = TorchBackend(tiny_bundle, "cuda").predict(patches)
    assert on_gpu == pytest.approx(on_cpu, abs=1e-4)


@pytest.mark.parametrize(("cuda", "mps", "device"), [(1, 0, "cuda"), (0, 1, "mps")])
def test_a_gpu_is_taken_where_torch_sees_one(
    monkeypatch, tiny_bundle, cuda, mps, device
):
    asked = []

    def device_of(name):
        asked.append(name)
        return torch.device("cpu")  # there is no other here

    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(cuda))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: bool(mps))
    monkeypatch.setattr(torch_backend, "device_of", device_of)
    assert create_backend(tiny_bundle, name="torch").name == f"torch on {device}"
    assert asked == [device]
    assert (
        create_backend(tiny_bundle, name="torch", device="cpu").name == "torch on cpu"
    )
