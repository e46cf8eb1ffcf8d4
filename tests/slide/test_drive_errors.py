"""A drive that fails is tried again, and its failing is never taken for damage."""

from __future__ import annotations

import errno
import io

import numpy as np
import pytest

from napari_fastnet.detection.options import RunOptions
from napari_fastnet.detection.run import SlideRun
from napari_fastnet.errors import DriveError, SlideNotFoundError
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.slide import tiff_tiles
from napari_fastnet.slide.slide import open_slide


class Failing(io.BufferedReader):
    """A file whose reading fails a few times, then goes on, and then fails again."""

    good_before = 0
    failures = 0

    def read(self, count=-1):
        if self.good_before > 0:
            self.good_before -= 1
        elif self.failures > 0:
            self.failures -= 1
            raise OSError(errno.EIO, "Input/output error")
        return super().read(count)


@pytest.fixture
def slide_path(tmp_path, write_svs):
    image = np.full((640, 640, 3), 245, np.uint8)
    image[:, :320] = (150, 90, 130)
    return write_svs(tmp_path / "slide.svs", image, mpp=2.0)


@pytest.fixture
def failing(monkeypatch):
    """Return a function that makes an open slide's file fail."""
    monkeypatch.setattr(tiff_tiles, "RETRY_S", (0.0, 0.0))

    def fail(slide, failures, good_before=0):
        (owner,) = {level.load.args[0] for level in slide._source.levels}
        file = Failing(owner._file.detach())
        file.failures, file.good_before = failures, good_before
        owner._file = file
        return file

    return fail


def test_a_drive_that_is_back_soon_is_not_noticed(slide_path, failing) -> None:
    with open_slide(slide_path) as slide:
        whole = slide.read_level(0, 0, 0, 640, 640)
    with open_slide(slide_path) as slide:
        file = failing(slide, 2)
        np.testing.assert_array_equal(slide.read_level(0, 0, 0, 640, 640), whole)
        assert file.failures == 0


@pytest.mark.parametrize("damaged", ["raise", "white"])
def test_a_drive_that_stays_away_is_no_damage(slide_path, failing, damaged) -> None:
    with open_slide(slide_path) as slide:
        file = failing(slide, 10**6)
        with pytest.raises(DriveError, match=r"Input/output error.*start again"):
            slide.read_level(0, 0, 0, 64, 64, damaged=damaged)
        assert slide.damaged == ()
        file.failures = 0
        assert slide.read_level(0, 0, 0, 64, 64).min() < 100


def test_a_viewer_sees_white_and_goes_on(slide_path, failing) -> None:
    with open_slide(slide_path) as slide:
        file = failing(slide, 10**6)
        (level, *_) = slide.pyramid()
        assert (level[:64, :64].compute() == 255).all()
        file.failures = 0
        assert level[:64, :64].compute().min() < 100


def test_a_run_ends_in_a_line_and_goes_on_when_the_drive_is_back(
    slide_path, failing, dark_bundle, tmp_path
) -> None:
    bundle = load_bundle(dark_bundle)
    network, options = create_backend(bundle), RunOptions(stride=8, readers=1)
    with open_slide(slide_path) as slide:
        run = SlideRun(slide, bundle, tmp_path / "out", options)
    with open_slide(slide_path) as slide:  # remembers no tile
        run = SlideRun(slide, bundle, tmp_path / "out", options, tissue=run.tissue)
        file = failing(slide, 10**6, good_before=40)
        with pytest.raises(DriveError):
            list(run.steps(network))
        kept = run.store.read()
        assert run.store.unreadable() == 0
        assert 0 < np.isfinite(kept).sum() < run.plan.patches.kept.sum()
        file.failures = 0
        list(run.steps(network))
        assert run.store.unreadable() == 0
        assert np.isfinite(run.store.read()).sum() == run.plan.patches.kept.sum()


def test_a_slide_that_vanished_before_it_was_needed_is_one_line(slide_path) -> None:
    with open_slide(slide_path) as slide:
        slide_path.unlink()
        with pytest.raises(SlideNotFoundError, match="vanished"):
            slide.fingerprint  # noqa: B018
