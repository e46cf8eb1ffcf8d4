"""Files as other programs and scanners write them show the picture that is in them."""

from __future__ import annotations

import base64
import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageFilter
from typer.testing import CliRunner

from napari_fastnet.cli.app import app
from napari_fastnet.errors import SlideFormatError
from napari_fastnet.io.slide import open_slide

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


def scn(path, tiff, half, areas, size):
    """Write a Leica file of (picture, x, y, levels, nm/px) areas."""
    settings = (
        "<creationDate>2020</creationDate><device model='m' version='v'/><scanSettings>"
        "<objectiveSettings><objective>10</objective></objectiveSettings>"
        "<illuminationSettings><numericalAperture>0.3</numericalAperture>"
        "<illuminationSource>brightfield</illuminationSource></illuminationSettings>"
        "</scanSettings>"
    )
    xml, pages = "", []
    for image, x, y, levels, nm in areas:
        height, width = image.shape[:2]
        dimensions = ""
        for level in range(levels):
            dimensions += (
                f"<dimension sizeX='{image.shape[1]}' sizeY='{image.shape[0]}' "
                f"r='{level}' ifd='{len(pages)}'/>"
            )
            pages.append(image)
            image = half(image)
        xml += (
            f"<image name='i{len(pages)}'>{settings}<pixels sizeX='{width}' "
            f"sizeY='{height}'>{dimensions}</pixels><view sizeX='{width * nm}' "
            f"sizeY='{height * nm}' offsetX='{x * nm}' offsetY='{y * nm}'/></image>"
        )
    xml = (
        "<?xml version='1.0'?><scn xmlns='http://www.leica-microsystems.com/scn/2010/10/"
        f"01'><collection sizeX='{size[1]}' sizeY='{size[0]}'>{xml}</collection></scn>"
    )
    return tiff(
        path,
        [
            (page, {"description": xml if i == 0 else None})
            for i, page in enumerate(pages)
        ],
        compression="deflate",
    )


@pytest.mark.parametrize(
    "place",
    [(487, 700, 60, 100), (257, 511, 0, 3), (512, 512, 255, 1), (300, 700, 199, 99)],
)
def test_areas_of_leica_may_end_within_a_tile(tmp_path, small, tiff, half, place):
    height, width, y, x = place
    nm, size = 972, (800, 900)
    macro = np.full((80, 90, 3), 240, np.uint8)
    area = small[:height, :width]
    path = scn(
        tmp_path / "a.scn",
        tiff,
        half,
        [(macro, 0, 0, 1, 10 * nm), (area, x, y, 2, nm)],
        (size[0] * nm, size[1] * nm),
    )
    expected = np.full((*size, 3), 255, np.uint8)
    expected[y : y + height, x : x + width] = area

    np.testing.assert_array_equal(whole(path), expected)
    with open_slide(path) as slide:  # what ends just behind an edge
        part = slide.read_level(0, y + height - 3, x + width - 3, 9, 9)
        np.testing.assert_array_equal(
            part,
            np.pad(expected, ((0, 9), (0, 9), (0, 0)), constant_values=255)[
                y + height - 3 :, x + width - 3 :
            ][:9, :9],
        )


def bif(path, tiff, true, tile=64, overlap=8):
    """Write a Ventana file whose tiles overlap, in a serpentine from below."""
    step = tile - overlap
    rows, columns = ((side - overlap) // step for side in true.shape[:2])

    def number(row, column):
        row = rows - 1 - row
        return row * columns + (column if row % 2 == 0 else columns - 1 - column) + 1

    stored = np.zeros((rows * tile, columns * tile, 3), np.uint8)
    joints = []
    joint = (
        '<TileJointInfo FlagJoined="1" Confidence="100" Direction="{}" Tile1="{}" '
        'Tile2="{}" OverlapX="{}" OverlapY="{}"/>'
    )
    for row in range(rows):
        for column in range(columns):
            y, x = row * step, column * step
            here = number(row, column)
            stored[
                row * tile : (row + 1) * tile, column * tile : (column + 1) * tile
            ] = true[y : y + tile, x : x + tile]
            if column + 1 < columns:
                right = number(row, column + 1)
                joints.append(joint.format("RIGHT", here, right, overlap, 0))
            if row:
                above = number(row - 1, column)
                joints.append(joint.format("UP", here, above, 0, overlap))
    scan = f'<iScan Magnification="10" ScanRes="{MPP}"/>'
    info = (
        f'<?xml version="1.0"?><EncodeInfo Ver="2"><SlideInfo>{scan}</SlideInfo>'
        '<SlideStitchInfo><ImageInfo AOIScanned="1" AOIIndex="0" '
        f'NumCols="{columns}" NumRows="{rows}" Width="{tile}" Height="{tile}" Pos-X="0" '
        f'Pos-Y="0">{"".join(joints)}</ImageInfo></SlideStitchInfo><AoiOrigin><AOI0 '
        'OriginX="0" OriginY="0"/></AoiOrigin></EncodeInfo>'
    )

    def xmp(text):
        return [(700, 1, len(text) + 1, text.encode() + b"\0", True)]

    plain = {
        "tile": None,
        "compression": None,
        "software": "ScanOutputManager 1.1",
        "resolution": (1, 1),
        "resolutionunit": "INCH",
    }
    label = {
        "description": "Label_Image",
        "extratags": xmp(f"<Metadata>{scan}</Metadata>"),
    }
    level = {
        "tile": (tile, tile),
        "compression": "jpeg",
        "compressionargs": {"level": 95},
    }
    pages = [
        (np.full((96, 64, 3), 230, np.uint8), {**plain, **label}),
        (
            stored,
            {
                **plain,
                **level,
                "description": "level=0 mag=10 quality=95",
                "extratags": xmp(info),
            },
        ),
    ]
    return tiff(path, pages), true[: rows * step + overlap, : columns * step + overlap]


def test_overlapping_tiles_of_ventana_are_put_together(tmp_path, small, tiff, recwarn):
    pytest.importorskip("openslide", exc_type=ImportError)
    path, true = bif(tmp_path / "a.bif", tiff, small)

    assert off(path, true) < 2
    assert not recwarn.list


def test_ventana_is_refused_where_nobody_puts_it_together(
    tmp_path, small, tiff, monkeypatch
):
    path, _ = bif(tmp_path / "a.bif", tiff, small[:200, :200])
    monkeypatch.setitem(__import__("sys").modules, "openslide", None)

    with pytest.raises(SlideFormatError, match=r"overlapping.*pip install .*openslide"):
        open_slide(path)


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


@pytest.mark.parametrize("size_of_macro", [None, 3.3])
def test_the_largest_image_of_ome_is_the_slide(tmp_path, small, half, size_of_macro):
    path = tmp_path / "a.ome.tif"
    macro = np.asarray(Image.fromarray(small).resize((200, 150)))
    own = {} if size_of_macro is None else dict.fromkeys(SIZE, size_of_macro)
    options = {"photometric": "rgb", "compression": "deflate", "tile": (128, 128)}
    with tifffile.TiffWriter(path, ome=True) as tif:
        tif.write(macro, metadata={"axes": "YXS", "Name": "macro", **own}, **options)
        about = {"axes": "YXS", "Name": "slide", **SIZE}
        tif.write(small, metadata=about, subifds=1, **options)
        tif.write(half(small), subfiletype=1, metadata=None, **options)

    np.testing.assert_array_equal(whole(path), small)
    with open_slide(path) as slide:
        assert (len(slide.levels), slide.mpp_source) == (2, "OME")
        assert slide.reading_notes == ()


@pytest.mark.parametrize("order", ["label first", "smallest first", "thumbnail first"])
def test_the_largest_page_is_the_slide(tmp_path, small, tiff, pyramid, order):
    pages = pyramid(small, compression="deflate")
    if order == "smallest first":
        pages = pages[::-1]
    elif order == "label first":
        pages = [(np.full((100, 60, 3), 230, np.uint8), {"tile": None}), *pages]
    else:
        pages = [pages.pop(), *pages]
    path = tiff(tmp_path / "a.tif", pages)

    np.testing.assert_array_equal(whole(path), small)


def test_a_second_image_as_large_is_told_of(tmp_path, small):
    path = tmp_path / "two.ome.tif"
    options = {"photometric": "rgb", "tile": (128, 128)}
    with tifffile.TiffWriter(path, ome=True) as tif:
        for name, image in (("upper", small[:384]), ("all", small)):
            about = {"axes": "YXS", "Name": name, **SIZE}
            tif.write(np.ascontiguousarray(image), metadata=about, **options)

    np.testing.assert_array_equal(whole(path), small)
    with open_slide(path) as slide:
        (note,) = slide.reading_notes
    assert "2 large images; the largest (all), 768 x 512 px" in note
    assert note.endswith("768 x 384 px")


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


def blurred(image):
    blurring = ImageFilter.GaussianBlur(4)
    return np.asarray(Image.fromarray(image).filter(blurring))


def test_the_focal_plane_in_the_middle_is_read_and_said(tmp_path, small):
    path = tmp_path / "z.ome.tif"
    far = blurred(small)
    tifffile.imwrite(
        path,
        np.stack([far, far, small, far, far]),
        photometric="rgb",
        compression="deflate",
        tile=(256, 256),
        metadata={"axes": "ZYXS", **SIZE},
    )

    np.testing.assert_array_equal(whole(path), small)
    with open_slide(path) as slide:
        assert slide.mpp_source == "OME"
    said = CliRunner().invoke(app, ["info", str(path)])
    assert said.stderr == (
        "z.ome.tif: has 5 focal planes; number 3, the middle one, is read\n"
    )


def test_hamamatsus_plane_in_focus_is_read(tmp_path, small, tiff):
    def page(image, offset):
        tags = [
            (65420, 4, 1, 1, True),
            (65421, 11, 1, 10.0, True),
            (65424, 9, 1, offset, True),
            (271, 2, 0, "Hamamatsu", True),
        ]
        return image, {"extratags": tags}

    pages = [page(small, 0), page(blurred(small), -4000), page(blurred(small), 4000)]
    path = tiff(tmp_path / "a.tif", pages, compression="deflate")

    np.testing.assert_array_equal(whole(path), small)
    with open_slide(path) as slide:
        assert slide.vendor == "hamamatsu"
        assert slide.reading_notes == (
            "has 3 focal planes; number 1, the one focused on, is read",
        )


def test_a_stack_of_unknown_kind_is_refused(tmp_path, small):
    path = tmp_path / "z.tif"
    tifffile.imwrite(path, np.stack([small] * 3), photometric="rgb", tile=(256, 256))

    with pytest.raises(SlideFormatError, match="holds 3 pictures of 768 x 512 px"):
        open_slide(path)


def test_aperios_number_may_have_a_comma(tmp_path, small, tiff):
    about = "Aperio Image Library\r\n1x1 JPEG|AppMag = 10|MPP = 0,972000|Left = 29"
    path = tiff(tmp_path / "a.svs", [(small, {"description": about})], mpp=2)

    with open_slide(path) as slide:
        assert (slide.mpp, slide.mpp_source) == ((MPP, MPP), "vendor")


def test_aperios_field_without_a_number_leaves_the_tag(tmp_path, small, tiff):
    about = "Aperio Image Library\r\n1x1 JPEG|AppMag = 10|MPP = unknown|Left = 29"
    path = tiff(tmp_path / "a.svs", [(small, {"description": about})])

    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx((MPP, MPP))
        assert slide.mpp_source == "resolution tag"


def test_a_colour_profile_is_named_and_not_applied(tmp_path, small, tiff):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    path = tiff(
        tmp_path / "a.tif",
        [(small, {"iccprofile": profile.tobytes()})],
        compression="deflate",
    )

    np.testing.assert_array_equal(whole(path), small)
    said = CliRunner().invoke(app, ["info", str(path)])
    assert "as stored; the ICC profile sRGB built-in is not applied" in said.stdout
    assert said.stderr == ""
