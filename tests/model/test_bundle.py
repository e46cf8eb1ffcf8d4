from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from napari_fastnet.core.appearance.stain import StainStatistics
from napari_fastnet.errors import BundleError, OutputError
from napari_fastnet.model import bundle as bundle_module
from napari_fastnet.model.bundle import (
    CARD_FILE,
    MODEL_FILE,
    ONNX_FILE,
    WEIGHTS_FILE,
    load_bundle,
    load_recorded,
    models_folder,
    shipped,
)
from napari_fastnet.model.description import ModelDescription
from napari_fastnet.model.training_facts import ModelMetrics, TrainingFacts
from napari_fastnet.model.writing import write_bundle
from napari_fastnet.nn.options import FastNetConfig

DESCRIPTION = ModelDescription(
    name="plain", version="1.0", patch_size_pixels=96, spacing_um_px=0.972
)


@pytest.fixture
def parts(tmp_path):
    """Return weights and graph to make bundles of; what is in them does not matter."""
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "w").write_bytes(b"weights")
    (folder / "o").write_bytes(b"graph")
    return {
        "sources": {WEIGHTS_FILE: folder / "w", ONNX_FILE: folder / "o"},
        "card": "# Card µ\n",
    }


@pytest.fixture
def folder(parts, tmp_path):
    """Return the folder of a good bundle."""
    return write_bundle(tmp_path / "model", DESCRIPTION, **parts).folder


def edit(folder, **changes):
    """Change fields of model.json; None removes one."""
    content = json.loads((folder / MODEL_FILE).read_text("utf-8"))
    for name, value in changes.items():
        content[name] = value
        if value is None:
            del content[name]
    (folder / MODEL_FILE).write_text(json.dumps(content), "utf-8")


def test_a_bundle_comes_back_as_written(parts, tmp_path):
    description = replace(
        DESCRIPTION,
        architecture=FastNetConfig(pool_cells=3),
        calibration={"scale": 1.5, "offset": -0.5},
        stain={"reinhard": StainStatistics("reinhard", 9, ((1.0,) * 3, (2.0,) * 3))},
        training=TrainingFacts(epochs=3),
        metrics=ModelMetrics(auc=0.95),
        threshold=0.4,
    )
    written = write_bundle(tmp_path / "model", description, **parts)
    loaded = load_bundle(tmp_path / "model")
    assert loaded == written
    assert loaded.to_dict() == description.to_dict()
    assert loaded.weights_path.read_bytes() == b"weights"
    assert loaded.onnx_path.read_bytes() == b"graph"
    assert (loaded.folder / CARD_FILE).read_text("utf-8") == "# Card µ\n"
    assert len(loaded.sha256) == 64
    assert loaded.sha256 == loaded.files[WEIGHTS_FILE]


def test_a_bundle_holds_four_files(folder):
    names = {path.name for path in folder.iterdir()}
    assert names == {MODEL_FILE, WEIGHTS_FILE, ONNX_FILE, CARD_FILE}


def test_model_json_is_a_wsinfer_configuration(folder):
    content = json.loads((folder / MODEL_FILE).read_text())
    assert content["spec_version"] == "1.0"
    assert isinstance(content["architecture"], str)
    assert content["num_classes"] == len(content["class_names"]) == 2
    assert content["patch_size_pixels"] == 96
    assert content["spacing_um_px"] == 0.972
    assert content["transform"] == [{"name": "ToTensor"}]


def test_a_folder_is_found_by_text_and_by_path(folder):
    assert load_bundle(str(folder)) == load_bundle(folder)


@pytest.mark.parametrize("name", [WEIGHTS_FILE, ONNX_FILE, CARD_FILE])
def test_a_changed_file_is_refused_by_name(name, folder):
    content = bytearray((folder / name).read_bytes())
    content[0] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(
        BundleError, match=rf"{name}: its SHA-256 .* changed or damaged"
    ):
        load_bundle(folder)


@pytest.mark.parametrize("name", [WEIGHTS_FILE, ONNX_FILE, CARD_FILE])
def test_a_missing_file_is_refused_by_name(name, folder):
    (folder / name).unlink()
    with pytest.raises(BundleError, match=rf"cannot read .*{name}"):
        load_bundle(folder)


def test_a_folder_without_model_json_is_no_bundle(tmp_path):
    with pytest.raises(BundleError, match=r"has no model\.json"):
        load_bundle(tmp_path)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pkl", ".PTH"])
def test_a_pickle_is_refused(suffix, folder, tmp_path):
    pickle = tmp_path / f"weights{suffix}"
    pickle.write_bytes(b"")
    with pytest.raises(BundleError, match="pickle, which can run code"):
        load_bundle(pickle)
    only_pickles = tmp_path / "old"
    only_pickles.mkdir()
    shutil.copy(pickle, only_pickles)
    with pytest.raises(BundleError, match="pickle, which can run code"):
        load_bundle(only_pickles)
    shutil.copy(pickle, folder)
    with pytest.raises(BundleError, match="pickle, which can run code"):
        load_bundle(folder)


def test_a_file_that_is_no_folder_is_refused(folder):
    with pytest.raises(BundleError, match="give the folder"):
        load_bundle(folder / ONNX_FILE)


@pytest.mark.parametrize("name", ["no-such-model", "", "a" * 3000, "nul\0"])
def test_an_unknown_name_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError) as caught:
        load_bundle(name)
    assert len(str(caught.value)) < 5000


def test_an_unknown_name_lists_the_models_here(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle_module, "_SHIPPED", tmp_path)
    assert shipped() == ["model"]
    with pytest.raises(BundleError, match=r"no model 'nodel'.*models here: model"):
        load_bundle("nodel")


def test_a_shipped_model_is_found_by_name_from_anywhere(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle_module, "_SHIPPED", tmp_path)
    elsewhere = tmp_path / "elsewhere" / "model"
    elsewhere.mkdir(parents=True)
    monkeypatch.chdir(elsewhere.parent)
    assert load_bundle("model").folder == folder
    with pytest.raises(BundleError, match=r"has no model\.json"):
        load_bundle("./model")


def test_every_shipped_model_is_sound():
    for name in shipped():
        assert load_bundle(name).name == name


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not valid JSON"),
        (b'{"name": "x"', "not valid JSON"),
        (b"\xff\xfe\xfa", "not valid JSON"),
        (b'{"threshold": NaN}', "NaN is not a JSON number"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[1, 2]", "not a JSON object"),
        (b"{}", "lacks 'name'"),
    ],
)
def test_a_model_json_that_is_none_is_refused(content, message, folder):
    (folder / MODEL_FILE).write_bytes(content)
    with pytest.raises(BundleError, match=message) as caught:
        load_bundle(folder)
    assert MODEL_FILE in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "files",
    [
        None,
        [],
        {},
        {WEIGHTS_FILE: "0", ONNX_FILE: "0"},
        {WEIGHTS_FILE: "0", ONNX_FILE: "0", CARD_FILE: "0", "../../secret": "0"},
    ],
)
def test_model_json_vouches_for_exactly_the_bundles_files(files, folder):
    edit(folder, files=files)
    with pytest.raises(BundleError, match="files must give the SHA-256"):
        load_bundle(folder)


@pytest.mark.parametrize("digest", ["", "0" * 64, 7, None])
def test_a_digest_of_another_kind_does_not_match(digest, folder):
    content = json.loads((folder / MODEL_FILE).read_text())
    content["files"][CARD_FILE] = digest
    (folder / MODEL_FILE).write_text(json.dumps(content))
    with pytest.raises(BundleError, match="SHA-256"):
        load_bundle(folder)


def test_writing_replaces_a_bundle_and_keeps_the_training(folder, parts):
    (folder / "training").mkdir()
    (folder / "training" / "history.csv").write_text("epoch")
    parts["sources"][WEIGHTS_FILE].write_bytes(b"better")
    write_bundle(folder, replace(DESCRIPTION, version="1.1"), **parts)
    assert load_bundle(folder).version == "1.1"
    assert load_bundle(folder).weights_path.read_bytes() == b"better"
    assert (folder / "training" / "history.csv").read_text() == "epoch"


def test_writing_goes_beside_a_training(parts, tmp_path):
    (tmp_path / "model" / "training").mkdir(parents=True)
    assert write_bundle(tmp_path / "model", DESCRIPTION, **parts).version == "1.0"


def test_writing_leaves_a_foreign_folder_alone(parts, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("dear")
    with pytest.raises(OutputError, match="no model bundle"):
        write_bundle(tmp_path / "letters", DESCRIPTION, **parts)
    with pytest.raises(OutputError, match="no model bundle"):
        write_bundle(tmp_path / "letters" / "dear.txt", DESCRIPTION, **parts)
    assert [p.name for p in (tmp_path / "letters").iterdir()] == ["dear.txt"]


def test_a_description_out_of_range_leaves_the_old_bundle(folder, parts):
    before = load_bundle(folder)
    with pytest.raises(BundleError, match="threshold"):
        write_bundle(folder, replace(DESCRIPTION, threshold=1.5), **parts)
    assert load_bundle(folder) == before
    assert not [p for p in folder.parent.iterdir() if p.name.startswith(".")]


def test_a_bundle_left_half_way_is_refused(folder, parts, monkeypatch):
    parts["sources"][WEIGHTS_FILE].write_bytes(b"better")
    replaced = type(folder).replace

    def run_out_of_disk(path, target):
        if target.name == ONNX_FILE:
            raise OSError(28, "No space left on device")
        return replaced(path, target)

    monkeypatch.setattr(type(folder), "replace", run_out_of_disk)
    with pytest.raises(OutputError, match="No space left"):
        write_bundle(folder, DESCRIPTION, **parts)
    with pytest.raises(BundleError, match="SHA-256"):
        load_bundle(folder)


def test_a_missing_part_is_an_output_error(parts, tmp_path):
    parts["sources"][ONNX_FILE].unlink()
    with pytest.raises(OutputError, match="cannot write"):
        write_bundle(tmp_path / "model", DESCRIPTION, **parts)
    assert not (tmp_path / "model").exists()


def test_reading_a_bundle_loads_no_torch(folder):
    code = (
        "import sys; from napari_fastnet.model.bundle import load_bundle;"
        f"load_bundle({str(folder)!r});"
        "assert not {'torch', 'onnxruntime', 'onnx'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


def test_a_recorded_model_is_found_by_its_weights_before_its_name(
    parts, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("NAPARI_FASTNET_MODELS", str(tmp_path / "models"))
    old = write_bundle(models_folder() / "lab-1.0", DESCRIPTION, **parts)
    (tmp_path / "parts" / "w").write_bytes(b"other weights")
    new = write_bundle(models_folder() / "lab", DESCRIPTION, **parts)
    assert load_recorded("lab", old.sha256).folder == old.folder
    assert load_recorded("lab", new.sha256).folder == new.folder
    # of weights that no model here has, the name is what is left
    assert load_recorded("lab", "0" * 64).folder == new.folder
    with pytest.raises(BundleError, match="no model 'gone'"):
        load_recorded("gone", "0" * 64)
    # a damaged model is passed over
    (old.folder / WEIGHTS_FILE).write_bytes(b"cut")
    assert load_recorded("lab", old.sha256).folder == new.folder
