"""Find the tumors of a slide and write them for QuPath.

    python examples/detect_a_slide.py [SLIDE] [FOLDER]

Without a slide one is drawn.
"""

# ruff: noqa: INP001, T201  a script on its own that tells what it does

from __future__ import annotations

import sys

import napari_fastnet as nf

slide = sys.argv[1] if len(sys.argv) > 1 else nf.sample()
folder = sys.argv[2] if len(sys.argv) > 2 else "lesions"

result = nf.detect(slide, progress=True)  # in memory: no file is written
for row in result.table():
    print(row)
print("written:", *result.export(folder, ["geojson", "csv"]))
