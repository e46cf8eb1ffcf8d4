"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from napari_fastnet.annotations.options import OutlineOptions
    from napari_fastnet.core.geometry import Pair

SlidePath = Annotated[
    Path,
    typer.Argument(metavar="SLIDE", help="SVS, OME-TIFF, NDPI, SCN or tiled TIFF."),
]
SlidePaths = Annotated[
    list[Path],
    typer.Argument(
        metavar="SLIDE", help="Slides, folders of them, or patterns such as *.svs."
    ),
]
SlideMpp = Annotated[
    float | None,
    typer.Option(
        "--mpp",
        metavar="UM_PER_PX",
        help="µm per level-0 px, where the file does not say or is wrong.",
    ),
]
OutputFolder = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="Results go to DIR/<name of the slide>/.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a machine.")]

# What is said of outlines that are read.
TumorClass = Annotated[
    list[str] | None,
    typer.Option(
        "--tumor-class",
        metavar="NAME",
        help="Of outlines, this class is tumor, and no other; None is no class. May be "
        "given again.",
    ),
]
BoundsOffset = Annotated[
    tuple[float, float] | None,
    typer.Option(
        metavar="Y X",
        help="Level-0 px that are added to outlines: OpenSlide's bounds-y and bounds-x.",
    ),
]
QupathOrigin = Annotated[
    bool,
    typer.Option(
        "--qupath-origin",
        help="Outlines count from where the scanned part begins, as QuPath's do: each "
        "slide's own --bounds-offset.",
    ),
]

# One for each field of core.tissue.TissueParameters; left out, the preset's value holds.
Preset = Annotated[
    Literal["default", "paper"],
    typer.Option(help="Where the options below start: `paper` closes no gaps."),
]
Low = Annotated[
    float | None, typer.Option(help="Threshold mask: lowest grey value [50].")
]
High = Annotated[
    float | None, typer.Option(help="Threshold mask: highest grey value [240].")
]
Channels = Annotated[
    Literal["all", "any"] | None,
    typer.Option(help="RGB mask: channels that must be dark [all]."),
]
Red = Annotated[
    float | None, typer.Option(help="RGB mask: dark up to this red [automatic].")
]
Green = Annotated[
    float | None, typer.Option(help="RGB mask: dark up to this green [automatic].")
]
Blue = Annotated[
    float | None, typer.Option(help="RGB mask: dark up to this blue [automatic].")
]
Saturation = Annotated[
    float | None,
    typer.Option(help="HSV mask: tissue above this, 0..255 [automatic]."),
]
GlassMargin = Annotated[
    float | None,
    typer.Option(help="Grey values automatic thresholds stay off the glass [12]."),
]
ClosingUm = Annotated[
    float | None, typer.Option(help="Gaps up to twice this are closed, µm [40].")
]
MinimumObjectUm2 = Annotated[
    float | None, typer.Option(help="Smaller tissue is dropped, µm² [2000].")
]
MinimumHoleUm2 = Annotated[
    float | None, typer.Option(help="Smaller holes are filled, µm² [100000].")
]

Colours = Annotated[
    Literal["red-green", "blue-orange"],
    typer.Option(help="Of normal and tumour; the second for the colour-blind."),
]

OtherColours = Annotated[
    Literal["red-green", "blue-orange"] | None,
    typer.Option("--colours", help="Of normal and tumour in the png [as recorded]."),
]

# What looks at the patches, and how.
Model = Annotated[
    str,
    typer.Option(metavar="NAME|DIR", help="A model of `models list`, or its folder."),
]
BackendName = Annotated[
    Literal["auto", "onnx", "openvino", "torch"],
    typer.Option(help="What runs the network; auto is the fastest that is installed."),
]
Device = Annotated[
    str | None,
    typer.Option(help="cpu, cuda or mps, on torch [cpu; with torch the fastest]."),
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="Threads of the network [all cores].")
]
Memory = Annotated[
    int | None,
    typer.Option(metavar="MB", help="Take no more; at least 310 [about 600]."),
]
Stain = Annotated[
    Literal["none", "reinhard", "macenko", "density"],
    typer.Option(help="Match the colours to those the model was trained on."),
]
Flips = Annotated[
    bool | None,
    typer.Option(
        "--flips/--no-flips",
        help="Look at mirror images too, at 4 times the price [the model's].",
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(help="Tumour from this probability on [the model's]."),
]


def offset_of(
    bounds_offset: tuple[float, float] | None, qupath_origin: bool
) -> Pair | Literal["scanned"]:
    """Return from where outlines count, see `annotations.options.OutlineOptions`."""
    if bounds_offset is not None and qupath_origin:
        raise typer.BadParameter("give --bounds-offset or --qupath-origin, not both")
    return "scanned" if qupath_origin else bounds_offset or (0.0, 0.0)


def outline_options(
    tumor_class: list[str] | None,
    bounds_offset: tuple[float, float] | None,
    qupath_origin: bool,
) -> OutlineOptions:
    """Return what is said of outlines that are read."""
    from napari_fastnet.annotations.options import OutlineOptions

    return OutlineOptions(
        tuple(tumor_class or ()), offset_of(bounds_offset, qupath_origin)
    )
