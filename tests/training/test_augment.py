"""Augmentation: every change alone, and all of them together."""

from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor

from napari_fastnet.errors import OptionError
from napari_fastnet.training.augment import (
    augment,
    blur,
    compress,
    dye_anew,
    restain,
    turn,
    zoom_and_shift,
)
from napari_fastnet.training.options import Augmentation

NONE = Augmentation(0, 0, 0, 0, 0, 0, 0, 0)


def draws(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def patches(count: int = 16, side: int = 32) -> Tensor:
    shape = (count, side, side, 3)
    return torch.randint(0, 256, shape, generator=draws(1), dtype=torch.uint8)


def test_same_seed_gives_the_same_batch_and_another_does_not() -> None:
    first = augment(patches(), Augmentation(), draws(3))
    torch.testing.assert_close(first, augment(patches(), Augmentation(), draws(3)))
    assert not torch.equal(first, augment(patches(), Augmentation(), draws(4)))


def test_result_is_a_picture_again() -> None:
    strong = Augmentation(1, 0.5, 0.5, 0.5, 1, 1, 0.3, 8)
    result = augment(patches(), strong, draws())
    assert result.shape == (16, 32, 32, 3)
    assert result.dtype == torch.float32
    assert torch.isfinite(result).all()
    assert result.min() >= 0
    assert result.max() <= 1 + 1e-6


def test_nothing_but_turning_when_all_strengths_are_zero() -> None:
    batch = patches()
    expected = turn(batch, draws()).float() / 255
    result = augment(batch, NONE, draws())
    # Black has no logarithm: it comes back as one grey value.
    torch.testing.assert_close(result, expected.clamp(min=1 / 255), rtol=0, atol=1e-4)


def test_turning_gives_all_eight_orientations_of_a_patch() -> None:
    corner = torch.zeros(1, 4, 4, 3, dtype=torch.uint8)
    corner[0, 0, 1] = 255  # no symmetry of the square maps it onto itself
    turned = turn(corner.repeat(200, 1, 1, 1), draws())
    places = {tuple(place) for place in torch.nonzero(turned[..., 0])[:, 1:].tolist()}
    assert places == {
        (0, 1), (0, 2), (1, 0), (2, 0), (3, 1), (3, 2), (1, 3), (2, 3),
    }  # fmt: skip


def test_more_stain_is_darker_and_glass_stays_glass() -> None:
    images = torch.tensor([0.8, 0.5, 0.7]).expand(8, 4, 4, 3).clone()
    images[:, 0, 0] = 1.0
    scaled = restain(images, Augmentation(0.3, 0, 0, 0), draws())
    assert (scaled[:, 0, 0] > 0.999).all()
    brightness = scaled[:, 2, 2].mean(dim=1)
    assert brightness.min() < images[0, 2, 2].mean() < brightness.max()


def test_blur_keeps_the_mean_and_lowers_contrast() -> None:
    images = patches(4).float() / 255
    blurred = blur(images, 1.0, draws())
    torch.testing.assert_close(
        blurred.mean(dim=(1, 2, 3)), images.mean(dim=(1, 2, 3)), rtol=0, atol=0.01
    )
    assert (blurred.std(dim=(1, 2)) < 0.8 * images.std(dim=(1, 2))).all()


def test_blur_of_no_patch_returns_the_batch() -> None:
    images = patches(4).float() / 255
    assert blur(images, 0.0, draws()) is images


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (1.0, 16, 16)])
def test_compression_changes_its_share(share: float, low: int, high: int) -> None:
    batch = patches()
    changed = (compress(batch, share, draws()) != batch).flatten(1).any(dim=1).sum()
    assert low <= changed <= high


def test_scaled_strengths_follow_the_factor_and_shares_stop_at_1() -> None:
    assert Augmentation().scaled(1) == Augmentation()
    assert Augmentation().scaled(0) == NONE
    double = Augmentation(blur=0.7).scaled(2)
    assert (double.stain_scale, double.blur, double.shift_px) == (0.5, 1.0, 8)
    with pytest.raises(OptionError, match="augmentation"):
        Augmentation().scaled(-0.1)


def test_zoom_of_nothing_returns_the_picture() -> None:
    images = patches(3).float() / 255
    torch.testing.assert_close(
        zoom_and_shift(images, NONE, draws()), images, rtol=0, atol=1e-5
    )


def test_shift_moves_by_at_most_what_was_asked() -> None:
    images = torch.zeros(64, 32, 32, 3)
    images[:, 16, 16] = 1
    shifted = zoom_and_shift(images, Augmentation(shift_px=3, zoom=0), draws())
    weight = shifted[..., 0]
    rows = (weight.sum(dim=2) * torch.arange(32)).sum(dim=1) / weight.sum(dim=(1, 2))
    moved = (rows - 16).abs()
    assert 1.5 < moved.max() <= 3.01


def test_dyes_of_other_hues_go_to_their_share_and_glass_stays_glass() -> None:
    batch = patches(200).float() / 255
    changed = dye_anew(batch, 0.3, draws())
    differ = (changed != batch).flatten(1).any(dim=1)
    assert 0.2 < differ.double().mean() < 0.4
    assert changed.shape == batch.shape
    assert changed.min() >= 0
    assert changed.max() <= 1 + 1e-6
    assert torch.equal(dye_anew(batch, 0.0, draws()), batch)

    glass = torch.ones(4, 8, 8, 3)
    torch.testing.assert_close(dye_anew(glass, 1.0, draws()), glass)


def test_dyes_of_other_hues_may_make_red_what_was_blue() -> None:
    blue = torch.tensor([0.45, 0.35, 0.65]).expand(300, 4, 4, 3)  # a nucleus
    red, _, blue_now = dye_anew(blue, 1.0, draws()).mean(dim=(1, 2)).T
    assert 0.1 < (red > blue_now).double().mean() < 0.5
