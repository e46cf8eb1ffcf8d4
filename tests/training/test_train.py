"""From patches on disk to a bundle that loads, and a killed run that goes on."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from napari_fastnet.core.options import EvidenceScale
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.errors import DataError, OutputError
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import ModelBundle, load_bundle
from napari_fastnet.model.card import section_of, write_card
from napari_fastnet.model.options import NetworkChoice
from napari_fastnet.training.adapt.home import home_patches
from napari_fastnet.training.data import TrainingData, read_training_data
from napari_fastnet.training.fit import EpochResult
from napari_fastnet.training.options import FitOptions, PublishOptions
from napari_fastnet.training.publish import publish
from napari_fastnet.training.train import (
    CURVES,
    HISTORY,
    STATE,
    TrainingJob,
    build_trainer,
    check_output,
    doubt,
    read_history,
    run_training,
    spacing_warnings,
    write_curves,
    write_history,
)

if TYPE_CHECKING:
    from pathlib import Path

    from napari_fastnet.nn.fastnet import FastNet
    from napari_fastnet.training.fit import Trainer


def write_patches(folder: Path, count: int = 24, side: int = 32) -> Path:
    """Tumour is purple and dark, normal is pink; enough of each to tell."""
    rng = np.random.default_rng(zlib.crc32(folder.name.encode()))
    for index in range(count):
        label = index % 2
        colour = np.array([120, 60, 140] if label else [210, 140, 190])
        noise = rng.integers(-40, 40, (side, side, 3))
        image = np.clip(colour + noise, 0, 255).astype(np.uint8)
        path = folder / str(label) / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return folder


def job(folder: Path, **changes: object) -> TrainingJob:
    options: dict[str, object] = {
        "data": (write_patches(folder / "train"),),
        "valid": write_patches(folder / "valid"),
        "folder": folder / "bundle",
        "spacing_um_px": 2.0,
        "model": PublishOptions("small"),
        "fit": FitOptions(epochs=2, batch_size=4),
    }
    return TrainingJob(**{**options, **changes})


def read(work: TrainingJob) -> TrainingData:
    return read_training_data(work.data, work.valid, work.also)


def build(work: TrainingJob) -> Trainer[FastNet]:
    return build_trainer(work, read(work))


def trained(work: TrainingJob) -> ModelBundle:
    """Train, and return what was published."""
    data = read(work)
    trainer = build_trainer(work, data)
    list(run_training(work, trainer))
    return publish(work, trainer, data, command="napari-fastnet train")


def test_curves_of_a_single_epoch_show_something(tmp_path: Path) -> None:
    write_curves(tmp_path / CURVES, [EpochResult(1, 1.0, 0.001, 0.5, 0.7, 0.6, 0.5)])
    with Image.open(tmp_path / CURVES) as curves:
        seen = {colour for _, colour in curves.convert("RGB").getcolors(100_000)}
    assert (0x44, 0x44, 0x44) in seen  # the loss


def test_training_ends_in_a_bundle_that_judges_patches(tmp_path: Path) -> None:
    work = job(tmp_path)
    data = read(work)
    trainer = build_trainer(work, data)
    results = list(run_training(work, trainer))
    bundle = publish(work, trainer, data, command="napari-fastnet train")
    assert [result.epoch for result in results] == [1, 2]
    assert read_history(work.log_folder / HISTORY) == results
    with Image.open(work.log_folder / CURVES) as curves:
        assert curves.width > 500
    loaded = load_bundle(bundle.folder)
    assert loaded.patch_size_pixels == 32
    assert loaded.metrics.n == 24
    assert set(loaded.stain) >= {"reinhard"}
    patches = trainer.valid.images.numpy()
    found = create_backend(loaded, NetworkChoice(backend="onnx", threads=1)).predict(
        patches
    )
    trainer.averaged.load_state_dict(trainer.kept.state_dict())
    raw = trainer.probabilities(trainer.valid.images).numpy().astype(float)
    margin = np.log(raw / (1 - raw))
    scale, offset = loaded.calibration["scale"], loaded.calibration["offset"]
    np.testing.assert_allclose(
        found, 1 / (1 + np.exp(-(scale * margin + offset))), atol=1e-4
    )
    card = (bundle.folder / "MODEL_CARD.md").read_text()
    assert "Research use only" in card
    assert f"| auc | {loaded.metrics.auc:.4f} |" in card
    assert bundle.training.held_back == (home_patches("gate").facts.sha256,)


@pytest.mark.slow
def test_enough_validation_patches_give_lesion_thresholds(tmp_path: Path) -> None:
    bundle = trained(job(tmp_path, valid=write_patches(tmp_path / "valid", count=440)))
    scale = load_bundle(bundle.folder).lesions
    assert scale.scale > 0
    assert scale.fewer >= scale.balanced >= scale.more
    # colours that no noise mixes up
    assert scale.at(scale.balanced).sensitivity > 0.9
    assert "24 mosaics of one half of valid (" in scale.measured_on
    rule = RunOptions().rule(bundle)
    assert (rule.lesion_threshold, rule.evidence) == (scale.balanced, scale)
    card = section_of(bundle.card(), "Lesions")
    assert scale.measured_on in card
    assert f"| balanced: {scale.balanced:.2f} | " in card


def test_too_few_validation_patches_give_none(tmp_path: Path) -> None:
    bundle = trained(job(tmp_path))
    assert bundle.lesions is None
    assert section_of(bundle.card(), "Lesions") is None
    assert RunOptions().rule(bundle).evidence == EvidenceScale()


def test_history_of_a_killed_run_goes_on(tmp_path: Path) -> None:
    work = job(tmp_path)
    first = run_training(work, build(work))
    next(first)
    first.close()
    list(run_training(work, build(work)))
    history = read_history(work.log_folder / HISTORY)
    assert [result.epoch for result in history] == [1, 2]


def test_history_keeps_what_is_undefined(tmp_path: Path) -> None:
    rows = [EpochResult(1, 2.5, 1e-3, 0.5, None, None, 0.5)]
    write_history(tmp_path / "h.csv", rows)
    assert read_history(tmp_path / "h.csv") == rows
    assert read_history(tmp_path / "absent.csv") == []


#: Tells these patches apart.
QUICK = FitOptions(
    epochs=4, batch_size=4, learning_rate=0.01, mosaic_share=0.0, loss="cross-entropy"
)


def test_a_card_says_what_is_known_and_no_more(tmp_path: Path) -> None:
    work = job(tmp_path, fit=QUICK)
    bundle = trained(work)
    card = bundle.card()
    for told in (
        "PatchCamelyon",
        "CC0",
        "BSD",
        "lymph",
        "two centres",
        "not trained on",
    ):
        assert told not in card
    flat = " ".join(card.split())
    assert "- Data: train: 12 normal and 12 tumor patches (SHA-256 " in flat
    assert "What the data are was not stated" in flat
    assert "whether they are of other slides and patients is not known" in flat
    assert "It holds where 50% of the patches are tumor" in flat
    # of 24 patches, half of them tumor: recall 0.9, specificity 0.8
    metrics = replace(bundle.metrics, precision=0.9 / (0.9 + 0.2))
    rows = write_card(replace(bundle, metrics=metrics))
    assert "| 0.1 | 0.1 | 0.33 |" in rows  # of 100 patches, 9 right and 18 wrong
    assert "| 0.01 | 0.01 | 0.043 |" in rows  # of 1,000 patches, 9 right and 198 wrong
    said = PublishOptions(data_description="livers\nof mice", data_licence="CC BY 4.0")
    flat = " ".join(trained(job(tmp_path, fit=QUICK, model=said)).card().split())
    assert "by the one who trained: livers of mice" in flat
    assert "by the one who trained: CC BY 4.0." in flat


def test_a_card_quotes_that_of_the_model_it_began_with(
    tmp_path: Path,
) -> None:
    shipped = load_bundle("fastnet-pcam")
    fit = FitOptions(epochs=1, batch_size=4, learning_rate=1e-6)
    network = shipped.architecture
    work = job(tmp_path, fit=fit, network=network, start_from=shipped)
    bundle = trained(work)
    card = bundle.card()
    assert "## The model it began with" in card
    quoted = [line for line in card.splitlines() if line.startswith("> ")]
    assert any("9,171 tumor patches" in line for line in quoted)
    assert any("patches of PatchCamelyon (CC0)" in line for line in quoted)
    own = [line for line in card.splitlines() if not line.startswith(">")]
    assert not any("PatchCamelyon" in line or "CC0" in line for line in own)
    assert bundle.training.started_from == shipped.sha256
    assert bundle.training.held_back == shipped.training.held_back


def test_the_model_is_judged_on_other_data_before_and_after(tmp_path: Path) -> None:
    first = trained(job(tmp_path / "first"))
    also = write_patches(tmp_path / "another")
    work = job(tmp_path, start_from=first, also=(also,))
    bundle = trained(work)
    (part,) = bundle.metrics.also
    assert (part.name, part.n) == ("another", 24)
    assert 0 <= part.auc_before <= 1
    assert part.auc is not None
    row = f"| {part.auc_before:.4f} | {part.auc:.4f} |"
    assert row in bundle.card()


def test_what_begins_with_a_model_begins_with_epoch_0(tmp_path: Path) -> None:
    first = trained(job(tmp_path / "first"))
    work = job(tmp_path, start_from=first)
    results = list(run_training(work, build(work)))
    assert [result.epoch for result in results] == [0, 1, 2]
    assert results[0].loss is None
    # up to rounding: it was published in single precision as well
    assert results[0].auc == pytest.approx(first.metrics.auc, abs=0.01)
    assert read_history(work.log_folder / HISTORY) == results


def test_exchanged_folders_are_asked_about_and_still_give_a_bundle(
    tmp_path: Path,
) -> None:
    work = job(tmp_path, fit=QUICK)
    (tmp_path / "valid" / "0").rename(tmp_path / "valid" / "x")
    (tmp_path / "valid" / "1").rename(tmp_path / "valid" / "0")
    (tmp_path / "valid" / "x").rename(tmp_path / "valid" / "1")
    data = read(work)
    trainer = build_trainer(work, data)
    last = list(run_training(work, trainer))[-1]
    assert last.auc < 0.5
    bundle = publish(work, trainer, data, command="napari-fastnet train")
    assert load_bundle(bundle.folder).calibration["scale"] > 0


@pytest.mark.parametrize(
    ("epoch", "auc", "asked"),
    [
        (0, 0.1, True),
        (1, 0.1, False),
        (2, 0.49, True),
        (2, 0.5, False),
        (3, 0.1, False),
    ],
)
def test_when_it_is_asked_whether_folders_are_exchanged(
    epoch: int, auc: float, asked: bool, tmp_path: Path
) -> None:
    result = EpochResult(epoch, 1.0, 0.1, 0.5, auc, None, 0.5)
    words = doubt(result, job(tmp_path, fit=FitOptions(epochs=9)))
    assert (words is not None) == asked
    assert not asked or "exchanged" in words


def test_a_training_of_one_epoch_asks_after_it(tmp_path: Path) -> None:
    result = EpochResult(1, 1.0, 0.1, 0.5, 0.2, None, 0.5)
    assert doubt(result, job(tmp_path, fit=FitOptions(epochs=1)))


def test_models_of_another_spacing_are_warned_of(
    tmp_path: Path, tiny_bundle: ModelBundle
) -> None:
    work = job(tmp_path, start_from=tiny_bundle, average_with=(tiny_bundle,))
    warnings = list(spacing_warnings(work))
    assert len(warnings) == 2
    assert "at 2 µm/px and tiny knows 1: to it everything is 0.5 times" in warnings[0]
    same = job(tmp_path, start_from=tiny_bundle, spacing_um_px=1.001)
    assert not list(spacing_warnings(same))


@pytest.mark.parametrize("what", ["bundle", "log"])
def test_an_output_that_cannot_be_is_refused_at_once(tmp_path: Path, what: str) -> None:
    work = job(tmp_path)
    if what == "bundle":
        work.folder.mkdir()
        (work.folder / "thesis.docx").write_text("")
    else:
        work.log_folder.write_text("")
    with pytest.raises(OutputError, match=work.folder.name):
        check_output(work)


def test_a_state_of_other_validation_patches_is_refused(tmp_path: Path) -> None:
    work = job(tmp_path)
    first = run_training(work, build(work))
    next(first)
    first.close()
    (tmp_path / "valid" / "1" / "1.png").unlink()
    with pytest.raises(DataError, match=r"with other validation patches"):
        build(work).resume(work.log_folder / STATE)
