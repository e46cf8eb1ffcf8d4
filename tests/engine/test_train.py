"""From patches on disk to a bundle that loads, and a killed run that goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from napari_fastnet.engine.backends import create_backend
from napari_fastnet.engine.publish import publish
from napari_fastnet.engine.train import (
    CURVES,
    HISTORY,
    TrainingJob,
    build_trainer,
    read_history,
    run_training,
    write_curves,
    write_history,
)
from napari_fastnet.errors import DataError
from napari_fastnet.io.bundle import load_bundle
from napari_fastnet.nn.fit_options import EpochResult, FitOptions

if TYPE_CHECKING:
    from pathlib import Path


def write_patches(folder: Path, count: int = 24, side: int = 32) -> Path:
    """Tumour is purple and dark, normal is pink; enough of each to tell."""
    rng = np.random.default_rng(len(folder.name))
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
        "name": "small",
        "fit": FitOptions(epochs=2, batch_size=4),
    }
    return TrainingJob(**{**options, **changes})


def test_curves_of_a_single_epoch_show_something(tmp_path: Path) -> None:
    write_curves(tmp_path / CURVES, [EpochResult(1, 1.0, 0.001, 0.5, 0.7, 0.6, 0.5)])
    with Image.open(tmp_path / CURVES) as curves:
        seen = {colour for _, colour in curves.convert("RGB").getcolors(100_000)}
    assert (0x44, 0x44, 0x44) in seen  # the loss


def test_training_ends_in_a_bundle_that_judges_patches(tmp_path: Path) -> None:
    work = job(tmp_path)
    trainer = build_trainer(work)
    results = list(run_training(work, trainer))
    bundle = publish(work, trainer, command="napari-fastnet train")
    assert [result.epoch for result in results] == [1, 2]
    assert read_history(work.log_folder / HISTORY) == results
    with Image.open(work.log_folder / CURVES) as curves:
        assert curves.width > 500
    loaded = load_bundle(bundle.folder)
    assert loaded.patch_size_pixels == 32
    assert loaded.metrics["n"] == 24
    assert set(loaded.stain) >= {"reinhard"}
    patches = trainer.valid.images.numpy()
    found = create_backend(loaded, name="onnx", threads=1).predict(patches)
    raw = trainer.probabilities(trainer.valid.images).numpy().astype(float)
    margin = np.log(raw / (1 - raw))
    scale, offset = loaded.calibration["scale"], loaded.calibration["offset"]
    np.testing.assert_allclose(
        found, 1 / (1 + np.exp(-(scale * margin + offset))), atol=1e-4
    )
    card = (bundle.folder / "MODEL_CARD.md").read_text()
    assert "Research use only" in card
    assert f"| auc | {loaded.metrics['auc']:.4f} |" in card


def test_history_of_a_killed_run_goes_on(tmp_path: Path) -> None:
    work = job(tmp_path)
    first = run_training(work, build_trainer(work))
    next(first)
    first.close()
    list(run_training(work, build_trainer(work)))
    history = read_history(work.log_folder / HISTORY)
    assert [result.epoch for result in history] == [1, 2]


def test_history_keeps_what_is_undefined(tmp_path: Path) -> None:
    rows = [EpochResult(1, 2.5, 1e-3, 0.5, None, None, 0.5)]
    write_history(tmp_path / "h.csv", rows)
    assert read_history(tmp_path / "h.csv") == rows
    assert read_history(tmp_path / "absent.csv") == []


@pytest.mark.parametrize("fault", ["two sizes", "one class"])
def test_data_that_do_not_fit_are_refused(tmp_path: Path, fault: str) -> None:
    work = job(tmp_path)
    if fault == "two sizes":
        Image.new("RGB", (48, 48)).save(tmp_path / "train" / "0" / "other.png")
    else:
        for path in (tmp_path / "train" / "1").iterdir():
            path.unlink()
    with pytest.raises(DataError, match=r"one size|one class"):
        build_trainer(work)
