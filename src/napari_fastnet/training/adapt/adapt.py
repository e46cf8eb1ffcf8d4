"""Adaptation of a model to a laboratory: taught, judged by its gate, written as a bundle."""

from __future__ import annotations

import platform
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_fastnet.core.metrics.calibration import Calibration
from napari_fastnet.core.metrics.patches import evaluate_probabilities, roc_auc
from napari_fastnet.errors import BundleError, DataError, OptionError
from napari_fastnet.model import training_facts
from napari_fastnet.model.description import FASTNET, ModelDescription
from napari_fastnet.nn.checkpoint import average_weights, load_weights
from napari_fastnet.nn.counts import flop_count, parameter_count
from napari_fastnet.training.adapt.features import (
    head_of,
    home_features,
    patch_features,
    with_head,
)
from napari_fastnet.training.adapt.gate import Gate, folds_of, share_right
from napari_fastnet.training.adapt.head import LabelledFeatures, fit_head
from napari_fastnet.training.adapt.home import home_patches, require_home
from napari_fastnet.training.adapt.network import Recipe, fit_network
from napari_fastnet.training.batches import Patches
from napari_fastnet.training.publish import predicted, start_facts, write_network

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from napari_fastnet.core.arrays import Bools, Bytes, Indices, Singles
    from napari_fastnet.core.metrics.patches import PatchMetrics
    from napari_fastnet.model.bundle import ModelBundle
    from napari_fastnet.nn.fastnet import FastNet
    from napari_fastnet.training.adapt.examples import Examples
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
    gate : Gate
        Figures before and after.
    metrics : PatchMetrics
        On the patches of home for the gate.
    examples : Examples
        As they were taught.
    options : AdaptOptions
        With `override`, it is written although the gate refuses it.
    """

    base: ModelBundle
    network: FastNet
    gate: Gate
    metrics: PatchMetrics
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

    Each of up to three networks is taught without a third of the places, and judged on
    those; the mean of their weights is the model, so that the gate takes no time of its
    own.

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
    require_network(base)
    start = load_weights(base.weights_path)
    folds = folds_of(examples.places, examples.tumor)
    held_out = _held_out(folds, len(examples.tumor))
    steps = options.steps if options.part == "network" else 1
    with _threads(len(held_out)) as pool:
        teach = pool.submit(_teacher, base, start, examples, options).result()
        teaching = [teach(~one, number) for number, one in enumerate(held_out)]
        for done in count(1):
            # side by side, and together after each step, to be asked whether to stop
            found = pool.map(_advanced, teaching)
            if networks := [network for network in found if network is not None]:
                break
            yield AdaptProgress(done, steps)
            if stopped():
                return
        gate, network = home_patches("gate"), average_weights(networks)
        judged = [(start, gate.images), (network, gate.images)]
        if folds is not None:
            parts = [examples.images[one] for one in held_out]
            judged += [(start, examples.images), *zip(networks, parts, strict=True)]
        judge = partial(predicted, normalisation=base.normalisation, flips=base.flips)
        scores = list(pool.map(lambda pair: judge(*pair), judged))
    yield _judged(base, network, held_out, scores, examples, options)


def _advanced(teaching: Generator[int, None, FastNet]) -> FastNet | None:
    """Go one step on, and return the network at the end."""
    try:
        next(teaching)
    except StopIteration as end:
        network: FastNet = end.value
        return network
    return None


def _judged(
    base: ModelBundle,
    network: FastNet,
    held_out: list[Bools],
    scores: list[Singles],
    examples: Examples,
    options: AdaptOptions,
) -> Adapted:
    """Measure a model before and after.

    Its calibration and thresholds stay those of the model before: fitted to the
    corrections they lose lesions (docs/explain/teaching.md).
    """
    gate, tumor = home_patches("gate"), examples.tumor
    home_before, home_after, *rest = scores
    gains: dict[str, float | None] = dict.fromkeys(
        ("corrections_before", "corrections_after")
    )
    calibration = Calibration(**base.calibration)
    if rest:
        unseen = np.empty(len(tumor), np.float32)
        for left_out, found in zip(held_out, rest[1:], strict=True):
            unseen[left_out] = found
        for when, raw in (("before", rest[0]), ("after", unseen)):
            called = calibration.apply(raw) >= base.threshold
            gains[f"corrections_{when}"] = roc_auc(tumor, raw)
            gains[f"right_{when}"] = share_right(tumor, called)
    return Adapted(
        base=base,
        network=network,
        gate=Gate(
            **gains,
            taught_before=base.adapted is not None,
            home_before=base.adapted.gate.home_before
            if base.adapted
            else roc_auc(gate.tumor, home_before) or 0.0,
            home_after=roc_auc(gate.tumor, home_after) or 0.0,
            folds=len(held_out) if rest else 0,
            optimistic=gate.facts.sha256 not in base.training.held_back,
        ),
        metrics=evaluate_probabilities(
            gate.tumor, calibration.apply(home_after), threshold=base.threshold
        ),
        examples=examples,
        options=options,
    )


def require_network(base: ModelBundle) -> None:
    """Raise BundleError for a model that has no weights to teach, or unlike home's."""
    if base.kind != FASTNET:
        raise BundleError(
            f"the model {base.name} is a TorchScript program, whose weights and features "
            "cannot be had; adapt a FastNet, such as fastnet-pcam"
        )
    require_home(base)


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
    called = adapted_name(adapted.base.name, name)
    if adapted.gate.refusal is not None and not adapted.options.override:
        raise DataError(
            f"{adapted.words}; label more cells in more places, or override the gate: "
            "--anyway"
        )
    return write_network(folder, adapted.network, _description(adapted, called))


def adapted_name(base: str, name: str) -> str:
    """Return the name of a model adapted to a laboratory; OptionError for an odd one."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", name):
        raise OptionError(
            f"name is {name!r}; use up to 32 letters, digits, points, dashes: --name"
        )
    return f"{base.partition('@')[0]}@{name}"


@contextmanager
def _threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Start threads that each compute alone.

    Sums depend on the number of threads that make them: so the same corrections give the
    same weights in the panel, on the command line, and with any number of cores.
    """
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(
            count, "fastnet-adapt", initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)


def _held_out(folds: Indices | None, count: int) -> list[Bools]:
    """Return the patches that each network is not taught; of one network, none."""
    if folds is None:
        return [np.zeros(count, np.bool_)]
    return [folds == fold for fold in range(int(folds.max()) + 1)]


def _teacher(
    base: ModelBundle, start: FastNet, examples: Examples, options: AdaptOptions
) -> Callable[[Bools, int], Generator[int, None, FastNet]]:
    """Return a function that teaches a network some of the examples, the nth for the nth."""
    if options.part == "head":
        calibration = Calibration(**base.calibration)
        values = patch_features(start, base.normalisation, examples.images)
        at_home = home_features(start, base.normalisation)

        def teach_head(taught: Bools, number: int) -> Generator[int, None, FastNet]:
            labelled = LabelledFeatures(values[taught], examples.tumor[taught])
            head = fit_head(head_of(start, calibration), labelled, at_home)
            yield 1
            return with_head(start, head, calibration)

        return teach_head
    mixing = home_patches("mixing")
    home = _patches(mixing.images, mixing.tumor)

    def teach(taught: Bools, number: int) -> Generator[int, None, FastNet]:
        patches = _patches(examples.images[taught], examples.tumor[taught])
        recipe = _recipe(options, number)
        return fit_network(start, base.normalisation, patches, home, recipe)

    return teach


def _recipe(options: AdaptOptions, number: int = 0) -> Recipe:
    """Return the recipe of one of the networks; each has draws of its own."""
    return Recipe(steps=options.steps, seed=1000 * options.seed + number)


def _patches(images: Bytes, tumor: Bools) -> Patches:
    return Patches(torch.from_numpy(images), torch.from_numpy(tumor).float())


def _description(adapted: Adapted, name: str) -> ModelDescription:
    """Describe an adapted model, without anything that differs from run to run."""
    base, examples, options = adapted.base, adapted.examples, adapted.options
    mixing, gate = home_patches("mixing").facts, home_patches("gate").facts
    before = {one.name: getattr(base, one.name) for one in fields(ModelDescription)}
    tumor = int(examples.tumor.sum())
    training = training_facts.TrainingFacts(
        data=("corrections", mixing.name),
        normal=len(examples.tumor) - tumor + mixing.normal,
        tumour=tumor + mixing.tumour,
        datasets=(*base.training.datasets, mixing),
        valid=gate,
        options=asdict(_recipe(options)) if options.part == "network" else {},
        started_from=base.sha256,
        start=start_facts(base),
        held_back=base.training.held_back,
        torch=torch.__version__,
        python=platform.python_version(),
        machine=platform.machine(),
    )
    facts = training_facts.AdaptedFacts(
        parent=training_facts.ParentFacts(base.name, base.version, base.sha256),
        corrections=examples.digest,
        tumor=examples.labels_tumor,
        normal=examples.labels_normal,
        slides=examples.slides,
        places=len(np.unique(examples.places)),
        taught=len(examples.tumor),
        steps=options.steps if options.part == "network" else 0,
        seed=options.seed,
        part=options.part,
        gate=training_facts.GateFacts(**asdict(adapted.gate)),
        refusal=adapted.gate.refusal,
    )
    own: dict[str, Any] = {
        "name": name,
        "lesions": base.lesions
        and replace(
            base.lesions,
            measured_on=f"{base.lesions.measured_on}, with the model before",
        ),
        "training": training,
        "metrics": training_facts.ModelMetrics(
            data=gate.name,
            parameters=parameter_count(adapted.network),
            flops_256px=flop_count(adapted.network),
            **asdict(adapted.metrics),
        ),
        "adapted": facts,
        "source": {},
    }
    return ModelDescription(**before | own)
