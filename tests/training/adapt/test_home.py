"""The patches of home: whole, apart, of half and half, and small."""

from __future__ import annotations

import tarfile
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from napari_fastnet.errors import BundleError
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.model.training_facts import patch_digest
from napari_fastnet.training.adapt.home import home_patches, require_home

FOLDER = Path(str(resources.files("napari_fastnet.training.adapt"))) / "home"


@pytest.mark.parametrize(("name", "count"), [("mixing", 500), ("gate", 300)])
def test_the_package_has_them(name, count) -> None:
    patches = home_patches(name)
    assert patches.images.shape == (count, 96, 96, 3)
    assert patches.tumor.sum() == count // 2
    assert patches.facts.distinct == count
    assert (FOLDER / f"{name}.tar").stat().st_size < 3_000_000


def test_their_source_and_licence_lie_beside_them() -> None:
    words = (FOLDER / "README.md").read_text("utf-8")
    assert "PatchCamelyon" in words
    assert "CC0" in words


def test_no_patch_is_in_both() -> None:
    mixing, gate = (
        {patch_digest(image) for image in home_patches(name).images}
        for name in ("mixing", "gate")
    )
    assert not mixing & gate
    assert None not in mixing | gate


def test_they_say_nothing_of_when_and_by_whom_they_were_packed() -> None:
    for path in FOLDER.glob("*.tar"):
        with tarfile.open(path) as archive:
            for entry in archive:
                assert (entry.mtime, entry.uid, entry.uname) == (0, 0, "")


def test_all_of_them_show_tissue() -> None:
    for name in ("mixing", "gate"):
        grey = home_patches(name).images.mean(axis=3)
        assert ((grey > 225).mean(axis=(1, 2)) <= 0.7).all()
        assert (np.std(home_patches(name).images, axis=(1, 2, 3)) >= 20).all()


def test_a_model_of_other_patches_is_refused(dark_bundle) -> None:
    require_home(load_bundle("fastnet-pcam"))
    with pytest.raises(BundleError, match=r"dark is for patches of 32 px at 2 µm/px"):
        require_home(load_bundle(dark_bundle))
