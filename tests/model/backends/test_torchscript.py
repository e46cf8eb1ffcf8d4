"""A model for WSInfer through the same engine: the right numbers, and clear refusals."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from napari_fastnet.cohort.detect import detect
from napari_fastnet.cohort.replay import replay
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.errors import BundleError, DetectionError, OptionError
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.options import NetworkChoice
from napari_fastnet.model.user_models import keep, read_candidate

torch = pytest.importorskip("torch")


@pytest.fixture
def model(models_here, wsinfer_model):
    return keep(read_candidate(wsinfer_model, allow_torchscript=True))


def expected(grey):
    return 1 / (1 + np.exp(-8 * (0.5 - grey / 255)))


def test_probabilities_are_the_softmax_of_the_class_shown(model):
    greys = np.array([0, 64, 128, 255], np.uint8)
    patches = np.broadcast_to(greys[:, None, None, None], (4, 32, 32, 3))
    backend = create_backend(model)
    assert backend.name == "torchscript on cpu"
    np.testing.assert_allclose(backend.predict(patches), expected(greys), atol=1e-6)
    assert backend.predict(patches[:0]).shape == (0,)


def test_resizing_is_pillows(models_here, wsinfer_model):
    from PIL import Image

    rng = np.random.default_rng(0)
    patch = rng.integers(0, 256, (32, 32, 3), np.uint8)
    backend = create_backend(
        keep(read_candidate(wsinfer_model, allow_torchscript=True))
    )
    shown = backend._prepared(torch.from_numpy(patch[None])).numpy()[0] * 255
    wanted = np.asarray(
        Image.fromarray(patch).resize((16, 16), Image.Resampling.BILINEAR)
    )
    assert np.abs(shown.transpose(1, 2, 0) - wanted).max() <= 1.01


def test_a_whole_slide_and_again(model, write_svs, tmp_path):
    image = np.full((384, 512, 3), 244, np.uint8)
    image[32:352, 32:400] = (170, 110, 150)
    image[96:224, 96:224] = 60
    slide = write_svs(tmp_path / "a.svs", image, mpp=2.0, compression="deflate")
    result = detect(slide, tmp_path / "one", model=model.name)
    assert result.heatmap.grid.step == (32.0, 32.0)  # patch beside patch
    assert result.heatmap.value_at((160, 160)) == pytest.approx(expected(60), abs=1e-3)
    assert len(result.regions) == 1
    done = replay(result.folder / "run.json", tmp_path / "two")
    assert done.same
    assert done.differences == ()


def test_dense_scanning_is_refused_and_said_why(model, write_svs, tmp_path):
    image = np.full((384, 512, 3), 120, np.uint8)
    slide = write_svs(tmp_path / "a.svs", image, mpp=2.0)
    with pytest.raises(OptionError, match="whole patches only"):
        detect(slide, tmp_path, model=model, options=RunOptions(stride="dense"))
    with pytest.raises(OptionError, match="whole patches only"):
        create_backend(model).cell_margins(image)


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_other_back_ends_are_refused(model, name):
    with pytest.raises(OptionError, match="use backend torch"):
        create_backend(model, NetworkChoice(backend=name))


def test_its_weights_are_not_there_to_train_from(model):
    with pytest.raises(BundleError, match=r"without weights\.safetensors"):
        _ = model.weights_path


def test_a_file_that_is_no_program_is_said(models_here, wsinfer_model, tmp_path):
    folder = shutil.copytree(wsinfer_model, tmp_path / "broken")
    (folder / "torchscript_model.pt").write_bytes(b"no program")
    model = keep(read_candidate(folder, allow_torchscript=True))
    with pytest.raises(DetectionError, match="is no TorchScript"):
        create_backend(model)


def test_a_program_of_other_classes_is_said(models_here, wsinfer_model, tmp_path):
    folder = shutil.copytree(wsinfer_model, tmp_path / "three")
    config = json.loads((folder / "config.json").read_text())
    config |= {"num_classes": 3, "class_names": ["a", "b", "tumor"]}
    (folder / "config.json").write_text(json.dumps(config))
    model = keep(read_candidate(folder, allow_torchscript=True))
    with pytest.raises(DetectionError, match=r"shape \(1, 2\) .* 3 classes"):
        create_backend(model).predict(np.zeros((1, 32, 32, 3), np.uint8))


def test_one_logit_goes_through_a_sigmoid(models_here, tmp_path):
    import warnings

    class One(torch.nn.Module):
        def forward(self, images):
            return images.mean(dim=(1, 2, 3))

    folder = tmp_path / "one"
    folder.mkdir()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*torch\.jit")
        torch.jit.script(One()).save(str(folder / "torchscript_model.pt"))
    config = {
        "num_classes": 1,
        "patch_size_pixels": 32,
        "spacing_um_px": 1.0,
        "class_names": ["tumor"],
        "transform": [
            {"name": "ToTensor"},
            {"name": "Normalize", "arguments": {"mean": [0.5] * 3, "std": [0.25] * 3}},
        ],
    }
    (folder / "config.json").write_text(json.dumps(config))
    backend = create_backend(keep(read_candidate(folder, allow_torchscript=True)))
    white = np.full((1, 32, 32, 3), 255, np.uint8)
    assert backend.predict(white)[0] == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-6)
