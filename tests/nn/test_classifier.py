from __future__ import annotations

import torch

from napari_fastnet.nn.classifier import PatchClassifier


def test_plain_is_the_softmax_of_pixels_in_0_to_1(random_network, patches):
    images = torch.from_numpy(patches).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        expected = random_network(images).softmax(dim=1)[:, 1]
        found = PatchClassifier(random_network)(torch.from_numpy(patches))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_normalisation_and_calibration_are_applied(random_network, patches):
    mean, std = (0.7, 0.5, 0.6), (0.2, 0.25, 0.3)
    classifier = PatchClassifier(
        random_network,
        calibration={"scale": 2.0, "offset": -1.0},
        normalisation=(mean, std),
    )
    images = torch.from_numpy(patches).float() / 255
    images = ((images - torch.tensor(mean)) / torch.tensor(std)).permute(0, 3, 1, 2)
    with torch.inference_mode():
        logits = random_network(images)
        expected = torch.sigmoid(2 * (logits[:, 1] - logits[:, 0]) - 1)
        found = classifier(torch.from_numpy(patches))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_it_is_ready_to_predict(random_network):
    assert not PatchClassifier(random_network.train()).training
    assert not random_network.training
