"""Samples of every kind come out in the colours that were meant, once, or are refused."""

from __future__ import annotations

import base64
import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_fastnet.errors import SlideFormatError
from napari_fastnet.slide.slide import open_slide

MPP = 0.972
SIZE = {"PhysicalSizeX": MPP, "PhysicalSizeY": MPP}


@pytest.fixture(scope="module")
def small(stained):
    """Return a part of the picture, 512 x 768 px, with tissue and glass."""
    return stained.small[256:768, 256:1024].copy()


def whole(path):
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx((MPP, MPP), rel=1e-5)
        pixels = slide.read_level(0, 0, 0, *slide.shape, damaged="white")
        assert slide.damaged == ()
    return pixels


def off(path, image):
    """Return how far a file's px are from a picture, grey values on average."""
    pixels = whole(path)
    assert pixels.shape == image.shape
    return np.abs(pixels.astype(int) - image).mean()


def test_jpeg_2000_of_bio_formats_is_rgb(tmp_path, small):
    path = tmp_path / "exported.ome.tif"
    tifffile.imwrite(
        path,
        small,
        ome=True,
        photometric="rgb",
        compression=33003,
        tile=(256, 256),
        compressionargs={
            "level": 0,
            "reversible": True,
            "mct": True,
            "codecformat": "j2k",
        },
        metadata={"axes": "YXS", **SIZE},
    )

    np.testing.assert_array_equal(whole(path), small)


def ycbcr(image):
    r, g, b = (image[..., i].astype(float) for i in range(3))
    y = 0.299 * r + 0.587 * g + 0.114 * b
    planes = y, 128 + (b - y) / 1.772, 128 + (r - y) / 1.402
    return np.clip(np.rint(np.stack(planes, -1)), 0, 255).astype(np.uint8)


def raw_tiff(path, shape, tiles, side, kind, about):
    """Write a little TIFF of encoded tiles, (compression, photometric), by hand."""
    compression, photometric = kind
    blob = bytearray(b"II*\0\0\0\0\0")

    def put(data):
        place = len(blob)
        blob.extend(data + b"\0" * (len(data) % 2))
        return place

    def longs(values):
        return (
            put(struct.pack(f"<{len(values)}I", *values)) if values[1:] else values[0]
        )

    places = [put(tile) for tile in tiles]
    text = about.encode() + b"\0"
    ratio = put(struct.pack("<II", round(1e6 / MPP), 100))
    bits = put(struct.pack("<3H", 8, 8, 8))
    tags = [
        (256, 4, 1, shape[1]),
        (257, 4, 1, shape[0]),
        (258, 3, 3, bits),
        (259, 3, 1, compression),
        (262, 3, 1, photometric),
        (270, 2, len(text), put(text)),
        (277, 3, 1, 3),
        (282, 5, 1, ratio),
        (283, 5, 1, ratio),
        (284, 3, 1, 1),
        (296, 3, 1, 3),
        (322, 3, 1, side),
        (323, 3, 1, side),
        (324, 4, len(tiles), longs(places)),
        (325, 4, len(tiles), longs([len(tile) for tile in tiles])),
    ]
    page = struct.pack("<H", len(tags))
    page += b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    blob[4:8] = struct.pack("<I", put(page))
    path.write_bytes(bytes(blob))
    return path


def tiles_of(image, side, encode):
    height, width = image.shape[:2]
    return [
        encode(np.ascontiguousarray(image[y : y + side, x : x + side]))
        for y in range(0, height, side)
        for x in range(0, width, side)
    ]


APERIO = f"Aperio Image Library v11\r\n1x1 J2K/YUV16 Q=70|AppMag = 10|MPP = {MPP}"


def test_jpeg_2000_in_ycbcr_of_aperio(tmp_path, small):
    def encode(tile):
        options = {"level": 0, "reversible": True, "mct": False}
        return imagecodecs.jpeg2k_encode(ycbcr(tile), codecformat="j2k", **options)

    tiles = tiles_of(small, 256, encode)
    path = raw_tiff(tmp_path / "a.svs", small.shape, tiles, 256, (33003, 6), APERIO)

    assert off(path, small) < 1


# 64 x 64 px of Y 100, Cb 90, Cr 160, the last two at half the width, as Aperio's
# "YUV16"; OpenJPEG turns it to RGB while it decodes.
HALF_CHROMA = base64.b64decode(
    "/0//UQAvAAAAAABAAAAAQAAAAAAAAAAAAAAAQAAAAEAAAAAAAAAAAAADBwEBBwIBBwIB/1IADAAAAAEA"
    "BQQEAAH/XAATQEBISFBISFBISFBISFBISFD/kAAKAAAAAAAvAAH/k8PnCAiBjn/H1AYJH3/H1AQCf4CA"
    "gICAgICAgICAgICAgP/Z"
)


@pytest.mark.parametrize("photometric", [2, 6])
def test_chroma_of_half_the_width_is_converted_once(tmp_path, photometric):
    path = raw_tiff(
        tmp_path / "a.svs", (64, 64), [HALF_CHROMA], 64, (33003, photometric), APERIO
    )

    # 100 + 1.402 * 32, 100 - 0.344 * -38 - 0.714 * 32, 100 + 1.772 * -38
    assert np.abs(whole(path).astype(int) - [145, 90, 33]).max() <= 1


def test_what_calls_itself_ycbcr_in_jpeg_xr_is_refused_when_it_is_opened(
    tmp_path, small
):
    tiles = tiles_of(small, 256, imagecodecs.jpegxr_encode)
    path = raw_tiff(tmp_path / "a.tif", small.shape, tiles, 256, (34934, 6), "x")

    with pytest.raises(SlideFormatError, match="YCbCr in compression 34934"):
        open_slide(path)


def test_a_fourth_sample_of_unknown_meaning_is_no_opacity(tmp_path, small, tiff):
    nothing = np.zeros(small.shape[:2], np.uint8)
    path = tiff(
        tmp_path / "rgbx.tif",
        [(np.dstack([small, nothing]), {})],
        compression="deflate",
        planarconfig="contig",
        extrasamples=["unspecified"],
    )

    np.testing.assert_array_equal(whole(path), small)


@pytest.mark.parametrize("kind", ["assocalpha", "unassalpha"])
def test_half_transparent_px_lie_over_white(tmp_path, small, tiff, pyramid, kind):
    y, x = np.mgrid[: small.shape[0], : small.shape[1]]
    alpha = np.clip(3 * (300 - np.hypot(y - 256, x - 384)), 0, 255).astype(np.uint8)
    share = alpha[..., None] / 255
    colour = small * share if kind == "assocalpha" else np.where(share, small, 0)
    clear = np.dstack([np.rint(colour).astype(np.uint8), alpha])
    path = tiff(
        tmp_path / "a.tif",
        pyramid(clear),
        compression="deflate",
        extrasamples=[kind],
    )

    over_white = small * share + 255 * (1 - share)
    assert np.abs(whole(path) - over_white).max() <= 1
    # what is opaque is as it was
    np.testing.assert_array_equal(whole(path)[alpha == 255], small[alpha == 255])


def save(path, small, mode, **options):
    """Write a picture with Pillow in a mode of its own."""
    image = Image.fromarray(small).convert(mode)
    image.save(path, dpi=(25400 / MPP, 25400 / MPP), **options)
    return path


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
def test_ycbcr_without_a_codec_of_its_own_is_converted(tmp_path, small, compression):
    path = save(tmp_path / "a.tif", small, "YCbCr", compression=compression)

    assert off(path, small) < 1


@pytest.mark.parametrize("mode", ["CMYK", "P", "LAB", "1", "LA"])
def test_other_colours_are_refused_in_a_line(tmp_path, small, mode):
    path = save(tmp_path / "a.tif", small, mode)

    with pytest.raises(
        SlideFormatError, match=r"the pixels are .*convert it"
    ) as caught:
        open_slide(path)
    assert "\n" not in str(caught.value)


def test_four_bits_a_sample_are_refused(tmp_path, small):
    def packed(tile):
        high, low = tile[:, ::2, 1] // 16, tile[:, 1::2, 1] // 16
        return (high * 16 + low).astype(np.uint8).tobytes()

    tiles = tiles_of(small, 256, packed)
    path = raw_tiff(tmp_path / "a.tif", small.shape, tiles, 256, (1, 1), "x")
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages[0].tags["SamplesPerPixel"].overwrite(1)
        tif.pages[0].tags["BitsPerSample"].overwrite(4)

    with pytest.raises(SlideFormatError, match="4 bits"):
        open_slide(path)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", ["lzw", "deflate", "jpeg"])
def test_either_order_of_bytes_and_a_predictor(
    tmp_path, small, tiff, order, compression
):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        small,
        byteorder=order,
        photometric="rgb",
        compression=compression,
        predictor=compression != "jpeg",
        tile=(128, 128),
        resolution=(1e4 / MPP, 1e4 / MPP),
        resolutionunit="CENTIMETER",
        metadata=None,
    )

    assert off(path, small) < (1 if compression == "jpeg" else 1e-9)


def abbreviated(stream):
    """Return a JPEG's tables, and the stream without them."""
    at, tables, rest = 2, b"\xff\xd8", b"\xff\xd8"
    while stream[at + 1] != 0xDA:
        size = int.from_bytes(stream[at + 2 : at + 4], "big") + 2
        if stream[at + 1] in (0xDB, 0xC4):
            tables += stream[at : at + size]
        elif stream[at + 1] != 0xE0:
            rest += stream[at : at + size]
        at += size
    return tables + b"\xff\xd9", rest + stream[at:]


@pytest.mark.parametrize(("inside", "photometric"), [("RGB", 2), ("YCBCR", 6)])
def test_jpeg_tables_of_the_page_are_used(tmp_path, small, inside, photometric):
    def encode(tile):
        return imagecodecs.jpeg_encode(
            tile, level=95, colorspace="RGB", outcolorspace=inside, subsampling="444"
        )

    parts = [abbreviated(stream) for stream in tiles_of(small, 256, encode)]
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        tif.write(
            iter([stream for _, stream in parts]),
            shape=small.shape,
            dtype="uint8",
            photometric="rgb" if photometric == 2 else "ycbcr",
            subsampling=(1, 1) if photometric == 6 else None,
            compression="jpeg",
            jpegtables=parts[0][0],
            tile=(256, 256),
            resolution=(1e4 / MPP, 1e4 / MPP),
            resolutionunit="CENTIMETER",
            metadata=None,
        )

    assert off(path, small) < 1


def test_sycc_declared_in_a_jp2_header_is_converted_once(tmp_path, small):
    def encode(tile):
        return imagecodecs.jpeg2k_encode(
            ycbcr(tile), codecformat="jp2", colorspace="SYCC", level=0, reversible=True
        )

    tiles = tiles_of(small, 256, encode)
    path = raw_tiff(tmp_path / "a.tif", small.shape, tiles, 256, (34712, 6), "x")

    assert off(path, small) < 1


@pytest.mark.parametrize("compression", ["webp", "jpeg2000"])
def test_opacity_inside_a_codec_lies_over_white(tmp_path, small, tiff, compression):
    clear = np.dstack([small, np.full(small.shape[:2], 51, np.uint8)])
    lossless = {"lossless": True} if compression == "webp" else {"level": 0}
    path = tiff(
        tmp_path / "a.tif",
        [(clear, {"compressionargs": lossless})],
        compression=compression,
        extrasamples=["unassalpha"],
    )

    assert np.abs(whole(path) - (0.2 * small + 204)).max() <= 1
