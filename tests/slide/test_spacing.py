"""µm/px and who states it, told apart honestly; nothing absurd gets through."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_fastnet.errors import SpacingError
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.slide.spacing import Spacing, pair_of, tiff_spacing

OME = '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{}</OME>'
TAG = Spacing((2.0, 2.0), "resolution tag")
NOTHING = {
    "aperio": None,
    "tag": TAG,
    "shape": (1, 1),
    "ome_xml": None,
    "philips_xml": None,
}


def ome_spacing(*pixels, **others):
    images = (f"<Image><Pixels {p}/></Image>" for p in pixels)
    xml = OME.format("".join(images))
    return tiff_spacing(**{**NOTHING, "shape": (10, 20), "ome_xml": xml, **others})


@pytest.mark.parametrize(
    ("unit", "per_um"),
    [
        ("nm", 1e3),
        ("µm", 1),
        ("μm", 1),
        ("um", 1),
        ("mm", 1e-3),
        ("cm", 1e-4),
        ("Å", 1e4),
    ],
)
def test_each_unit_of_ome(unit, per_um):
    sizes = [
        f'PhysicalSize{a}="{0.5 * per_um!r}" PhysicalSize{a}Unit="{unit}"' for a in "XY"
    ]

    read = ome_spacing(" ".join(sizes))

    assert read.source == "OME"
    assert read.mpp == pytest.approx((0.5, 0.5))


def test_ome_sizes_are_micrometres_by_default_and_keep_their_axes():
    read = ome_spacing('PhysicalSizeX="0.25" PhysicalSizeY="0.3"')

    assert read == Spacing((0.3, 0.25), "OME")


def test_the_image_of_the_slides_shape_speaks_for_it():
    read = ome_spacing(
        'SizeX="5" SizeY="5" PhysicalSizeX="9" PhysicalSizeY="9"',
        'SizeX="20" SizeY="10" PhysicalSizeX="0.5" PhysicalSizeY="0.5"',
    )

    assert read.mpp == (0.5, 0.5)


@pytest.mark.parametrize(
    "pixels",
    [
        'SizeX="20" SizeY="10"',
        'PhysicalSizeX="0.5"',
        'PhysicalSizeX="a" PhysicalSizeY="b"',
        'PhysicalSizeX="1" PhysicalSizeY="1" PhysicalSizeXUnit="pixel"',
        "<<<",
    ],
)
def test_ome_without_a_size_leaves_the_tag(pixels):
    assert ome_spacing(pixels) == TAG


def test_an_entity_bomb_is_not_expanded():
    xml = '<!DOCTYPE a [<!ENTITY b "c">]><OME><Pixels PhysicalSizeX="&b;"/></OME>'

    read = tiff_spacing(**{**NOTHING, "ome_xml": xml})

    assert read.source == "resolution tag"


def test_the_vendor_goes_before_all():
    read = ome_spacing('PhysicalSizeX="1" PhysicalSizeY="1"', aperio="x|MPP = 0.5")

    assert read == Spacing((0.5, 0.5), "vendor")


def test_philips_without_a_slides_own_needs_spacings_that_agree():
    same = philips_image("MACROIMAGE", '"0.0002" "0.0002"')
    other = philips_image("LABELIMAGE", '"0.0009" "0.0009"')

    def read(*images):
        xml = f"<DataObject>{''.join(images)}</DataObject>"
        return tiff_spacing(**{**NOTHING, "philips_xml": xml})

    assert read(same, same) == Spacing((0.2, 0.2), "vendor")
    assert read(same, other) == TAG


def philips_image(kind, spacing):
    return (
        '<DataObject ObjectType="DPScannedImage">'
        f'<Attribute Name="PIM_DP_IMAGE_TYPE" PMSVR="IString">{kind}</Attribute>'
        f'<Attribute Name="DICOM_PIXEL_SPACING" PMSVR="IDoubleArray">{spacing}'
        "</Attribute></DataObject>"
    )


def write_philips(path, *images):
    """Write a TIFF that says of itself what a Philips scanner's does."""
    xml = (
        '<?xml version="1.0" encoding="UTF-8" ?><DataObject ObjectType="DPUfsImport">'
        '<Attribute Name="DICOM_MANUFACTURER" PMSVR="IString">PHILIPS</Attribute>'
        '<Attribute Name="PIM_DP_SCANNED_IMAGES" PMSVR="IDataObjectArray"><Array>'
        f"{''.join(images)}</Array></Attribute></DataObject>"
    )
    tifffile.imwrite(
        path,
        np.zeros((64, 96, 3), np.uint8),
        photometric="rgb",
        tile=(64, 64),
        description=xml,
        software="Philips DP v1.0",
        resolution=(10000, 10000),
        resolutionunit="centimeter",
        metadata=None,
    )
    return path


@pytest.mark.parametrize("others_first", [False, True])
def test_philips_states_y_before_x_and_the_slides_own_counts(tmp_path, others_first):
    slide = philips_image("WSI", '"0.000226907" "0.000227"')
    others = (
        philips_image("MACROIMAGE", '"0.0008" "0.0008"'),
        philips_image("LABELIMAGE", '"0.0009" "0.0009"'),
    )
    images = (*others, slide) if others_first else (slide, *others)

    with open_slide(write_philips(tmp_path / "a.tiff", *images)) as opened:
        assert opened.mpp == pytest.approx((0.226907, 0.227))
        assert opened.mpp_source == "vendor"
        assert opened.vendor == "philips"


def test_philips_sizes_that_are_no_pair_leave_the_tag():
    xml = philips_image("WSI", '"0.0002"')

    assert tiff_spacing(**{**NOTHING, "philips_xml": xml}) == TAG


def test_an_ome_tiff_states_its_own_before_its_tags(tmp_path):
    path = tmp_path / "a.ome.tif"
    sizes = {"PhysicalSizeX": 250, "PhysicalSizeY": 0.251, "PhysicalSizeXUnit": "nm"}
    tifffile.imwrite(
        path,
        np.zeros((64, 96, 3), np.uint8),
        photometric="rgb",
        tile=(64, 64),
        resolution=(72, 72),
        resolutionunit="inch",
        metadata={"axes": "YXS", **sizes},
    )

    with open_slide(path) as slide:
        assert slide.require_mpp() == pytest.approx((0.251, 0.25))
        assert slide.mpp_source == "OME"


@pytest.mark.parametrize(
    ("unit", "per_px"), [("inch", 25400), ("centimeter", 10000), ("millimeter", 1000)]
)
def test_the_resolution_tag_has_units(tmp_path, unit, per_px):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        np.zeros((64, 96, 3), np.uint8),
        photometric="rgb",
        tile=(64, 64),
        resolution=(per_px / 0.5, per_px / 0.505),
        resolutionunit=unit,
        metadata=None,
    )

    with open_slide(path) as slide:
        assert slide.require_mpp() == pytest.approx((0.505, 0.5), rel=1e-5)
        assert slide.mpp_source == "resolution tag"


def test_what_the_user_gives_goes_before_all_and_is_said(tmp_path, texture, write_svs):
    path = write_svs(tmp_path / "a.svs", texture(64, 64), mpp=0.25)

    with open_slide(path, mpp=0.5) as slide:
        assert (slide.mpp, slide.mpp_source) == ((0.5, 0.5), "user")


@pytest.mark.parametrize("value", ["N/A", "", "1.2.3", "0,25,1"])
def test_a_field_that_is_no_number_leaves_the_tag(value):
    read = tiff_spacing(**{**NOTHING, "aperio": f"Aperio|MPP = {value}|Left = 1"})

    assert read == TAG


def test_nothing_that_states_it_is_unknown():
    assert tiff_spacing(**{**NOTHING, "tag": None}) == Spacing(None, "unknown")


def test_images_of_several_sizes_speak_for_none_of_another():
    read = ome_spacing(
        'SizeX="5" SizeY="5" PhysicalSizeX="9" PhysicalSizeY="9"',
        'SizeX="6" SizeY="6" PhysicalSizeX="8" PhysicalSizeY="8"',
    )

    assert read == TAG


@pytest.mark.parametrize("mpp", [0.05, 5.0, (1.0, 1.0199), (1.0199, 1.0)])
def test_the_bounds_themselves_are_believed(mpp):
    assert Spacing.of_user(mpp).require("a") == pair_of(mpp)


@pytest.mark.parametrize(
    ("mpp", "rule"),
    [
        (np.nextafter(0.05, 0), "0.05 to 5"),
        (np.nextafter(5.0, 6), "0.05 to 5"),
        ((0.25, 0.2551), "2%"),
        ((0.2551, 0.25), "2%"),
        ((0.25, float("nan")), "0.05 to 5"),
        (float("inf"), "0.05 to 5"),
    ],
)
def test_what_lies_beyond_is_not(mpp, rule):
    with pytest.raises(SpacingError, match=rf"a\.svs: .*{rule}.*--mpp"):
        Spacing(pair_of(mpp), "vendor").require("a.svs")


def test_numbers_of_numpy_are_numbers():
    assert pair_of(np.float32(0.5)) == (0.5, 0.5)
    assert pair_of([0.25, 0.5]) == (0.25, 0.5)


def test_the_resolution_tag_keeps_its_axes(tmp_path, texture, write_tiff):
    path = write_tiff(tmp_path / "a.tif", texture(64, 64), mpp=(0.5, 0.25))

    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx((0.5, 0.25))
        assert slide.mpp_source == "resolution tag"
        with pytest.raises(
            SpacingError, match=r"0\.5 \(y\), 0\.25 \(x\) µm/px, from the resol"
        ):
            slide.require_mpp()


def test_aperio_without_its_field_is_a_resolution_tag(tmp_path, texture, write_svs):
    path = write_svs(
        tmp_path / "a.svs",
        texture(64, 64),
        mpp=None,
        resolution=(20000, 20000),
        resolutionunit="centimeter",
    )

    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx((0.5, 0.5))
        assert slide.mpp_source == "resolution tag"


@pytest.mark.parametrize(
    ("resolution", "unit", "mpp"),
    [
        ((72, 72), "inch", 25400 / 72),
        ((96, 96), "inch", 25400 / 96),
        ((1, 1), "none", None),
    ],
)
def test_defaults_of_the_tag_are_not_taken_for_a_scale(tmp_path, resolution, unit, mpp):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        np.zeros((64, 64, 3), np.uint8),
        photometric="rgb",
        resolution=resolution,
        resolutionunit=unit,
        metadata=None,
    )

    with open_slide(path) as slide:
        assert slide.mpp == (None if mpp is None else pytest.approx((mpp, mpp)))
        with pytest.raises(SpacingError, match="--mpp"):
            slide.require_mpp()
