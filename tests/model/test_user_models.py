"""Models that a user adds: copied, checked, known by name, and programs only on purpose."""

from __future__ import annotations

import json
import shutil

import pytest

from napari_fastnet.errors import BundleError, OptionError
from napari_fastnet.model.bundle import added_names, available, load_bundle, shipped
from napari_fastnet.model.user_models import keep, read_candidate, remove_model


@pytest.fixture
def wsinfer(wsinfer_model, tmp_path):
    """A copy of the model, to be spoilt."""
    return shutil.copytree(wsinfer_model, tmp_path / "dark-tumor")


def rewrite(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_bundle_is_copied_and_known_by_its_name(models_here, dark_bundle):
    added = keep(read_candidate(dark_bundle))
    assert added.folder == models_here / "dark"
    assert load_bundle("dark") == added
    assert added.files == load_bundle(dark_bundle).files
    assert available() == [*shipped(), "dark"]


def test_it_may_be_called_otherwise_and_removed(models_here, dark_bundle):
    assert keep(read_candidate(dark_bundle, name="night")).name == "night"
    assert added_names() == ["night"]
    remove_model("night")
    assert added_names() == []
    with pytest.raises(BundleError, match="no model 'night'"):
        load_bundle("night")


@pytest.mark.parametrize("name", ["../out", ".hidden", "a b", "x" * 65])
def test_names_that_are_no_names_of_folders_are_refused(models_here, dark_bundle, name):
    with pytest.raises(OptionError, match="--name"):
        keep(read_candidate(dark_bundle, name=name))
    assert not models_here.exists()


def test_a_name_that_is_taken_is_refused(models_here, dark_bundle):
    keep(read_candidate(dark_bundle))
    for name in (None, shipped()[0]):
        with pytest.raises(OptionError, match="there is a model"):
            keep(read_candidate(dark_bundle, name=name))


def test_what_was_not_added_cannot_be_removed(models_here):
    for name in ("nothing", shipped()[0]):
        with pytest.raises(OptionError, match="was added"):
            remove_model(name)


def test_a_program_is_not_taken_in_by_itself(models_here, wsinfer):
    with pytest.raises(BundleError, match="--allow-torchscript"):
        keep(read_candidate(wsinfer))
    assert added_names() == []


def test_a_program_is_not_run_from_where_it_lies(models_here, wsinfer):
    with pytest.raises(BundleError, match=r"models add .* --allow-torchscript"):
        load_bundle(wsinfer)
    added = keep(read_candidate(wsinfer, allow_torchscript=True))
    stranger = shutil.copytree(added.folder, wsinfer.parent / "stranger")
    with pytest.raises(BundleError, match="--allow-torchscript"):
        load_bundle(stranger)
    with pytest.raises(BundleError, match="--allow-torchscript"):
        keep(read_candidate(stranger, name="again"))
    assert (
        keep(read_candidate(stranger, name="again", allow_torchscript=True)).sha256
        == added.sha256
    )


def test_a_program_that_was_allowed_says_what_its_config_says(models_here, wsinfer):
    model = keep(read_candidate(wsinfer, allow_torchscript=True))
    assert model.name == "dark-tumor"
    assert model.kind == "torchscript"
    assert (model.patch_size_pixels, model.spacing_um_px) == (32, 2.0)
    assert (model.class_names, model.positive_class) == (("normal", "tumor"), 1)
    assert model.transform.resized_px == 16
    assert model.dense_scan is None
    assert model.card() == "# Dark\n"
    with pytest.raises(BundleError, match=r"without model\.onnx"):
        _ = model.onnx_path


def test_a_program_that_was_exchanged_is_refused(models_here, wsinfer):
    model = keep(read_candidate(wsinfer, allow_torchscript=True))
    (model.folder / "torchscript_model.pt").write_bytes(b"another program")
    with pytest.raises(BundleError, match="changed or damaged"):
        load_bundle(model.name)


@pytest.mark.parametrize(
    ("names", "wanted", "index"),
    [
        (["Tumor", "Other"], None, 0),
        (["nomets", "mets"], None, 1),
        (["a", "b"], None, 1),
        (["a"], None, 0),
        (["a", "b"], "a", 0),
        (["a", "b", "c"], "c", 2),
        (["a", "Tumour", "c"], None, 1),
    ],
)
def test_the_class_to_show(models_here, wsinfer, names, wanted, index):
    rewrite(wsinfer, class_names=names, num_classes=len(names))
    model = keep(read_candidate(wsinfer, positive=wanted, allow_torchscript=True))
    assert model.positive_class == index


def test_a_class_that_nobody_can_guess_is_asked_for(models_here, wsinfer):
    rewrite(wsinfer, class_names=["lepidic", "acinar", "solid"], num_classes=3)
    with pytest.raises(OptionError, match="--positive"):
        keep(read_candidate(wsinfer, allow_torchscript=True))
    with pytest.raises(OptionError, match="class is 'none'"):
        keep(read_candidate(wsinfer, positive="none", allow_torchscript=True))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"spacing_um_px": 0}, "spacing_um_px"),
        ({"patch_size_pixels": 8}, "patch_size_pixels"),
        ({"class_names": ["a", "a"]}, "class_names"),
        ({"num_classes": 3}, "num_classes"),
        ({"transform": [{"name": "Rotate"}]}, "transform"),
        ({"transform": [{"name": "Resize"}, {"name": "ToTensor"}]}, "transform"),
        ({"transform": []}, "transform"),
    ],
)
def test_a_config_that_is_wrong_names_the_field(models_here, wsinfer, changes, said):
    rewrite(wsinfer, **changes)
    with pytest.raises(BundleError, match=rf"config\.json: .*{said}"):
        keep(read_candidate(wsinfer, allow_torchscript=True))


def test_folders_that_are_no_models_say_what_is_missing(models_here, tmp_path):
    with pytest.raises(BundleError, match=r"has no config\.json"):
        keep(read_candidate(tmp_path, allow_torchscript=True))
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(BundleError, match=r"has no torchscript_model\.pt"):
        keep(read_candidate(tmp_path, allow_torchscript=True))
    (tmp_path / "torchscript_model.pt").write_bytes(b"")
    with pytest.raises(BundleError, match="not a JSON object"):
        keep(read_candidate(tmp_path, allow_torchscript=True))


def test_a_model_without_a_card_gets_one_of_what_is_known(models_here, wsinfer):
    (wsinfer / "README.md").unlink()
    card = keep(read_candidate(wsinfer, allow_torchscript=True)).card()
    assert "came without a card" in card
    assert '["normal", "tumor"]' in card


def test_any_other_pickle_is_refused_even_beside_a_bundle(models_here, wsinfer):
    (wsinfer / "torchscript_model.pt").rename(wsinfer / "weights.pt")
    with pytest.raises(BundleError, match="pickle"):
        load_bundle(wsinfer)
