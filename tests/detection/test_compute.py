"""Detection: every patch once, where it belongs, also when files and networks fail."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from napari_fastnet.core.appearance.stain import StainMatch
from napari_fastnet.detection.compute import detect
from napari_fastnet.detection.inference import BlockWork
from napari_fastnet.detection.plan import Plan, make_plan
from napari_fastnet.errors import DetectionError, OptionError, SpacingError
from napari_fastnet.model.backends.backend import Backend
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.store.format import RunDescription
from napari_fastnet.store.store import open_store, read_store


class MeanBackend(Backend):
    """Says how bright a patch is: then the heatmap is the slide, made smaller."""

    def __init__(self, fail_after: int | None = None) -> None:
        super().__init__("mean", "mean 1")
        self.seen = 0
        self.fail_after = fail_after

    def release(self):
        super().release()
        self.seen_before_release = self.seen

    def _infer(self, output, patches):
        self.seen += len(patches)
        if self.fail_after is not None and self.seen > self.fail_after:
            raise DetectionError("the network failed; use another")
        return (patches.mean(axis=(1, 2, 3)) / 255).astype(np.float32)


@pytest.fixture
def image(texture):
    return texture(1000, 1400)


@pytest.fixture
def slide(tmp_path, write_svs, image):
    path = write_svs(tmp_path / "slide.svs", image, factors=(1, 4), mpp=0.5)
    with open_slide(path) as opened:
        yield opened


def tissue(shape=(100, 140), *, empty=()):
    mask = np.ones(shape, bool)
    for part in empty:
        mask[part] = False
    return mask


def store_for(folder, plan: Plan, slide):
    return open_store(
        folder / "run.zarr",
        RunDescription(
            key={},
            grid=plan.patches.grid,
            mpp=slide.require_mpp(),
            block_cells=plan.block_cells,
        ),
    )


def store_values(folder):
    return read_store(folder / "run.zarr")[0].read()


def run(slide, bundle, folder, *, roi=None, backend=None, **options):
    plan_options = {
        name: options.pop(name) for name in ("stain", "anchor") if name in options
    }
    plan_options["stride"] = options.pop("stride", "patch")
    roi = tissue() if roi is None else roi
    plan = make_plan(slide, bundle, roi, **plan_options)
    store = store_for(folder, plan, slide)
    backend = backend or MeanBackend()
    return plan, store, list(detect(slide, plan, backend, store, **options))


def test_heatmap_of_mean_brightness_is_the_slide_made_smaller(
    slide, image, tiny_bundle, tmp_path
) -> None:
    # 64 px at 1 µm/px are 128 px of this slide.
    plan, store, _ = run(slide, tiny_bundle, tmp_path)
    assert plan.patches.grid.shape == (8, 11)
    assert plan.patches.grid.step == (128, 128)
    values = store.heatmap().probabilities
    for row, column in [(0, 0), (3, 5), (6, 9)]:
        cell = image[row * 128 : row * 128 + 128, column * 128 : column * 128 + 128]
        assert values[row, column] == pytest.approx(cell.mean() / 255, abs=0.004)


def test_patches_that_hang_over_the_edge_see_white(
    slide, image, tiny_bundle, tmp_path
) -> None:
    _, store, _ = run(slide, tiny_bundle, tmp_path)
    seen = np.full((128, 128, 3), 255.0)
    part = image[896:1000, 0:128]
    seen[: len(part)] = part
    assert store.heatmap().probabilities[7, 0] == pytest.approx(
        seen.mean() / 255, abs=0.004
    )


def test_overlapping_patches_are_centred_on_their_cells(
    slide, image, tiny_bundle, tmp_path
) -> None:
    plan, store, _ = run(slide, tiny_bundle, tmp_path, stride=16)
    assert plan.patches.grid.step == (32, 32)
    values = store.heatmap().probabilities
    y, x = (int(v) for v in plan.patches.grid.cell_centre(10, 20))
    around = image[y - 64 : y + 64, x - 64 : x + 64]
    assert values[10, 20] == pytest.approx(around.mean() / 255, abs=0.004)


def test_only_tissue_is_looked_at(slide, tiny_bundle, tmp_path) -> None:
    backend = MeanBackend()
    half = tissue(empty=[np.s_[:, 64:]])
    plan, store, steps = run(slide, tiny_bundle, tmp_path, roi=half, backend=backend)
    kept = plan.patches.kept
    assert backend.seen == kept.sum() == steps[-1].total
    np.testing.assert_array_equal(store.heatmap().computed, kept)


def test_what_another_region_of_interest_found_stays(
    slide, tiny_bundle, tmp_path
) -> None:
    """Also in blocks that both reach into without a patch in common."""
    left, right = (tissue(empty=[part]) for part in (np.s_[:, 40:], np.s_[:, :60]))
    _, whole, _ = run(slide, tiny_bundle, tmp_path / "whole", anchor=(0, 0))
    run(slide, tiny_bundle, tmp_path, roi=left, anchor=(0, 0))
    known = ~np.isnan(store_values(tmp_path))
    plan, _, steps = run(slide, tiny_bundle, tmp_path, roi=right, anchor=(0, 0))
    assert steps
    assert known.any()
    assert not (known & plan.patches.kept).any()
    both = known | plan.patches.kept
    expected = np.where(both, whole.read(), np.float32(np.nan))
    np.testing.assert_array_equal(store_values(tmp_path), expected)


def test_no_tissue_is_a_run_without_steps(slide, tiny_bundle, tmp_path) -> None:
    plan, store, steps = run(
        slide, tiny_bundle, tmp_path, roi=np.zeros((100, 140), bool)
    )
    assert steps == []
    assert not plan.patches.kept.any()
    assert store.heatmap().coverage == 0


def test_progress_counts_every_patch_once_and_is_stored_when_told(
    slide, tiny_bundle, tmp_path
) -> None:
    plan = make_plan(slide, tiny_bundle, tissue(), stride=16)
    store = store_for(tmp_path, plan, slide)
    done = 0
    for progress in detect(slide, plan, MeanBackend(), store):
        fresh = ~np.isnan(progress.values)
        done += int(fresh.sum())
        assert progress.done == done
        stored = store_for(tmp_path, plan, slide).read()
        np.testing.assert_array_equal(stored[progress.block.slices], progress.values)
    assert done == progress.total == plan.patches.kept.sum()


@pytest.mark.parametrize("after", [1, 3])
def test_a_stopped_run_goes_on_and_ends_the_same(
    slide, tiny_bundle, tmp_path, after
) -> None:
    whole_plan, whole, _ = run(slide, tiny_bundle, tmp_path / "whole", stride=8)
    backend = MeanBackend()
    plan = make_plan(slide, tiny_bundle, tissue(), stride=8)
    steps = detect(slide, plan, backend, store_for(tmp_path, plan, slide))
    for _ in range(after):
        next(steps)
    steps.close()
    first = backend.seen
    _, store, rest = run(slide, tiny_bundle, tmp_path, stride=8, backend=backend)
    assert 0 < first < backend.seen
    assert backend.seen == whole_plan.patches.kept.sum()  # nothing twice
    assert rest[-1].done == rest[-1].total
    np.testing.assert_array_equal(store.read(), whole.read())


def test_a_stop_signal_ends_the_run_within_a_batch(
    slide, tiny_bundle, tmp_path
) -> None:
    backend = MeanBackend()
    _, store, steps = run(
        slide,
        tiny_bundle,
        tmp_path,
        stride=16,
        backend=backend,
        should_stop=lambda: backend.seen >= 100,
    )
    assert steps == []
    assert 100 <= backend.seen < 100 + 56
    assert np.isnan(store.read()).all()


def test_lowest_priority_value_comes_first(slide, tiny_bundle, tmp_path) -> None:
    def from_the_end(block):
        return -block.first[0] * 1000 - block.first[1]

    _, _, steps = run(
        slide, tiny_bundle, tmp_path, stride=8, priority=from_the_end, readers=1
    )
    order = [step.block for step in steps]
    assert len(order) > 3
    assert order == sorted(order, key=from_the_end)


@pytest.mark.parametrize("readers", [0, 2])
def test_what_was_read_ahead_does_not_come_before_a_new_order(
    slide, tiny_bundle, tmp_path, readers
) -> None:
    plan = make_plan(slide, tiny_bundle, tissue(), stride=8)
    store = store_for(tmp_path, plan, slide)
    backend, sign = MeanBackend(), 1

    def from_an_end(block):
        return sign * (block.first[0] * 1000 + block.first[1])

    steps = detect(slide, plan, backend, store, readers=readers, priority=from_an_end)
    first = next(steps).block
    sign = -1
    rest = [step.block for step in steps]
    blocks = sorted(store.blocks(), key=from_an_end)
    assert len(blocks) > 5
    assert [*rest, first] == blocks
    assert backend.seen == plan.patches.kept.sum()  # nothing twice


def test_threads_are_gone_after_a_run_and_after_half_of_one(
    slide, tiny_bundle, tmp_path
) -> None:
    plan = make_plan(slide, tiny_bundle, tissue(), stride=16)
    steps = detect(slide, plan, MeanBackend(), store_for(tmp_path, plan, slide))
    next(steps)
    steps.close()
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith("fastnet-read")]


def test_without_readers_the_calling_thread_reads_and_finds_the_same(
    slide, tiny_bundle, tmp_path
) -> None:
    _, ahead, _ = run(slide, tiny_bundle, tmp_path / "ahead", stride=16)
    plan = make_plan(slide, tiny_bundle, tissue(), stride=16)
    store = store_for(tmp_path, plan, slide)
    before = threading.active_count()
    for _ in detect(slide, plan, MeanBackend(), store, readers=0):
        assert threading.active_count() == before
    np.testing.assert_array_equal(store.read(), ahead.read())


def test_a_network_that_fails_keeps_what_was_computed(
    slide, tiny_bundle, tmp_path
) -> None:
    plan = make_plan(slide, tiny_bundle, tissue(), stride=16)
    store = store_for(tmp_path, plan, slide)
    steps = detect(slide, plan, MeanBackend(fail_after=1200), store)
    first = next(steps)
    with pytest.raises(DetectionError, match="failed"):
        list(steps)
    known = ~np.isnan(store.read())
    assert known.sum() >= (~np.isnan(first.values)).sum() > 0


def test_a_corrupt_tile_costs_its_patches_and_no_others(
    tmp_path, write_svs, image, tiny_bundle, tile_place, overwrite
) -> None:
    path = write_svs(tmp_path / "slide.svs", image, mpp=0.5)
    with open_slide(path) as slide:
        _, sound, _ = run(slide, tiny_bundle, tmp_path / "sound")
    offset, count = tile_place(path, 5 * 22 + 7)  # tile row 5, column 7, of 64 px
    overwrite(path, offset, b"\x00" * count)
    with open_slide(path) as slide:
        plan, store, steps = run(slide, tiny_bundle, tmp_path / "corrupt")
    # The tile spans 320..384 x 448..512: of the patches of 128 px row 2, column 3.
    assert steps[-1].failed == store.unreadable() == 1
    assert np.isnan(store.heatmap().probabilities[2, 3])
    others = np.ones(plan.patches.grid.shape, bool)
    others[2, 3] = False
    # The resampling filter reaches a px or two over a neighbour's edge.
    np.testing.assert_allclose(
        store.heatmap().probabilities[others],
        sound.heatmap().probabilities[others],
        atol=1e-3,
    )


def test_a_corrupt_tile_is_tried_again_and_nothing_else(
    tmp_path, write_svs, image, tiny_bundle, tile_place, overwrite
) -> None:
    path = write_svs(tmp_path / "slide.svs", image, mpp=0.5)
    sound = path.read_bytes()
    with open_slide(path) as slide:
        _, whole, _ = run(slide, tiny_bundle, tmp_path / "whole")
    offset, count = tile_place(path, 0)
    overwrite(path, offset, b"\x00" * count)
    with open_slide(path) as slide:
        run(slide, tiny_bundle, tmp_path / "mended")
        _, store, (step,) = run(slide, tiny_bundle, tmp_path / "mended")
        assert (step.failed, store.unreadable()) == (1, 1)
        path.write_bytes(sound)
    with open_slide(path) as slide:
        _, store, (step,) = run(slide, tiny_bundle, tmp_path / "mended")
        assert (step.failed, store.unreadable()) == (0, 0)
        assert step.done == step.total
        _, _, steps = run(slide, tiny_bundle, tmp_path / "mended")
    assert steps == []
    np.testing.assert_allclose(store.read(), whole.read(), atol=1e-3)


def test_colours_are_matched_before_the_network_sees_them(
    slide, tiny_bundle, tmp_path
) -> None:
    class Darker(StainMatch):
        def apply(self, image):
            return (image // 2).astype(np.uint8)

    _, plain, _ = run(slide, tiny_bundle, tmp_path / "a")
    _, darker, _ = run(slide, tiny_bundle, tmp_path / "b", stain=Darker("none"))
    np.testing.assert_allclose(
        darker.heatmap().probabilities, plain.heatmap().probabilities / 2, atol=0.004
    )


@pytest.mark.parametrize(
    ("stride", "fits"), [(0, False), (1, True), (64, True), (65, False)]
)
def test_stride_lies_between_1_px_and_a_patch(slide, tiny_bundle, stride, fits) -> None:
    if fits:
        assert (
            make_plan(slide, tiny_bundle, tissue(), stride=stride).stride_px == stride
        )
    else:
        with pytest.raises(OptionError, match=f"stride is {stride} px"):
            make_plan(slide, tiny_bundle, tissue(), stride=stride)


def test_unknown_spacing_is_never_guessed(
    tmp_path, write_svs, image, tiny_bundle
) -> None:
    path = write_svs(tmp_path / "unknown.svs", image, mpp=None)
    with open_slide(path) as slide, pytest.raises(SpacingError, match="--mpp"):
        make_plan(slide, tiny_bundle, tissue(), stride="patch")


def test_a_model_px_of_no_whole_number_of_px_does_not_drift(
    tmp_path, write_svs, image, tiny_bundle
) -> None:
    path = write_svs(tmp_path / "odd.svs", image, mpp=0.499)
    with open_slide(path) as slide:
        plan = make_plan(slide, tiny_bundle, tissue(), stride="patch")
    step = 64 / 0.499
    last = plan.patches.patch_box(7, 10)
    assert last.top == pytest.approx(7 * step, abs=1e-9)
    assert last.right == pytest.approx(11 * step, abs=1e-9)


def test_flips_show_every_patch_from_four_sides_and_take_the_mean(
    slide, tiny_bundle, tmp_path
) -> None:
    class Corner(MeanBackend):
        """Looks at the top left quarter only."""

        def _infer(self, output, patches):
            half = patches.shape[1] // 2
            return super()._infer(output, patches[:, :half, :half])

    _, whole, _ = run(slide, tiny_bundle, tmp_path / "whole")
    plan = replace(make_plan(slide, tiny_bundle, tissue(), stride="patch"), flips=True)
    store = store_for(tmp_path, plan, slide)
    list(detect(slide, plan, Corner(), store))
    np.testing.assert_allclose(
        store.heatmap().probabilities, whole.heatmap().probabilities, atol=1e-6
    )


def test_memory_that_is_too_short_is_one_line_and_keeps_what_was_computed(
    slide, tiny_bundle, tmp_path, monkeypatch
) -> None:
    plan = make_plan(slide, tiny_bundle, tissue(), stride=16)
    store = store_for(tmp_path, plan, slide)
    steps = detect(slide, plan, MeanBackend(), store, readers=0)
    first = next(steps)

    def no_room(*_):
        raise MemoryError

    monkeypatch.setattr(BlockWork, "infer", no_room)
    with pytest.raises(DetectionError, match=r"memory is too short.*--memory"):
        list(steps)
    kept = store.read()[first.block.slices]
    assert np.array_equal(kept, first.values, equal_nan=True)
