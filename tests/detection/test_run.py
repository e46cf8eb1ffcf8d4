"""One slide from start to files: all of them, consistent, and kept when killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_fastnet.cohort.detect import detect
from napari_fastnet.core.appearance import stain
from napari_fastnet.detection.options import RunOptions
from napari_fastnet.detection.run import SlideRun
from napari_fastnet.detection.tissue import find_tissue
from napari_fastnet.errors import MaskError, OptionError, OutputError, SpacingError
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.results.record import parse_record, read_record
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.store.store import read_store

FILES = {
    "run.zarr",
    "heatmap.ome.tif",
    "tissue_rgb.tif",
    "tissue_hsv.tif",
    "tissue_threshold.tif",
    "tissue_roi.tif",
    "regions.geojson",
    "regions.csv",
    "overview.png",
    "quality.tif",
    "run.json",
}


@pytest.fixture(scope="module")
def slide_path(tmp_path_factory, write_svs):
    """A pink square with a dark square in it, on glass; 1 µm/px."""
    image = np.full((1200, 1600, 3), 244, np.uint8)
    image[200:1000, 200:1200] = (170, 110, 150)
    image[400:720, 520:840] = (60, 40, 80)
    rng = np.random.default_rng(0)
    noise = rng.integers(-6, 7, image.shape)
    image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return write_svs(
        tmp_path_factory.mktemp("slides") / "square.svs", image, factors=(1, 4), mpp=1.0
    )


@pytest.fixture(scope="module")
def finished(slide_path, dark_bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    return detect(slide_path, folder, model=dark_bundle), folder / "square"


def test_a_network_may_be_made_while_the_tissue_is_found(
    slide_path, dark_bundle, finished, tmp_path
):
    threads = []

    def make():
        threads.append(threading.current_thread())
        return create_backend(load_bundle(dark_bundle))

    found = detect(slide_path, tmp_path, model=dark_bundle, backend=make)

    assert threads != [threading.current_thread()]
    assert len(threads) == 1
    assert not threads[0].is_alive()
    np.testing.assert_array_equal(
        found.heatmap.probabilities, finished[0].heatmap.probabilities
    )


def test_what_making_the_network_raises_is_raised(slide_path, dark_bundle, tmp_path):
    def make():
        raise OptionError("backend is 'abacus'; use onnx")

    with pytest.raises(OptionError, match="abacus"):
        detect(slide_path, tmp_path, model=dark_bundle, backend=make)


def test_every_file_of_a_run_is_written_and_nothing_else(finished) -> None:
    result, folder = finished
    assert {path.name for path in folder.iterdir()} == FILES
    assert {path.name for path in result.files} == FILES


def test_the_dark_square_is_the_one_region(finished) -> None:
    result, folder = finished
    (region,) = result.regions
    # 320 x 320 µm; cells of 32 µm that lie mostly inside, at 0.5.
    assert region.area_mm2 == pytest.approx(0.1024, rel=0.25)
    assert region.centroid == pytest.approx((560, 680), abs=40)
    content = json.loads((folder / "regions.geojson").read_text())
    assert len(content["features"]) == 1
    assert len((folder / "regions.csv").read_text().splitlines()) == 2


def test_heatmap_file_store_and_result_agree(finished) -> None:
    result, folder = finished
    stored, record = read_store(folder / "run.zarr")
    on_disk = tifffile.imread(folder / "heatmap.ome.tif")
    np.testing.assert_array_equal(on_disk, result.heatmap.probabilities)
    np.testing.assert_array_equal(
        stored.heatmap().probabilities, result.heatmap.probabilities
    )
    assert parse_record(record) == read_record(folder / "run.json")


def test_record_says_what_was_done(finished, slide_path, dark_bundle) -> None:
    _, folder = finished
    record = read_record(folder / "run.json")
    bundle = load_bundle(dark_bundle)
    assert record.slide.path == str(slide_path)
    assert record.slide.mpp == (1.0, 1.0)
    assert record.slide.mpp_source == "vendor"
    assert (record.slide.width, record.slide.height) == (1600, 1200)
    assert record.model.sha256 == bundle.sha256
    assert record.grid.step == (32.0, 32.0)  # 16 px of 2 µm
    assert record.threshold == 0.5
    assert record.counts.computed == record.counts.kept > 100
    assert record.counts.failed == record.counts.stopped == 0
    assert 0.3 < record.tissue.fraction < 0.6
    assert record.options.stride_px == 16
    assert record.options.dense is True
    assert record.options.stain == {"method": "none"}
    assert " on cpu" in record.options.backend


def test_a_second_run_computes_nothing_and_says_the_same(
    finished, slide_path, dark_bundle
) -> None:
    result, folder = finished
    steps = []
    again = detect(slide_path, folder.parent, model=dark_bundle, progress=steps.append)
    assert steps == []
    np.testing.assert_array_equal(
        again.heatmap.probabilities, result.heatmap.probabilities
    )
    told = [dict(one.rows())["patches"] for one in (result, again)]
    assert told[0].endswith(" computed")
    assert told[1] == f"{told[0]}, all by an earlier run"


def test_another_slide_of_the_same_name_is_told_of(
    slide_path, write_svs, dark_bundle, tmp_path
) -> None:
    first = detect(slide_path, tmp_path / "out", model=dark_bundle)
    image = np.full((64, 64, 3), 245, np.uint8)
    other = write_svs(tmp_path / "square.svs", image, mpp=1.0)
    second = detect(other, tmp_path / "out", model=dark_bundle)
    assert first.notes == ()
    (note,) = second.notes
    assert note.startswith(f"{first.folder}: holds the results of another slide")
    assert second.folder == tmp_path / "out" / f"{tmp_path.name}_square"
    assert read_record(first.folder / "run.json").slide.path == str(slide_path)
    # each is found again where it is
    again = [
        detect(s, tmp_path / "out", model=dark_bundle) for s in (other, slide_path)
    ]
    assert [result.folder for result in again] == [second.folder, first.folder]


def test_another_slide_under_the_same_path_is_told_of(
    slide_path, write_svs, dark_bundle, tmp_path
) -> None:
    slide = tmp_path / "a.svs"
    slide.write_bytes(slide_path.read_bytes())
    detect(slide, tmp_path / "out", model=dark_bundle)
    write_svs(slide, np.full((64, 64, 3), 245, np.uint8), mpp=1.0)
    (note,) = detect(slide, tmp_path / "out", model=dark_bundle).notes
    assert note.endswith(f"a: replaced the results of {slide}")


def test_results_of_another_model_that_are_replaced_are_told_of(
    slide_path, dark_bundle, tiny_bundle, tmp_path, monkeypatch
) -> None:
    out, other = tmp_path / "out", tiny_bundle
    assert other.sha256 != load_bundle(dark_bundle).sha256
    detect(slide_path, out, model=dark_bundle)
    (note,) = detect(slide_path, out, model=other).notes
    assert note.endswith("replaced the results of another model")
    assert detect(slide_path, out, model=other).notes == ()

    monkeypatch.setenv("NAPARI_FASTNET_MODELS", str(tmp_path / "models"))
    shutil.copytree(other.folder, tmp_path / "models" / "lab-1.0")
    (note,) = detect(slide_path, out, model=dark_bundle).notes
    assert note.endswith("they go on with the model lab-1.0")


def test_a_slide_is_recorded_by_its_whole_path(
    slide_path, dark_bundle, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(slide_path.parent)
    result = detect(slide_path.name, tmp_path, model=dark_bundle)
    assert result.record.slide.path == str(slide_path)


def computed_by(steps) -> int:
    """Return how many cells have a value from these steps."""
    return sum(int(np.isfinite(step.values).sum()) for step in steps)


@pytest.mark.parametrize("fresh", [False, True])
def test_fresh_computes_every_cell_again(
    slide_path, dark_bundle, tmp_path, fresh
) -> None:
    first = detect(slide_path, tmp_path, model=dark_bundle)
    steps: list = []
    again = detect(
        slide_path,
        tmp_path,
        model=dark_bundle,
        options=RunOptions(fresh=fresh),
        progress=steps.append,
    )
    assert computed_by(steps) == (first.record.counts.computed if fresh else 0)
    assert again.all_earlier is not fresh


def test_threshold_of_the_user_moves_the_regions_only(
    finished, slide_path, dark_bundle
) -> None:
    result, folder = finished
    options = RunOptions(threshold=0.2)
    lower = detect(slide_path, folder.parent, model=dark_bundle, options=options)
    assert lower.record.threshold == 0.2
    assert sum(r.area_mm2 for r in lower.regions) > result.regions[0].area_mm2
    np.testing.assert_array_equal(
        lower.heatmap.probabilities, result.heatmap.probabilities
    )


def test_a_users_mask_replaces_the_region_of_interest(
    slide_path, dark_bundle, tmp_path
) -> None:
    mask = np.zeros((120, 160), np.uint8)
    mask[40:72, 52:84] = 255  # just the dark square
    Image.fromarray(mask).save(tmp_path / "mask.png")
    result = detect(
        slide_path,
        tmp_path,
        model=dark_bundle,
        options=RunOptions(mask=tmp_path / "mask.png"),
    )
    assert result.record.counts is not None
    # 320 px by 320 px in steps of 32 px, and where half a patch lies inside.
    assert 100 <= result.record.counts.kept <= 121
    roi = tifffile.imread(tmp_path / "square" / "tissue_roi.tif") > 0
    assert roi.mean() == pytest.approx((mask > 0).mean(), rel=0.02)


def test_what_cannot_be_read_counts_inside_the_mask_only(
    write_svs, dark_bundle, tmp_path, tile_place, overwrite
) -> None:
    image = np.full((512, 512, 3), (150, 90, 140), np.uint8)
    path = write_svs(tmp_path / "damaged.svs", image, mpp=1.0)
    offset, count = tile_place(path, 0)
    overwrite(path, offset, b"\xff" * count)
    mask = np.full((64, 64), 255, np.uint8)
    Image.fromarray(mask).save(tmp_path / "all.png")
    mask[:56] = 0
    Image.fromarray(mask).save(tmp_path / "below.png")
    failed = []
    for name in ("all.png", "below.png"):
        options = RunOptions(mask=tmp_path / name)
        result = detect(path, tmp_path / "out", model=dark_bundle, options=options)
        failed.append(result.record.counts.failed)
    assert failed[0] > 0
    assert failed[1] == 0


def test_a_mask_that_selects_nothing_is_told_of(
    slide_path, dark_bundle, tmp_path
) -> None:
    Image.fromarray(np.zeros((120, 160), np.uint8)).save(tmp_path / "black.png")
    options = RunOptions(mask=tmp_path / "black.png")
    result = detect(slide_path, tmp_path, model=dark_bundle, options=options)
    assert result.notes == (
        f"{tmp_path / 'black.png'}: selects nothing, so nothing was scanned",
    )


def test_no_tissue_is_a_result(write_svs, dark_bundle, tmp_path) -> None:
    rng = np.random.default_rng(0)
    glass = rng.integers(240, 248, (600, 800, 3)).astype(np.uint8)
    path = write_svs(tmp_path / "glass.svs", glass, mpp=1.0)
    result = detect(path, tmp_path, model=dark_bundle)
    assert result.regions == []
    assert result.record.counts is not None
    assert result.record.counts.kept == 0
    assert result.record.quality.any is None
    assert {p.name for p in (tmp_path / "glass").iterdir()} == FILES


@pytest.mark.parametrize(("stride", "shape"), [("patch", (1, 1)), ("dense", (2, 2))])
def test_a_slide_smaller_than_a_patch_has_a_value(
    write_svs, dark_bundle, tmp_path, stride, shape
) -> None:
    image = np.full((50, 60, 3), 245, np.uint8)
    image[8:] = (150, 80, 140)
    path = write_svs(tmp_path / "tiny.svs", image, mpp=1.0)
    options = RunOptions(stride=stride)
    result = detect(path, tmp_path, model=dark_bundle, options=options)
    assert result.heatmap.probabilities.shape == shape
    assert result.record.counts is not None
    assert result.record.counts.computed == result.record.counts.kept >= 1


def test_another_model_does_not_go_on_with_this_ones_run(
    slide_path, dark_bundle, make_bundle, tmp_path
) -> None:
    detect(slide_path, tmp_path, model=dark_bundle)
    other = make_bundle(patch_size_pixels=32, spacing_um_px=2.0)
    steps = []
    result = detect(slide_path, tmp_path, model=other.folder, progress=steps.append)
    assert computed_by(steps) == result.record.counts.computed > 0
    stored = json.loads((result.folder / "run.zarr" / "zarr.json").read_text())
    assert stored["attributes"]["key"]["model"] == other.sha256


@pytest.mark.parametrize("method", ["reinhard", "macenko", "density"])
def test_stain_match_needs_a_model_that_states_its_colours(
    slide_path, dark_bundle, tmp_path, method
) -> None:
    with (
        open_slide(slide_path) as slide,
        pytest.raises(OptionError, match=f"stain is '{method}'"),
    ):
        SlideRun(slide, load_bundle(dark_bundle), tmp_path, RunOptions(stain=method))
    assert list(tmp_path.iterdir()) == []


def test_stain_match_is_recorded_and_changes_the_colours(
    slide_path, dark_bundle, tmp_path
) -> None:
    names = stain.ROWS["reinhard"]
    target = {
        "method": "reinhard",
        "pixels": 1000,
        names[0]: [25.0, 20.0, -10.0],
        names[1]: [10.0, 5.0, 5.0],
    }
    bundle = replace(
        load_bundle(dark_bundle),
        stain={"reinhard": stain.StainStatistics.from_dict(target)},
    )
    backend = create_backend(bundle)
    means = {}
    with open_slide(slide_path) as slide:
        for method in ("none", "reinhard"):
            run = SlideRun(slide, bundle, tmp_path / method, RunOptions(stain=method))
            list(run.steps(backend))
            result = run.finish(backend.name)
            means[method] = np.nanmean(result.heatmap.probabilities)
            assert result.record.options.stain["method"] == method
    assert abs(means["none"] - means["reinhard"]) > 0.05


def test_unknown_spacing_stops_before_anything_is_written(
    write_svs, dark_bundle, tmp_path
) -> None:
    image = np.full((300, 300, 3), 120, np.uint8)
    path = write_svs(tmp_path / "unknown.svs", image, mpp=None)
    with pytest.raises(SpacingError, match="--mpp"):
        detect(path, tmp_path / "out", model=dark_bundle)
    assert not (tmp_path / "out").exists()
    with open_slide(path, mpp=1.0) as slide:
        assert detect(slide, tmp_path / "out", model=dark_bundle)


def test_a_mask_of_another_slide_stops_before_anything_is_written(
    slide_path, dark_bundle, tmp_path
) -> None:
    Image.new("L", (200, 120)).save(tmp_path / "mask.png")
    options = RunOptions(mask=tmp_path / "mask.png")
    with pytest.raises(MaskError, match="160 px wide"):
        detect(slide_path, tmp_path / "out", model=dark_bundle, options=options)
    assert not (tmp_path / "out").exists()


def test_a_file_where_the_folder_should_be_is_an_output_error(
    slide_path, dark_bundle, tmp_path
) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(OutputError, match="out"):
        detect(slide_path, tmp_path / "out", model=dark_bundle)


@pytest.mark.parametrize(
    "changes", [{"threshold": -0.01}, {"threshold": 1.01}, {"readers": -1}], ids=str
)
def test_options_outside_their_range_are_refused(changes) -> None:
    with pytest.raises(OptionError, match=next(iter(changes))):
        RunOptions(**changes)


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_bit_for_bit_the_same(
    finished, slide_path, dark_bundle, tmp_path
) -> None:
    script = (
        "import sys\n"
        "from napari_fastnet import detect\n"
        "def told(progress):\n"
        "    print(progress.done, flush=True)\n"
        "    sys.stdin.readline()\n"
        "detect(*sys.argv[1:3], model=sys.argv[3],\n"
        "       stride=2, progress=told)\n"
    )
    arguments = [str(slide_path), str(tmp_path / "killed"), str(dark_bundle)]
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert int(process.stdout.readline()) > 0
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()
    steps = []
    options = RunOptions(stride=2)
    resumed = detect(
        slide_path,
        tmp_path / "killed",
        model=dark_bundle,
        options=options,
        progress=steps.append,
    )
    whole_steps = []
    whole = detect(
        slide_path,
        tmp_path / "whole",
        model=dark_bundle,
        options=options,
        progress=whole_steps.append,
    )
    assert 0 < len(steps) < len(whole_steps)
    np.testing.assert_array_equal(
        resumed.heatmap.probabilities, whole.heatmap.probabilities
    )


def test_a_run_takes_masks_that_are_ready(slide_path, dark_bundle, tmp_path) -> None:
    # Whoever has edited masks by hand gets a run over just those.
    with open_slide(slide_path) as slide:
        found = find_tissue(slide)
        left = found.masks.roi.copy()
        left[:, left.shape[1] // 2 :] = False
        edited = replace(found, masks=replace(found.masks, roi=left), edited_px=1)
        run = SlideRun(
            slide, load_bundle(dark_bundle), tmp_path, RunOptions(), tissue=edited
        )
        assert run.tissue is edited
        kept = run.plan.patches.kept
        assert kept.any()
        assert not kept[:, kept.shape[1] // 2 + 1 :].any()
        backend = create_backend(run.bundle)
        list(run.steps(backend))
        assert run.finish(backend.name).record.tissue.edited_px == 1
