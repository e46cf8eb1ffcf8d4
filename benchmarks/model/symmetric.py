"""A FastNet whose answer no turn or mirror image changes.

Its layers are convolutions over the group D4 (Cohen & Welling 2016): each filter is used in its
eight turned and mirrored forms, so that a map has eight orientations, and the answer is the mean
over them. Given are the free filters of each layer, of which each makes eight maps. `trials.py`
trains it beside the plain one.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_fastnet.nn.network import CLASSES, PatchNetwork

#: Free filters of the stem, and width, expansion, scale branch width, branches of the stages.
Fields = tuple[int, tuple[tuple[int, int, int, int], ...]]
#: As many maps as the plain network, and 1.4 times as many: about the same cost, and twice it.
SIZES: dict[str, Fields] = {
    "d4": (8, ((1, 1, 1, 2), (2, 2, 1, 4), (4, 4, 2, 8))),
    "d4-wide": (11, ((2, 1, 1, 2), (3, 2, 2, 4), (6, 4, 3, 8))),
    "d4-equal-parameters": (22, ((3, 1, 2, 2), (6, 2, 3, 4), (12, 4, 6, 8))),
}
_TURN, _FLIP = np.array([[0, -1], [1, 0]]), np.array([[1, 0], [0, -1]])
GROUP = [
    np.linalg.matrix_power(_TURN, r) @ np.linalg.matrix_power(_FLIP, m)
    for m in range(2)
    for r in range(4)
]
ORDER = len(GROUP)


def _index(matrix: np.ndarray) -> int:
    return next(n for n, one in enumerate(GROUP) if (one == matrix).all())


#: Of elements g, h: the place of g^-1 h.
RELATIVE = torch.tensor([[_index(g.T @ h) for h in GROUP] for g in GROUP])


def places(side: int) -> Tensor:
    """Return the (8, side * side) places of a kernel that each element reads."""
    middle = side // 2
    at = np.array([(y - middle, x - middle) for y in range(side) for x in range(side)])
    turned = [at @ g + middle for g in GROUP]  # g^-1 p, since g^-1 is g transposed
    return torch.from_numpy(np.stack([t[:, 0] * side + t[:, 1] for t in turned]))


class Convolution(nn.Module):
    """A convolution over D4: of maps (N, 8 K', H, W) to (N, 8 K, H', W').

    ``lift`` takes pictures, (N, K', H, W); ``depthwise`` keeps each free filter to itself.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        side: int,
        *,
        stride: int = 1,
        padding: int = 0,
        lift: bool = False,
        depthwise: bool = False,
    ) -> None:
        super().__init__()
        self.stride, self.padding, self.side = stride, padding, side
        self.lift, self.depthwise = lift, depthwise
        seen = 1 if depthwise else channels_in
        relative = 1 if lift or depthwise else ORDER
        self.weight = nn.Parameter(
            torch.empty(channels_out, seen, relative, side * side)
        )
        fan = channels_out * side * side * (1 if depthwise else ORDER)
        nn.init.normal_(self.weight, std=(2 / fan) ** 0.5)
        self.register_buffer("places", places(side), persistent=False)

    @property
    def kernel(self) -> Tensor:
        """The weights of all maps, (8 K, maps seen, side, side)."""
        turned = self.weight[..., self.places].permute(3, 0, 1, 2, 4)  # g, K, K', r, p
        if not (self.lift or self.depthwise):
            turned = torch.stack(
                [one[:, :, RELATIVE[g]] for g, one in enumerate(turned)]
            )
        maps = turned.permute(1, 0, 2, 3, 4).flatten(0, 1).flatten(1, 2)
        return maps.unflatten(2, (self.side, self.side))

    def forward(self, maps: Tensor) -> Tensor:
        """Convolve (N, maps seen, H, W)."""
        kernel = self.kernel
        groups = len(kernel) if self.depthwise else 1
        return functional.conv2d(
            maps, kernel, None, self.stride, self.padding, groups=groups
        )


class Norm(nn.BatchNorm2d):
    """Batch norm of a free filter over its eight orientations."""

    def forward(self, maps: Tensor) -> Tensor:
        """Normalise (N, 8 K, H, W)."""
        apart = maps.unflatten(1, (-1, ORDER)).flatten(2, 3)
        return super().forward(apart).unflatten(2, (ORDER, -1)).flatten(1, 2)


def _reduce(channels_in: int, channels_out: int, *, lift: bool = False) -> nn.Module:
    convolution = Convolution(channels_in, channels_out, 3, stride=2, lift=lift)
    return nn.Sequential(convolution, nn.ReLU(), Norm(channels_out))


def _pointwise(channels_in: int, channels_out: int, *, clip: bool = True) -> nn.Module:
    layers = [Convolution(channels_in, channels_out, 1), Norm(channels_out)]
    return nn.Sequential(*layers, *([nn.ReLU6()] if clip else []))


def _branch(channels_in: int, channels_out: int, side: int) -> nn.Module:
    bare = Convolution(
        channels_in, channels_in, side, padding=side // 2, depthwise=True
    )
    return nn.Sequential(bare, _pointwise(channels_in, channels_out))


class Block(nn.Module):
    """Expand, branch, join, project, add: a block of FastNet over D4."""

    def __init__(
        self, width: int, expansion: int, branches: list[nn.Module], joined: int
    ) -> None:
        super().__init__()
        self.expand = _pointwise(width, width * expansion)
        self.branches = nn.ModuleList(branches)
        self.project = _pointwise(joined, width, clip=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (N, 8 K, H, W) to the same shape."""
        expanded = self.expand(maps)
        joined = torch.cat([branch(expanded) for branch in self.branches], dim=1)
        added: Tensor = maps + self.project(joined)
        return added


def _layers(fields: Fields) -> nn.Sequential:
    channels, stages = fields
    layers: list[nn.Module] = [_reduce(3, channels, lift=True)]
    for width, expansion, scale, count in stages:
        inner = width * expansion
        scales: list[nn.Module] = [
            _branch(inner, scale, 1),
            _branch(inner, scale, 3),
            nn.Sequential(_branch(inner, scale, 3), _branch(scale, scale, 3)),
        ]
        equal = [_branch(inner, inner, 3) for _ in range(count)]
        layers += [
            _reduce(channels, width),
            Block(width, expansion, scales, 3 * scale),
            Block(width, expansion, equal, count * inner),
        ]
        channels = width
    return nn.Sequential(*layers)


class SymmetricFastNet(PatchNetwork):
    """FastNet over D4; the middle of the map is averaged over orientations as well."""

    def __init__(self, fields: Fields, pool_cells: int = 3) -> None:
        super().__init__(_layers(fields), nn.Linear(fields[1][-1][0], CLASSES))
        self.config, self.pool_cells = fields, pool_cells

    def pool(self, features: Tensor) -> Tensor:
        """Average (N, 8 K, h, w) over the middle and the orientations to (N, K)."""
        first = (features.shape[-1] - self.pool_cells) // 2
        middle = slice(first, first + self.pool_cells)
        return features[..., middle, middle].unflatten(1, (-1, ORDER)).mean((2, 3, 4))


def frozen(module: nn.Module) -> nn.Module:
    """Return a copy for use, of torch's own layers, with all kernels laid out."""
    if isinstance(module, Convolution):
        with torch.no_grad():
            kernel = module.kernel
        groups = len(kernel) if module.depthwise else 1
        plain = nn.Conv2d(
            kernel.shape[1] * groups,
            len(kernel),
            module.side,
            module.stride,
            module.padding,
            groups=groups,
            bias=False,
        )
        plain.weight = nn.Parameter(kernel)
        return plain
    if isinstance(module, Norm):
        norm = nn.BatchNorm2d(module.num_features * ORDER)
        norm.load_state_dict(
            {
                name: value.repeat_interleave(ORDER) if value.ndim else value
                for name, value in module.state_dict().items()
            }
        )
        return norm.eval()
    changed = copy.copy(module)
    changed._modules = {  # noqa: SLF001  as torch itself copies
        name: None if child is None else frozen(child)
        for name, child in module._modules.items()  # noqa: SLF001
    }
    return changed
