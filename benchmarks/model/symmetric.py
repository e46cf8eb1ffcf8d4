"""FastNets whose answer no turn or mirror image changes, and a wider one, for `trials.py`.

A map of a symmetric network (Cohen & Welling 2016, "Group equivariant convolutional networks")
is one orientation of a filter: turning the picture turns all maps and exchanges those of a
filter. The weights for which that holds are a linear subspace of all weights. A network that
begins in it, and whose gradients are projected onto it, stays in it, and remains a plain FastNet
of the same layers and cost.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from napari_fastnet.nn.fastnet import FastNet, feature_layers, initialise

if TYPE_CHECKING:
    from napari_fastnet.core.arrays import Indices
    from napari_fastnet.nn.options import FastNetConfig
    from napari_fastnet.training.fit import Trainer

#: Elements of the groups: quarter turns, and whether mirrored before.
GROUPS = {
    "d2": [(turns, flip) for flip, turns in product((False, True), (0, 2))],
    "c4": [(turns, False) for turns in range(4)],
    "d4": [(turns, flip) for flip, turns in product((False, True), range(4))],
}
#: As in `nn.fastnet`, with 1.4 times as many maps: twice the cost.
WIDE_STEM, WIDE_STAGES = 88, ((16, 1, 8, 2), (24, 2, 16, 4), (48, 4, 24, 8))


class WideFastNet(FastNet):
    """FastNet with 1.4 times as many maps, 482,874 parameters."""

    def __init__(self, config: FastNetConfig) -> None:
        super().__init__(config)
        self.features = feature_layers(config, WIDE_STEM, WIDE_STAGES)
        width = WIDE_STAGES[-1][0]
        self.classify = nn.Linear(width, self.classify.out_features)
        self.apply(initialise)


def _moved(kernels: Indices, element: tuple[int, bool]) -> Indices:
    """Mirror the last two axes, and turn them."""
    turns, flip = element
    return np.rot90(kernels[..., ::-1] if flip else kernels, turns, (-2, -1))


class Symmetriser:
    """Projections onto the weights of a network that a group of turns leaves alone.

    Parameters
    ----------
    model : FastNet
        Maps of a filter lie side by side. A filter has a map for each element of the group,
        or, where there are not so many maps, for each turn.
    group : {"d2", "c4", "d4"}
        Half a turn and both mirror images, four turns, or four turns and their images.
    """

    def __init__(self, model: nn.Module, group: str) -> None:
        self._elements = GROUPS[group]
        #: Of each weight: for each element of the group, the place it is taken from.
        self._places: list[tuple[nn.Parameter, Tensor]] = []
        self._norms: list[tuple[nn.BatchNorm2d, int]] = []
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                self._norms.append((layer, self._orientations(layer.num_features)))
            elif isinstance(layer, nn.Conv2d):
                self._places.append((layer.weight, self._taken_from(layer.weight)))
            elif isinstance(layer, nn.Linear):
                kernels = layer.weight[..., None, None]
                places = self._taken_from(kernels, turned_out=False)
                self._places.append((layer.weight, places))

    def weights(self, *, drawn: bool = False) -> None:
        """Project the weights; drawn ones stay as large as they were."""
        for weight, places in self._places:
            size = weight.detach().norm()
            _project(weight, places)
            if drawn:
                weight.detach().mul_(size / weight.detach().norm())
        for norm, count in self._norms:
            for value in (norm.weight, norm.bias):
                _share(value, count)

    def gradients(self) -> None:
        """Project the gradients."""
        for weight, places in self._places:
            _project(weight.grad, places)
        for norm, count in self._norms:
            for value in (norm.weight.grad, norm.bias.grad):
                _share(value, count)

    def statistics(self) -> None:
        """Project the running statistics of batch norms."""
        for norm, count in self._norms:
            for value in (norm.running_mean, norm.running_var):
                _share(value, count)

    def _orientations(self, maps: int) -> int:
        """Return the number of maps of a filter."""
        order = len(self._elements)
        return next((n for n in (order, 4) if maps % n == 0), 1)

    def _taken_from(self, weight: Tensor, *, turned_out: bool = True) -> Tensor:
        """Return the place in the flat weight, (elements, numbers), of each number."""
        count = np.arange(weight.numel()).reshape(weight.shape)
        places = []
        for element in self._elements:
            moved = _moved(count, element)
            if turned_out:
                moved = moved[self._exchanged(weight.shape[0], element)]
            moved = moved[:, self._exchanged(weight.shape[1], element)]
            places.append(torch.from_numpy(moved.copy()).flatten())
        return torch.stack(places)

    def _exchanged(self, maps: int, element: tuple[int, bool]) -> Indices:
        """Return the map that takes the place of each when a picture is turned."""
        count = self._orientations(maps)
        if count == 1:
            return np.arange(maps)
        names = self._elements
        if count < len(names):  # the two maps of a turn and its image are one
            names = [(turns, flip) for turns, flip in names if not flip]
        picture = np.arange(9).reshape(3, 3)
        taken = np.empty(count, int)
        for before, one in enumerate(names):
            turned = _moved(_moved(picture, one), element)
            after = next(
                each
                for each in self._elements
                if (_moved(picture, each) == turned).all()
            )
            if after not in names:
                after = after[0], False
            taken[names.index(after)] = before
        return (np.arange(0, maps, count)[:, None] + taken).ravel()


def keep_symmetric(trainer: Trainer[FastNet], group: str) -> None:
    """Let a trainer, before its first epoch, stay among the symmetric networks."""
    symmetriser = Symmetriser(trainer.model, group)
    symmetriser.weights(drawn=True)
    for own in (trainer.averaged, trainer.kept):
        own.load_state_dict(trainer.model.state_dict())
    step = trainer.optimiser.step

    def symmetric_step() -> None:
        symmetriser.gradients()
        step()
        symmetriser.weights()  # rounding leads astray
        symmetriser.statistics()

    trainer.optimiser.step = symmetric_step  # type: ignore[method-assign]


def _project(values: Tensor | None, places: Tensor) -> None:
    """Replace numbers by their mean over the group."""
    assert values is not None
    flat = values.detach().flatten()  # in the order of the axes, whatever the layout
    values.detach().copy_(flat[places].mean(dim=0).view(values.shape))


def _share(values: Tensor | None, count: int) -> None:
    """Give all maps of a filter their mean."""
    assert values is not None
    apart = values.detach().view(-1, count)
    apart.copy_(apart.mean(dim=1, keepdim=True).expand_as(apart))
