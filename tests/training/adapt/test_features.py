"""Features: with the network's head they are its own values, wherever they come from."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit

from napari_fastnet.core.geometry import Box
from napari_fastnet.core.metrics.calibration import Calibration
from napari_fastnet.detection.compute import detect
from napari_fastnet.detection.plan import make_plan
from napari_fastnet.model.backends.create import create_backend
from napari_fastnet.model.options import NetworkChoice
from napari_fastnet.nn.checkpoint import load_weights
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.store.format import RunDescription
from napari_fastnet.store.store import RunStore
from napari_fastnet.training.adapt.features import (
    SlideFeatures,
    head_of,
    patch_features,
    with_head,
)
from napari_fastnet.training.adapt.head import Head


@pytest.fixture
def network(tiny_bundle):
    return load_weights(tiny_bundle.weights_path)


@pytest.fixture
def calibration(tiny_bundle):
    return Calibration(**tiny_bundle.calibration)


@pytest.fixture
def scanned(tmp_path, write_svs, texture, tiny_bundle, network):
    """Yield a slide's features and the run's own probabilities; the right end is glass."""
    path = tmp_path / "slide.svs"
    write_svs(path, texture(1200, 1600), factors=(1, 4), mpp=0.5)
    roi = np.ones((60, 80), bool)
    roi[:, 70:] = False
    with open_slide(path) as slide:
        plan = make_plan(slide, tiny_bundle, roi)
        store = RunStore(
            RunDescription(
                key={},
                grid=plan.patches.grid,
                mpp=slide.require_mpp(),
                block_cells=plan.block_cells,
            )
        )
        backend = create_backend(tiny_bundle, NetworkChoice(backend="torch"))
        for _ in detect(slide, plan, backend, store):
            pass
        features = SlideFeatures(slide, plan, network, tiny_bundle.normalisation)
        yield slide, features, store


def test_a_slides_features_give_the_runs_probabilities(scanned, network, calibration):
    slide, features, store = scanned
    blocks = features.blocks_in(Box.of_shape(slide.shape))
    found = np.full(store.grid.shape, np.nan)
    for block in features.compute(blocks):
        found[block.slices] = head_of(network, calibration).log_odds(features.of(block))
    probabilities = store.heatmap().probabilities
    np.testing.assert_array_equal(np.isnan(found), np.isnan(probabilities))
    known = ~np.isnan(found)
    assert 0 < known.sum() < known.size
    # halves keep eleven bits
    np.testing.assert_allclose(found[known], logit(probabilities[known]), atol=0.02)


def test_points_have_the_features_of_their_cells(scanned):
    _, features, store = scanned
    points = np.array(
        [store.grid.cell_centre(1, 2), store.grid.cell_centre(33, 3), (-5, 9)], float
    )
    assert np.isnan(features.at(points)).all()  # none are computed yet
    first, second = features.blocks_at(points)
    assert [first.first, second.first] == [(0, 0), (32, 0)]
    assert list(features.compute([first])) == [first]
    found = features.at(points)
    np.testing.assert_array_equal(found[0], features.of(first)[1, 2])
    assert np.isnan(found[1:]).all()


def test_what_is_kept_is_not_computed_again(scanned):
    slide, features, _ = scanned
    (block, *_) = features.blocks_in(Box.of_shape(slide.shape))
    list(features.compute([block]))
    kept = features.of(block)
    list(features.compute([block]))
    assert features.of(block) is kept


def test_the_block_in_the_middle_of_a_view_comes_first(scanned):
    _, features, store = scanned
    view = store.grid.cells_box((30, 30), (36, 48))
    blocks = features.blocks_in(view)
    assert {block.first for block in blocks} == {(0, 0), (0, 32), (32, 0), (32, 32)}
    assert blocks[-1].first in {(0, 0), (32, 0)}
    assert features.blocks_in(Box(-50, -50, -10, -10)) == []


def test_computing_stops_when_asked(scanned):
    slide, features, _ = scanned
    blocks = features.blocks_in(Box.of_shape(slide.shape))
    seen = []
    for block in features.compute(blocks, lambda: bool(seen)):
        seen.append(block)
    assert seen == blocks[:1]


def test_patches_have_the_features_that_the_head_sees(
    tiny_bundle, network, calibration, patches
):
    backend = create_backend(tiny_bundle, NetworkChoice(backend="torch"))
    found = patch_features(network, tiny_bundle.normalisation, patches)
    np.testing.assert_allclose(
        head_of(network, calibration).log_odds(found),
        logit(backend.predict(patches)),
        atol=1e-3,
    )


def test_a_network_with_another_head_is_calibrated_like_before(network, calibration):
    generator = np.random.default_rng(0)
    wanted = Head(generator.normal(size=network.classify.in_features), 0.75)
    before = network.classify.weight.detach().clone()
    found = head_of(with_head(network, wanted, calibration), calibration)
    np.testing.assert_allclose(found.weights, wanted.weights, atol=1e-6)
    assert found.offset == pytest.approx(0.75, abs=1e-6)
    assert (network.classify.weight == before).all()  # of the old one
