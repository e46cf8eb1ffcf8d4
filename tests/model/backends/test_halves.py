"""A device that is short of memory does in halves what it cannot do at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_fastnet.errors import DetectionError
from napari_fastnet.model.backends.torch import TorchBackend


class Small:
    """A network on a device with room for so many px; notes what it was given."""

    def __init__(self, network, room_px, error=None):
        self.network, self.room_px = network, room_px
        self.error = error or torch.OutOfMemoryError("CUDA out of memory.\nTried to")
        self.given = []

    def __call__(self, pixels):
        self.given.append(tuple(pixels.shape))
        if pixels[..., 0].numel() > self.room_px:
            raise self.error
        return self.network(pixels)

    def cell_margins(self, pixels):
        network, self.network = self.network, self.network.cell_margins
        try:
            return self(pixels)
        finally:
            self.network = network


@pytest.fixture
def small(tiny_bundle, monkeypatch):
    """Return a function that makes a back end with room for so many px."""

    def make(room_px, error=None):
        backend = TorchBackend(tiny_bundle, "cpu")
        network = Small(backend._classifier, room_px, error)
        monkeypatch.setattr(backend, "_classifier", network)
        return backend, network

    return make


SAYINGS = [
    torch.OutOfMemoryError("CUDA"),
    RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to"),
]


@pytest.mark.parametrize("error", SAYINGS, ids=lambda error: str(error)[:12])
def test_patches_go_on_in_halves_with_the_same_result(
    small, tiny_bundle, patches, error
) -> None:
    backend, network = small(2 * 64 * 64, error)

    found = backend.predict(patches)

    np.testing.assert_allclose(
        found, TorchBackend(tiny_bundle, "cpu").predict(patches), atol=1e-6
    )
    assert [shape[0] for shape in network.given] == [5, 3, 2, 1, 2]


def test_what_was_too_large_is_not_tried_again_before_release(small, patches) -> None:
    backend, network = small(2 * 64 * 64)
    backend.predict(patches)
    network.given.clear()
    backend.predict(patches)
    assert [shape[0] for shape in network.given] == [2, 1, 2]

    backend.release()
    network.given.clear()
    backend.predict(patches)
    assert network.given[0][0] == 5


@pytest.mark.parametrize("shape", [(720, 911), (911, 720), (640, 1500)])
@pytest.mark.parametrize("share", [0.6, 0.4])
def test_a_picture_goes_on_in_halves_with_the_same_cells(
    small, tiny_bundle, shape, share
) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    backend, network = small(int(share * shape[0] * shape[1]))

    found = backend.cell_margins(picture)

    whole = TorchBackend(tiny_bundle, "cpu").cell_margins(picture)
    assert found.shape == whole.shape
    # what the zeros around a picture reach is the same too: its edge is its edge
    np.testing.assert_allclose(found, whole, atol=1e-4)
    assert len(network.given) > 2


def test_not_even_one_patch_is_an_error_in_a_line(small, patches) -> None:
    backend, network = small(0)
    with pytest.raises(DetectionError, match="free some of its memory") as caught:
        backend.predict(patches)
    assert "\n" not in str(caught.value)
    assert network.given[-1][0] == 1


def test_a_picture_is_not_halved_for_ever(small) -> None:
    backend, network = small(0)
    picture = np.zeros((800, 800, 3), np.uint8)
    with pytest.raises(DetectionError, match="free some of its memory"):
        backend.cell_margins(picture)
    assert len(network.given) < 10


def test_another_error_is_not_tried_again(small, patches) -> None:
    backend, network = small(0, RuntimeError("CUDA error: an illegal access"))
    with pytest.raises(DetectionError, match="illegal access"):
        backend.predict(patches)
    assert len(network.given) == 1
