"""Batches: changed anew, or drawn from copies that were changed and judged once."""

from __future__ import annotations

import pytest
import torch
from torch import Generator

from napari_fastnet.errors import OptionError
from napari_fastnet.training.batches import Batches, Patches
from napari_fastnet.training.options import Augmentation, FitOptions


class Bright:
    """Says how bright a patch is, and counts what it is shown."""

    digests = ("bright",)

    def __init__(self):
        self.seen = 0

    def __call__(self, images):
        self.seen += len(images)
        return images.mean(dim=(1, 2, 3))


@pytest.fixture
def patches():
    images = torch.randint(
        0, 256, (12, 32, 32, 3), dtype=torch.uint8, generator=Generator().manual_seed(0)
    )
    return Patches(images, torch.tensor([0.0, 1.0] * 6))


def draw(batches, seed=0, chosen=range(12)):
    return batches.draw(torch.tensor(list(chosen)), Generator().manual_seed(seed))


@pytest.mark.parametrize("copies", [0, 3])
def test_same_draws_give_the_same_batch_and_others_another(patches, copies) -> None:
    options = FitOptions(batch_size=4, copies=copies)
    batches, again = (Batches(patches, options, None) for _ in range(2))
    images, labels = draw(batches)
    same, _ = draw(again)
    other, _ = draw(batches, seed=1)
    assert torch.equal(images, same)
    assert not torch.equal(images, other)
    assert images.dtype == torch.float32
    assert 0 <= images.min() <= images.max() <= 1
    assert torch.equal(labels, patches.labels)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (0.25, 0.25), (1.0, 1)])
def test_teachers_have_their_share_in_the_labels(patches, share, expected) -> None:
    options = FitOptions(
        batch_size=4, teachers_share=share, augmentation=Augmentation().scaled(0)
    )
    _, labels = draw(Batches(patches, options, Bright()))
    bright = patches.images.float().mean(dim=(1, 2, 3)) / 255
    expected_labels = patches.labels.lerp(bright, expected)
    assert torch.allclose(labels, expected_labels, atol=1e-3)


def test_copies_are_judged_once_and_as_they_are_seen(patches) -> None:
    teacher = Bright()
    options = FitOptions(batch_size=4, copies=2, teachers_share=1.0)
    batches = Batches(patches, options, teacher)
    for seed in range(20):
        images, labels = draw(batches, seed)
        # Turning a copy does not change how bright it is.
        assert torch.allclose(images.mean(dim=(1, 2, 3)), labels, atol=2e-3)
    assert teacher.seen == 2 * 12


def test_teachers_judge_patches_before_they_are_dyed_anew(patches) -> None:
    options = FitOptions(
        batch_size=4,
        teachers_share=1.0,
        augmentation=Augmentation().scaled(0),
        foreign_stains=1.0,
    )
    images, labels = draw(Batches(patches, options, Bright()))
    before = patches.images.float().mean(dim=(1, 2, 3)) / 255
    assert torch.allclose(labels, before, atol=1e-3)
    assert (images.mean(dim=(1, 2, 3)) - before).abs().max() > 0.02


@pytest.mark.parametrize("copies", [0, 2])
def test_teachers_are_asked_the_same_whatever_the_share_of_foreign_dyes(
    patches, copies
) -> None:
    labels = [
        draw(
            Batches(
                patches,
                FitOptions(
                    batch_size=4,
                    copies=copies,
                    teachers_share=1.0,
                    foreign_stains=share,
                ),
                Bright(),
            )
        )[1]
        for share in (0.0, 0.5, 1.0)
    ]
    assert torch.equal(labels[0], labels[1])
    assert torch.equal(labels[0], labels[2])


def test_a_copy_is_dyed_anew_each_time_it_is_drawn(patches) -> None:
    options = FitOptions(
        batch_size=4,
        copies=1,
        augmentation=Augmentation().scaled(0),
        foreign_stains=1.0,
    )
    batches = Batches(patches, options, None)
    means = {
        tuple(draw(batches, seed)[0].mean(dim=(0, 1, 2)).tolist()) for seed in range(5)
    }
    assert len(means) == 5


def test_copies_differ_from_each_other(patches) -> None:
    batches = Batches(patches, FitOptions(batch_size=4, copies=2), None)
    sums = {round(float(draw(batches, seed)[0].sum()), 1) for seed in range(20)}
    assert len(sums) == 2


def test_copies_are_no_fewer_than_none() -> None:
    with pytest.raises(OptionError, match="copies is -1"):
        FitOptions(copies=-1)
