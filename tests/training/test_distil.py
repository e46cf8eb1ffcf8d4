"""Teachers: any network of a bundle's input and output, averaged in log odds."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from scipy.special import expit

from napari_fastnet.core.metrics.calibration import logit_of
from napari_fastnet.errors import BundleError
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.options import NetworkChoice
from napari_fastnet.training.distil import KeptAnswers, Teachers


def as_images(patches):
    return torch.from_numpy(patches).float() / 255


def test_a_teacher_says_what_its_model_says(tiny_bundle, patches) -> None:
    teachers = Teachers([str(tiny_bundle.folder)], 1)
    alone = create_backend(tiny_bundle, NetworkChoice(threads=1)).predict(patches)
    np.testing.assert_allclose(teachers(as_images(patches)), alone, atol=1e-6)
    assert teachers.digests == (tiny_bundle.sha256,)


def test_a_file_of_a_network_teaches_as_its_bundle_does(
    tiny_bundle, patches, tmp_path
) -> None:
    file = tmp_path / "big.onnx"
    shutil.copy(tiny_bundle.onnx_path, file)
    both = [Teachers([str(name)], 1) for name in (file, tiny_bundle.folder)]
    first, second = (teachers(as_images(patches)) for teachers in both)
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert len(both[0].digests[0]) == 64


def test_teachers_are_averaged_in_log_odds(tiny_bundle, make_bundle, patches) -> None:
    other = make_bundle(calibration={"scale": 0.5, "offset": 1.0})
    folders = [str(bundle.folder) for bundle in (tiny_bundle, other)]
    images = as_images(patches)
    each = [logit_of(Teachers([folder], 1)(images).numpy()) for folder in folders]
    both = Teachers(folders, 1)(images)
    np.testing.assert_allclose(both, expit(np.mean(each, axis=0)), atol=1e-5)


@pytest.mark.parametrize("name", ["none.onnx", "none"])
def test_a_teacher_that_is_not_there_is_named(tmp_path, name) -> None:
    with pytest.raises(BundleError, match=name):
        Teachers([str(tmp_path / name)])


def test_answers_that_were_kept_are_not_asked_for_again(
    tiny_bundle, make_bundle, patches, tmp_path
) -> None:
    images = as_images(patches)
    teachers = Teachers([str(tiny_bundle.folder)], 1)
    kept = KeptAnswers(teachers, tmp_path / "answers")
    said = kept(images)
    (file,) = (tmp_path / "answers").iterdir()
    np.testing.assert_allclose(said, teachers(images), atol=1e-7)

    # what the file says is taken, for these pictures of this teacher only
    file.write_bytes(np.full(len(images), 0.25, np.float32).tobytes())
    assert (kept(images) == 0.25).all()
    assert not (kept(images.flip(1)) == 0.25).any()
    other = make_bundle(name="other", calibration={"scale": 0.5, "offset": 1.0})
    another = KeptAnswers(Teachers([str(other.folder)], 1), tmp_path / "answers")
    assert not (another(images) == 0.25).any()

    file.write_bytes(b"cut")
    np.testing.assert_array_equal(kept(images), said)
