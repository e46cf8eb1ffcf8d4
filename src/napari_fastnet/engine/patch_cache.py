"""What was found on a slide is kept, and looked up where nothing has changed."""

from __future__ import annotations

import json
from dataclasses import asdict
from hashlib import file_digest
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from napari_fastnet.engine.patch_plan import SlidePatches, find_candidates
from napari_fastnet.io.files import atomic_path
from napari_fastnet.io.slide import open_slide

if TYPE_CHECKING:
    from pathlib import Path

    from napari_fastnet.engine.patch_plan import PatchOptions
    from napari_fastnet.io.camelyon import CamelyonSlide
    from napari_fastnet.io.slide import Slide

#: Bump when other candidates come out of the same slide.
FORMAT = 1


def candidates_of(
    known: CamelyonSlide, options: PatchOptions, cache: Path
) -> SlidePatches:
    """Return the candidates of a slide, from an earlier look where nothing changed.

    Parameters
    ----------
    known : CamelyonSlide
        The slide.
    options : PatchOptions
        What is asked for.
    cache : Path
        Where what was found is kept, ``.npz``.

    Returns
    -------
    SlidePatches
        Perhaps none: no tissue is a result.

    Raises
    ------
    FastNetError
        The slide or its annotation cannot be used.
    """
    with open_slide(known.path, mpp=options.slide_mpp) as slide:
        key = _key(known, slide, options)
        found = _cached(cache, key)
        if found is None:
            found = find_candidates(known, slide, options)
            _keep(cache, key, found)
    return found


def _key(known: CamelyonSlide, slide: Slide, options: PatchOptions) -> str:
    """Return what the candidates depend on."""
    digest = ""
    if known.outlines is not None:
        with known.outlines.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
    return json.dumps(
        {
            "format": FORMAT,
            "fingerprint": slide.fingerprint,
            "mpp": slide.require_mpp(),
            "outlines": digest,
            "slide": [known.is_tumour, known.is_test, known.is_partly],
            "options": asdict(options),
        },
        sort_keys=True,
    )


def _cached(path: Path, key: str) -> SlidePatches | None:
    """Return what was found earlier, None where it was something else."""
    try:
        # Opened here: of a damaged file numpy leaves its own open.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            if str(file["key"]) != key:
                return None
            facts = json.loads(str(file["facts"]))
            return SlidePatches(
                file["positions"], file["weights"], file["labels"], facts
            )
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def _keep(path: Path, key: str, found: SlidePatches) -> None:
    with atomic_path(path) as aside:
        np.savez_compressed(
            aside,
            key=np.array(key),
            facts=np.array(json.dumps(found.facts)),
            positions=found.positions,
            weights=found.weights,
            labels=found.labels,
        )
