from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from napari_fastnet.errors import (
    DataError,
    DependencyError,
    DetectionError,
    OptionError,
)
from napari_fastnet.model.backends import create as backends
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.backends.openvino import has_bfloat16
from napari_fastnet.model.description import Transform
from napari_fastnet.model.options import NetworkChoice

NAMES = ["onnx", "openvino", "torch"]


@pytest.fixture(scope="module", params=NAMES)
def backend(request, tiny_bundle):
    return create_backend(tiny_bundle, NetworkChoice(backend=request.param, threads=1))


def test_probabilities_are_float32_between_0_and_1(backend, patches):
    found = backend.predict(patches)
    assert found.dtype == np.float32
    assert found.shape == (5,)
    assert ((found > 0) & (found < 1)).all()
    assert np.ptp(found) > 0.01


@pytest.mark.parametrize("shape", [(31, 31), (64, 64), (66, 66), (80, 120)])
def test_back_ends_agree(shape, tiny_bundle):
    generator = np.random.default_rng(3)
    patches = generator.integers(0, 256, (4, *shape, 3), dtype=np.uint8)
    onnx, openvino, torch = (
        create_backend(tiny_bundle, NetworkChoice(backend=name, threads=1)).predict(
            patches
        )
        for name in NAMES
    )
    assert onnx == pytest.approx(torch, abs=1e-5)
    assert openvino == pytest.approx(torch, abs=0.02)  # perhaps in bfloat16


def test_both_backends_normalise_alike(make_bundle, patches):
    shifted = Transform(((0.7, 0.5, 0.6), (0.2, 0.25, 0.3)))
    bundle, plain = make_bundle(transform=shifted), make_bundle()
    onnx, torch = (
        create_backend(bundle, NetworkChoice(backend=name, threads=1)).predict(patches)
        for name in ("onnx", "torch")
    )
    assert onnx == pytest.approx(torch, abs=1e-5)
    unlike = create_backend(plain, NetworkChoice(threads=1)).predict(patches)
    assert np.abs(onnx - unlike).max() > 0.01


def test_a_patch_does_not_depend_on_its_batch(backend, patches):
    together = backend.predict(patches)
    alone = np.concatenate([backend.predict(patch[None]) for patch in patches])
    backwards = backend.predict(patches[::-1])[::-1]
    assert together == pytest.approx(alone, abs=1e-6)
    assert together == pytest.approx(backwards, abs=1e-6)


def test_a_batch_of_many_parts_is_whole(backend, patches):
    many = np.tile(patches, (40, 1, 1, 1))  # 200 patches of 64 px: four parts
    assert backend.predict(many) == pytest.approx(
        np.tile(backend.predict(patches), 40), abs=1e-6
    )


def test_no_patches_give_no_probabilities(backend):
    assert backend.predict(np.empty((0, 64, 64, 3), np.uint8)).shape == (0,)


def test_patches_are_only_read(backend, patches):
    patches.flags.writeable = False
    before = patches.copy()
    backend.predict(patches)
    assert (patches == before).all()


def test_views_and_strides_do_not_matter(backend, patches):
    flipped = patches[:, ::-1, ::-1]
    copied = np.ascontiguousarray(flipped)
    assert backend.predict(flipped) == pytest.approx(backend.predict(copied), abs=1e-6)


def test_threads_may_share_a_backend(backend, patches):
    expected = backend.predict(patches)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(backend.predict, [patches] * 12):
            assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 64, 64, 3), np.float32),
        np.zeros((64, 64, 3), np.uint8),
        np.zeros((2, 3, 64, 64), np.uint8),
        np.zeros((2, 64, 64, 4), np.uint8),
        np.zeros((2, 30, 64, 3), np.uint8),
        np.zeros((2, 64, 30, 3), np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_of_another_kind_are_refused(wrong, backend):
    with pytest.raises(DataError, match="give uint8"):
        backend.predict(wrong)


def test_the_name_says_what_computes(tiny_bundle):
    names = [
        create_backend(tiny_bundle, NetworkChoice(backend=n, threads=1)).name
        for n in NAMES
    ]
    assert names[0] == "onnx on cpu"
    assert names[1] in {"openvino on cpu, bf16", "openvino on cpu, f32"}
    assert names[2] == "torch on cpu"


@pytest.mark.parametrize("device", [None, "cpu"])
def test_auto_is_openvino_where_the_processor_has_bfloat16(device, tiny_bundle):
    name = create_backend(tiny_bundle, NetworkChoice(device=device, threads=1)).name
    assert name == ("openvino on cpu, bf16" if has_bfloat16() else "onnx on cpu")


def test_auto_is_onnx_without_openvino(tiny_bundle, monkeypatch):
    monkeypatch.setattr(backends, "find_spec", lambda _: None)
    assert create_backend(tiny_bundle, NetworkChoice(threads=1)).name == "onnx on cpu"


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_other_back_ends_than_torch_run_on_the_cpu_only(name, tiny_bundle):
    with pytest.raises(OptionError, match="cpu only"):
        create_backend(tiny_bundle, NetworkChoice(backend=name, device="cuda"))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_parts_keep_their_order(name, threads, tiny_bundle, patches):
    """Four parts, more than are computed at once, the last one smaller; twice over."""
    backend = create_backend(tiny_bundle, NetworkChoice(backend=name, threads=threads))
    expected = backend.predict(patches)
    for _ in range(2):
        found = backend.predict(np.concatenate([patches] * 40))
        assert found == pytest.approx(np.tile(expected, 40), abs=1e-3)
        backend.release()


def test_openvino_refuses_a_damaged_file(tiny_bundle, tmp_path):
    damaged = tmp_path / "model.onnx"
    damaged.write_bytes(tiny_bundle.onnx_path.read_bytes()[:1000])
    with pytest.raises(DetectionError, match="cannot load") as caught:
        backends.network_on_cpu(damaged, "tiny", name="openvino")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "tensorflow"}, "backend is 'tensorflow'"),
        ({"threads": 0}, "threads is 0"),
        ({"device": "gpu"}, "device is 'gpu'"),
        ({"device": "cuda:99"}, "device 'cuda:99' is not there"),
        ({"device": "meta"}, "device 'meta' is not there"),
    ],
)
def test_options_out_of_range_are_refused(options, message, tiny_bundle):
    with pytest.raises(OptionError, match=message):
        create_backend(tiny_bundle, NetworkChoice(**options))


@pytest.mark.parametrize(
    ("name", "package"),
    [("onnx", "onnxruntime"), ("openvino", "openvino"), ("torch", "torch")],
)
def test_a_missing_library_gives_the_command(name, package, tiny_bundle, monkeypatch):
    monkeypatch.delitem(
        sys.modules, f"napari_fastnet.model.backends.{name}", raising=False
    )
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(DependencyError, match=f"run: pip install {package}"):
        create_backend(tiny_bundle, NetworkChoice(backend=name))


def test_a_network_that_gives_no_number_is_an_error(
    random_network, make_bundle, patches, monkeypatch
):
    torch = pytest.importorskip("torch")
    spoilt = torch.full_like(random_network.classify.bias, float("nan"))
    with monkeypatch.context() as patch:
        patch.setattr(random_network.classify.bias, "data", spoilt)
        bundle = make_bundle(name="spoilt")
    for name in NAMES:
        with pytest.raises(DetectionError, match=r"spoilt 0\.1 gave 5 of 5"):
            create_backend(bundle, NetworkChoice(backend=name, threads=1)).predict(
                patches
            )


def test_importing_backends_loads_no_library():
    code = (
        "import sys, napari_fastnet.model.backends.backend, napari_fastnet.evaluation.patches;"
        "assert not {'torch', 'onnxruntime', 'onnx', 'openvino'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


def test_the_cpu_backend_loads_no_torch(tiny_bundle):
    code = (
        "import sys, numpy as np;"
        "from napari_fastnet.model.backends.create import create_backend;"
        "from napari_fastnet.model.options import NetworkChoice;"
        "from napari_fastnet.model.bundle import load_bundle;"
        f"backend = create_backend(load_bundle({str(tiny_bundle.folder)!r}), NetworkChoice(threads=1));"
        "backend.predict(np.zeros((1, 64, 64, 3), np.uint8));"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
