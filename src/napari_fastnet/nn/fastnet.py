"""FastNet: the network of Xiao et al. (2023), Section III-D/E and Table IV.

The table gives the layers and three numbers per block (M, N, B) but leaves the
widths inside the blocks open. The reading here reproduces the published parameter
and FLOP counts; ``docs/explain/fastnet.md`` shows the arithmetic.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_fastnet.nn.network import CLASSES, PatchNetwork
from napari_fastnet.nn.options import FastNetConfig

# Table IV, top to bottom: the valid, stride-2 convolution that opens a stage, and
# the M (width), N (expansion) and B (branches) of the two blocks that follow it.
STEM_WIDTH = 64
# width, expansion N, scale branch width B, number of branches B
STAGES = ((8, 1, 4, 2), (16, 2, 8, 4), (32, 4, 16, 8))


def _convolution(
    channels_in: int,
    channels_out: int,
    kernel: int,
    *,
    groups: int = 1,
    clip: bool = True,
) -> nn.Sequential:
    """Build convolution ("same"), batch norm and, if asked for, ReLU6."""
    layers: list[nn.Module] = [
        nn.Conv2d(
            channels_in,
            channels_out,
            kernel,
            padding=kernel // 2,
            groups=groups,
            bias=False,
        ),
        nn.BatchNorm2d(channels_out),
    ]
    if clip:
        layers.append(nn.ReLU6())
    return nn.Sequential(*layers)


def _branch_convolution(
    channels_in: int, channels_out: int, kernel: int, config: FastNetConfig
) -> nn.Sequential:
    """Build one convolution of a branch, separable or standard."""
    if config.convolution == "standard":
        return _convolution(channels_in, channels_out, kernel)
    pointwise = _convolution(channels_in, channels_out, 1)
    if config.normalise_depthwise:
        depthwise = _convolution(channels_in, channels_in, kernel, groups=channels_in)
        return nn.Sequential(*depthwise, *pointwise)
    bare = nn.Conv2d(
        channels_in,
        channels_in,
        kernel,
        padding=kernel // 2,
        groups=channels_in,
        bias=False,
    )
    return nn.Sequential(bare, *pointwise)


class Block(nn.Module):
    """Expand, branch, concatenate, project, and add the input.

    Parameters
    ----------
    width : int
        Channels in and out (M of Table IV).
    expansion : int
        The 1 x 1 convolution in front of the branches gives ``width * expansion``.
    branches : list of nn.Module
        Each maps ``width * expansion`` channels to its own number.
    branch_width : int
        Channels of all branches together.
    shortcut : bool
        Add the input to the output. No activation follows.
    """

    def __init__(
        self,
        width: int,
        expansion: int,
        branches: list[nn.Module],
        branch_width: int,
        shortcut: bool,
    ) -> None:
        super().__init__()
        self.expand = _convolution(width, width * expansion, 1)
        self.branches = nn.ModuleList(branches)
        self.project = _convolution(branch_width, width, 1, clip=False)
        self.shortcut = shortcut

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, M, H, W) to the same shape."""
        expanded = self.expand(features)  # (N, M * N, H, W)
        joined = torch.cat([branch(expanded) for branch in self.branches], dim=1)
        projected: Tensor = self.project(joined)  # (N, M, H, W)
        return features + projected if self.shortcut else projected


def multi_scale_block(
    width: int,
    expansion: int,
    branch_width: int,
    config: FastNetConfig,
    scales: int = 3,
) -> Block:
    """Build the block with branches of 1 x 1, 3 x 3 and 5 x 5 (two 3 x 3) px.

    Parameters
    ----------
    width, expansion, branch_width : int
        M, N and B of Table IV; each of the scales gives B channels.
    config : FastNetConfig
        Kind of convolution and shortcut.
    scales : int
        Number of branches: 1 x 1, 3 x 3, 5 x 5, 7 x 7 (three 3 x 3) and so on; Table V
        compares 1 to 4.

    Returns
    -------
    Block
        Maps (N, M, H, W) to the same shape.
    """
    inner = width * expansion
    branches: list[nn.Module] = [_branch_convolution(inner, branch_width, 1, config)]
    for depth in range(1, scales):
        chain = [
            _branch_convolution(before, branch_width, 3, config)
            for before in (inner, *[branch_width] * (depth - 1))
        ]
        # The names of stored weights have no chain for a single convolution.
        branches.append(nn.Sequential(*chain) if depth > 1 else chain[0])
    return Block(width, expansion, branches, scales * branch_width, config.shortcut)


def multi_branch_block(
    width: int, expansion: int, branch_count: int, config: FastNetConfig
) -> Block:
    """Build the block of equal 3 x 3 branches.

    Parameters
    ----------
    width, expansion, branch_count : int
        M, N and B of Table IV; each of the B branches keeps M * N channels.
    config : FastNetConfig
        Kind of convolution and shortcut.

    Returns
    -------
    Block
        Maps (N, M, H, W) to the same shape.
    """
    inner = width * expansion
    branches: list[nn.Module] = [
        _branch_convolution(inner, inner, 3, config) for _ in range(branch_count)
    ]
    return Block(width, expansion, branches, branch_count * inner, config.shortcut)


def reducing_convolution(channels_in: int, channels_out: int) -> nn.Sequential:
    """Build a valid, stride-2 convolution, ReLU and batch norm, in that order."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride=2, bias=False),
        nn.ReLU(),
        nn.BatchNorm2d(channels_out),
    )


def feature_layers(
    config: FastNetConfig,
    stem_width: int = STEM_WIDTH,
    stages: tuple[tuple[int, int, int, int], ...] = STAGES,
) -> nn.Sequential:
    """Build the layers of Table IV up to the feature map, or others of such stages."""
    layers: list[nn.Module] = [reducing_convolution(3, stem_width)]
    channels = stem_width
    for width, expansion, scale_width, branch_count in stages:
        layers += [
            reducing_convolution(channels, width),
            multi_scale_block(width, expansion, scale_width, config),
            multi_branch_block(width, expansion, branch_count, config),
        ]
        channels = width
    return nn.Sequential(*layers)


class FastNet(PatchNetwork):
    """The lightweight network of Table IV.

    Input is (N, 3, H, W) float, RGB in 0..1; H and W at least 31 px. The output of
    ``forward`` is (N, 2) logits, normal and tumor. The feature map, (N, 32, h, w),
    has one cell every 16 px.

    Parameters
    ----------
    config : FastNetConfig, optional
        Variant to build; the default is the paper's.
    """

    features: nn.Sequential
    classify: nn.Linear
    config: FastNetConfig

    def __init__(self, config: FastNetConfig | None = None) -> None:
        config = config or FastNetConfig()
        features = feature_layers(config)
        super().__init__(features, nn.Linear(STAGES[-1][0], CLASSES))
        self.config = config
        self.apply(initialise)

    def pool(self, features: Tensor) -> Tensor:
        """Average (N, 32, h, w) over the pooling window to (N, 32)."""
        cells = self.config.pool_cells
        if cells is not None:
            height, width = features.shape[-2:]
            top, left = max(0, (height - cells) // 2), max(0, (width - cells) // 2)
            features = features[..., top : top + cells, left : left + cells]
        return super().pool(features)


def initialise(module: nn.Module) -> None:
    """Draw convolution weights by He's rule, which suits rectified units."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
