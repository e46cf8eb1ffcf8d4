"""A large slide's first block: soon, and no value is another for it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from napari_fastnet.cohort.detect import detect
from napari_fastnet.core.options import TissueParameters
from napari_fastnet.detection import first_block as head_start
from napari_fastnet.detection import plan
from napari_fastnet.detection import run as runs
from napari_fastnet.detection.first_block import first_block, rough_run
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.detection.plan import dense_cells
from napari_fastnet.detection.run import SlideRun
from napari_fastnet.detection.tissue import find_tissue, tissue_at
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.store.store import read_store

SIDE = 8  # cells of a block here
DENSE = RunOptions(stride="dense")
NAMES = ("early", "late")


@pytest.fixture(scope="module")
def slide_path(tmp_path_factory, write_svs, texture):
    """A slide with detail everywhere, tissue in its middle; 1 µm/px."""
    image = np.full((1200, 1600, 3), 244, np.uint8)
    image[200:1000, 200:1200] = texture(800, 1000) // 3 + (90, 40, 80)
    path = tmp_path_factory.mktemp("slides") / "square.svs"
    return write_svs(path, image, factors=(1, 4, 16), mpp=1.0)


@pytest.fixture
def slide(slide_path):
    with open_slide(slide_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def bundle(dark_bundle):
    return load_bundle(dark_bundle)


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch):
    """Give slides of any size a head start, in blocks of 8 cells."""
    monkeypatch.setattr(head_start, "LARGE_CELLS", 1)
    monkeypatch.setattr(plan, "DENSE_BLOCK_CELLS", SIDE)


def never(monkeypatch):
    monkeypatch.setattr(head_start, "LARGE_CELLS", 10**12)


def test_only_from_so_many_cells_on(slide, bundle, tmp_path, monkeypatch) -> None:
    cells = dense_cells(slide, bundle)
    assert cells == 38 * 50  # 1200 x 1600 px, a cell every 32
    monkeypatch.setattr(head_start, "LARGE_CELLS", cells + 1)
    assert rough_run(slide, bundle, tmp_path, DENSE) is None
    assert not (tmp_path / "run.zarr").exists()
    monkeypatch.setattr(head_start, "LARGE_CELLS", cells)
    assert rough_run(slide, bundle, tmp_path, DENSE) is not None


def test_only_where_a_coarse_level_is_small(
    slide, bundle, tmp_path, monkeypatch
) -> None:
    coarsest = 75 * 100
    monkeypatch.setattr(head_start, "MOST_ROUGH_PX", coarsest - 1)
    assert rough_run(slide, bundle, tmp_path, DENSE) is None
    monkeypatch.setattr(head_start, "MOST_ROUGH_PX", coarsest)
    assert rough_run(slide, bundle, tmp_path, DENSE) is not None


@pytest.mark.parametrize(
    "options",
    [
        RunOptions(stride="patch"),
        RunOptions(stride=16),
        RunOptions(stride="dense", stain="reinhard"),
    ],
    ids=["patch", "16", "stain"],
)
def test_only_where_cells_and_values_do_not_depend_on_the_masks(
    slide, bundle, tmp_path, options
) -> None:
    assert rough_run(slide, bundle, tmp_path, options) is None


def test_a_run_that_has_begun_goes_on_as_it_would_have(slide, bundle, tmp_path) -> None:
    backend = create_backend(bundle)
    run = SlideRun(slide, bundle, tmp_path, DENSE)
    assert rough_run(slide, bundle, tmp_path, DENSE) is not None  # nothing in it yet
    next(iter(run.steps(backend)))
    assert rough_run(slide, bundle, tmp_path, DENSE) is None
    fresh = replace(DENSE, fresh=True)
    assert rough_run(slide, bundle, tmp_path, fresh) is not None
    assert np.isnan(run.store.read()).all()


def test_a_block_that_is_tissue_all_over_comes_first(slide, bundle, tmp_path) -> None:
    run = rough_run(slide, bundle, tmp_path, DENSE)
    step = first_block(run, create_backend(bundle))
    assert np.isfinite(step.values).all()  # the first in order has a corner of glass
    first_in_order = run.store.blocks()[0]
    assert not run.plan.patches.kept[first_in_order.slices].all()
    stored = run.store.read()
    assert stored[step.block.slices].tobytes() == step.values.tobytes()
    assert np.isfinite(stored).sum() == SIDE**2
    assert run.plan.patches.kept[step.block.slices].all()


def test_without_a_block_that_is_tissue_all_over_nothing_comes_first(
    slide, bundle, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(plan, "DENSE_BLOCK_CELLS", 30)  # wider than the tissue
    run = rough_run(slide, bundle, tmp_path, DENSE)
    assert first_block(run, create_backend(bundle)) is None
    assert first_block(run, create_backend(bundle), lambda _: 0.0) is not None


def test_whoever_asks_says_which_block_comes_first(slide, bundle, tmp_path) -> None:
    run = rough_run(slide, bundle, tmp_path, DENSE)
    step = first_block(run, create_backend(bundle), lambda block: -sum(block.first))
    lacking = [b for b in run.store.blocks() if run.plan.patches.kept[b.slices].any()]
    assert step.block == max(lacking, key=lambda block: sum(block.first))


def test_the_block_is_there_before_the_masks(
    slide_path, bundle, tmp_path, monkeypatch
) -> None:
    seen = []

    def find(*arguments):
        store, _ = read_store(tmp_path / "square" / "run.zarr")
        seen.append(np.isfinite(store.read()).sum())
        return find_tissue(*arguments)

    monkeypatch.setattr(runs, "find_tissue", find)
    steps = []
    detect(slide_path, tmp_path, model=bundle, options=DENSE, progress=steps.append)
    assert seen == [SIDE**2]
    assert steps[0].done == SIDE**2
    assert steps[-1].done == steps[-1].total
    assert len({step.block for step in steps}) == len(steps)


def test_no_result_is_another_for_it(slide_path, bundle, tmp_path, monkeypatch) -> None:
    early = detect(slide_path, tmp_path / NAMES[0], model=bundle, options=DENSE)
    never(monkeypatch)
    late = detect(slide_path, tmp_path / NAMES[1], model=bundle, options=DENSE)
    known = early.heatmap.probabilities
    assert known.tobytes() == late.heatmap.probabilities.tobytes()
    paths = [tmp_path / name / "square" / "regions.geojson" for name in NAMES]
    outlines = [json.loads(path.read_bytes())["features"] for path in paths]
    assert outlines[0] == outlines[1] != []
    told, wanted = early.record.to_dict(), late.record.to_dict()
    for part in ("grid", "tissue", "counts", "regions", "quality", "threshold"):
        assert told[part] == wanted[part], part


def test_its_time_is_told(slide_path, bundle, tmp_path, monkeypatch) -> None:
    wait, infer = 5.0, []

    def later(run, backend, **options):
        run.began -= wait  # as if it had taken so long
        step = first_block(run, backend, **options)
        infer.append(step.infer_seconds)
        return step

    monkeypatch.setattr("napari_fastnet.cohort.detect.first_block", later)
    result = detect(slide_path, tmp_path, model=bundle, options=DENSE)
    assert result.record.seconds.total > wait
    (earlier,) = infer
    assert result.record.seconds.infer > earlier > 0
    assert result.record.options.tissue_seconds < wait


def test_patches_that_the_masks_leave_out_are_neither_shown_nor_counted(
    slide_path, bundle, tmp_path, monkeypatch
) -> None:
    first = []

    def find(*arguments):
        """Return masks without the block that was computed."""
        store, _ = read_store(tmp_path / "square" / "run.zarr")
        known = np.isfinite(store.read())
        first.append(known)
        tissue = find_tissue(*arguments)
        scale = np.divide(tissue.masks.roi.shape, (1200 / 32, 1600 / 32))
        rows, columns = (
            (np.arange(count) / factor).astype(int)
            for count, factor in zip(tissue.masks.roi.shape, scale, strict=True)
        )
        return tissue.with_roi(tissue.masks.roi & ~known[np.ix_(rows, columns)])

    monkeypatch.setattr(runs, "find_tissue", find)
    result = detect(slide_path, tmp_path, model=bundle, options=DENSE)
    counts, shown = result.record.counts, result.heatmap.computed
    assert counts.computed == counts.kept == shown.sum() > 0
    assert not shown[first[0]].all()
    store, _ = read_store(tmp_path / "square" / "run.zarr")
    hidden = np.isfinite(store.read()) & ~shown
    assert hidden.sum() >= SIDE**2 / 2
    assert hidden[~first[0]].sum() == 0


def test_killed_after_it_the_run_ends_with_the_same_values(
    slide_path, bundle, tmp_path
) -> None:
    detect(slide_path, tmp_path / "whole", model=bundle, options=DENSE)
    with open_slide(slide_path) as slide:
        run = rough_run(slide, bundle, tmp_path / "killed" / "square", DENSE)
        first_block(run, create_backend(bundle))
    detect(slide_path, tmp_path / "killed", model=bundle, options=DENSE)
    stores = [
        read_store(tmp_path / name / "square" / "run.zarr")[0].read()
        for name in ("whole", "killed")
    ]
    assert stores[0].tobytes() == stores[1].tobytes()


def test_fresh_computes_the_block_anew_and_keeps_it(
    slide_path, bundle, tmp_path
) -> None:
    detect(slide_path, tmp_path, model=bundle, options=DENSE)
    steps = []
    fresh = replace(DENSE, fresh=True)
    detect(slide_path, tmp_path, model=bundle, options=fresh, progress=steps.append)
    assert steps[0].done == SIDE**2
    assert len({step.block for step in steps}) == len(steps)


def test_damage_that_it_set_aside_is_told_once(slide_path, bundle, tmp_path) -> None:
    folder = tmp_path / "square"
    with open_slide(slide_path) as slide:
        SlideRun(slide, bundle, folder, DENSE)
    description = folder / "run.zarr" / "zarr.json"
    description.write_bytes(description.read_bytes()[:50])
    result = detect(slide_path, tmp_path, model=bundle, options=DENSE)
    assert len(result.notes) == 1
    assert "damaged" in result.notes[0]


def test_a_damaged_coarse_level_is_made_from_the_next_finer(
    slide_path, bundle, tmp_path
) -> None:
    damaged = tmp_path / "damaged.svs"
    content = bytearray(slide_path.read_bytes())
    with tifffile.TiffFile(slide_path) as tif:
        page = tif.pages[-1]
        assert page.shape[:2] == (75, 100)
        at, length = page.dataoffsets[0], page.databytecounts[0]
    content[at : at + length] = bytes(length)
    damaged.write_bytes(content)
    with open_slide(damaged) as slide:
        assert rough_run(slide, bundle, tmp_path, DENSE) is not None
        assert slide.damaged == ()
        assert list(slide.finer_tiles.values()) == [1]
    result = detect(damaged, tmp_path, model=bundle, options=DENSE)
    assert result.record.counts.computed == result.record.counts.kept > 0
    assert result.record.tissue.damaged_tiles == 0


def test_damage_that_the_block_meets_is_none_of_the_masks(
    slide_path, bundle, tmp_path, monkeypatch
) -> None:
    content = bytearray(slide_path.read_bytes())
    with tifffile.TiffFile(slide_path) as tif:
        page = tif.pages[0]
        tiles = list(zip(page.dataoffsets, page.databytecounts, strict=True))
        for at, length in tiles[len(tiles) // 2 :][:1]:
            content[at : at + length] = bytes(length)
    damaged = tmp_path / "damaged.svs"
    damaged.write_bytes(content)
    told = []
    for name in NAMES:  # the second without a head start
        result = detect(damaged, tmp_path / name, model=bundle, options=DENSE)
        told.append(result.record)
        never(monkeypatch)
    assert [record.tissue.damaged_tiles for record in told] == [0, 0]
    assert told[0].counts == told[1].counts
    assert told[0].counts.failed > 0


def test_what_a_killed_process_left_half_written_is_no_block(
    slide, bundle, tmp_path
) -> None:
    chunks = tmp_path / "run.zarr" / "c" / "0"
    chunks.mkdir(parents=True)
    (chunks / ".0-12345678-4711-0badcafe").write_bytes(b"half")
    assert rough_run(slide, bundle, tmp_path, DENSE) is not None


def test_glass_has_no_first_block(bundle, write_svs, tmp_path) -> None:
    noise = np.random.default_rng(0).integers(238, 250, (1200, 1600, 3))
    path = write_svs(
        tmp_path / "glass.svs", noise.astype(np.uint8), factors=(1, 4, 16), mpp=1.0
    )
    steps = []
    result = detect(path, tmp_path, model=bundle, options=DENSE, progress=steps.append)
    assert steps == []
    assert result.record.counts.kept == 0


def test_rough_masks_have_px_of_64_um(slide) -> None:
    tissue = tissue_at(head_start.ROUGH_MPP, slide, TissueParameters())
    assert tissue.mpp == pytest.approx((64, 64), rel=0.02)
    fine = find_tissue(slide)
    assert tissue.area_mm2 == pytest.approx(fine.area_mm2, rel=0.15)
