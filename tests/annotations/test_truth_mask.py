from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_fastnet.annotations import truth_mask
from napari_fastnet.annotations.truth_mask import read_truth_mask
from napari_fastnet.errors import MaskError

STEP = (32.0, 32.0)


def picture(height=320, width=512, seed=0):
    """Return blobs of 255, and what the centres of px of 32 say."""
    rng = np.random.default_rng(seed)
    mask = np.kron(rng.random((height // 8, width // 8)) < 0.4, np.ones((8, 8), bool))
    return mask.astype(np.uint8) * 255, mask[16::32, 16::32]


@pytest.mark.parametrize(
    "options",
    [
        {"tile": (64, 64), "compression": "zlib"},
        {"tile": (48, 80), "compression": "zlib"},
        {"rowsperstrip": 7, "compression": "zlib"},
        {},
        {"bigtiff": True, "tile": (64, 64)},
    ],
)
def test_px_are_taken_under_the_centres(tmp_path, options):
    mask, expected = picture()
    tifffile.imwrite(tmp_path / "a.tif", mask, photometric="minisblack", **options)
    found = read_truth_mask(tmp_path / "a.tif", step=STEP)
    assert found.inside.tolist() == expected.tolist()
    assert (found.extent, found.first) == ((10, 16), (0, 0))


def test_a_png_says_the_same_as_a_tiff(tmp_path):
    mask, expected = picture()
    Image.fromarray(mask).save(tmp_path / "a.png")
    assert read_truth_mask(tmp_path / "a.png", step=STEP).inside.tolist() == (
        expected.tolist()
    )
    half = read_truth_mask(tmp_path / "a.png", step=(64.0, 64.0), shape=(640, 1024))
    assert half.inside.tolist() == expected.tolist()


def test_a_png_of_another_slide_or_damaged_is_refused(tmp_path):
    Image.fromarray(picture()[0]).save(tmp_path / "a.png")
    with pytest.raises(MaskError, match="512 x 320 px and the slide 900 x 900"):
        read_truth_mask(tmp_path / "a.png", step=STEP, shape=(900, 900))
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    with pytest.raises(MaskError, match=r"b\.png: not a picture"):
        read_truth_mask(tmp_path / "b.png", step=STEP)


def test_the_coarsest_level_that_is_fine_enough_is_read(tmp_path):
    # Each level says something else, so that it is known which was read.
    levels = {1: (0, 0), 8: (1, 1), 32: (2, 2), 64: (3, 3)}
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        for factor, (row, column) in levels.items():
            mask = np.zeros((640 // factor, 960 // factor), np.uint8)
            side = max(1, 32 // factor)
            mask[row * side : (row + 1) * side, column * side : (column + 1) * side] = 1
            tif.write(
                mask,
                tile=(64, 64),
                subifds=len(levels) - 1 if factor == 1 else None,
                subfiletype=0 if factor == 1 else 1,
            )
    assert np.argwhere(read_truth_mask(path, step=STEP).inside).tolist() == [[2, 2]]
    finer = read_truth_mask(path, step=(31.0, 31.0))
    assert np.argwhere(finer.inside).tolist() == [[1, 1]]


def test_levels_as_pages_are_levels_too(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        for factor in (1, 32):
            mask = np.full((640 // factor, 960 // factor), factor == 32, np.uint8)
            tif.write(mask, tile=(64, 64), subfiletype=int(factor > 1))
    assert read_truth_mask(path, step=STEP).inside.all()


def test_tiles_that_were_never_written_are_not_tumour(tmp_path):
    path = tmp_path / "a.tif"
    mask = np.full((128, 128), 255, np.uint8)
    tifffile.imwrite(path, mask, tile=(64, 64), compression="zlib")
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tag = tif.pages.first.tags["TileByteCounts"]
        tag.overwrite([0, *tag.value[1:]])
    expected = np.ones((4, 4), bool)
    expected[:2, :2] = False
    assert read_truth_mask(path, step=STEP).inside.tolist() == expected.tolist()


def test_a_mask_of_another_scale_covers_the_slide(tmp_path):
    mask, expected = picture()
    tifffile.imwrite(tmp_path / "a.tif", mask[::8, ::8])
    found = read_truth_mask(tmp_path / "a.tif", step=STEP, shape=(320, 512))
    assert found.inside.tolist() == expected.tolist()


def test_the_last_part_of_a_px_is_not_tumour_where_its_centre_is_outside(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((64 + 16, 64 + 17), np.uint8))
    found = read_truth_mask(tmp_path / "a.tif", step=STEP)
    assert found.inside.tolist() == [[True] * 3] * 2 + [[False] * 3]


def test_of_several_channels_the_first_counts(tmp_path):
    mask, expected = picture()
    rgb = np.dstack([mask, 255 - mask, mask])
    tifffile.imwrite(tmp_path / "a.tif", rgb, photometric="rgb", tile=(64, 64))
    assert read_truth_mask(tmp_path / "a.tif", step=STEP).inside.tolist() == (
        expected.tolist()
    )
    planes = np.stack([mask, 255 - mask, mask])
    tifffile.imwrite(
        tmp_path / "b.tif", planes, photometric="rgb", planarconfig="separate"
    )
    assert read_truth_mask(tmp_path / "b.tif", step=STEP).inside.tolist() == (
        expected.tolist()
    )


def test_a_mask_drawn_in_green_makes_no_slide_normal(tmp_path):
    mask, _ = picture()
    green = np.dstack([np.zeros_like(mask), mask, np.zeros_like(mask)])
    planes = np.moveaxis(green, 2, 0).copy()
    tifffile.imwrite(tmp_path / "a.tif", green, photometric="rgb", tile=(64, 64))
    tifffile.imwrite(
        tmp_path / "b.tif", planes, photometric="rgb", planarconfig="separate"
    )
    Image.fromarray(green).save(tmp_path / "c.png")
    for name in ("a.tif", "b.tif", "c.png"):
        with pytest.raises(MaskError, match="first channel, red, is empty"):
            read_truth_mask(tmp_path / name, step=STEP)


def test_an_empty_mask_with_alpha_is_empty(tmp_path):
    mask, _ = picture()
    opaque = np.dstack([np.zeros_like(mask)] * 3 + [np.full_like(mask, 255)])
    tifffile.imwrite(
        tmp_path / "a.tif", opaque, photometric="rgb", extrasamples=["unassalpha"]
    )
    Image.fromarray(opaque).save(tmp_path / "b.png")
    Image.fromarray(opaque[..., 2:]).save(tmp_path / "c.png")  # grey and alpha
    for name in ("a.tif", "b.png", "c.png"):
        assert not read_truth_mask(tmp_path / name, step=STEP).inside.any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, bool])
def test_any_number_above_0_is_tumour(tmp_path, dtype):
    mask, expected = picture()
    tifffile.imwrite(tmp_path / "a.tif", (mask > 0).astype(dtype))
    assert read_truth_mask(tmp_path / "a.tif", step=STEP).inside.tolist() == (
        expected.tolist()
    )


def test_of_several_numbers_one_is_chosen(tmp_path):
    mask, expected = picture()
    tifffile.imwrite(tmp_path / "a.tif", np.where(mask, 2, 1).astype(np.uint8))
    with pytest.raises(MaskError, match=r"a\.tif: holds 1, 2, .*--mask-value"):
        read_truth_mask(tmp_path / "a.tif", step=STEP)
    found = read_truth_mask(tmp_path / "a.tif", step=STEP, value=2)
    assert found.inside.tolist() == expected.tolist()


def test_a_mask_of_another_slide_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((64, 64), np.uint8))
    with pytest.raises(MaskError, match="64 x 64 px and the slide 500 x 320"):
        read_truth_mask(tmp_path / "a.tif", step=STEP, shape=(320, 500))


def test_pieces_too_large_to_decode_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(truth_mask, "LARGEST_PIECE_PX", 64 * 64 - 1)
    tifffile.imwrite(tmp_path / "a.tif", np.ones((64, 64), np.uint8), tile=(64, 64))
    with pytest.raises(MaskError, match="pieces of 4,096 px"):
        read_truth_mask(tmp_path / "a.tif", step=STEP)


@pytest.mark.parametrize("content", [None, b"", b"not a TIFF", b"II*\0\x08\0\0\0\0\0"])
def test_what_is_no_tiff_is_named(tmp_path, content):
    path = tmp_path / "tumor_001.tif"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MaskError, match="tumor_001"):
        read_truth_mask(path, step=STEP)


def test_a_mask_cut_short_is_named(tmp_path):
    path = tmp_path / "tumor_001.tif"
    mask, _ = picture()
    tifffile.imwrite(path, mask, tile=(64, 64), compression="zlib")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(MaskError, match="tumor_001"):
        read_truth_mask(path, step=STEP)
