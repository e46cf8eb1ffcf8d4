from __future__ import annotations

import shutil
from dataclasses import replace
from threading import current_thread

import numpy as np
import pytest
import torch

from napari_fastnet.cohort.detect import detect
from napari_fastnet.detection import plan
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.errors import BundleError, DetectionError
from napari_fastnet.model.backends import torch as torch_device
from napari_fastnet.model.backends.create import create_backend, uses_gpu
from napari_fastnet.model.backends.torch import TorchBackend
from napari_fastnet.model.options import NetworkChoice


@pytest.mark.parametrize(
    ("error", "patches_given"),
    [(RuntimeError("CUDA error:\nno device"), 5), (torch.OutOfMemoryError("CUDA"), 1)],
    ids=["RuntimeError", "OutOfMemoryError"],
)
def test_a_runtime_error_does_not_escape(
    error, patches_given, tiny_bundle, patches, monkeypatch
):
    backend = TorchBackend(tiny_bundle, "cpu")

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
    backend = TorchBackend(tiny_bundle, "cpu")
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


needs_cuda = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA GPU"
)


@needs_cuda
def test_a_gpu_gives_the_probabilities_of_the_cpu(tiny_bundle, patches):
    on_cpu = TorchBackend(tiny_bundle, "cpu").predict(patches)
    on_gpu = TorchBackend(tiny_bundle, "cuda").predict(patches)
    assert on_gpu == pytest.approx(on_cpu, abs=1e-4)


@needs_cuda
def test_a_gpu_gives_the_cells_of_the_cpu(tiny_bundle):
    picture = np.random.default_rng(0).integers(0, 256, (495, 751, 3), np.uint8)
    on_cpu = TorchBackend(tiny_bundle, "cpu").cell_margins(picture)
    on_gpu = TorchBackend(tiny_bundle, "cuda").cell_margins(picture)
    np.testing.assert_allclose(on_gpu, on_cpu, atol=1e-3)


@pytest.fixture
def as_gpu(monkeypatch):
    """Treat torch on the CPU as if it were a GPU; its thread ends with the test."""
    threads = {}
    monkeypatch.setattr(torch_device.DeviceBackend, "one_shape", True)
    monkeypatch.setattr(torch_device.DeviceBackend, "_gpu_threads", threads)
    yield
    for thread in threads.values():
        thread.shutdown()


def noted(backend, monkeypatch):
    """Return the shapes that a back end's network is given, and by which threads."""
    shapes, threads = set(), set()
    prepared = backend._classifier._prepared

    def note(pixels):
        shapes.add(tuple(pixels.shape))
        threads.add(current_thread().name)
        return prepared(pixels)

    monkeypatch.setattr(backend._classifier, "_prepared", note)
    return shapes, threads


@pytest.mark.parametrize(
    ("stride", "flips"), [("dense", False), ("dense", True), ("patch", False)]
)
def test_a_gpu_meets_few_shapes_in_one_thread_and_the_map_is_the_same(
    as_gpu, monkeypatch, tiny_bundle, write_svs, tmp_path, stride, flips
) -> None:
    monkeypatch.setattr(plan, "DENSE_BLOCK_CELLS", 32)  # to have several blocks
    monkeypatch.setattr(torch_device, "GPU_PART_PX", 2**18)
    image = np.full((1200, 1600, 3), 244, np.uint8)
    rows, columns = np.mgrid[:1200, :1600]
    disc = (rows - 550) ** 2 + (columns - 850) ** 2 < 450**2
    noise = np.random.default_rng(0).integers(-40, 41, (*disc.shape, 3))
    image[disc] = np.clip(np.array([150, 90, 140]) + noise[disc], 0, 255)
    path = write_svs(tmp_path / "disc.svs", image, factors=(1, 4), mpp=1.0)
    options = RunOptions(stride=stride, flips=flips)
    expected = detect(
        path,
        tmp_path / "cpu",
        model=tiny_bundle,
        options=options,
        backend=create_backend(tiny_bundle, NetworkChoice(backend="onnx")),
    )
    backend = create_backend(tiny_bundle, NetworkChoice(backend="torch", device="cpu"))
    shapes, threads = noted(backend, monkeypatch)

    found = detect(
        path,
        tmp_path / "gpu",
        model=tiny_bundle,
        options=options,
        backend=lambda: backend,
    )

    np.testing.assert_allclose(
        found.heatmap.probabilities, expected.heatmap.probabilities, atol=1e-4
    )
    assert found.heatmap.computed.sum() > 100
    assert len(shapes) == 1 if stride == "dense" else 1 <= len(shapes) <= 3
    assert len(threads) == 1


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (1, {128}),
        (128, {128}),
        (129, {256}),
        (257, {512}),
        (512, {512}),
        (513, {512, 128}),
    ],
)
def test_parts_for_a_gpu_have_one_of_three_sizes(
    as_gpu, monkeypatch, tiny_bundle, count, sizes
) -> None:
    """512 patches of 64 px are a part."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), np.uint8)
    backend = TorchBackend(tiny_bundle, "cpu")
    shapes, _ = noted(backend, monkeypatch)

    found = backend.predict(pixels)

    few = slice(max(0, count - 3), None)
    expected = create_backend(tiny_bundle, NetworkChoice(backend="onnx")).predict(
        pixels[few]
    )
    assert found.shape == (count,)
    assert found[few] == pytest.approx(expected, abs=1e-4)
    assert shapes == {(size, 64, 64, 3) for size in sizes}


@pytest.mark.parametrize(
    ("name", "device", "gpu", "expected"),
    [
        ("auto", None, True, False),
        ("onnx", None, True, False),
        ("torch", None, True, True),
        ("torch", None, False, False),
        ("torch", "cpu", True, False),
        ("auto", "cuda", False, True),
        ("auto", "cpu", True, False),
    ],
)
def test_whether_a_gpu_would_do_the_work(
    tiny_bundle, monkeypatch, name, device, gpu, expected
) -> None:
    monkeypatch.setattr(
        torch_device, "fastest_device", lambda: "cuda" if gpu else "cpu"
    )
    assert uses_gpu(tiny_bundle, NetworkChoice(backend=name, device=device)) is expected


def test_a_torchscript_program_takes_a_gpu_that_is_there(
    tiny_bundle, monkeypatch
) -> None:
    monkeypatch.setattr(torch_device, "fastest_device", lambda: "cuda")
    program = replace(tiny_bundle, kind="torchscript")
    assert uses_gpu(program, NetworkChoice())
    assert not uses_gpu(program, NetworkChoice(device="cpu"))


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
    monkeypatch.setattr(torch_device, "device_of", device_of)
    assert (
        create_backend(tiny_bundle, NetworkChoice(backend="torch")).name
        == f"torch on {device}"
    )
    assert asked == [device]
    assert (
        create_backend(tiny_bundle, NetworkChoice(backend="torch", device="cpu")).name
        == "torch on cpu"
    )
