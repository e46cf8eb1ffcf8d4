"""TROI, NROI and W against geometry worked out by an independent library."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tifffile
from shapely import Polygon, box, unary_union

from napari_fastnet.annotations.asap_xml import write_asap_xml
from napari_fastnet.annotations.reading import read_annotations
from napari_fastnet.core.polygons import Annotations
from napari_fastnet.detection.tissue import find_tissue
from napari_fastnet.errors import AnnotationError, OptionError
from napari_fastnet.patches.camelyon import CamelyonSlide, find_camelyon
from napari_fastnet.patches.options import PatchOptions
from napari_fastnet.patches.plan import (
    candidates_of,
    find_candidates,
    mask_cells,
    slide_spacing,
)
from napari_fastnet.slide.slide import open_slide

PAPER = PatchOptions()


@pytest.fixture(scope="module")
def slides(camelyon):
    return {slide.name: slide for slide in find_camelyon(camelyon, testing=True).slides}


def found_on(known, options=PAPER):
    with open_slide(known.path) as slide:
        return find_candidates(known, slide, options)


def annotated(tmp_path, known, *rings, negative=()):
    """Return a slide with another annotation."""
    path = tmp_path / f"{known.name}.xml"
    write_asap_xml(path, Annotations(tuple(rings), tuple(negative)))
    return CamelyonSlide(known.name, known.path, True, False, path, False)


def test_weights_are_the_areas_of_tumour_in_the_patches(slides):
    """W of Eq. 3, on px of the slide: shapely's intersection with each square."""
    known = slides["tumor_001"]
    found = found_on(known)
    rings = read_annotations(known.outlines).positive
    tumour = unary_union([Polygon(ring) for ring in rings])
    positions = found.positions[found.labels == 1]
    assert len(positions) > 4
    exact = [
        tumour.intersection(box(y, x, y + 256, x + 256)).area for y, x in positions
    ]
    # 16 samples in each of 64 cells: the border of a patch's tumour is off by them.
    np.testing.assert_allclose(found.weights[found.labels == 1], exact, atol=300)
    assert min(exact) > 0.5 * 256**2 - 300


def test_tumour_patches_are_those_of_equations_1_to_4(slides):
    """Every square of the grid over the tumour's box, and half of it or more."""
    known = slides["tumor_001"]
    found = found_on(known)
    tumour = unary_union(
        [Polygon(ring) for ring in read_annotations(known.outlines).positive]
    )
    drawn = {tuple(place) for place in found.positions[found.labels == 1].tolist()}
    low_y, low_x, high_y, high_x = tumour.bounds
    # The box begins with the first px of the mask, 32 of the slide, that has tumour.
    (y, x), *_ = drawn
    top = low_y + (y - low_y + 128) % 256 - 128
    left = low_x + (x - low_x + 128) % 256 - 128
    assert max(abs(top - low_y), abs(left - low_x)) <= 32
    squares = {
        (top + row * 256, left + column * 256)
        for row in range(int((high_y - top) // 256) + 1)
        for column in range(int((high_x - left) // 256) + 1)
    }
    share = {
        (y, x): tumour.intersection(box(y, x, y + 256, x + 256)).area / 256**2
        for y, x in squares
    }
    assert drawn <= squares  # whole numbers of px, so exactly
    assert all(share[place] > 0.495 for place in drawn)
    assert all(share[place] < 0.505 for place in squares - drawn)


def test_normal_patches_are_tissue_and_not_tumour(slides):
    known = slides["tumor_001"]
    found = found_on(known)
    tumour = unary_union(
        [Polygon(ring) for ring in read_annotations(known.outlines).positive]
    )
    with open_slide(known.path) as slide:
        tissue = find_tissue(slide).masks.roi
        scale = np.array(tissue.shape) / slide.shape
    normal = found.labels == 0
    assert normal.sum() > 4
    for (y, x), weight in zip(
        found.positions[normal], found.weights[normal], strict=True
    ):
        assert weight >= 256**2 / 2
        square = box(y, x, y + 256, x + 256)
        assert tumour.intersection(square).area <= 256**2 - weight + 300
        top, left = (np.array((y, x)) * scale).astype(int)
        bottom, right = np.ceil((np.array((y, x)) + 256) * scale).astype(int)
        assert tissue[max(0, top) : bottom, max(0, left) : right].mean() > 0.4


def test_a_normal_slide_gives_normal_patches_only(slides):
    found = found_on(slides["normal_001"])
    assert found.labels.sum() == 0
    assert len(found.labels) > 10
    assert found.facts["tumour_mm2"] == 0
    assert found.facts["notes"] == []


def test_what_is_chosen_in_a_slides_file_is_noted(tmp_path):
    path = tmp_path / "z.ome.tif"
    plane = np.full((512, 512, 3), 245, np.uint8)
    plane[100:400, 100:400] = (170, 90, 150)
    size = {"PhysicalSizeX": 0.972, "PhysicalSizeY": 0.972}
    tifffile.imwrite(
        path,
        np.stack([plane] * 3),
        photometric="rgb",
        tile=(128, 128),
        metadata={"axes": "ZYXS", **size},
    )
    found = found_on(CamelyonSlide("z", path, False, False, None, False))
    (note,) = found.facts["notes"]
    assert note.startswith("has 3 focal planes")
    assert len(found.labels) > 0


def test_a_partly_annotated_slide_gives_tumour_only(slides):
    known = slides["tumor_001"]
    partly = CamelyonSlide(
        known.name, known.path, True, False, known.outlines, is_partly=True
    )
    found = found_on(partly)
    assert found.labels.all()
    assert any("no normal patches" in note for note in found.facts["notes"])
    whole = found_on(partly, PatchOptions(fully_annotated=True))
    assert 0 < whole.labels.sum() < len(whole.labels)


def test_an_exclusion_is_normal_tissue(slides, tmp_path):
    known = slides["tumor_001"]
    ring = max(read_annotations(known.outlines).positive, key=len)
    before = found_on(annotated(tmp_path, known, ring)).labels
    after = found_on(annotated(tmp_path, known, ring, negative=[ring])).labels
    assert before.sum() > 0
    assert after.sum() == 0
    assert (after == 0).sum() > (before == 0).sum()


@pytest.mark.parametrize(
    ("side", "spacing", "level0"),
    [(96, 0.972, 384), (128, 0.486, 256), (64, 1.0, None)],
)
def test_other_sizes_and_spacings(slides, side, spacing, level0):
    options = PatchOptions(spacing, side)
    found = found_on(slides["tumor_001"], options)
    level0 = level0 or 64 * 1.0 / 0.243
    assert found.facts["patch_level0_px"] == pytest.approx((level0, level0))
    assert found.weights.max() <= side**2 * (1 + 1e-6)
    assert found.weights.min() >= side**2 / 2 - 1e-6
    steps = np.diff(np.unique(found.positions[found.labels == 1][:, 0]))
    np.testing.assert_allclose(steps % level0 % level0, 0, atol=1e-6)


def test_a_levels_own_px_are_taken_where_they_are_near(slides):
    with open_slide(slides["normal_001"].path) as slide:
        assert slide_spacing(slide, 0.243) == (0.243, 0.243)
        assert slide_spacing(slide, 0.2453) == (0.243, 0.243)
        assert slide_spacing(slide, 0.2456) == (0.2456, 0.2456)
        assert slide_spacing(slide, 0.97) == pytest.approx((0.972, 0.972))
        assert slide_spacing(slide, 0.5) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("side", "spacing", "cells"),
    [(256, 0.243, 8), (96, 0.972, 12), (256, 1.0, 32), (97, 0.972, 12), (31, 0.25, 1)],
)
def test_masks_are_fine_enough_and_begin_with_the_patches_px(side, spacing, cells):
    assert mask_cells(PatchOptions(spacing, side)) == cells
    assert side * spacing / cells <= 8


def test_no_outline_of_tumour_is_refused(slides, tmp_path):
    with pytest.raises(AnnotationError, match=r"no outline of tumor.*tumor slide"):
        found_on(annotated(tmp_path, slides["tumor_001"]))


def test_outlines_off_the_slide(slides, tmp_path):
    known = slides["tumor_001"]
    ring = read_annotations(known.outlines).positive[0]
    far = ring + 1e5
    with pytest.raises(AnnotationError, match="no outline lies on the slide"):
        found_on(annotated(tmp_path, known, far))
    edge = ring - ring.mean(axis=0)  # its middle is the slide's corner
    notes = found_on(annotated(tmp_path, known, ring, far, edge)).facts["notes"]
    assert notes == [
        "1 outline outside the slide",
        "1 outline reaching beyond the slide",
    ]


def test_an_outline_that_crosses_itself_is_used_and_named(slides, tmp_path):
    known = slides["tumor_001"]
    bow = np.array([(500.0, 500), (1100, 1100), (1100, 500), (500, 1100)])
    found = found_on(annotated(tmp_path, known, bow))
    assert found.facts["tumour_mm2"] == pytest.approx(
        180_000 * 0.243**2 / 1e6, rel=0.02
    )
    assert found.facts["notes"] == [
        "1 outline crossing or touching itself: Annotation 0"
    ]


def test_what_was_found_is_looked_up_until_something_changes(
    slides, tmp_path, monkeypatch
):
    known = slides["tumor_001"]
    ring = read_annotations(known.outlines).positive[0]
    mine = annotated(tmp_path, known, ring)
    cache = tmp_path / "cache" / "tumor_001.npz"
    first = candidates_of(mine, PAPER, cache)
    calls = []
    module = "napari_fastnet.patches.plan.find_candidates"
    monkeypatch.setattr(
        module, lambda *args: calls.append(args) or find_candidates(*args)
    )
    again = candidates_of(mine, PAPER, cache)
    assert calls == []
    for name in ("positions", "weights", "labels"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert again.facts["tumour_mm2"] == first.facts["tumour_mm2"]
    candidates_of(mine, PatchOptions(patch_px=128), cache)
    assert len(calls) == 1
    candidates_of(annotated(tmp_path, known, ring + 40), PAPER, cache)
    assert len(calls) == 2
    for damage in (b"", b"PK\x03\x04 cut", cache.read_bytes()[:-50]):
        cache.write_bytes(damage)
        candidates_of(annotated(tmp_path, known, ring + 40), PAPER, cache)
    assert len(calls) == 5
    shutil.rmtree(cache.parent)


@pytest.mark.parametrize(
    "fault",
    [{"spacing_um_px": 0.01}, {"spacing_um_px": float("nan")}, {"patch_px": 16}],
)
def test_options_out_of_range_are_refused(fault):
    with pytest.raises(OptionError):
        PatchOptions(**fault)
