"""What is written is what is read; what is not whole is not there."""

from __future__ import annotations

import errno
import json
import shutil

import numpy as np
import pytest
import zarr

from napari_fastnet.errors import DataError, OutputError, StoreError
from napari_fastnet.patches.reading import iterate_patches, stored_spacing
from napari_fastnet.patches.store import (
    DrawnPatch,
    begin_store,
    finish_store,
    is_patch_store,
    open_patch_store,
    remove_store,
    reopen_store,
    stored_digest,
    write_slide_patches,
)

SIDE = 700  # 1.5 MB a patch: two in a chunk
OPTIONS = {"patch_px": SIDE, "spacing_um_px": 0.5, "sampling": {"split": "slides"}}


def drawn(number, part=0, side=SIDE):
    rng = np.random.default_rng(number)
    image = np.zeros((side, side, 3), np.uint8)
    image[::7, ::5] = rng.integers(0, 256, 3)
    position = (100.5 * number, 7.0)
    return DrawnPatch(image, position, 1000.0 + number, number % 2, part)


def count(opened, part):
    return len(list(opened.patches(part)))


def write(store, slide, patches, digest="d", **changes):
    options = {
        "side_px": SIDE,
        "facts": {"slide": slide},
        "digest": digest,
    }
    return write_slide_patches(store, slide, patches, **(options | changes))


@pytest.fixture
def store(tmp_path):
    """Two slides: five patches for training, three of two parts."""
    path = tmp_path / "patches.zarr"
    begin_store(path, OPTIONS)
    write(path, "tumor_001", [drawn(n) for n in range(5)])
    write(path, "normal_001", [drawn(5, 1), drawn(6, 0), drawn(7, 2)])
    finish_store(path, ["normal_001", "tumor_001"])
    return path


def test_patches_come_back_as_they_were(store):
    opened = open_patch_store(store)
    assert (opened.patch_px, opened.spacing_um_px, opened.leaks) == (SIDE, 0.5, False)
    found = list(opened.patches(None))
    assert [slide for slide, _ in found] == ["normal_001"] * 3 + ["tumor_001"] * 5
    for (_, patch), number in zip(found, [5, 6, 7, 0, 1, 2, 3, 4], strict=True):
        wanted = drawn(number)
        np.testing.assert_array_equal(patch.image, wanted.image)
        assert (patch.position, patch.weight) == (wanted.position, wanted.weight)
        assert patch.label == wanted.label
    assert opened.facts("tumor_001") == {"slide": "tumor_001"}


def test_parts(store):
    opened = open_patch_store(store)
    counts = [count(opened, part) for part in ("train", "valid", "test", None)]
    assert counts == [6, 1, 1, 8]
    assert [p.weight for _, p in opened.patches("valid")] == [1005]
    with pytest.raises(DataError, match="train, valid, test"):
        count(opened, "validation")


def test_single_patches(store):
    found = open_patch_store(store).read("tumor_001", [3, 0])
    assert [patch.weight for patch in found] == [1003, 1000]


def test_zarr_itself_opens_it(store):
    group = zarr.open_group(store, mode="r")
    images = group["tumor_001/images"]
    assert images.shape == (5, SIDE, SIDE, 3)
    assert images.chunks == (2, SIDE, SIDE, 3)
    assert images.nbytes_stored() < images.nbytes / 10
    assert group["tumor_001/labels"][:].tolist() == [0, 1, 0, 1, 0]
    assert sorted(name for name, _ in group.members()) == ["normal_001", "tumor_001"]


def test_a_slide_without_patches_is_a_result(store):
    write(store, "normal_002", [])
    finish_store(store, ["normal_002"])
    opened = open_patch_store(store)
    assert opened.slides == ("normal_002",)
    assert count(opened, None) == 0
    assert list(opened.patches(None)) == []
    assert not (store / "tumor_001").exists()


def test_a_slide_is_replaced_whole(store):
    write(store, "tumor_001", [drawn(9)], digest="other")
    assert stored_digest(store, "tumor_001") == "other"
    assert count(open_patch_store(store), "train") == 2
    assert stored_digest(store, "absent") is None


def test_what_fails_half_way_leaves_what_was_there(store):
    def patches():
        yield from (drawn(n) for n in range(3))
        raise DataError("the slide is gone")

    with pytest.raises(DataError, match="gone"):
        write(store, "tumor_001", patches())
    assert stored_digest(store, "tumor_001") == "d"
    assert count(open_patch_store(store), None) == 8
    folders = sorted(path.name for path in store.iterdir() if path.is_dir())
    assert folders == ["normal_001", "tumor_001"]


def test_a_disk_that_fails_is_an_output_error(store, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zarr, "create_group", full)
    with pytest.raises(OutputError, match="tumor_001"):
        write(store, "tumor_001", [drawn(1)])


def test_an_unfinished_store_is_not_read(store):
    reopen_store(store)
    with pytest.raises(DataError, match="not finished"):
        open_patch_store(store)
    with pytest.raises(DataError, match="not finished"):
        list(iterate_patches(store))
    finish_store(store, ["tumor_001"])
    assert open_patch_store(store).options == OPTIONS


def test_the_same_options_go_on_and_others_do_not(store):
    begin_store(store, OPTIONS)
    assert count(open_patch_store(store), None) == 8
    with pytest.raises(StoreError, match=r"spacing_um_px.*--fresh"):
        begin_store(store, OPTIONS | {"spacing_um_px": 0.25})


@pytest.mark.parametrize(
    "content", ["", "{}", '{"attributes": 3}', '{"attributes": {}}']
)
def test_other_peoples_zarrs_are_left_alone(tmp_path, content):
    path = tmp_path / "other.zarr"
    path.mkdir()
    (path / "zarr.json").write_text(content)
    assert not is_patch_store(path)
    for action in (lambda: begin_store(path, OPTIONS), lambda: remove_store(path)):
        with pytest.raises(StoreError, match="something else"):
            action()
    with pytest.raises(DataError):
        open_patch_store(path)
    assert (path / "zarr.json").read_text() == content


def test_another_version_is_refused(store):
    document = json.loads((store / "zarr.json").read_text())
    document["attributes"]["napari_fastnet_patches"] = 99
    (store / "zarr.json").write_text(json.dumps(document))
    assert is_patch_store(store)
    with pytest.raises(DataError, match="version"):
        open_patch_store(store)


def test_removed_when_asked(store):
    remove_store(store)
    remove_store(store)
    assert not store.exists()


def chunks(store, array):
    return sorted(
        p for p in (store / "tumor_001" / array / "c").rglob("*") if p.is_file()
    )


@pytest.mark.parametrize("array", ["images", "labels"])
def test_a_chunk_that_is_lost_is_no_black_patch(store, array):
    chunks(store, array)[0].unlink()
    with pytest.raises(DataError, match=r"tumor_001 lacks chunks.*--fresh"):
        list(iterate_patches(store))


@pytest.mark.parametrize("array", ["images", "weights"])
@pytest.mark.parametrize("fault", ["cut", "flipped"])
def test_a_damaged_chunk_is_named(store, array, fault):
    path = chunks(store, array)[-1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content if fault == "flipped" else content[:-3])
    with pytest.raises(DataError, match=r"tumor_001 .*--fresh"):
        list(iterate_patches(store))


def test_a_slide_that_is_lost_is_named(store):
    shutil.rmtree(store / "tumor_001")
    with pytest.raises(DataError, match="tumor_001"):
        list(iterate_patches(store))


def test_it_is_data_like_any_other(store):
    found = list(iterate_patches(store, "train"))
    assert [patch.label for patch in found] == [0, 0, 1, 0, 1, 0]
    names = [patch.name for patch in found]
    assert names[:2] == ["normal_001/0/y603_x7", "tumor_001/0/y0_x7"]
    assert found[1].image.shape == (SIDE, SIDE, 3)
    assert stored_spacing(store) == 0.5
    assert len(list(iterate_patches(store))) == 8


def test_a_part_without_patches_is_named(store):
    finish_store(store, ["tumor_001"])
    with pytest.raises(DataError, match="part valid"):
        list(iterate_patches(store, "valid"))


def test_other_data_state_no_spacing(tmp_path):
    assert stored_spacing(tmp_path) is None
    assert stored_spacing(tmp_path / "absent.tar") is None
