"""Patches for training and for validation: reading, comparing, warnings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_fastnet.errors import DataError, OptionError
from napari_fastnet.model.training_facts import DataFacts, data_facts, patch_digest
from napari_fastnet.patches.reading import iterate_patches
from napari_fastnet.patches.store import is_patch_store, open_patch_store
from napari_fastnet.training.adapt.home import home_patches
from napari_fastnet.training.batches import Patches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_fastnet.patches.reading import Patch

#: Fewer patches of a class leave a figure to chance.
FEW = 20


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Patches that are used together.

    Parameters
    ----------
    patches : Patches
        In memory.
    names : list of str
        Of each patch: name of the data, and its own within them.
    slides : list of (str or None)
        Slide of each patch, where it is known.
    digests : list of (bytes or None)
        Of each patch, see `patch_digest`.
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
        """Names of the files or folders."""
        return ", ".join(facts.name for facts in self.facts)

    @property
    def images(self) -> NDArray[np.uint8]:
        """The patches, (n, height, width, 3)."""
        images: NDArray[np.uint8] = self.patches.images.numpy()
        return images

    @property
    def labels(self) -> NDArray[np.bool_]:
        """Labels of the patches, (n,); True is tumor."""
        labels: NDArray[np.bool_] = self.patches.labels.numpy() > 0.5
        return labels


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """All patches of a training.

    Parameters
    ----------
    train, valid : Part
        To learn from; to choose the epoch and calibrate on.
    also : tuple of Part
        To evaluate on as well.
    slides_apart : bool or None
        Whether no slide is in both parts; None where slides are not known.
    warnings : tuple of str
        A sentence each.
    """

    train: Part
    valid: Part
    also: tuple[Part, ...]
    slides_apart: bool | None
    warnings: tuple[str, ...]


def read_training_data(
    data: Sequence[Path], valid: Path, also: Sequence[Path] = ()
) -> TrainingData:
    """Read the data of a training and compare their parts.

    Patches by which adaptations are judged are left out of those to learn from.

    Parameters
    ----------
    data : sequence of Path
        To learn from; of a zarr, its part for training.
    valid : Path
        To choose the epoch and calibrate on; of a zarr, its part for validation.
    also : sequence of Path
        To evaluate on as well, as ``valid``.

    Returns
    -------
    TrainingData
        All of one size.

    Raises
    ------
    DataError
        Data are missing, of several sizes, of one class, or patches to learn from are
        among those to evaluate on.
    """
    whole = read_part(data, "train")
    train = _without_the_gate(whole)
    watched = read_part([valid], "valid")
    others = tuple(read_part([path], "valid") for path in also)
    for part in (watched, *others):
        own, other = (each.patches.images.shape[1] for each in (train, part))
        if own != other:
            raise DataError(
                f"{train.name} has patches of {own} px and {part.name} of {other}; all "
                "must be of one size"
            )
        refuse_shared(train, part)
    known = None not in train.slides and None not in watched.slides
    apart = set(train.slides).isdisjoint(watched.slides) if known else None
    warnings = [*_contradictions(train), *_contradictions(watched), *_few(watched)]
    if left_out := len(whole.names) - len(train.names):
        warnings.append(
            f"{left_out:,} patches of {train.name} are among those by which adapted "
            "models are judged, and are not trained on"
        )
    one_store = is_patch_store(valid) and valid.resolve() in [p.resolve() for p in data]
    if one_store and open_patch_store(valid).leaks:
        warnings.append(
            f"{valid.name} was split by patches: training and validation share slides, "
            "and the figures will be too good"
        )
    else:
        warnings += shared_slides(train, watched)
    return TrainingData(train, watched, others, apart, tuple(warnings))


def stated_by_stores(
    data: Sequence[Path], valid: Path | None, also: Sequence[Path], mpp: float | None
) -> tuple[Path, float]:
    """Return the data to validate on and the µm/px: as given, or as `patches` wrote.

    OptionError where they are missing, or the µm/px contradict each other.
    """
    for path in data:
        if not path.exists():
            raise DataError(f"{path}: no such file or folder; check the path")
    if valid is None:
        if len(data) != 1 or not is_patch_store(data[0]):
            raise OptionError(
                "no patches to validate on; give those of other slides (--valid)"
            )
        valid = data[0]
    paths = (*data, valid, *also)
    stores = [open_patch_store(path) for path in paths if is_patch_store(path)]
    spacings = {store.spacing_um_px for store in stores}
    if mpp is not None:
        spacings.add(mpp)
    elif len(stores) < len(paths):
        raise OptionError("the µm/px of the patches is not stated; give it (--mpp)")
    if len(spacings) > 1:
        found = " and ".join(f"{spacing:g}" for spacing in sorted(spacings))
        raise OptionError(f"patches of {found} µm/px; give those of one")
    return valid, spacings.pop()


def read_part(data: Sequence[Path], part: str | None) -> Part:
    """Read the patches of one or several files, folders or zarrs into memory."""
    sets = [list(iterate_patches(path, part)) for path in data]
    every = [patch for each in sets for patch in each]
    names, digests, facts = [], [], []
    for path, each in zip(data, sets, strict=True):
        place = path.resolve().name
        names += [f"{place}: {patch.name}" for patch in each]
        own = [patch_digest(patch.image) for patch in each]
        digests += own
        labels, slides = [p.label for p in each], [p.slide for p in each]
        facts.append(data_facts(place, own, labels, slides))
    slides = [patch.slide for patch in every]
    return Part(_stacked(every), names, slides, digests, tuple(facts))


def _without_the_gate(part: Part) -> Part:
    """Leave out the patches of home by which adaptations are judged."""
    gate = {patch_digest(image) for image in home_patches("gate").images}
    kept = [at for at, digest in enumerate(part.digests) if digest not in gate]
    if len(kept) == len(part.digests):
        return part
    return replace(
        part,
        patches=Patches(part.patches.images[kept], part.patches.labels[kept]),
        names=[part.names[at] for at in kept],
        slides=[part.slides[at] for at in kept],
        digests=[part.digests[at] for at in kept],
    )


def _stacked(patches: Sequence[Patch]) -> Patches:
    """Stack patches in memory; DataError unless they are squares of one size."""
    images = [patch.image for patch in patches]
    sizes = [f"{image.shape[1]} x {image.shape[0]}" for image in images]
    first = patches[0].name
    for patch, size in zip(patches, sizes, strict=True):
        if size != sizes[0]:
            raise DataError(
                f"{first} is {sizes[0]} px and {patch.name} {size}; all patches must be "
                "of one size"
            )
    if images[0].shape[0] != images[0].shape[1]:
        raise DataError(f"{first} is {sizes[0]} px; patches must be square")
    labels = np.array([patch.label for patch in patches], np.int64)
    if len(np.unique(labels)) < 2:
        raise DataError("patches are of one class only; give normal (0) and tumor (1)")
    stacked = torch.from_numpy(np.stack(images))
    return Patches(stacked, torch.from_numpy(labels).float())


def refuse_shared(train: Part, held_out: Part) -> None:
    """Raise DataError if a patch is in both parts, whatever its name.

    Bare glass, alike on every slide, does not count.
    """
    known = dict(zip(train.digests, train.names, strict=True))
    shared = [
        (name, known[digest])
        for digest, name in zip(held_out.digests, held_out.names, strict=True)
        if digest is not None and digest in known
    ]
    if shared:
        example, other = shared[0]
        raise DataError(
            f"{len(shared):,} of {len(held_out.digests):,} patches of {held_out.name} are "
            f"trained on as well, for example {example} (as {other}): figures on "
            "training patches say nothing; remove them from one of the two"
        )


def shared_slides(train: Part, held_out: Part) -> Iterator[str]:
    """Yield a warning if slides of both parts have the same name."""
    shared = sorted({s for s in train.slides if s is not None} & set(held_out.slides))
    if shared:
        yield (
            f"{len(shared)} slides of the same name are trained and validated on, for "
            f"example {shared[0]}: the figures will be too good"
        )


def _contradictions(part: Part) -> Iterator[str]:
    """Yield a warning if equal patches have both labels."""
    labels = part.patches.labels.tolist()
    seen: dict[bytes, tuple[float, str]] = {}
    both = []
    for digest, label, name in zip(part.digests, labels, part.names, strict=True):
        if digest is not None:
            other, where = seen.setdefault(digest, (label, name))
            if other != label:
                both.append((where, name))
    if both:
        yield (
            f"{len(both):,} patches are there as normal and as tumor, for example "
            f"{both[0][0]} and {both[0][1]}: one of both labels is wrong"
        )


def _few(part: Part) -> Iterator[str]:
    """Yield a warning if a class has hardly any patches."""
    fewest = min(part.labels.sum(), (~part.labels).sum())
    if fewest < FEW:
        yield (
            f"{part.name} has {fewest} patches of a class: which epoch is best, and the "
            "calibration, are left to chance; give more to validate on"
        )
