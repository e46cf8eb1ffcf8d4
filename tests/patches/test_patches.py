from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from napari_fastnet.errors import DataError
from napari_fastnet.patches.options import MAXIMUM_SIDE_PX
from napari_fastnet.patches.reading import iterate_patches

COLOURS = {"0/a.png": (200, 120, 180), "0/b.png": (10, 20, 30), "1/c.png": (90, 0, 99)}


def read_patches(data):
    return list(iterate_patches(data))


def names(data):
    return [patch.name for patch in iterate_patches(data)]


def labels(data):
    return [patch.label for patch in iterate_patches(data)]


def images(data):
    return [patch.image for patch in iterate_patches(data)]


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


def write_zip(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


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


@pytest.fixture(params=["folder", "tar", "tar.gz", "zip"])
def data(request, files, tmp_path):
    """Return three patches in every form they come in, not in order."""
    shuffled = dict(reversed(files.items()))
    if request.param == "folder":
        return write_folder(tmp_path / "patches", shuffled)
    if request.param == "zip":
        return write_zip(tmp_path / "patches.zip", shuffled)
    mode = "w:gz" if request.param == "tar.gz" else "w"
    return write_tar(tmp_path / f"patches.{request.param}", shuffled, mode)


def test_names_pixels_and_labels_are_read_in_order(data):
    assert names(data) == list(COLOURS)
    assert labels(data) == [0, 0, 1]
    for image, colour in zip(images(data), COLOURS.values(), strict=True):
        assert image.dtype == np.uint8
        assert image.shape == (32, 40, 3)
        assert (image == colour).all()


def test_patches_come_one_by_one(data):
    first = next(iterate_patches(data))
    assert (first.name, first.label) == ("0/a.png", 0)


def test_one_class_alone_is_allowed(files, tmp_path):
    del files["1/c.png"]
    assert labels(write_folder(tmp_path, files)) == [0, 0]


def test_the_label_folders_may_lie_deeper(files, tmp_path):
    path = write_tar(tmp_path / "p.tar", {f"./split/{n}": c for n, c in files.items()})
    assert names(path) == [f"split/{name}" for name in COLOURS]


def test_other_files_and_hidden_ones_are_passed_over(files, tmp_path):
    files |= {"README.md": b"", "0/._a.png": b"", ".trash/1/x.png": b"", "1/x.csv": b""}
    assert names(write_folder(tmp_path, files)) == list(COLOURS)


def test_jpeg_upper_case_and_palette_are_images(tmp_path):
    files = {
        "1/a.JPG": encoded((200, 100, 150), kind="jpeg"),
        "1/b.png": encoded(1, mode="P"),
        "1/c.png": encoded((1, 2, 3, 0), mode="RGBA"),
        "1/d.png": encoded(7, mode="L"),
    }
    found = images(write_folder(tmp_path, files))
    assert {image.shape for image in found} == {(32, 40, 3)}
    assert np.abs(found[0].astype(int) - (200, 100, 150)).max() <= 2
    assert (found[2] == 255).all()  # all of it is transparent
    assert (found[3] == 7).all()


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
    with pytest.raises(DataError, match=r"2/odd\.png lies in no folder of a label"):
        next(iterate_patches(write_folder(tmp_path, files)))


def test_an_image_beside_the_label_folders_is_named(files, tmp_path):
    files["odd.png"] = files["0/a.png"]
    with pytest.raises(DataError, match=r"odd\.png lies in no folder"):
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
    assert images(write_folder(tmp_path, widest))[0].shape[1] == 4096


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
    with pytest.raises(
        DataError, match=r"p\.tar (is no whole tar or zip|holds no images)"
    ):
        read_patches(tmp_path / "p.tar")


def test_nothing_is_unpacked_and_no_path_followed(files, tmp_path):
    outside = {"../1/evil.png": files["1/c.png"], "/1/root.png": files["1/c.png"]}
    path = write_tar(tmp_path / "p.tar", files | outside)
    assert len(names(path)) == 5
    assert [p.name for p in tmp_path.iterdir()] == ["p.tar"]


def sixteen_bits():
    """Return a PNG of 16 bits a channel, of which Pillow keeps the upper 8."""

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", 32, 32, 16, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x0f\xff" * 96) * 32)
    parts = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def several_pictures():
    file, picture = io.BytesIO(), Image.new("RGB", (32, 32))
    picture.save(file, "tiff", save_all=True, append_images=[picture])
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("1/bad.png", sixteen_bits(), "16 bits a channel"),
        ("1/bad.tif", several_pictures(), "several pictures"),
        ("1/bad.jpg", encoded((1, 2, 3, 4), mode="CMYK", kind="jpeg"), "kind CMYK"),
        ("1/bad.jp2", b"", "kind that is not read"),
        ("tumor/bad.npy", b"", "kind that is not read"),
    ],
)
def test_what_would_be_read_wrong_is_refused(name, content, message, files, tmp_path):
    files[name] = content
    with pytest.raises(DataError, match=message) as caught:
        read_patches(write_folder(tmp_path, files))
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("mode", "colour", "seen"),
    [
        ("RGBA", (200, 100, 50, 255), (200, 100, 50)),
        ("RGBA", (200, 100, 55, 51), (244, 224, 215)),  # a fifth of it over white
        ("LA", (100, 0), (255, 255, 255)),
        ("LA", (100, 255), (100, 100, 100)),
    ],
)
def test_what_is_transparent_is_white(mode, colour, seen, tmp_path):
    files = {"1/a.png": encoded(colour, mode=mode)}
    (image,) = images(write_folder(tmp_path, files))
    assert np.abs(image.astype(int) - seen).max() <= 1


def test_a_palette_s_transparent_colour_is_white(tmp_path):
    file, picture = io.BytesIO(), Image.new("P", (40, 32), 1)
    picture.putpalette([0, 0, 0, 90, 0, 99])
    picture.paste(0, (0, 0, 20, 32))
    picture.save(file, "png", transparency=0)
    (image,) = images(write_folder(tmp_path, {"1/a.png": file.getvalue()}))
    assert (image[:, :20] == 255).all()
    assert (image[:, 20:] == (90, 0, 99)).all()


def test_folders_may_be_called_normal_and_tumor(files, tmp_path):
    wanted = {
        "normal/a.png": 0,
        "Normal/b.png": 0,
        "0/e.png": 0,
        "tumor/c.png": 1,
        "x/tumour/d.png": 1,
    }
    data = write_folder(tmp_path, dict.fromkeys(wanted, files["0/a.png"]))
    assert {patch.name: patch.label for patch in iterate_patches(data)} == wanted


@pytest.mark.parametrize("name", ["normal/1/a.png", "1/normal/a.png", "tumor/0/a.png"])
def test_folders_that_contradict_each_other_are_refused(name, files, tmp_path):
    data = write_folder(tmp_path, {name: files["0/a.png"]})
    with pytest.raises(DataError, match=name):
        read_patches(data)


@pytest.mark.parametrize("packed", [False, True])
def test_hdf5_is_called_by_its_name(packed, tmp_path):
    content = b"\x89HDF\r\n\x1a\n" + bytes(2000)
    path = tmp_path / ("x.h5.gz" if packed else "x.h5")
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataError, match=r"is HDF5.*0/ and 1/") as caught:
        read_patches(path)
    assert "\n" not in str(caught.value)


def test_a_damaged_or_locked_zip_is_one_line(files, tmp_path):
    path = write_zip(tmp_path / "p.zip", files)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"p\.zip is damaged"):
        read_patches(path)
    locked = bytearray(whole)
    locked[locked.index(b"PK\x01\x02") + 8] |= 1  # of the first file in the list
    path.write_bytes(bytes(locked))
    with pytest.raises(DataError, match=r"0/a\.png is encrypted"):
        read_patches(path)
    path.write_bytes(b"something else" * 100)
    with pytest.raises(DataError, match="no whole tar or zip") as caught:
        read_patches(path)
    assert "\n" not in str(caught.value)
