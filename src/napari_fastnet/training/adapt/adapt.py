"""Adaptation of a model to a laboratory: taught, judged by its gate, written as a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from napari_fastnet.core.metrics.calibration import Calibration
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.nn.fastnet import FastNet
    from napari_fastnet.training.adapt.examples import Examples
    from napari_fastnet.training.adapt.gate import Gate
    from napari_fastnet.training.adapt.options import AdaptOptions


@dataclass(frozen=True, slots=True)
class AdaptProgress:
    """Steps done, and their number in all."""

    done: int
    total: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Adapted:
    """A model that was adapted and is not written yet.

    Parameters
    ----------
    base : ModelBundle
        The model before.
    network : FastNet
        The network after, in evaluation mode.
    calibration : Calibration
        Of its log odds.
    threshold : float
        Probability from which a cell is called tumor.
    gate : Gate
        Figures before and after.
    examples : Examples
        As they were taught.
    options : AdaptOptions
        With `override`, it is written although the gate refuses it.
    """

    base: ModelBundle
    network: FastNet
    calibration: Calibration
    threshold: float
    gate: Gate
    examples: Examples
    options: AdaptOptions

    @property
    def words(self) -> str:
        """The gate's figures as a sentence, and why it refuses them, if it does."""
        reason = self.gate.refusal
        return self.gate.words if reason is None else f"{self.gate.words}: {reason}"


def adapt(
    base: ModelBundle,
    examples: Examples,
    options: AdaptOptions,
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[AdaptProgress | Adapted]:
    """Teach a model, and judge it by its gate.

    Parameters
    ----------
    base : ModelBundle
        A FastNet; TorchScript programs cannot be taught.
    examples : Examples
        From `gather`.
    options : AdaptOptions
        Steps, seed and part.
    stopped : callable, optional
        Asked after each step; once it returns True, nothing more is yielded.

    Yields
    ------
    AdaptProgress or Adapted
        Progress after each step, and the adapted model at the end, also where the gate
        refuses it. The same examples and options give the same model.

    Raises
    ------
    BundleError
        The model has no weights to teach, or is for other patches than home's.
    """
    raise NotImplementedError


def write_adapted(adapted: Adapted, folder: Path, name: str) -> ModelBundle:
    """Write an adapted model as a bundle named ``<base>@<name>``.

    Parameters
    ----------
    adapted : Adapted
        As `adapt` yielded it.
    folder : Path
        The bundle's folder, written aside and renamed.
    name : str
        Name of the laboratory.

    Returns
    -------
    ModelBundle
        As written and checked.

    Raises
    ------
    DataError
        The gate refuses it, and ``override`` is not set.
    OptionError
        The name cannot be one of a model.
    OutputError
        The folder cannot be written.
    """
    raise NotImplementedError
