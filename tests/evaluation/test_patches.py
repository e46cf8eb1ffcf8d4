from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image

from napari_fastnet.core.appearance.stain import STATISTICS_MPP, estimate
from napari_fastnet.errors import (
    DataError,
    OptionError,
    OutputError,
    SpacingError,
)
from napari_fastnet.evaluation.options import EvaluationOptions
from napari_fastnet.evaluation.patches import evaluate_patches, write_probabilities
from napari_fastnet.model.backends.backend import Backend
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import MODEL_FILE, load_bundle
from napari_fastnet.model.options import NetworkChoice
from napari_fastnet.model.training_facts import patch_digest, set_digest
from napari_fastnet.slide.resample import resize

#: The patches are at the model's µm/px.
AS_TRAINED = EvaluationOptions(mpp=1.0)


class Darkness(Backend):
    """A network whose probability is the mean darkness of a patch."""

    def __init__(self):
        super().__init__("darkness", "darkness 1")
        self.shapes = []

    def _infer(self, output, patches):
        self.shapes.append(patches.shape)
        return (1 - patches.mean(axis=(1, 2, 3)) / 255).astype(np.float32)


class Corner(Darkness):
    """A network that looks at the top left quarter only."""

    def _infer(self, output, patches):
        _, height, width, _ = patches.shape
        return super()._infer(output, patches[:, : height // 2, : width // 2])


def write_patches(folder, images):
    """Write images by name; names begin with the label."""
    for name, image in images.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / name)
    return folder


def grey(value, side=64):
    return np.full((side, side, 3), value, np.uint8)


@pytest.fixture
def data(tmp_path):
    """Return three normal and two tumour patches of 64 px, one of each misjudged."""
    values = {"0/a": 230, "0/b": 204, "0/c": 102, "1/d": 51, "1/e": 179}
    return write_patches(
        tmp_path / "patches", {f"{name}.png": grey(v) for name, v in values.items()}
    )


def test_metrics_of_known_probabilities(data, tiny_bundle):
    found = evaluate_patches(
        data, bundle=tiny_bundle, backend=Darkness(), options=AS_TRAINED
    )
    assert found.names == ["0/a.png", "0/b.png", "0/c.png", "1/d.png", "1/e.png"]
    assert found.labels.tolist() == [0, 0, 0, 1, 1]
    expected = 1 - np.array([230, 204, 102, 51, 179]) / 255
    assert found.probabilities == pytest.approx(expected, abs=1e-5)
    metrics = found.metrics
    assert (metrics.accuracy, metrics.recall, metrics.precision) == (0.6, 0.5, 0.5)
    assert metrics.auc == pytest.approx(5 / 6)  # e below c is the only wrong pair


def test_the_json_has_the_fixed_names(data, tiny_bundle):
    found = evaluate_patches(
        data, bundle=tiny_bundle, backend=Darkness(), options=AS_TRAINED
    )
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    measures = {"auc", "accuracy", "recall", "precision", "f1"}
    assert content.keys() >= {"n", "ci95"} | measures
    assert content["n"] == 5
    assert content["ci95"].keys() >= measures
    low, high = content["ci95"]["auc"]
    assert low <= content["auc"] <= high
    assert content["model"]["sha256"] == tiny_bundle.sha256
    assert content["options"]["stain"]["method"] == "none"


def test_one_class_alone_leaves_null(data, tiny_bundle):
    for tumour in (data / "1").iterdir():
        tumour.unlink()
    found = evaluate_patches(
        data, bundle=tiny_bundle, backend=Darkness(), options=AS_TRAINED
    )
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert content["auc"] is content["recall"] is content["ci95"]["auc"] is None
    assert content["accuracy"] == pytest.approx(2 / 3)


def test_the_threshold_is_the_models_unless_given(data, make_bundle):
    bundle = make_bundle(threshold=0.25)
    found = evaluate_patches(
        data, bundle=bundle, backend=Darkness(), options=AS_TRAINED
    )
    assert found.metrics.threshold == 0.25
    assert found.metrics.recall == 1  # e at 0.298 is called now
    options = EvaluationOptions(mpp=1.0, threshold=0.9)
    found = evaluate_patches(data, bundle=bundle, backend=Darkness(), options=options)
    assert found.metrics.threshold == 0.9
    assert found.to_dict()["options"]["threshold"] == 0.9
    assert found.metrics.precision is None


@pytest.mark.parametrize(
    ("side", "mpp", "seen"),
    [
        (64, 1.0, 64),
        (100, 1.0, 64),  # the middle
        (256, 0.25, 64),
        (256, 0.5, 64),  # 128 px at the model's µm/px: the middle of that
        (160, 0.25, 40),  # less than the model's patch: as it is
        (40, 1.0, 40),
        (32, 2.0, 64),
        (31, 1.0, 31),
    ],
)
def test_patches_are_brought_to_the_models_resolution(
    side, mpp, seen, tiny_bundle, tmp_path
):
    data = write_patches(tmp_path, {"0/a.png": grey(200, side)})
    backend = Darkness()
    options = EvaluationOptions(mpp=mpp)
    evaluate_patches(data, bundle=tiny_bundle, backend=backend, options=options)
    assert backend.shapes == [(1, seen, seen, 3)]


def test_the_middle_is_what_is_judged(tiny_bundle, tmp_path):
    image = grey(255, 128)
    image[32:96, 32:96] = 0
    data = write_patches(tmp_path, {"1/a.png": image})
    found = evaluate_patches(
        data, bundle=tiny_bundle, backend=Darkness(), options=AS_TRAINED
    )
    assert found.probabilities.tolist() == [1]


def test_resampling_keeps_the_field_of_view(tiny_bundle, tmp_path):
    image = grey(255, 256)
    image[:, :128] = 0
    data = write_patches(tmp_path, {"1/a.png": image})
    options = EvaluationOptions(mpp=0.25)
    found = evaluate_patches(
        data, bundle=tiny_bundle, backend=Darkness(), options=options
    )
    assert found.probabilities == pytest.approx([0.5], abs=0.01)


def test_a_patch_too_small_for_the_network_is_named(tiny_bundle, tmp_path):
    data = write_patches(tmp_path, {"0/a.png": grey(200), "0/small.png": grey(9, 120)})
    options = EvaluationOptions(mpp=0.25)  # 120 px become 30
    with pytest.raises(DataError, match=r"0/a\.png is 16 x 16 px"):
        evaluate_patches(data, bundle=tiny_bundle, backend=Darkness(), options=options)
    (data / "0" / "a.png").unlink()
    with pytest.raises(DataError, match=r"0/small\.png is 30 x 30 px .* needs 31"):
        evaluate_patches(data, bundle=tiny_bundle, backend=Darkness(), options=options)


@pytest.mark.parametrize("mpp", [0.0, -1.0, 0.04, 5.01, float("nan")])
def test_an_absurd_spacing_is_refused(mpp, data, tiny_bundle):
    options = EvaluationOptions(mpp=mpp)
    with pytest.raises(SpacingError, match="µm/px, as given"):
        evaluate_patches(data, bundle=tiny_bundle, backend=Darkness(), options=options)


def test_patches_of_many_sizes_keep_their_order(tiny_bundle, tmp_path):
    generator = np.random.default_rng(0)
    values = generator.integers(0, 256, 150)
    images = {
        f"{index % 2}/{index:03}.png": grey(value, 40 + 8 * (index % 3))
        for index, value in enumerate(values)
    }
    data = write_patches(tmp_path, images)
    found = evaluate_patches(
        data, bundle=tiny_bundle, backend=Darkness(), options=AS_TRAINED
    )
    order = [int(name.split("/")[1][:3]) for name in found.names]
    assert found.probabilities == pytest.approx(1 - values[order] / 255, abs=1e-5)


def test_batches_are_bounded(tiny_bundle, tmp_path):
    data = write_patches(tmp_path, {f"0/{i}.png": grey(200) for i in range(130)})
    backend = Darkness()
    evaluate_patches(data, bundle=tiny_bundle, backend=backend, options=AS_TRAINED)
    assert [shape[0] for shape in backend.shapes] == [64, 64, 2]


def test_flips_average_four_views(tiny_bundle, tmp_path):
    image = grey(255)
    image[:32, :32] = 0  # one quarter black: each view shows another quarter
    data = write_patches(tmp_path, {"1/a.png": image})
    plain = evaluate_patches(
        data, bundle=tiny_bundle, backend=Corner(), options=AS_TRAINED
    )
    options = EvaluationOptions(mpp=1.0, flips=True)
    flipped = evaluate_patches(
        data, bundle=tiny_bundle, backend=Corner(), options=options
    )
    assert plain.probabilities.tolist() == [1]
    assert flipped.probabilities == pytest.approx([0.25])


def stained(generator, tint, side=64):
    """Return a patch of two stains over glass, in a laboratory's tint."""
    amounts = generator.gamma(2, 0.3, (side // 16, side // 16, 2))
    amounts = amounts.repeat(16, axis=0).repeat(16, axis=1)  # coarser than 8 µm
    density = amounts @ np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]]) * tint
    return np.clip(255 * np.exp(-density), 0, 255).astype(np.uint8)


@pytest.fixture
def stained_bundle(make_bundle):
    """Return a bundle whose training colours are those of tint 1."""
    generator = np.random.default_rng(0)
    side = round(64 / STATISTICS_MPP)
    small = [resize(stained(generator, 1.0), (side, side)) for _ in range(40)]
    pixels = np.concatenate(small).reshape(-1, 3)
    return make_bundle(stain={"reinhard": estimate(pixels, "reinhard")})


class Redness(Darkness):
    """A network that keeps the mean colour it was shown."""

    def _infer(self, output, patches):
        self.colour = patches.reshape(-1, 3).mean(axis=0)
        return super()._infer(output, patches)


def test_a_stain_match_brings_colours_to_the_models(stained_bundle, tmp_path):
    generator = np.random.default_rng(1)
    tint = np.array([1.6, 0.7, 1.8])
    images = {f"0/{i}.png": stained(generator, tint) for i in range(40)}
    data = write_patches(tmp_path, images)
    usual = np.mean([stained(generator, 1.0).mean(axis=(0, 1)) for _ in range(40)], 0)
    distances = {}
    for method in ("none", "reinhard"):
        backend = Redness()
        found = evaluate_patches(
            data,
            bundle=stained_bundle,
            backend=backend,
            options=EvaluationOptions(mpp=1.0, stain=method),
        )
        distances[method] = np.abs(backend.colour - usual).max()
        assert found.to_dict()["options"]["stain"]["method"] == method
    assert distances["none"] > 20
    assert distances["reinhard"] < distances["none"] / 3


def test_the_stain_is_measured_where_slides_are(stained_bundle, tmp_path):
    generator = np.random.default_rng(2)
    images = {f"0/{i}.png": stained(generator, 1.0) for i in range(40)}
    data = write_patches(tmp_path, images)
    found = evaluate_patches(
        data,
        bundle=stained_bundle,
        backend=Darkness(),
        options=EvaluationOptions(mpp=1.0, stain="reinhard"),
    )
    source = found.to_dict()["options"]["stain"]["source"]
    assert source["pixels"] <= 40 * (64 / STATISTICS_MPP) ** 2


def test_a_stain_the_model_does_not_know_is_refused(data, tiny_bundle):
    options = EvaluationOptions(mpp=1.0, stain="macenko")
    with pytest.raises(OptionError, match="macenko"):
        evaluate_patches(data, bundle=tiny_bundle, backend=Darkness(), options=options)


def test_a_threshold_that_is_no_probability_is_refused(data, tiny_bundle):
    options = EvaluationOptions(mpp=1.0, threshold=1.5)
    with pytest.raises(OptionError, match=r"threshold is 1\.5"):
        evaluate_patches(data, bundle=tiny_bundle, backend=Darkness(), options=options)


def test_a_real_network_judges_the_folder(patches, tiny_bundle, tmp_path):
    images = {f"{i % 2}/{i}.png": patch for i, patch in enumerate(patches)}
    backend = create_backend(tiny_bundle, NetworkChoice(threads=1))
    found = evaluate_patches(
        write_patches(tmp_path, images),
        bundle=tiny_bundle,
        backend=backend,
        options=AS_TRAINED,
    )
    expected = backend.predict(patches[[0, 2, 4, 1, 3]])
    assert found.probabilities == pytest.approx(expected, abs=1e-5)


def test_probabilities_are_written_as_csv(data, tiny_bundle, tmp_path):
    found = evaluate_patches(
        data, bundle=tiny_bundle, backend=Darkness(), options=AS_TRAINED
    )
    write_probabilities(tmp_path / "out" / "p.csv", found)
    with (tmp_path / "out" / "p.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == found.names
    assert [int(row["label"]) for row in rows] == found.labels.tolist()
    written = [float(row["probability"]) for row in rows]
    assert written == pytest.approx(found.probabilities.tolist(), abs=1e-6)


def test_a_csv_that_cannot_be_written_is_an_output_error(data, tiny_bundle, tmp_path):
    found = evaluate_patches(
        data, bundle=tiny_bundle, backend=Darkness(), options=AS_TRAINED
    )
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"p\.csv"):
        write_probabilities(tmp_path / "file" / "p.csv", found)


def test_patches_that_state_no_spacing_need_one(data, tiny_bundle):
    with pytest.raises(
        SpacingError, match=r"patches does not say .* give it with --mpp"
    ):
        evaluate_patches(data, bundle=tiny_bundle, backend=Darkness())


@pytest.mark.parametrize(("side", "mpp"), [(64, 1.0), (128, 0.5), (70, 1.0)])
def test_patches_as_wide_as_the_model_s_are_not_warned_of(
    side, mpp, tiny_bundle, tmp_path
):
    data = write_patches(tmp_path, {"0/a.png": grey(200, side)})
    found = evaluate_patches(
        data,
        bundle=tiny_bundle,
        backend=Darkness(),
        options=EvaluationOptions(mpp=mpp),
    )
    assert found.to_dict()["warnings"] == []


def test_patches_that_show_less_than_the_model_s_are_named(tiny_bundle, tmp_path):
    images = {
        "0/a.png": grey(200, 256),
        "0/b.png": grey(90, 192),
        "1/c.png": grey(9, 300),
    }
    found = evaluate_patches(
        write_patches(tmp_path, images),
        bundle=tiny_bundle,
        backend=Darkness(),
        options=EvaluationOptions(mpp=0.25),
    )
    (warning,) = found.warnings
    assert "1 of 3 patches" in warning
    assert "48 instead of 64 µm" in warning


def test_exchanged_folders_are_asked_about(tiny_bundle, tmp_path):
    images = {f"{i % 2}/{i}.png": grey(40 + 150 * (i % 2) + i) for i in range(40)}
    data = write_patches(tmp_path, images)
    found = evaluate_patches(
        data, bundle=tiny_bundle, backend=Darkness(), options=AS_TRAINED
    )
    assert found.metrics.auc == 0
    (warning,) = found.warnings
    assert "exchanged" in warning


def test_patches_without_colour_are_named(tiny_bundle, tmp_path):
    coloured = stained(np.random.default_rng(0), 1.0)
    images = {"0/a.png": coloured, "1/b.png": coloured[..., :1].repeat(3, axis=2)}
    found = evaluate_patches(
        write_patches(tmp_path, images),
        bundle=tiny_bundle,
        backend=Darkness(),
        options=AS_TRAINED,
    )
    (warning,) = found.warnings
    assert warning.startswith("1 of 2 patches are grey")


def stating(bundle, training):
    """Return a bundle whose model.json states another training."""
    path = bundle.folder / MODEL_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"training": training}))
    return load_bundle(bundle.folder)


def test_what_the_model_was_trained_on_is_no_test(make_bundle, tmp_path):
    generator = np.random.default_rng(0)
    images = {f"{i % 2}/{i}.png": stained(generator, 1.0) for i in range(6)}
    digests = [patch_digest(image) for image in images.values()]
    facts = {"sha256": set_digest(digests, [0, 1] * 3)}
    renamed = {f"x/{name}": image for name, image in images.items()}
    data = write_patches(tmp_path, renamed)
    for training, word in (
        ({"datasets": [facts]}, "trained on these very patches"),
        ({"datasets": [], "valid": facts}, "calibrated on these very patches"),
    ):
        bundle = stating(make_bundle(), training)
        found = evaluate_patches(
            data, bundle=bundle, backend=Darkness(), options=AS_TRAINED
        )
        assert any(word in warning for warning in found.warnings)
    for training in ({}, {"datasets": ["a"], "valid": 1}, {"datasets": {"sha256": 2}}):
        bundle = stating(make_bundle(), training)
        found = evaluate_patches(
            data, bundle=bundle, backend=Darkness(), options=AS_TRAINED
        )
        assert not any("very patches" in warning for warning in found.warnings)
