"""What cannot be read since its file is gone is not taken for damage."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from napari_fastnet.detection.options import RunOptions
from napari_fastnet.detection.run import SlideRun
from napari_fastnet.detection.slide_checks import require_present, require_unchanged
from napari_fastnet.detection.tissue import find_tissue
from napari_fastnet.errors import SlideNotFoundError
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.store.store import read_store


@pytest.fixture
def slide_path(tmp_path, write_svs):
    image = np.full((1280, 1280, 3), 245, np.uint8)
    image[:, :640] = (170, 110, 150)
    image += np.random.default_rng(0).integers(0, 9, image.shape, dtype=np.uint8)
    return write_svs(tmp_path / "slide.svs", image, mpp=2.0)


def cut_short(path):
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 8)


def gone(path):
    path.unlink()


def replaced(path):
    content = path.read_bytes()
    path.write_bytes(content[:-64] + bytes(64))


def test_a_file_as_it_was_is_present(slide_path) -> None:
    with open_slide(slide_path) as slide:
        require_present(slide)


@pytest.mark.parametrize("happens", [cut_short, gone, replaced])
def test_a_file_that_is_another_is_not(slide_path, happens) -> None:
    with open_slide(slide_path) as slide:
        assert len(slide.fingerprint) == 64
        happens(slide_path)
        with pytest.raises(SlideNotFoundError, match=r"slide\.svs: vanished"):
            require_present(slide)


def test_a_run_ends_and_goes_on_when_the_file_is_back(
    slide_path, dark_bundle, tmp_path
) -> None:
    bundle = load_bundle(dark_bundle)
    network = create_backend(bundle)
    options = RunOptions(stride=16, readers=1)
    content = slide_path.read_bytes()
    with open_slide(slide_path) as slide:
        tissue = find_tissue(slide)
    with open_slide(slide_path) as slide:  # remembers no tile
        run = SlideRun(slide, bundle, tmp_path / "out", options, tissue=tissue)
        steps = run.steps(network)
        done = next(steps).done
        cut_short(slide_path)
        with pytest.raises(SlideNotFoundError, match="what was computed is kept"):
            list(steps)
    stored, _ = read_store(tmp_path / "out" / "run.zarr")
    assert stored.unreadable() == 0
    assert int(stored.heatmap().computed.sum()) >= done > 0

    slide_path.write_bytes(content)
    maps = []
    for name in ("out", "straight"):
        with open_slide(slide_path) as slide:
            run = SlideRun(slide, bundle, tmp_path / name, options)
            list(run.steps(network))
            maps.append(run.store.heatmap().probabilities)
    np.testing.assert_array_equal(*maps)


def test_tissue_is_not_looked_for_in_a_file_that_is_gone(slide_path) -> None:
    with open_slide(slide_path) as slide:
        assert slide.fingerprint
        cut_short(slide_path)
        with pytest.raises(SlideNotFoundError):
            find_tissue(slide)
        assert slide.damaged


def test_a_slide_that_another_is_written_over_in_a_run_is_noticed(
    slide_path, dark_bundle, tmp_path
) -> None:
    """Every tile of the other can be read: only the file's time tells."""
    bundle = load_bundle(dark_bundle)
    network = create_backend(bundle)
    content = slide_path.read_bytes()
    with open_slide(slide_path) as slide:
        run = SlideRun(slide, bundle, tmp_path / "out", RunOptions(stride=16))
        steps = run.steps(network)
        next(steps)
        before = run.store.read()
        slide_path.write_bytes(content[:-64] + bytes(64))
        with pytest.raises(SlideNotFoundError, match="vanished or changed"):
            list(steps)
        np.testing.assert_array_equal(run.store.read(), before)
        with pytest.raises(SlideNotFoundError):
            run.finish(network.name)
        slide_path.write_bytes(content)  # as it was, but for its time
        list(run.steps(network))


def test_a_file_that_was_only_touched_is_the_same(slide_path) -> None:
    with open_slide(slide_path) as slide:
        require_unchanged(slide)
        before = slide.stamp
        os.utime(slide_path, ns=(0, 10**18))
        require_unchanged(slide)
        assert slide.stamp != before  # and the next look costs nothing


def test_a_copy_of_the_same_contents_may_take_its_place(slide_path, tmp_path) -> None:
    with open_slide(slide_path) as slide:
        copy = shutil.copy(slide_path, tmp_path / "copy.svs")
        Path(copy).replace(slide_path)
        require_unchanged(slide)


def test_tissue_is_not_taken_from_two_slides(slide_path) -> None:
    content = slide_path.read_bytes()
    with open_slide(slide_path) as slide:
        assert slide.fingerprint
        slide_path.write_bytes(content[:-64] + bytes(64))
        with pytest.raises(SlideNotFoundError, match="vanished or changed"):
            find_tissue(slide)
