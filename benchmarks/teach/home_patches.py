"""Draw the patches of home that come with the package: 500 to mix in, 300 for the gate.

``python benchmarks/teach/home_patches.py train.tar [--seed N]`` writes ``mixing.tar`` and
``gate.tar`` into ``training/adapt/home``: of each class one half, no patch in both, the bytes
of the JPEG files as they are. Patches that are nearly all glass, flat or black teach nothing
and are left out. The same tar and seed give the same files.
"""

from __future__ import annotations

import argparse
import io
import tarfile
from pathlib import Path

import numpy as np

from napari_fastnet.patches.reading import LABELS, decode_patch

#: Patches in each file.
FILES = {"mixing.tar": 500, "gate.tar": 300}
HOME = Path(__file__).parents[2] / "src/napari_fastnet/training/adapt/home"

# Grey values: glass is brighter, a fold or the slide's edge darker.
_GLASS, _DARK = 225, 60
# Most of a patch that is glass or dark, and the least deviation of its px.
_MOST_GLASS, _MOST_DARK, _LEAST_DEVIATION = 0.7, 0.5, 20


def shows_tissue(content: bytes) -> bool:
    """Check that a patch is neither nearly blank, nor flat, nor dark."""
    image = decode_patch("patch", content)
    grey = image.mean(axis=2)
    return bool(
        (grey > _GLASS).mean() <= _MOST_GLASS
        and (grey < _DARK).mean() <= _MOST_DARK
        and image.std() >= _LEAST_DEVIATION
    )


def main() -> None:
    """Read, draw and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HOME)
    given = parser.parse_args()
    classes: dict[int, dict[str, bytes]] = {0: {}, 1: {}}
    with tarfile.open(given.train) as archive:
        for entry in archive:
            file = archive.extractfile(entry)
            if file is not None and shows_tissue(content := file.read()):
                label = LABELS[Path(entry.name).parent.name]
                classes[label][f"{label}/{Path(entry.name).name}"] = content
    rng = np.random.default_rng(given.seed)
    drawn = {label: rng.permutation(sorted(of)) for label, of in classes.items()}
    first = 0
    for name, count in FILES.items():
        chosen = slice(first, first := first + count // 2)
        names = sorted(str(one) for order in drawn.values() for one in order[chosen])
        write_tar(given.out / name, {one: classes[int(one[0])][one] for one in names})


def write_tar(path: Path, files: dict[str, bytes]) -> None:
    """Write a tar without times and owners."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


if __name__ == "__main__":
    main()
