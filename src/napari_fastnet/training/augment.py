"""Random changes to training patches: geometry, stain, focus and compression.

Every function takes a batch as (N, H, W, 3) float 0..1, RGB, and a generator, and
returns a batch of the same shape, each patch changed by its own draw.
"""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor
from torch.nn import functional

from napari_fastnet.training.options import Augmentation

# Optical densities of haematoxylin, eosin and the remainder in R, G, B
# (Ruifrok & Johnston 2001, rows of unit length).
_STAINS = torch.tensor(
    [[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]], dtype=torch.float32
)
_DARKEST = 1 / 255  # keeps the logarithm finite
# Nuclei may be red then, and fibres blue; chosen on tiles of a foreign stain.
_FOREIGN = replace(Augmentation().scaled(0), stain_hue=0.22)


def augment(patches: Tensor, options: Augmentation, generator: Generator) -> Tensor:
    """Apply every change to square (N, H, W, 3) uint8 patches; return float32 in 0..1."""
    patches = turn(patches, generator)
    if options.jpeg:
        patches = compress(patches, options.jpeg, generator)
    images = patches.float() / 255
    if options.zoom or options.shift_px:
        images = zoom_and_shift(images, options, generator)
    images = restain(images, options, generator)
    if options.blur:
        images = blur(images, options.blur, generator)
    return images


def turn(patches: Tensor, generator: Generator) -> Tensor:
    """Flip and turn each patch into one of its eight orientations."""
    choice = torch.randint(8, (len(patches),), generator=generator)
    turned = torch.empty_like(patches)
    for orientation in range(8):
        chosen = patches[choice == orientation]
        if orientation >= 4:
            chosen = chosen.flip(2)
        turned[choice == orientation] = torch.rot90(chosen, orientation % 4, (1, 2))
    return turned


def compress(patches: Tensor, share: float, generator: Generator) -> Tensor:
    """Write and read a share of the uint8 patches as JPEG, quality 30 to 90."""
    chosen = torch.rand(len(patches), generator=generator) < share
    qualities = torch.randint(30, 91, (len(patches),), generator=generator)
    changed = patches.clone()
    for index in torch.nonzero(chosen).flatten().tolist():
        file = BytesIO()
        picture = Image.fromarray(patches[index].numpy())
        picture.save(file, "jpeg", quality=int(qualities[index]))
        changed[index] = torch.from_numpy(np.array(Image.open(file)))
    return changed


def zoom_and_shift(
    images: Tensor, options: Augmentation, generator: Generator
) -> Tensor:
    """Magnify each patch about its centre and move it a little, edges mirrored."""
    count, height, width, _ = images.shape
    scale = torch.exp(-options.zoom * torch.randn(count, generator=generator))
    move = torch.rand(count, 2, generator=generator) * 2 - 1
    move = move * 2 * options.shift_px / torch.tensor([width, height])
    matrix = torch.zeros(count, 2, 3)
    matrix[:, 0, 0] = matrix[:, 1, 1] = scale
    matrix[:, :, 2] = move
    grid = functional.affine_grid(
        matrix, [count, 3, height, width], align_corners=False
    )
    channels_first = images.permute(0, 3, 1, 2)
    sampled = functional.grid_sample(
        channels_first, grid, padding_mode="reflection", align_corners=False
    )
    return sampled.permute(0, 2, 3, 1)


def restain(images: Tensor, options: Augmentation, generator: Generator) -> Tensor:
    """Change amount and colour of the stains, and the lamp, in optical density.

    Optical density is linear in the amount of stain (Beer-Lambert), so another
    laboratory's staining is nearly a linear map of it: here the patch is taken
    apart into stains, each is scaled and shifted, and put together with other
    colour vectors.
    """
    count, height, width, _ = images.shape

    def draw(spread: float, *shape: int) -> Tensor:
        return spread * torch.randn(count, *shape, generator=generator)

    stains = functional.normalize(_STAINS, dim=1)
    changed = functional.normalize(stains + draw(options.stain_hue, 3, 3), dim=2)
    scale = torch.exp(draw(options.stain_scale, 3, 1))
    mixing = torch.linalg.inv(stains) @ (scale * changed)  # (N, 3, 3)
    offset = (draw(options.stain_shift, 1, 3) @ changed) + draw(
        options.brightness, 1, 3
    )
    density = -torch.log(images.clamp(min=_DARKEST)).reshape(count, height * width, 3)
    mixed = torch.exp(-torch.baddbmm(offset, density, mixing))
    return mixed.clamp(0, 1).reshape(count, height, width, 3)


def dye_anew(images: Tensor, share: float, generator: Generator) -> Tensor:
    """Give a share of the patches dyes of other hues, as foreign laboratories have them."""
    chosen = torch.rand(len(images), generator=generator) < share
    changed = images.clone()
    changed[chosen] = restain(images[chosen], _FOREIGN, generator)
    return changed


def blur(images: Tensor, share: float, generator: Generator) -> Tensor:
    """Defocus a share of the patches by a Gaussian of 0.4 to 1.2 px."""
    chosen = torch.rand(len(images), generator=generator) < share
    sigma = 0.4 + 0.8 * torch.rand(len(images), generator=generator)
    where = torch.nonzero(chosen).flatten()
    if not len(where):
        return images
    offsets = torch.arange(-3, 4, dtype=torch.float32)
    kernel = torch.exp(-(offsets**2) / (2 * sigma[where, None] ** 2))
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(3, dim=0)
    planes = images[where].permute(0, 3, 1, 2).flatten(0, 1)[None]  # (1, n * 3, H, W)
    planes = functional.pad(planes, (3, 3, 3, 3), mode="reflect")
    groups = planes.shape[1]
    planes = functional.conv2d(planes, kernel[:, None, :, None], groups=groups)
    planes = functional.conv2d(planes, kernel[:, None, None, :], groups=groups)
    blurred = planes[0].unflatten(0, (-1, 3)).permute(0, 2, 3, 1)
    images = images.clone()
    images[where] = blurred
    return images
