"""Write every second patch of a tar into another, the first, third and so on.

    python benchmarks/model/halves.py hard_normals.tar half.tar

The half is trained on; `candidates.py` judges by the others.
"""

from __future__ import annotations

import argparse
import tarfile
from pathlib import Path


def main() -> None:
    """Copy the patches as they are, in the order of their names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("half", type=Path)
    given = parser.parse_args()
    with tarfile.open(given.source) as source, tarfile.open(given.half, "w") as half:
        members = [member for member in source if member.isfile()]
        for member in sorted(members, key=lambda one: one.name)[::2]:
            half.addfile(member, source.extractfile(member))


if __name__ == "__main__":
    main()
