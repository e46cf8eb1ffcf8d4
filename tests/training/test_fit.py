"""Training: it learns, it is repeatable, and a killed run goes on as if it was not."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from napari_fastnet.errors import DataError, OptionError
from napari_fastnet.nn.fastnet import FastNet
from napari_fastnet.training.batches import Patches
from napari_fastnet.training.fit import Trainer, channel_statistics, running_mean
from napari_fastnet.training.options import Augmentation, FitOptions

if TYPE_CHECKING:
    from pathlib import Path

STILL = Augmentation(0, 0, 0, 0, 0, 0, 0, 0)


def patches(count: int = 16, seed: int = 0) -> Patches:
    """Noise; tumour is darker."""
    generator = torch.Generator().manual_seed(seed)
    shape = (count, 32, 32, 3)
    images = torch.randint(100, 256, shape, generator=generator, dtype=torch.uint8)
    labels = (torch.arange(count) % 2).float()
    images[labels > 0] //= 2
    return Patches(images, labels)


def options(**changes: object) -> FitOptions:
    return FitOptions(
        **{"epochs": 3, "batch_size": 4, "augmentation": STILL, **changes}
    )


def trainer(fit: FitOptions, data: Patches | None = None) -> Trainer:
    return Trainer(FastNet, data or patches(), patches(seed=1), fit)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["attention", "cross-entropy"])
def test_it_learns_to_tell_dark_from_light(loss: str) -> None:
    fit = options(epochs=25, loss=loss, learning_rate=0.01)
    results = list(trainer(fit).run())
    assert results[-1].loss < 0.3 * results[0].loss
    assert results[-1].auc == 1.0
    assert results[-1].mosaic_auc == 1.0


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_a_killed_run_ends_as_one_that_was_not(tmp_path: Path, optimizer: str) -> None:
    fit = options(optimizer=optimizer)
    whole = trainer(fit)
    expected = list(whole.run())
    first = trainer(fit).run(tmp_path / "state")
    next(first)
    first.close()
    second = trainer(fit)
    rest = list(second.run(tmp_path / "state"))
    assert [result.epoch for result in rest] == [2, 3]
    assert [r.loss for r in rest] == [r.loss for r in expected[1:]]
    for name, value in whole.averaged.state_dict().items():
        assert torch.equal(value, second.averaged.state_dict()[name]), name


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    list(trainer(options()).run(tmp_path / "state"))
    again = trainer(options())
    assert list(again.run(tmp_path / "state")) == []
    assert again.progress.epoch == 3


@pytest.mark.parametrize("fault", ["truncated", "other options", "other data"])
def test_a_state_that_does_not_fit_is_refused(tmp_path: Path, fault: str) -> None:
    state = tmp_path / "state"
    next(trainer(options()).run(state))
    changed = trainer(options())
    if fault == "truncated":
        state.write_bytes(state.read_bytes()[:1000])
    elif fault == "other options":
        changed = trainer(options(learning_rate=1e-3))
    else:
        changed = trainer(options(), patches(seed=5))
    with pytest.raises(DataError, match="state"):
        next(changed.run(state))


def first_state(path: Path, **changes: object) -> Trainer:
    work = trainer(options(**changes))
    next(work.run(path))
    return work


def test_what_a_state_differs_in_is_named(tmp_path: Path) -> None:
    first_state(tmp_path / "state")
    changed = trainer(options(learning_rate=1e-3, epochs=4))
    words = "epochs 3 instead of 4, learning_rate 0.003 instead of 0.001"
    with pytest.raises(DataError, match=words):
        changed.resume(tmp_path / "state")


def test_a_state_of_another_context_is_refused(tmp_path: Path) -> None:
    work = trainer(options())
    work.progress.context = {"other validation patches": "a"}
    next(work.run(tmp_path / "state"))
    same, other = trainer(options()), trainer(options())
    same.progress.context = {"other validation patches": "a"}
    other.progress.context = {"other validation patches": "b"}
    assert same.resume(tmp_path / "state") == 1
    with pytest.raises(DataError, match="with other validation patches"):
        other.resume(tmp_path / "state")


def test_a_state_of_version_01_is_gone_on_with(tmp_path: Path) -> None:
    """It kept no best epoch, options or context."""
    path = tmp_path / "state"
    first_state(path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    counters = json.loads(metadata["counters"])
    for name in ("kept_epoch", "kept_auc", "options", "context"):
        del counters[name]
    save_file(
        {k: v for k, v in tensors.items() if not k.startswith("kept/")},
        path,
        {**metadata, "counters": json.dumps(counters)},
    )
    whole, second = trainer(options()), trainer(options())
    expected = list(whole.run())
    assert second.resume(path) == 1
    assert second.progress.kept_epoch == 1
    assert second.progress.kept_auc == expected[0].auc
    assert [result.loss for result in second.run(path)] == [
        result.loss for result in expected[1:]
    ]
    for name, value in whole.kept.state_dict().items():
        assert torch.equal(value, second.kept.state_dict()[name]), name


#: Learns within seconds.
QUICK = {
    "learning_rate": 0.01,
    "mosaic_share": 0.0,
    "average_decay": 0.5,
    "loss": "cross-entropy",
}


@pytest.fixture(scope="module")
def taught() -> Trainer:
    """Return a trainer whose network tells dark from light, each time it is asked."""
    work = trainer(options(epochs=14, **QUICK))
    assert list(work.run())[-1].auc == 1
    return work


def exchanged() -> Patches:
    data = patches()
    return Patches(data.images, 1 - data.labels)


def test_of_equal_epochs_the_last_is_kept(taught: Trainer) -> None:
    assert taught.progress.kept_epoch == 14
    for name, value in taught.averaged.state_dict().items():
        assert torch.equal(value, taught.kept.state_dict()[name]), name


def test_a_training_that_harms_keeps_its_best_epoch(
    taught: Trainer, tmp_path: Path
) -> None:
    fit = options(epochs=6, **QUICK)
    work = trainer(fit, exchanged())
    work.start_from(taught.averaged)
    first = work.run(tmp_path / "state")
    begun = next(first)
    assert (begun.epoch, begun.auc, begun.loss) == (0, 1, None)
    results = [begun, next(first)]
    first.close()
    second = trainer(fit, exchanged())
    second.start_from(taught.averaged)
    results += second.run(tmp_path / "state")
    assert [result.epoch for result in results] == [0, 1, 2, 3, 4, 5, 6]
    assert results[-1].auc < 0.5
    best = max(results, key=lambda result: (result.auc, result.epoch))
    assert best.epoch < 3
    assert second.progress.kept_epoch == best.epoch
    again = trainer(fit)
    again.start_from(second.kept)
    assert next(again.run()).auc == second.progress.kept_auc == best.auc == 1


def test_numbers_that_overflow_end_the_training_and_are_not_saved(
    tmp_path: Path,
) -> None:
    work = trainer(options())
    epochs = work.run(tmp_path / "state")
    next(epochs)
    kept = (tmp_path / "state").read_bytes()
    with torch.no_grad():
        next(work.model.parameters()).fill_(math.nan)
    assert list(epochs) == []
    assert "epoch 2 is not a number" in work.stopped
    assert "learning rate" in work.stopped
    assert (tmp_path / "state").read_bytes() == kept
    assert all(value.isfinite().all() for value in work.kept.state_dict().values())


def test_numbers_that_overflow_at_once_are_an_error(tmp_path: Path) -> None:
    work = trainer(options(learning_rate=1e30))
    with pytest.raises(OptionError, match=r"epoch 1 is not a number.*1e\+30"):
        next(work.run(tmp_path / "state"))
    assert not (tmp_path / "state").exists()


def test_channel_statistics_by_hand() -> None:
    images = torch.zeros(2, 1, 2, 3, dtype=torch.uint8)
    images[..., 0] = 51  # 0.2 everywhere
    images[0, ..., 1] = 255  # half of the px 1, half 0
    mean, std = channel_statistics(images)
    assert mean == (0.2, 0.5, 0.0)
    assert std == (0.001, pytest.approx(0.5774, abs=1e-4), 0.001)


def test_no_stem_filter_is_dead_on_normalised_patches() -> None:
    # Fed with 0..1 instead, about half of the filters are above zero nowhere.
    work = trainer(options(), patches(64))
    images = work._prepared(work.train.images).permute(0, 3, 1, 2)
    with torch.no_grad():
        active = (work.model.features[0][0](images) > 0).float().mean(dim=(0, 2, 3))
    assert active.min() > 0.05
    assert active.max() < 0.95


def test_starting_from_a_network_takes_its_weights(tmp_path: Path) -> None:
    first = trainer(options())
    list(first.run())
    second = trainer(options(seed=7))
    second.start_from(first.averaged)
    for name, value in first.averaged.state_dict().items():
        assert torch.equal(value, second.averaged.state_dict()[name]), name
        assert torch.equal(value, second.model.state_dict()[name]), name


def test_running_mean_follows_faster_at_first() -> None:
    follow = running_mean(0.9)
    mean, current = [torch.zeros(1)], [torch.ones(1)]
    follow(mean, current, 0)  # keeps 1/10
    assert mean[0].item() == pytest.approx(0.9)
    mean = [torch.zeros(1)]
    follow(mean, current, 10_000)
    assert mean[0].item() == pytest.approx(0.1)


def test_counters_are_copied_not_averaged() -> None:
    mean = [torch.tensor(3)]
    running_mean(0.9)(mean, [torch.tensor(7)], 50)
    assert mean[0].item() == 7


@pytest.mark.parametrize(
    "changes",
    [{"epochs": 0}, {"batch_size": 1}, {"mosaic_share": 1.1}, {"mosaic_share": -0.1}],
    ids=str,
)
def test_options_outside_their_range_are_refused(changes: dict) -> None:
    with pytest.raises(OptionError, match=next(iter(changes))):
        options(**changes)


def test_fewer_patches_than_a_batch_are_refused() -> None:
    with pytest.raises(OptionError, match="fill a batch"):
        trainer(options(batch_size=25), patches(24))
