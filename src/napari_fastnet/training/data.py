"""What a training learns from and is judged on: read, compared, and what is odd said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_fastnet.errors import DataError
from napari_fastnet.model.training_facts import DataFacts, data_facts, patch_digest
from napari_fastnet.patches.reading import PatchSet, read_patches
from napari_fastnet.patches.store import is_patch_store, open_patch_store
from napari_fastnet.training.batches import Patches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: Of fewer patches of a class a figure means little.
FEW = 20


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Patches that are used together.

    Parameters
    ----------
    patches : Patches
        In memory.
    names : list of str
        Of each patch: the data's, and its own within them.
    slides : list of (str or None)
        Of each patch, where it is known.
    digests : list of (bytes or None)
        Of each patch, as `patch_digest` has them.
    facts : tuple of DataFacts
        Of each of the files or folders.
    """

    patches: Patches
    names: list[str]
    slides: list[str | None]
    digests: list[bytes | None]
    facts: tuple[DataFacts, ...]

    @property
    def name(self) -> str:
        """What the data are called."""
        return ", ".join(facts.name for facts in self.facts)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """All patches of a training.

    Parameters
    ----------
    train, valid : Part
        To learn from; to watch, choose the epoch and calibrate on.
    also : tuple of Part
        To judge on once more.
    slides_apart : bool or None
        Whether no slide is in both parts; None where slides are not known.
    warnings : tuple of str
        What to know of them, a sentence each.
    """

    train: Part
    valid: Part
    also: tuple[Part, ...]
    slides_apart: bool | None
    warnings: tuple[str, ...]


def read_training_data(
    data: Sequence[Path], valid: Path, also: Sequence[Path] = ()
) -> TrainingData:
    """Read and compare what a training needs.

    Parameters
    ----------
    data : sequence of Path
        To learn from; of a zarr, its part for training.
    valid : Path
        To watch; of a zarr, its part for validation.
    also : sequence of Path
        To judge on once more, as ``valid``.

    Returns
    -------
    TrainingData
        All of one size.

    Raises
    ------
    DataError
        Data are missing, of several sizes, of one class, or patches to learn from are
        among those to judge on.
    """
    train = read_part(data, "train")
    watched = read_part([valid], "valid")
    others = tuple(read_part([path], "valid") for path in also)
    for part in (watched, *others):
        _check_sizes(train, part)
        refuse_shared(train, part)
    apart = _slides_apart(train, watched)
    warnings = [*_contradictions(train), *_contradictions(watched), *_few(watched)]
    if not leaks(data, valid):  # which is said where the zarr is known
        warnings += shared_slides(train, watched)
    return TrainingData(train, watched, others, apart, tuple(warnings))


def leaks(data: Sequence[Path], valid: Path) -> bool:
    """Return whether a zarr that was split by patches is trained and validated on."""
    if not is_patch_store(valid) or not open_patch_store(valid).leaks:
        return False
    return any(path.resolve() == valid.resolve() for path in data)


def read_part(data: Sequence[Path], part: str | None) -> Part:
    """Return the patches of one or several files, folders or zarrs in memory."""
    sets = [read_patches(path, part) for path in data]
    patches = join_patches(sets)
    digests = [[patch_digest(image) for image in each.images] for each in sets]
    names = [path.resolve().name for path in data]
    return Part(
        patches,
        [
            f"{n}: {own}"
            for n, each in zip(names, sets, strict=True)
            for own in each.names
        ],
        [slide for each in sets for slide in each.slides],
        [digest for each in digests for digest in each],
        tuple(
            data_facts(name, own, each.labels.tolist(), each.slides)
            for name, own, each in zip(names, digests, sets, strict=True)
        ),
    )


def join_patches(parts: Sequence[PatchSet]) -> Patches:
    """Return all patches as one block in memory.

    Raises
    ------
    DataError
        They are of several sizes, not square, or all of one class.
    """
    images = [image for part in parts for image in part.images]
    names = [name for part in parts for name in part.names]
    first = images[0].shape
    for name, image in zip(names, images, strict=True):
        if image.shape != first:
            raise DataError(
                f"{names[0]} is {_size(first)} px and {name} {_size(image.shape)}; all "
                "patches must be of one size"
            )
    if first[0] != first[1]:
        raise DataError(f"{names[0]} is {_size(first)} px; patches must be square")
    labels = np.concatenate([part.labels for part in parts])
    if len(np.unique(labels)) < 2:
        raise DataError("patches are of one class only; give normal (0) and tumor (1)")
    stacked = torch.from_numpy(np.stack(images))
    return Patches(stacked, torch.from_numpy(labels).float())


def refuse_shared(train: Part, judged: Part) -> None:
    """Refuse patches that are learned from and judged on, whatever they are called.

    Raises
    ------
    DataError
        Some are; bare glass, alike on every slide, does not count.
    """
    known = dict(zip(train.digests, train.names, strict=True))
    shared = [
        (name, known[digest])
        for digest, name in zip(judged.digests, judged.names, strict=True)
        if digest is not None and digest in known
    ]
    if shared:
        example, other = shared[0]
        raise DataError(
            f"{len(shared):,} of {len(judged.digests):,} patches of {judged.name} are "
            f"trained on as well, for example {example} (as {other}): figures of what a "
            "model has learned by heart say nothing; take them out of one of both"
        )


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]}"


def _check_sizes(train: Part, judged: Part) -> None:
    """Refuse to judge patches of another size than is learned from."""
    own, other = (part.patches.images.shape[1] for part in (train, judged))
    if own != other:
        raise DataError(
            f"{train.name} has patches of {own} px and {judged.name} of {other}; all "
            "must be of one size"
        )


def shared_slides(train: Part, judged: Part) -> Iterator[str]:
    """Yield what there is to say of slides that are learned from and judged on."""
    shared = sorted({s for s in train.slides if s is not None} & set(judged.slides))
    if shared:
        yield (
            f"{len(shared)} slides of the same name are trained and validated on, for "
            f"example {shared[0]}: the figures will be too good"
        )


def _slides_apart(train: Part, valid: Part) -> bool | None:
    """Return whether no slide is in both parts, None where slides are not known."""
    if None in train.slides or None in valid.slides:
        return None
    return not set(train.slides) & set(valid.slides)


def _contradictions(part: Part) -> Iterator[str]:
    """Yield what there is to say of patches that are normal and tumor at once."""
    labels = part.patches.labels.tolist()
    seen: dict[bytes, tuple[float, str]] = {}
    both = []
    for digest, label, name in zip(part.digests, labels, part.names, strict=True):
        if digest is None:
            continue
        other, where = seen.setdefault(digest, (label, name))
        if other != label:
            both.append((where, name))
    if both:
        yield (
            f"{len(both):,} patches are there as normal and as tumor, for example "
            f"{both[0][0]} and {both[0][1]}: one of both labels is wrong"
        )


def _few(part: Part) -> Iterator[str]:
    """Yield what there is to say of a validation part with hardly any patches."""
    tumor = int((part.patches.labels > 0.5).sum())
    fewest = min(tumor, len(part.names) - tumor)
    if fewest < FEW:
        yield (
            f"{part.name} has {fewest} patches of a class: which epoch is best, and the "
            "calibration, are left to chance; give more to validate on"
        )
