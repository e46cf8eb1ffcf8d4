"""Every kind of TIFF gives the pixels that were written, or says why not."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_fastnet.core.geometry import Box
from napari_fastnet.errors import SlideFormatError, TileReadError
from napari_fastnet.slide.notes import bounds_notes
from napari_fastnet.slide.slide import open_slide, slide_rows


@pytest.fixture(scope="module")
def image(texture):
    return texture(320, 256)


def whole(path):
    with open_slide(path) as slide:
        return slide.read_level(0, 0, 0, *slide.shape)


@pytest.mark.parametrize("sub_ifds", [False, True])
def test_generic_pyramids_give_all_levels(tmp_path, image, write_tiff, sub_ifds):
    path = write_tiff(
        tmp_path / "a.tif", image, factors=(1, 2, 4), sub_ifds=sub_ifds, mpp=0.5
    )

    with open_slide(path) as slide:
        assert slide.vendor == "generic-tiff"
        assert [level.shape for level in slide.levels] == [
            (320, 256),
            (160, 128),
            (80, 64),
        ]
        np.testing.assert_array_equal(slide.read_level(0, 0, 0, 320, 256), image)
        coarse = slide.read_level(2, 0, 0, 80, 64)
    assert np.abs(coarse - image.reshape(80, 4, 64, 4, 3).mean(axis=(1, 3))).max() < 2


def test_ome_tiff_pyramid(tmp_path, image):
    path = tmp_path / "a.ome.tif"
    options = {"photometric": "rgb", "tile": (64, 64), "compression": "deflate"}
    size = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.505}
    with tifffile.TiffWriter(path, ome=True) as tif:
        tif.write(image, subifds=1, metadata={"axes": "YXS", **size}, **options)
        tif.write(np.ascontiguousarray(image[::2, ::2]), subfiletype=1, **options)

    with open_slide(path) as slide:
        assert slide.vendor == "ome-tiff"
        assert (slide.mpp, slide.mpp_source) == ((0.505, 0.5), "OME")
        assert len(slide.levels) == 2
    np.testing.assert_array_equal(whole(path), image)


def test_colours_on_separate_pages(tmp_path, image):
    path = tmp_path / "a.ome.tif"
    planes = np.ascontiguousarray(image.transpose(2, 0, 1))
    options = {"photometric": "minisblack", "tile": (64, 64), "compression": "deflate"}
    tifffile.imwrite(path, planes, ome=True, metadata={"axes": "CYX"}, **options)

    np.testing.assert_array_equal(whole(path), image)


@pytest.mark.parametrize("compression", [None, "deflate", "lzw", "zstd"])
@pytest.mark.parametrize("tile", [(64, 64), (128, 32), None])
def test_tiles_and_strips_of_any_lossless_kind(
    tmp_path, image, write_tiff, compression, tile
):
    options = {"tile": tile} if tile else {"tile": None, "rowsperstrip": 7}
    path = write_tiff(tmp_path / "a.tif", image, compression=compression, **options)

    np.testing.assert_array_equal(whole(path), image)


@pytest.mark.parametrize("photometric", ["rgb", "ycbcr"])
def test_jpeg_tiles(tmp_path, image, write_tiff, photometric):
    path = write_tiff(
        tmp_path / "a.tif",
        image,
        photometric=photometric,
        compression="jpeg",
        compressionargs={"level": 95},
    )

    np.testing.assert_array_equal(whole(path), tifffile.imread(path))


def ycbcr_of(image):
    y = image @ [0.299, 0.587, 0.114]
    blue, red = (image[..., 2] - y) / 1.772 + 128, (image[..., 0] - y) / 1.402 + 128
    return np.clip(np.rint(np.stack([y, blue, red], -1)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("photometric", [2, 6])
@pytest.mark.parametrize(
    ("maker", "transformed", "stored_as"),
    [
        ("Aperio Image Library", False, "ycbcr"),  # as Aperio writes it
        ("Aperio Image Library", True, "rgb"),  # what the stream says goes before
        ("Bio-Formats", True, "rgb"),
        ("Bio-Formats", False, "what photometric says"),
    ],
)
def test_jpeg_2000_is_converted_once(
    tmp_path, image, maker, transformed, stored_as, photometric
):
    # Method 33003 is Aperio's number for YCbCr; Bio-Formats has it for RGB as well.
    if stored_as == "what photometric says":
        stored_as = "ycbcr" if photometric == 6 else "rgb"
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        ycbcr_of(image) if stored_as == "ycbcr" else image,
        photometric="rgb",
        tile=(64, 64),
        compression="jpeg2000",
        compressionargs={
            "level": 0,
            "reversible": True,
            "mct": transformed,
            "codecformat": "j2k",
        },
        description=maker,
        metadata=None,
    )
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages[0].tags["Compression"].overwrite(33003)
        tif.pages[0].tags["PhotometricInterpretation"].overwrite(photometric)

    assert np.abs(whole(path).astype(int) - image).max() <= 3


@pytest.mark.parametrize(
    ("photometric", "flip"), [("minisblack", 0), ("miniswhite", 255)]
)
def test_grey_becomes_rgb(tmp_path, image, write_tiff, photometric, flip):
    grey = image[..., 0]
    path = write_tiff(tmp_path / "a.tif", grey, photometric=photometric)

    np.testing.assert_array_equal(
        whole(path), np.dstack([abs(flip - grey.astype(int))] * 3)
    )


def test_transparent_px_are_white(tmp_path, image, write_tiff):
    alpha = np.full(image.shape[:2], 255, np.uint8)
    alpha[:50] = 0
    path = write_tiff(
        tmp_path / "a.tif", np.dstack([image, alpha]), extrasamples=["unassalpha"]
    )

    pixels = whole(path)
    assert (pixels[:50] == 255).all()
    np.testing.assert_array_equal(pixels[50:], image[50:])


def test_tiles_never_written_are_white(tmp_path, image, write_tiff):
    path = write_tiff(tmp_path / "sparse.tif", image[:128, :128].copy())
    with tifffile.TiffFile(path, mode="r+") as tif:
        counts = list(tif.pages[0].databytecounts)
        tif.pages[0].tags["TileByteCounts"].overwrite([0, 0, counts[2], 0])

    pixels = whole(path)
    np.testing.assert_array_equal(pixels[64:, :64], image[64:128, :64])
    assert (pixels[:64] == 255).all()
    assert (pixels[:, 64:] == 255).all()


def test_leica_areas_are_put_together(tmp_path, image):
    # Two areas of 64 x 64 px at 500 nm on a slide of 160 x 96 px; the first is the
    # macro picture, which is no part of the slide.
    path = tmp_path / "a.scn"
    settings = (
        "<creationDate>2020</creationDate><device model='m' version='v'/><scanSettings>"
        "<objectiveSettings><objective>20</objective></objectiveSettings>"
        "<illuminationSettings><numericalAperture>0.5</numericalAperture>"
        "<illuminationSource>brightfield</illuminationSource></illuminationSettings>"
        "</scanSettings>"
    )

    def area(ifd, width, height, x, y):
        levels = (
            f"<dimension sizeX='{width >> r}' sizeY='{height >> r}' r='{r}' ifd='{ifd + r}'/>"
            for r in (0, 1)
        )
        return (
            f"<image name='i{ifd}'>{settings}<pixels sizeX='{width}' sizeY='{height}'>"
            f"{''.join(levels)}</pixels>"
            f"<view sizeX='{width * 500}' sizeY='{height * 500}' offsetX='{x * 500}' "
            f"offsetY='{y * 500}'/></image>"
        )

    xml = (
        "<?xml version='1.0'?><scn><collection sizeX='48000' sizeY='80000'>"
        f"{area(0, 96, 160, 0, 0)}{area(2, 64, 64, 8, 16)}{area(4, 64, 64, 24, 90)}"
        "</collection></scn>"
    )
    pages = [image[:160, :96], image[:64, :64], image[64:128, :64]]
    with tifffile.TiffWriter(path) as tif:
        for page in pages:
            for step in (1, 2):
                tif.write(
                    page[::step, ::step].copy(),
                    photometric="rgb",
                    tile=(32, 32),
                    description=xml if page is pages[0] and step == 1 else None,
                    metadata=None,
                )

    with open_slide(path) as slide:
        assert (slide.vendor, slide.shape) == ("leica", (160, 96))
        assert (slide.mpp, slide.mpp_source) == ((0.5, 0.5), "vendor")
        assert slide.levels[1].shape == (80, 48)
        assert slide.bounds == Box(16, 8, 154, 88)  # around both areas
        facts = slide.to_dict()
        assert facts["bounds"] == {"y": 16, "x": 8, "height": 138, "width": 80}
        assert ("scanned", "from 16 (y), 8 (x) px on: see --bounds-offset") in (
            slide_rows(facts)
        )
        (note,) = bounds_notes(slide)
        assert "begins at 16 (y), 8 (x) px" in note
        assert "export --bounds-offset 16 8" in note
        np.testing.assert_array_equal(
            slide.read_level(1, 8, 4, 32, 32), image[:64:2, :64:2]
        )
    pixels = whole(path)
    np.testing.assert_array_equal(pixels[16:80, 8:72], image[:64, :64])
    np.testing.assert_array_equal(pixels[90:154, 24:88], image[64:128, :64])
    assert (pixels[80:90] == 255).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": np.uint16}, "of type uint16"),
        (
            {"tile": None, "rowsperstrip": 8192, "side": 8192},
            "pieces of 8192 x 8192 px",
        ),
    ],
)
def test_pixels_of_another_kind_are_refused(tmp_path, options, message):
    path = tmp_path / "odd.tif"
    options = {"photometric": "rgb", "tile": (64, 64), "metadata": None, **options}
    side = options.pop("side", 128)
    pixels = np.zeros((side, side, 3), options.pop("dtype", np.uint8))
    tifffile.imwrite(path, pixels, compression="deflate", **options)

    with pytest.raises(SlideFormatError, match=message) as caught:
        open_slide(path)
    assert str(path) in str(caught.value)


def test_a_corrupt_tile_is_named_and_spoils_nothing_else(
    tmp_path, image, write_svs, tile_place, overwrite
):
    path = write_svs(tmp_path / "a.svs", image, compression="jpeg")
    before = whole(path)
    offset, count = tile_place(path, 5)  # the second of the second row: 4 tiles a row
    overwrite(path, offset, b"\xab" * count)

    with open_slide(path) as slide:
        with pytest.raises(
            TileReadError, match=r"a\.svs: level 0, rows 64 to 128, columns 64 to 128 "
        ):
            slide.read(Box(0, 0, 70, 70), 0.25)
        np.testing.assert_array_equal(slide.read(Box(0, 0, 64, 256), 0.25), before[:64])
        assert slide.damaged == ()
        pixels = slide.read(Box(0, 0, 128, 128), 0.25, damaged="white")
        assert slide.damaged == (Box(64, 64, 128, 128),)
    assert (pixels[64:, 64:] == 255).all()
    np.testing.assert_array_equal(pixels[:64], before[:64, :128])


def test_a_jpeg_tile_whose_end_was_lost_is_an_error(
    tmp_path, image, write_svs, tile_place, overwrite
):
    # libjpeg itself only warns, and fills the rest of the tile with grey.
    path = write_svs(tmp_path / "a.svs", image, compression="jpeg")
    offset, count = tile_place(path, 0)
    overwrite(path, offset + count // 2, bytes(count - count // 2))

    with open_slide(path) as slide, pytest.raises(TileReadError, match="end too early"):
        slide.read_level(0, 0, 0, 10, 10)


@pytest.mark.parametrize("compression", ["jpeg", "deflate", None])
def test_a_truncated_slide_is_never_silently_black(
    tmp_path, image, write_svs, compression, capfd
):
    path = write_svs(
        tmp_path / "whole.svs", image, factors=(1, 4), compression=compression
    )
    contents = path.read_bytes()
    expected = whole(path)
    errors = []
    for keep in np.linspace(0.02, 0.995, 25):
        cut = tmp_path / "cut.svs"
        cut.write_bytes(contents[: int(keep * len(contents))])
        try:
            pixels = whole(cut)
        except (SlideFormatError, TileReadError) as error:
            errors.append(str(error))
        else:
            np.testing.assert_array_equal(pixels, expected)

    assert len(errors) >= 24
    assert not any("\n" in message for message in errors)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_copy_without_its_pages_is_cut_short(tmp_path, image, bigtiff, order):
    path = tmp_path / "a.svs"
    tifffile.imwrite(path, image, bigtiff=bigtiff, byteorder=order, tile=(64, 64))
    content = bytearray(path.read_bytes())
    # as scanners write it: the pages behind the pixels
    place, size = (8, 8) if bigtiff else (4, 4)
    behind = len(content).to_bytes(size, "little" if order == "<" else "big")
    content[place : place + size] = behind
    path.write_bytes(content)
    with pytest.raises(SlideFormatError, match="is cut short"):
        open_slide(path)


OME = """<?xml version="1.0" encoding="UTF-8"?>
<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:a">
<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="512"
 SizeY="512" SizeC="3" SizeZ="2" SizeT="1" PhysicalSizeX="0.5" PhysicalSizeY="0.5">
<Channel ID="Channel:0:0" SamplesPerPixel="3"/>
<TiffData FirstZ="0" IFD="0"><UUID FileName="a.ome.tif">urn:uuid:a</UUID></TiffData>
<TiffData FirstZ="1" IFD="0"><UUID FileName="b.ome.tif">urn:uuid:b</UUID></TiffData>
</Pixels></Image></OME>"""


@pytest.mark.parametrize("inside", [True, False])
def test_an_image_spread_over_files_is_refused_from_wherever_one_looks(
    tmp_path, monkeypatch, inside
) -> None:
    for name, uuid in (("a", "a"), ("b", "b")):
        tifffile.imwrite(
            tmp_path / f"{name}.ome.tif",
            np.full((512, 512, 3), 200, np.uint8),
            photometric="rgb",
            tile=(256, 256),
            description=OME.replace('UUID="urn:uuid:a"', f'UUID="urn:uuid:{uuid}"'),
            metadata=None,
        )
    if inside:
        monkeypatch.chdir(tmp_path)
    with pytest.raises(SlideFormatError, match="spread over several files"):
        open_slide(tmp_path / "a.ome.tif")
