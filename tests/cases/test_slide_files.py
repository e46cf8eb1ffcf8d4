"""Files as other programs and scanners write them show the picture that is in them."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageFilter
from typer.testing import CliRunner

from napari_fastnet.cli.app import make_app
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
    assert "2 large images; the slide is the largest (all), 768 x 512 px" in note
    assert note.endswith("768 x 384 px")


def blurred(image):
    blurring = ImageFilter.GaussianBlur(4)
    return np.asarray(Image.fromarray(image).filter(blurring))


def test_a_smaller_copy_that_is_no_level_is_not_told_of(tmp_path, small, tiff):
    copy = np.asarray(Image.fromarray(small).resize((500, 333)))
    path = tiff(tmp_path / "a.tif", [(small, {}), (copy, {})], compression="deflate")

    np.testing.assert_array_equal(whole(path), small)
    with open_slide(path) as slide:
        assert slide.reading_notes == ()


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
    said = CliRunner().invoke(make_app(), ["info", str(path)])
    assert said.stderr == (
        "z.ome.tif: has 5 focal planes; number 3, the middle one, is read\n"
    )


def test_hamamatsus_plane_in_focus_is_read(tmp_path, small, tiff, half):
    def page(image, offset):
        tags = [
            (65420, 4, 1, 1, True),
            (65421, 11, 1, 10.0, True),
            (65424, 9, 1, offset, True),
            (271, 2, 0, "Hamamatsu", True),
        ]
        return image, {"extratags": tags}

    far = blurred(small)
    planes = [(small, 0), (far, -4000), (far, 4000)]
    pages = [page(image, offset) for image, offset in planes]
    pages += [page(half(image), offset) for image, offset in planes]
    path = tiff(tmp_path / "a.tif", pages, compression="deflate")

    np.testing.assert_array_equal(whole(path), small)
    with open_slide(path) as slide:
        assert slide.vendor == "hamamatsu"
        coarse = slide.read_level(1, 0, 0, *slide.levels[1].shape)
        np.testing.assert_array_equal(coarse, half(small))
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
    said = CliRunner().invoke(make_app(), ["info", str(path)])
    assert "as stored; the ICC profile sRGB built-in is not applied" in said.stdout
    assert said.stderr == ""


def test_the_second_page_of_aperio_may_be_the_larger(tmp_path, small, tiff, half):
    about = "Aperio Image Library\r\n1x1|AppMag = 10|MPP = {}"
    pages = [
        (half(small), {"description": about.format(2 * MPP)}),
        (small, {"description": about.format(MPP)}),
    ]
    path = tiff(tmp_path / "a.svs", pages, mpp=2, compression="deflate")

    np.testing.assert_array_equal(whole(path), small)


def test_a_larger_image_in_a_sub_page_is_the_slide(tmp_path, small, half):
    path = tmp_path / "a.tif"
    options = {
        "photometric": "rgb",
        "tile": (128, 128),
        "resolution": (1e4 / MPP, 1e4 / MPP),
        "resolutionunit": "CENTIMETER",
        "metadata": None,
    }
    with tifffile.TiffWriter(path) as tif:
        tif.write(half(small), subifds=1, **options)
        tif.write(small, **options)

    np.testing.assert_array_equal(whole(path), small)


@pytest.mark.parametrize("axes", ["ZCYX", "CZYX"])
def test_planes_of_channels_are_told_apart(tmp_path, small, axes):
    path = tmp_path / "a.ome.tif"
    stack = np.stack([blurred(small), small, blurred(small)])  # z, y, x, c
    order = (0, 3, 1, 2) if axes == "ZCYX" else (3, 0, 1, 2)
    tifffile.imwrite(
        path,
        np.ascontiguousarray(stack.transpose(order)),
        photometric="minisblack",
        tile=(256, 256),
        metadata={"axes": axes, **SIZE},
    )

    np.testing.assert_array_equal(whole(path), small)
    with open_slide(path) as slide:
        assert slide.reading_notes == (
            "has 3 focal planes; number 2, the middle one, is read",
            "has three channels, taken for red, green and blue",
        )


def test_philips_with_little_of_its_xml_opens_without_padded_levels(
    tmp_path, small, tiff, half
):
    xml = (
        '<?xml version="1.0" encoding="UTF-8" ?><DataObject ObjectType="DPUfsImport">'
        '<Attribute Name="DICOM_MANUFACTURER">PHILIPS</Attribute></DataObject>'
    )
    padded = np.pad(half(small), ((0, 8), (0, 12), (0, 0)), constant_values=255)
    pages = [
        (small, {"description": xml, "software": "Philips DP v1.0"}),
        (padded, {"description": "level=1", "subfiletype": 1}),
    ]
    path = tiff(tmp_path / "a.tiff", pages, compression="deflate")

    np.testing.assert_array_equal(whole(path), small)
    with open_slide(path) as slide:
        assert (slide.vendor, len(slide.levels)) == ("philips", 1)


def test_an_orientation_is_said_and_not_applied(tmp_path, small, tiff):
    turned = {"extratags": [(274, 3, 1, 6, True)]}
    path = tiff(tmp_path / "a.tif", [(small, turned)], compression="deflate")

    np.testing.assert_array_equal(whole(path), small)
    with open_slide(path) as slide:
        (note,) = slide.reading_notes
    assert "orientation 6" in note
