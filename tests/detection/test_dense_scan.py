"""Dense scanning: the patches' values, wherever blocks begin and end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logit

from napari_fastnet.core.geometry import Box
from napari_fastnet.detection import blocks, inference
from napari_fastnet.detection import plan as plan_module
from napari_fastnet.detection.compute import detect
from napari_fastnet.detection.plan import make_plan
from napari_fastnet.errors import DataError, OptionError, TileReadError
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.options import NetworkChoice
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.store.format import RunDescription
from napari_fastnet.store.store import UNREADABLE, open_store

# Where a px of the model is no whole number of the slide's, a px that is resampled for
# two blocks may be rounded up in one and down in the other.
ROUNDING = 2e-4


def scan(slide, bundle, folder, backend=None, *, roi=None, **options):
    """Run a plan to its end and return it with its probabilities."""
    roi = np.ones((60, 80), bool) if roi is None else roi
    memory_mb, readers = options.pop("memory_mb", None), options.pop("readers", 2)
    plan = make_plan(slide, bundle, roi, **options).within(memory_mb)
    store = open_store(
        folder / "run.zarr",
        RunDescription(
            key={},
            grid=plan.patches.grid,
            mpp=slide.require_mpp(),
            block_cells=plan.block_cells,
        ),
    )
    backend = backend or create_backend(
        bundle, NetworkChoice(backend="onnx", threads=1)
    )
    steps = list(detect(slide, plan, backend, store, readers=readers))
    return plan, store.read(), steps


@pytest.fixture(params=[0.5, 0.499, 0.486])
def slide(request, tmp_path, write_svs, texture):
    path = tmp_path / "slide.svs"
    write_svs(path, texture(1200, 1600), factors=(1, 4), mpp=request.param)
    with open_slide(path) as opened:
        yield opened


@pytest.mark.parametrize("flips", [False, True])
def test_map_does_not_depend_on_the_block_size(
    slide, tiny_bundle, tmp_path, monkeypatch, flips
) -> None:
    _, whole, _ = scan(slide, tiny_bundle, tmp_path / "whole", flips=flips)
    monkeypatch.setattr(plan_module, "DENSE_BLOCK_CELLS", 7)
    _, cut, steps = scan(slide, tiny_bundle, tmp_path / "cut", flips=flips)
    assert len(steps) > 20
    assert np.ptp(whole[~np.isnan(whole)]) > 0.01  # it says something
    np.testing.assert_allclose(cut, whole, atol=ROUNDING)


def test_the_map_of_openvino_is_that_of_onnx(slide, tiny_bundle, tmp_path) -> None:
    _, onnx, _ = scan(slide, tiny_bundle, tmp_path / "onnx")
    backend = create_backend(tiny_bundle, NetworkChoice(backend="openvino", threads=1))
    _, openvino, _ = scan(slide, tiny_bundle, tmp_path / "openvino", backend)
    np.testing.assert_allclose(openvino, onnx, atol=0.03)  # perhaps in bfloat16


def test_a_shared_stem_gives_the_same_map_bit_for_bit_in_other_blocks(
    slide, tiny_bundle, tmp_path, monkeypatch
) -> None:
    backend = create_backend(tiny_bundle, NetworkChoice(backend="openvino", threads=2))
    assert backend.has_stem
    _, whole, _ = scan(slide, tiny_bundle, tmp_path / "whole", backend)
    monkeypatch.setattr(plan_module, "DENSE_BLOCK_CELLS", 11)
    _, cut, steps = scan(slide, tiny_bundle, tmp_path / "cut", backend)
    assert len(steps) > 6
    np.testing.assert_array_equal(cut, whole)


def test_a_stem_whose_tiles_are_dropped_and_computed_again_gives_the_same_map(
    slide, tiny_bundle, tmp_path, monkeypatch
) -> None:
    backend = create_backend(tiny_bundle, NetworkChoice(backend="openvino", threads=1))
    _, kept, _ = scan(slide, tiny_bundle, tmp_path / "kept", backend)
    monkeypatch.setattr(plan_module, "DENSE_BLOCK_CELLS", 11)
    monkeypatch.setattr(inference, "MOST_TILES", 0)
    monkeypatch.setattr(blocks, "SQUARES_BYTES", 0)
    _, dropped, _ = scan(slide, tiny_bundle, tmp_path / "dropped", backend)
    np.testing.assert_array_equal(dropped, kept)


def test_what_one_block_could_not_read_spoils_no_other(
    slide, tiny_bundle, tmp_path, monkeypatch
) -> None:
    backend = create_backend(tiny_bundle, NetworkChoice(backend="openvino", threads=1))
    monkeypatch.setattr(plan_module, "DENSE_BLOCK_CELLS", 11)
    _, whole, _ = scan(slide, tiny_bundle, tmp_path / "whole", backend)
    read, part, failures = type(slide).read, Box(300, 300, 700, 700), []

    def fail_once(self, box, mpp, *, damaged="raise", **options):
        """Fail for the first picture that shows the part, which a later one can read."""
        if len(failures) < 2 and not box.intersect(part).is_empty:
            failures.append(damaged)
            if damaged == "raise":
                raise TileReadError("slide.svs: a tile cannot be read")
            self._damaged[0, 0, 0] = part
            return np.full_like(read(self, box, mpp), 255)
        return read(self, box, mpp, damaged=damaged, **options)

    monkeypatch.setattr(type(slide), "read", fail_once)
    _, values, _ = scan(slide, tiny_bundle, tmp_path / "once", backend, readers=0)
    assert failures == ["raise", "white"]
    read_anyway = ~np.isnan(values) & (values != UNREADABLE)
    assert (values == UNREADABLE).any()
    np.testing.assert_array_equal(values[read_anyway], whole[read_anyway])


def test_the_map_with_a_shared_stem_is_that_of_whole_pictures(
    slide, tiny_bundle, tmp_path
) -> None:
    backend = create_backend(tiny_bundle, NetworkChoice(backend="openvino", threads=1))
    _, shared, _ = scan(slide, tiny_bundle, tmp_path / "shared", backend)
    backend.has_stem = False
    _, whole, _ = scan(slide, tiny_bundle, tmp_path / "whole", backend)
    np.testing.assert_allclose(shared, whole, atol=0.02)  # bfloat16 rounds once more


def test_map_does_not_depend_on_which_cells_are_wanted(
    slide, tiny_bundle, tmp_path
) -> None:
    roi = np.zeros((60, 80), bool)
    roi[5:25, 10:30] = roi[40:58, 50:75] = True
    plan, part, _ = scan(slide, tiny_bundle, tmp_path / "part", roi=roi)
    _, whole, _ = scan(slide, tiny_bundle, tmp_path / "whole")
    np.testing.assert_array_equal(~np.isnan(part), plan.patches.kept)
    kept = plan.patches.kept
    np.testing.assert_allclose(part[kept], whole[kept], atol=ROUNDING)


def test_cells_of_a_large_picture_agree_between_back_ends(tiny_bundle, texture) -> None:
    picture = texture(335, 303)
    onnx = create_backend(tiny_bundle, NetworkChoice(backend="onnx")).cell_margins(
        picture
    )
    torch = create_backend(tiny_bundle, NetworkChoice(backend="torch")).cell_margins(
        picture
    )
    assert onnx.shape == torch.shape == (20, 18)
    np.testing.assert_allclose(onnx, torch, atol=1e-3)


def test_mean_of_a_patch_s_cells_is_the_patch_s_log_odds(tiny_bundle, texture) -> None:
    patch = texture(64, 64)
    backend = create_backend(tiny_bundle)
    (alone,) = backend.predict(patch[np.newaxis])
    assert backend.cell_margins(patch).mean() == pytest.approx(logit(alone), abs=1e-3)


@pytest.mark.parametrize(("side", "fits"), [(30, False), (31, True)])
def test_a_picture_too_small_is_refused(tiny_bundle, texture, side, fits) -> None:
    backend = create_backend(tiny_bundle)
    if fits:
        assert backend.cell_margins(texture(side, side)).shape == (1, 1)
    else:
        with pytest.raises(DataError, match="at least 31 px"):
            backend.cell_margins(texture(side, side))


def test_a_value_belongs_to_the_middle_of_its_cell(
    dark_bundle, tmp_path, write_svs
) -> None:
    from napari_fastnet.model.bundle import load_bundle

    bundle = load_bundle(dark_bundle)
    # White but for one cell of 16 px of the model, 128 px of the slide.
    image = np.full((1200, 1600, 3), 255, np.uint8)
    image[3 * 128 : 4 * 128, 5 * 128 : 6 * 128] = 0
    path = write_svs(tmp_path / "dot.svs", image, mpp=0.25)
    with open_slide(path) as slide:
        plan, values, _ = scan(slide, bundle, tmp_path)
    assert plan.patches.grid.origin == (0, 0)
    assert plan.patches.grid.step == (128, 128)
    # The patch's 31 px middle is one cell, half a px from the cell's own middle.
    assert np.unravel_index(np.nanargmax(values), values.shape) == (3, 5)
    assert values[3, 5] > 0.98  # the filter brings in a little white
    beside = np.delete(values.ravel(), 3 * values.shape[1] + 5)
    assert np.nanmax(beside) < 0.2


def test_cells_stay_where_they_are_when_the_region_of_interest_grows(
    slide, tiny_bundle
) -> None:
    small = np.zeros((60, 80), bool)
    small[20:40, 20:50] = True
    for stride in ("patch", 24):
        first = make_plan(slide, tiny_bundle, small, stride=stride)
        anchor = first.patches.grid.origin
        wider = np.ones((60, 80), bool)
        again = make_plan(slide, tiny_bundle, wider, stride=stride, anchor=anchor)
        assert again.patches.grid == first.patches.grid
        assert again.patches.kept[first.patches.kept].all()
    dense = make_plan(slide, tiny_bundle, small, stride="dense").patches.grid
    assert dense == make_plan(slide, tiny_bundle, np.ones((60, 80), bool)).patches.grid


def test_little_memory_means_smaller_pictures_and_the_same_map(
    slide, tiny_bundle, tmp_path
) -> None:
    full, whole, _ = scan(slide, tiny_bundle, tmp_path / "whole")
    small, cut, _ = scan(slide, tiny_bundle, tmp_path / "cut", memory_mb=330)
    assert small.picture_cells < full.picture_cells == full.block_cells
    assert small.block_cells == full.block_cells  # and the same store
    np.testing.assert_allclose(cut, whole, atol=ROUNDING)


def test_blocks_never_grow_with_the_slide(slide, tiny_bundle) -> None:
    plan = make_plan(slide, tiny_bundle, np.ones((60, 80), bool))
    sides = [
        replace(
            plan, patches=replace(plan.patches, kept=np.zeros((rows, 1000), bool))
        ).block_cells
        for rows in (1, 499, 500, 999, 1000, 9000)
    ]
    assert sides == sorted(sides, reverse=True)
    assert sides[0] > sides[-1] >= plan_module.SMALLEST_PICTURE_CELLS


@pytest.mark.parametrize(("memory_mb", "fits"), [(310, False), (330, True)])
def test_too_little_memory_is_said(slide, tiny_bundle, memory_mb, fits) -> None:
    roi = np.ones((60, 80), bool)
    if fits:
        assert make_plan(slide, tiny_bundle, roi).within(memory_mb)
    else:
        with pytest.raises(OptionError, match="at least"):
            make_plan(slide, tiny_bundle, roi).within(memory_mb)


def test_pictures_have_few_sizes_and_none_is_too_large(slide, tiny_bundle) -> None:
    plan = make_plan(slide, tiny_bundle, np.ones((60, 80), bool), stride="dense")
    assert plan.picture_shape((1, 16)) == (8, 16)
    assert plan.picture_shape((17, 96)) == (24, 96)
    small = plan.within(340)
    assert 8 < small.picture_cells < 24
    assert small.picture_shape((17, 3)) == (max(17, small.picture_cells), 8)
    patches = make_plan(slide, tiny_bundle, np.ones((60, 80), bool), stride="patch")
    assert patches.picture_shape((5, 7)) == (5, 7)
