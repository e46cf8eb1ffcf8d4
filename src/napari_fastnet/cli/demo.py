"""``napari-fastnet demo``: the whole job on a synthetic slide, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_fastnet.cli.detect import print_result
from napari_fastnet.cli.progress import progress_bar

#: Fine enough for smooth outlines, and a few seconds on a laptop.
STRIDE_PX = 32


def demo(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Where to write."),
    ] = Path("demo"),
) -> None:
    """Make a synthetic slide, find its lesions, and say what was found."""
    from napari_fastnet.engine.runs import RunOptions
    from napari_fastnet.engine.whole_slide import detect
    from napari_fastnet.io.synthetic import write_slide

    path = output / "synthetic.svs"
    print(f"Drawing a slide that looks like tissue and is none: {path}", flush=True)
    truth = write_slide(path)
    with progress_bar(path.name) as update:
        result = detect(
            path,
            output,
            options=RunOptions(stride=STRIDE_PX),
            progress=lambda step: update(step.done, step.total),
        )
    print_result(result)
    print(f"Drawn were {len(truth.lesions)} lesions; look at overview.png.")
