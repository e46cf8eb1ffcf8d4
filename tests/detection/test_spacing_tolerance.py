"""px of the file as they are, where they are almost those of the model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_fastnet.cohort.replay import replay
from napari_fastnet.detection.blocks import BlockReader
from napari_fastnet.detection.options import RunOptions, request_digest
from napari_fastnet.detection.plan import make_plan, spacing_of
from napari_fastnet.detection.run import SlideRun
from napari_fastnet.errors import OptionError
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.options import NetworkChoice
from napari_fastnet.slide.slide import open_slide


@pytest.fixture
def slide(tmp_path, write_svs, texture):
    """A slide whose second level has 0.972 µm/px; the model wants 1."""
    path = write_svs(
        tmp_path / "slide.svs", texture(1200, 1600), factors=(1, 4), mpp=0.243
    )
    with open_slide(path) as opened:
        yield opened


@pytest.mark.parametrize(
    ("tolerance", "mpp"),
    [(0.0, 1.0), (0.027, 1.0), (0.029, (0.972, 0.972)), (0.05, (0.972, 0.972))],
)
def test_the_nearest_level_within_the_tolerance_is_read(
    slide, tiny_bundle, tolerance, mpp
) -> None:
    assert spacing_of(slide, tiny_bundle, tolerance) == pytest.approx(mpp)


@pytest.mark.parametrize("stride", ["patch", "dense"])
def test_the_model_sees_px_of_the_file(slide, tiny_bundle, stride) -> None:
    roi = np.zeros((60, 80), bool)
    roi[20:50, 30:70] = True
    plan = make_plan(slide, tiny_bundle, roi, stride=stride, spacing_tolerance=0.03)
    reader = BlockReader(slide, plan, plan.patches.kept)
    store = SlideRun(
        slide, tiny_bundle, None, RunOptions(stride=stride, spacing_tolerance=0.03)
    ).store
    whole = slide.read_level(1, 0, 0, 300, 400)
    rows, columns = np.argwhere(plan.patches.kept).T
    row, column = int(rows[0]), int(columns[0])
    block = next(
        block
        for block in store.blocks()
        if block.first[0] <= row < block.end[0]
        and block.first[1] <= column < block.end[1]
    )
    read = reader.read(block)
    part = read.parts[0]
    first = [
        begin + side.start for begin, side in zip(block.first, part.slices, strict=True)
    ]
    box = plan.picture_box((first[0], first[1]), part.shape)
    top, left = round(box.top / 4), round(box.left / 4)
    assert box.top / 4 == pytest.approx(top, abs=1e-6)
    inside = (
        slice(max(0, -top), 40 + max(0, -top)),
        slice(max(0, -left), 40 + max(0, -left)),
    )
    np.testing.assert_array_equal(
        part.pixels[inside],
        whole[
            top + inside[0].start : top + inside[0].stop,
            left + inside[1].start : left + inside[1].stop,
        ],
    )


def test_without_a_tolerance_a_request_is_that_of_earlier_versions(
    slide, tiny_bundle
) -> None:
    options = RunOptions()
    digest = request_digest(slide, tiny_bundle, options)
    assert digest == request_digest(
        slide, tiny_bundle, replace(options, spacing_tolerance=0.0)
    )
    assert digest != request_digest(
        slide, tiny_bundle, replace(options, spacing_tolerance=0.03)
    )


def test_a_run_is_repeated_with_its_tolerance(slide, tiny_bundle, tmp_path) -> None:
    options = RunOptions(
        stride="patch",
        spacing_tolerance=0.03,
        network=NetworkChoice(model=tiny_bundle.folder, backend="onnx", threads=1),
    )
    run = SlideRun(slide, tiny_bundle, tmp_path / "slide", options)
    list(run.steps(create_backend(tiny_bundle, options.network)))
    result = run.finish("onnx on cpu")
    assert result.record.options.spacing_tolerance == 0.03
    assert result.record.grid.step[0] == pytest.approx(64 * 4)
    again = replay(
        tmp_path / "slide" / "run.json", tmp_path / "again", model=tiny_bundle.folder
    )
    assert again.result.record.options.spacing_tolerance == 0.03
    assert again.values is not None
    assert again.values.beyond == 0
    assert again.same


@pytest.mark.parametrize("tolerance", [-0.01, 0.051, float("nan")])
def test_a_tolerance_that_would_change_sizes_is_refused(tolerance) -> None:
    with pytest.raises(OptionError, match=r"spacing tolerance is .*; use 0 to 0\.05"):
        RunOptions(spacing_tolerance=tolerance)
