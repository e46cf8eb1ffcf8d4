"""Which files of a folder are slides, and which of them are the same one."""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_fastnet.cohort.slides import find_slides
from napari_fastnet.errors import SlideFormatError
from napari_fastnet.results.recognise import content_of
from napari_fastnet.slide.openslide_reader import dicom_file
from napari_fastnet.slide.slide import open_slide

MPP = 0.972
SERIES = "1.2.826.0.1.3680043.8.498.4711"
LONG = {"OB", "SQ"}


@pytest.fixture(scope="module")
def small(stained):
    return stained.small[256:512, 256:768].copy()


def element(group, number, kind, value):
    if isinstance(value, str):
        value = value.encode()
    elif isinstance(value, int):
        value = struct.pack("<H" if kind == "US" else "<I", value)
    if len(value) % 2:
        value += b"\0" if kind in ("UI", "OB") else b" "
    size = "<HI" if kind in LONG else "<H"
    length = (0, len(value)) if kind in LONG else (len(value),)
    head = struct.pack("<HH", group, number) + kind.encode()
    return head + struct.pack(size, *length) + value


def sequence(group, number, *items, undefined=False):
    marked = [struct.pack("<HHI", 0xFFFE, 0xE000, len(i)) + i for i in items]
    if not undefined:
        return element(group, number, "SQ", b"".join(marked))
    head = struct.pack("<HH", group, number) + b"SQ\0\0\xff\xff\xff\xff"
    return head + b"".join(marked) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def tiles_of(image, side):
    height, width = image.shape[:2]
    tiles = []
    for y in range(0, height, side):
        for x in range(0, width, side):
            tile = np.full((side, side, 3), 255, np.uint8)
            part = image[y : y + side, x : x + side]
            tile[: part.shape[0], : part.shape[1]] = part
            tiles.append(tile)
    return tiles


def encapsulated(streams):
    """Return the pixels as a fragment a tile, behind an empty table of offsets."""
    pixels = struct.pack("<HH", 0x7FE0, 0x10) + b"OB\0\0\xff\xff\xff\xff"
    for stream in (b"", *streams):
        stream += b"\0" * (len(stream) % 2)
        pixels += struct.pack("<HHI", 0xFFFE, 0xE000, len(stream)) + stream
    return pixels + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def dicom(
    path, image, *, series=SERIES, level=0, kind="VOLUME", colours="RGB", encode=None
):
    """Write one file of a slide, its tiles uncompressed or as JPEG 2000."""
    side = 256
    height, width = image.shape[:2]
    tiles = tiles_of(image, side)
    slide, raw = "1.2.840.10008.5.1.4.1.1.77.1.6", "1.2.840.10008.1.2.1"
    pixels = element(0x7FE0, 0x10, "OB", b"".join(tile.tobytes() for tile in tiles))
    if encode is not None:
        raw = f"1.2.840.10008.1.2.4.{91 if colours == 'YBR_ICT' else 90}"
        pixels = encapsulated(map(encode, tiles))
    number = f"{series}.{kind == 'LABEL':d}{level}"
    mm = f"{MPP * 2**level / 1000:.6f}"
    first = level == 0
    words = ("ORIGINAL" if first else "DERIVED", "PRIMARY", kind)
    meta = (
        element(2, 1, "OB", b"\0\1")
        + element(2, 2, "UI", slide)
        + element(2, 3, "UI", number)
        + element(2, 16, "UI", raw)
    )
    sizes = element(0x18, 0x50, "DS", "0.001") + element(
        0x28, 0x30, "DS", f"{mm}\\{mm}"
    )
    # another series is named inside, before the file's own
    elsewhere = element(0x20, 0xE, "UI", "1.2.3")
    body = [
        element(8, 8, "CS", "\\".join((*words, "NONE" if first else "RESAMPLED"))),
        element(8, 0x16, "UI", slide),
        element(8, 0x18, "UI", number),
        element(8, 0x60, "CS", "SM"),
        sequence(8, 0x1115, elsewhere, undefined=True),
        element(0x20, 0xD, "UI", f"{series}.1"),
        element(0x20, 0xE, "UI", series),
        element(0x20, 0x9311, "CS", "TILED_FULL"),
        element(0x28, 2, "US", 3),
        element(0x28, 4, "CS", colours),
        element(0x28, 6, "US", 0),
        element(0x28, 8, "IS", str(len(tiles))),
        element(0x28, 0x10, "US", side),
        element(0x28, 0x11, "US", side),
        element(0x28, 0x100, "US", 8),
        element(0x28, 0x101, "US", 8),
        element(0x28, 0x102, "US", 7),
        element(0x28, 0x103, "US", 0),
        element(0x48, 6, "UL", width),
        element(0x48, 7, "UL", height),
        sequence(0x48, 0x105, element(0x48, 0x106, "SH", "1")),
        element(0x48, 0x302, "UL", 1),
        element(0x48, 0x303, "UL", 1),
        sequence(0x5200, 0x9229, sequence(0x28, 0x9110, sizes)),
        pixels,
    ]
    length = element(2, 0, "UL", len(meta))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(128) + b"DICM" + length + meta + b"".join(body))


@pytest.fixture(scope="module")
def slides(tmp_path_factory, small, half):
    """Return a folder of two DICOM slides, each of several files, and another picture."""
    folder = tmp_path_factory.mktemp("dicom")
    for name, series in (("a", SERIES), ("b", f"{SERIES}.7")):
        dicom(folder / f"{name}-0-label.dcm", small, series=series, kind="LABEL")
        dicom(folder / f"{name}-1.dcm", small, series=series)
        dicom(folder / f"{name}-2", half(small), series=series, level=1)
    return folder


def test_the_files_of_a_dicom_slide_are_one_slide(slides):
    both = [slides / "a-1.dcm", slides / "b-1.dcm"]

    assert find_slides([slides]) == both
    assert find_slides([slides / "*"]) == both
    assert find_slides(sorted(slides.iterdir(), reverse=True)) == both[::-1]


def test_any_file_of_a_dicom_slide_opens_it(slides, small):
    pytest.importorskip("openslide", exc_type=ImportError)
    for path in slides.glob("a-*"):
        with open_slide(path) as slide:
            assert slide.vendor == "dicom"
            assert slide.mpp == pytest.approx((MPP, MPP))
            assert [level.shape for level in slide.levels] == [(256, 512), (128, 256)]
            pixels = slide.read_level(0, 0, 0, 256, 512)
        np.testing.assert_array_equal(pixels, small)


@pytest.mark.parametrize("colours", ["YBR_RCT", "YBR_ICT", "RGB"])
def test_jpeg_2000_in_dicom_is_converted_once(tmp_path, small, colours):
    pytest.importorskip("openslide", exc_type=ImportError)

    def encode(tile):
        lossy = colours == "YBR_ICT"
        options = {"level": 50 if lossy else 0, "reversible": not lossy}
        return imagecodecs.jpeg2k_encode(
            tile, mct=colours != "RGB", codecformat="j2k", **options
        )

    dicom(tmp_path / "a.dcm", small, colours=colours, encode=encode)

    with open_slide(tmp_path / "a.dcm") as slide:
        pixels = slide.read_level(0, 0, 0, *slide.shape)
    assert np.abs(pixels.astype(int) - small).mean() < 1


def test_dicom_that_lacks_the_transform_it_states_is_refused(tmp_path, small):
    pytest.importorskip("openslide", exc_type=ImportError)

    def encode(tile):  # as the slides of Aperio's that hold YCbCr were taken over
        ycbcr = np.asarray(Image.fromarray(tile).convert("YCbCr"))
        options = {"level": 0, "reversible": True, "codecformat": "j2k"}
        return imagecodecs.jpeg2k_encode(ycbcr, mct=False, **options)

    dicom(tmp_path / "a.dcm", small, colours="YBR_ICT", encode=encode)

    with pytest.raises(SlideFormatError, match="colours are not those it states"):
        open_slide(tmp_path / "a.dcm")


def test_why_openslide_does_not_read_what_it_knows_is_told(tmp_path, small):
    pytest.importorskip("openslide", exc_type=ImportError)
    dicom(tmp_path / "a.dcm", small, colours="YBR_PARTIAL_420")

    with pytest.raises(
        SlideFormatError, match=r"OpenSlide does not read it .*YBR_PART"
    ):
        open_slide(tmp_path / "a.dcm")


def test_dicom_of_something_else_is_told(tmp_path, small, tiff):
    tiff(tmp_path / "slide.tif", [(small, {})])
    dicom(tmp_path / "ct.dcm", small)
    content = (tmp_path / "ct.dcm").read_bytes()
    other = b"1.2.840.10008.5.1.4.1.1.77.1.2"
    (tmp_path / "ct.dcm").write_bytes(
        content.replace(b"1.2.840.10008.5.1.4.1.1.77.1.6", other)
    )
    (tmp_path / "cut.dcm").write_bytes(content[:200])
    (tmp_path / "notes").write_text("no slide")
    told = []

    assert find_slides([tmp_path], told.append) == [tmp_path / "slide.tif"]
    assert told == [tmp_path / "ct.dcm", tmp_path / "cut.dcm"]


def test_a_head_of_implicit_kinds_is_read(tmp_path):
    def implicit(group, number, value):
        return struct.pack("<HHI", group, number, len(value)) + value

    nested = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    nested += implicit(0x20, 0xE, b"9.9\0") + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
    nested += struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    body = (
        element(2, 16, "UI", "1.2.840.10008.1.2")
        + implicit(8, 8, b"DERIVED\\PRIMARY\\LABEL ")
        + implicit(8, 0x16, b"1.2.840.10008.5.1.4.1.1.77.1.6")
        + struct.pack("<HHI", 8, 0x1115, 0xFFFFFFFF)
        + nested
        + implicit(0x20, 0xE, b"1.2.3\0")
    )
    path = tmp_path / "a.dcm"
    path.write_bytes(bytes(128) + b"DICM" + body)

    found = dicom_file(path)

    assert found is not None
    assert (found.series, found.is_slide, found.is_volume) == ("1.2.3", True, False)


@pytest.mark.parametrize("extra", ["unassalpha", "assocalpha", "unspecified"])
def test_slides_with_a_fourth_sample_are_found(tmp_path, small, tiff, pyramid, extra):
    rgba = np.dstack([small, np.full(small.shape[:2], 255, np.uint8)])
    path = tiff(
        tmp_path / "rgba.tif",
        pyramid(rgba, 2),
        compression="deflate",
        extrasamples=[extra],
    )

    assert content_of(path) == "slide"
    assert find_slides([tmp_path]) == [path]


def test_a_slide_behind_its_label_or_mask_is_found(tmp_path, small, tiff, pyramid):
    label = {"tile": None, "photometric": "minisblack", "compression": None}
    grey = np.full((100, 60), 230, np.uint8)
    path = tiff(tmp_path / "a.tif", [(grey, label), *pyramid(small, 2)])

    assert content_of(path) == "slide"


def test_pictures_that_are_no_slides_stay_out(tmp_path, small, capfd):
    Image.fromarray(small).convert("RGBA").save(tmp_path / "photograph.tif")
    stack = np.zeros((20, 64, 64), np.uint16)
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="minisblack")

    assert [content_of(path) for path in tmp_path.iterdir()] == [None, None]
    assert capfd.readouterr().err == ""
