from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from napari_fastnet.errors import DataError
from napari_fastnet.io.patches import MAXIMUM_SIDE_PX, iterate_patches, read_patches

COLOURS = {"0/a.png": (200, 120, 180), "0/b.png": (10, 20, 30), "1/c.png": (90, 0, 99)}


def encoded(colour, size=(40, 32), mode="RGB", kind="png"):
    """Return the bytes of a one-coloured image of (width, height)."""
    file = io.BytesIO()
    Image.new(mode, size, colour).save(file, kind)
    return file.getvalue()


def write_folder(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def write_tar(path, files, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


@pytest.fixture
def files():
    return {name: encoded(colour) for name, colour in COLOURS.items()}


@pytest.fixture(params=["folder", "tar", "tar.gz"])
def data(request, files, tmp_path):
    """Return three patches in every form they come in, not in order."""
    shuffled = dict(reversed(files.items()))
    if request.param == "folder":
        return write_folder(tmp_path / "patches", shuffled)
    mode = "w:gz" if request.param == "tar.gz" else "w"
    return write_tar(tmp_path / f"patches.{request.param}", shuffled, mode)


def test_names_pixels_and_labels_are_read_in_order(data):
    found = read_patches(data)
    assert found.names == list(COLOURS)
    assert found.labels.tolist() == [0, 0, 1]
    for image, colour in zip(found.images, COLOURS.values(), strict=True):
        assert image.dtype == np.uint8
        assert image.shape == (32, 40, 3)
        assert (image == colour).all()


def test_patches_come_one_by_one(data):
    first = next(iterate_patches(data))
    assert (first.name, first.label) == ("0/a.png", 0)


def test_one_class_alone_is_allowed(files, tmp_path):
    del files["1/c.png"]
    assert read_patches(write_folder(tmp_path, files)).labels.tolist() == [0, 0]


def test_the_label_folders_may_lie_deeper(files, tmp_path):
    path = write_tar(tmp_path / "p.tar", {f"./split/{n}": c for n, c in files.items()})
    assert read_patches(path).names == [f"split/{name}" for name in COLOURS]


def test_other_files_and_hidden_ones_are_passed_over(files, tmp_path):
    files |= {"README.md": b"", "0/._a.png": b"", ".trash/1/x.png": b"", "1/x.csv": b""}
    assert read_patches(write_folder(tmp_path, files)).names == list(COLOURS)


def test_jpeg_upper_case_and_palette_are_images(tmp_path):
    files = {
        "1/a.JPG": encoded((200, 100, 150), kind="jpeg"),
        "1/b.png": encoded(1, mode="P"),
        "1/c.png": encoded((1, 2, 3, 0), mode="RGBA"),
        "1/d.png": encoded(7, mode="L"),
    }
    images = read_patches(write_folder(tmp_path, files)).images
    assert {image.shape for image in images} == {(32, 40, 3)}
    assert np.abs(images[0].astype(int) - (200, 100, 150)).max() <= 2
    assert (images[2] == (1, 2, 3)).all()
    assert (images[3] == 7).all()


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no file or folder .*none\.tar"):
        read_patches(tmp_path / "none.tar")


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_data_without_images_are_refused(kind, tmp_path):
    empty = write_folder(tmp_path, {"0/notes.txt": b""})
    if kind == "tar":
        empty = write_tar(tmp_path / "p.tar", {})
    with pytest.raises(DataError, match="holds no images"):
        read_patches(empty)


def test_an_image_without_a_label_is_named_before_any_is_read(files, tmp_path):
    files |= {"0/broken.png": b"", "2/odd.png": files["0/a.png"]}
    with pytest.raises(DataError, match=r"2/odd\.png lies in neither 0/ nor 1/"):
        next(iterate_patches(write_folder(tmp_path, files)))


def test_an_image_beside_the_label_folders_is_named(files, tmp_path):
    files["odd.png"] = files["0/a.png"]
    with pytest.raises(DataError, match=r"odd\.png lies in neither"):
        read_patches(write_tar(tmp_path / "p.tar", files))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no image Pillow knows"),
        (b"not an image", "no image Pillow knows"),
        (encoded((1, 2, 3))[:-30], "cannot be read"),
        (encoded((1, 2, 3), kind="jpeg")[:-200], "cannot be read"),
        (encoded(500, mode="I;16"), "8-bit RGB"),
        (encoded((1, 2, 3), size=(MAXIMUM_SIDE_PX + 1, 1)), "4097 x 1 px"),
    ],
)
@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_a_bad_image_is_named(kind, content, message, files, tmp_path):
    files["1/bad.png"] = content
    data = write_folder(tmp_path, files)
    if kind == "tar":
        data = write_tar(tmp_path / "p.tar", files)
    with pytest.raises(DataError, match=message) as caught:
        read_patches(data)
    assert "1/bad.png" in str(caught.value)
    assert str(data) in str(caught.value)


def test_the_largest_image_is_read(tmp_path):
    widest = {"0/a.png": encoded((1, 2, 3), size=(MAXIMUM_SIDE_PX, 1))}
    assert read_patches(write_folder(tmp_path, widest)).images[0].shape[1] == 4096


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
def test_a_truncated_tar_is_refused(mode, files, tmp_path):
    files["1/noise.png"] = np.random.default_rng(0).bytes(30_000)
    path = write_tar(tmp_path / "p.tar", files, mode)
    path.write_bytes(path.read_bytes()[:9_000])
    with pytest.raises(DataError, match=r"p\.tar"):
        read_patches(path)


@pytest.mark.parametrize("content", [b"", b"something else" * 100])
def test_a_file_that_is_no_tar_is_refused(content, tmp_path):
    (tmp_path / "p.tar").write_bytes(content)
    with pytest.raises(DataError, match=r"p\.tar (is no whole tar|holds no images)"):
        read_patches(tmp_path / "p.tar")


def test_nothing_is_unpacked_and_no_path_followed(files, tmp_path):
    outside = {"../1/evil.png": files["1/c.png"], "/1/root.png": files["1/c.png"]}
    path = write_tar(tmp_path / "p.tar", files | outside)
    assert len(read_patches(path).names) == 5
    assert [p.name for p in tmp_path.iterdir()] == ["p.tar"]
