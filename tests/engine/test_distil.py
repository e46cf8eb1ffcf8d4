"""What teachers say: from all sides, averaged in logits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from napari_fastnet.core.calibration import logit_of
from napari_fastnet.engine.backends import create_backend
from napari_fastnet.engine.distil import teach


def test_a_patch_the_same_from_all_sides_is_judged_as_it_is(tiny_bundle) -> None:
    flat = np.full((3, 64, 64, 3), (60, 130, 200), np.uint8)
    alone = create_backend(tiny_bundle, threads=1).predict(flat)
    np.testing.assert_allclose(teach(flat, [tiny_bundle], 1), alone, atol=1e-5)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_patch_is_judged_alike(tiny_bundle, patches, turns) -> None:
    turned = np.ascontiguousarray(np.rot90(patches, turns, (1, 2)))
    np.testing.assert_allclose(
        teach(turned, [tiny_bundle], 1), teach(patches, [tiny_bundle], 1), atol=1e-5
    )


def test_teachers_are_averaged_in_logits(tiny_bundle, make_bundle, patches) -> None:
    other = make_bundle(calibration={"scale": 0.5, "offset": 1.0})
    each = [logit_of(teach(patches, [one], 1)) for one in (tiny_bundle, other)]
    both = teach(patches, [tiny_bundle, other], 1)
    np.testing.assert_allclose(both, expit(np.mean(each, axis=0)), atol=1e-5)
