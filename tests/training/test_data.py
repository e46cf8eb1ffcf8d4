"""What is learned from and judged on: of one kind, apart, and what is odd is said."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from napari_fastnet.errors import DataError
from napari_fastnet.training.adapt.home import home_patches
from napari_fastnet.training.data import (
    read_part,
    read_training_data,
    shared_slides,
)

if TYPE_CHECKING:
    from pathlib import Path


def noise(seed: int, side: int = 32) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (side, side, 3))
    return Image.fromarray(values.astype(np.uint8))


def write(folder: Path, count: int = 40, first: int = 0, side: int = 32) -> Path:
    """Write patches, no two alike, half of each class."""
    for index in range(count):
        path = folder / str(index % 2) / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise(first + index, side).save(path)
    return folder


@pytest.fixture
def parts(tmp_path: Path) -> tuple[Path, Path]:
    return write(tmp_path / "train"), write(tmp_path / "valid", first=1000)


def test_parts_without_a_fault_are_read_without_a_word(parts) -> None:
    train, valid = parts
    data = read_training_data(
        [
            train,
        ],
        valid,
    )
    assert data.warnings == ()
    assert data.slides_apart is None
    assert asdict(data.train.facts[0]) | {"sha256": ""} == {
        "name": "train",
        "normal": 20,
        "tumour": 20,
        "distinct": 40,
        "slides": None,
        "sha256": "",
    }


def test_a_folder_is_not_judged_on_itself(parts) -> None:
    train, _ = parts
    with pytest.raises(DataError, match=r"^40 of 40 patches of train are trained on"):
        read_training_data([train], train)


def test_the_same_patch_under_another_name_and_as_another_file_is_found(parts) -> None:
    train, valid = parts
    noise(4).save(valid / "1" / "renamed.bmp")
    words = r"1 of 41 .* valid: 1/renamed\.bmp \(as train: 0/4\.png\)"
    with pytest.raises(DataError, match=words):
        read_training_data([train], valid)


def test_patches_to_judge_on_as_well_are_none_that_were_learned(
    parts, tmp_path
) -> None:
    train, valid = parts
    also = write(tmp_path / "also", first=2000)
    assert read_training_data([train], valid, [also]).also[0].name == "also"
    noise(4).save(also / "0" / "x.png")
    with pytest.raises(DataError, match="of also are trained on as well"):
        read_training_data([train], valid, [also])


def test_bare_glass_is_alike_everywhere_and_may_be_in_both(parts) -> None:
    for folder in parts:
        Image.new("RGB", (32, 32), (250, 250, 250)).save(folder / "0" / "glass.png")
    assert read_training_data([parts[0]], parts[1]).warnings == ()


def test_a_patch_with_both_labels_is_named(parts) -> None:
    train, valid = parts
    noise(3).save(train / "0" / "copy.png")
    (warning,) = read_training_data([train], valid).warnings
    assert warning.startswith("1 patches are there as normal and as tumor")
    assert "train: 0/copy.png and train: 1/3.png" in warning


def test_slides_in_both_parts_are_named(parts) -> None:
    train, valid = (read_part([path], None) for path in parts)
    train = replace(train, slides=["a", "b"] * 20)
    assert not list(shared_slides(train, replace(valid, slides=["c"] * 40)))
    (warning,) = shared_slides(train, replace(valid, slides=["c", "b"] * 20))
    assert warning.startswith("1 slides of the same name")
    assert "for example b" in warning


def test_copies_are_counted(parts) -> None:
    train, valid = parts
    noise(3).save(train / "1" / "copy.png")
    facts = read_training_data([train], valid).train.facts[0]
    assert (facts.tumour, facts.distinct) == (21, 40)


@pytest.mark.parametrize("count", [1, 19])
def test_a_class_with_hardly_a_patch_is_warned_of(parts, count) -> None:
    train, valid = parts
    for path in sorted((valid / "1").iterdir())[count:]:
        path.unlink()
    (warning,) = read_training_data([train], valid).warnings
    assert warning.startswith(f"valid has {count} patches of a class")


def test_sizes_that_differ_are_named_with_their_files(parts, tmp_path) -> None:
    train, valid = parts
    with pytest.raises(DataError, match="train has patches of 32 px and larger of 48"):
        read_training_data([train], write(tmp_path / "larger", first=3000, side=48))
    noise(9, 48).save(train / "0" / "other.png")
    with pytest.raises(
        DataError, match=r"0/0\.png is 32 x 32 px and 0/other\.png 48 x 48"
    ):
        read_training_data([train], valid)


def test_patches_that_are_not_square_are_refused(tmp_path) -> None:
    for label in "01":
        (tmp_path / label).mkdir()
        Image.new("RGB", (48, 32)).save(tmp_path / label / "a.png")
    with pytest.raises(DataError, match="48 x 32 px; patches must be square"):
        read_training_data([tmp_path], tmp_path)


def test_one_class_alone_is_refused(parts) -> None:
    train, valid = parts
    for path in (train / "1").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="one class only"):
        read_training_data([train], valid)


def test_patches_that_judge_adapted_models_are_not_trained_on(tmp_path) -> None:
    train = write(tmp_path / "train", side=96)
    valid = write(tmp_path / "valid", first=1000, side=96)
    for number, image in enumerate(home_patches("gate").images[:3]):
        Image.fromarray(image).save(train / "0" / f"gate{number}.png")
    data = read_training_data([train], valid)
    assert data.warnings == (
        "3 patches of train are among those by which adapted models are judged, and are "
        "not trained on",
    )
    assert len(data.train.images) == len(data.train.names) == 40
    assert not any("gate" in name for name in data.train.names)
    whole = read_part([train], "train")
    assert data.train.facts == whole.facts  # to know the data again


def test_the_digest_is_of_patches_and_labels_not_of_names(parts, tmp_path) -> None:
    def digest(folder: Path) -> str:
        return read_training_data([folder], parts[1]).train.facts[0].sha256

    train, _ = parts
    before = digest(train)
    (train / "0" / "2.png").rename(train / "0" / "zzz.png")
    assert digest(train) == before
    (train / "0" / "zzz.png").rename(train / "1" / "zzz.png")
    assert digest(train) != before
