"""The reader: slides and files of this package as layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from napari import Viewer, current_viewer
from napari.settings import get_settings
from napari.utils.notifications import show_warning

from napari_fastnet.core.lesions.evidence import find_candidates, lesions_of
from napari_fastnet.errors import OptionError
from napari_fastnet.machine.remote.kept import use_cache_folder
from napari_fastnet.machine.remote.url import (
    SlidePath,
    Url,
    path_of,
    recorded_path,
)
from napari_fastnet.plugin.commands import say_without_file
from napari_fastnet.plugin.layers import data
from napari_fastnet.plugin.layers.canvas_context import make_removal_safe
from napari_fastnet.plugin.layers.info import MaskKind
from napari_fastnet.plugin.layers.scale_bar import show_scale_bar
from napari_fastnet.plugin.layers.screen_width import keep_thin
from napari_fastnet.plugin.settings import PLUGIN, read_settings
from napari_fastnet.results import reading
from napari_fastnet.results.recognise import SCANNER_SUFFIXES, content_of
from napari_fastnet.results.record import (
    HEATMAP,
    QUALITY,
    REGIONS,
    STORE,
    RunRecord,
    mask_file,
    parse_record,
)
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.store.store import read_store

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_fastnet.core.heatmap import Heatmap

Paths = str | PathLike[str] | Sequence[str | PathLike[str]]
ReaderFunction = Callable[[Paths], list[data.LayerData]]


@say_without_file(
    "to open a slide or a run drop it onto the window, or use File > Open", None
)
def get_reader(path: Paths) -> ReaderFunction | None:
    """Return `read_layers` for a slide or a file of this package, else None.

    Checks the content, never raises, reads no pixels. Plain images are left to other
    readers.
    """
    if isinstance(path, str | PathLike):
        try:
            return read_layers if content_of(path_of(path)) is not None else None
        except OptionError:  # an address that is not read; reading says why
            return read_layers
    return get_reader(path[0]) if len(path) == 1 else None  # a stack is no slide


def read_layers(path: Paths) -> list[data.LayerData]:
    """Return the layers of a path that `get_reader` accepted.

    Parameters
    ----------
    path : path-like or sequence of one path-like
        A slide or its address, a run (``run.zarr``), an export, or the folder of either.

    Returns
    -------
    list of tuple
        Data, keywords and type of each layer, the lowest first.

    Raises
    ------
    FastNetError
        The file cannot be read; the message says why, and the remedy.
    """
    if not isinstance(path, str | PathLike):
        path = path[0]
    place = path_of(path)
    if (viewer := current_viewer()) is not None:
        make_removal_safe(viewer)
        keep_thin(viewer)
    if isinstance(place, Url):
        use_cache_folder(read_settings().cache_folder)
        return [_slide_layer(place, viewer)]
    path = place
    match content_of(path):
        case "heatmap":
            return [_heatmap_layer(path)]
        case "mask":
            return [_mask_layer(path)]
        case "quality":
            return [_quality_layer(path)]
        case "regions":
            return [_regions_layer(path)]
        case "run":
            return _run_layers(path)
        case "results":
            return _folder_layers(path)
        case _:  # a slide, or what open_slide says is none
            return [_slide_layer(path, viewer)]


def _slide_layer(path: SlidePath, viewer: Viewer | None) -> data.LayerData:
    layer = data.slide_layer_data(open_slide(path))
    if viewer is not None:
        _welcome(viewer, path, placed=layer[1]["units"] == data.UM)
    return layer


def _welcome(viewer: ViewerModel, path: SlidePath, *, placed: bool) -> None:
    """Show the scale of a slide that is opened in a window, and offer the panel."""
    if placed:
        show_scale_bar(viewer)
    if hasattr(viewer, "window"):
        remember_reader(path)
        from napari_fastnet.plugin.offer import offer_panel

        offer_panel(viewer)


def remember_reader(path: SlidePath) -> None:
    """Spare a person napari's question for a reader of slides after the first time.

    napari's own reader claims files of these kinds, too, and cannot read them. A choice
    in the preferences (Plugins) stays.
    """
    suffix, chosen = path.suffix.lower(), get_settings().plugins
    if suffix in SCANNER_SUFFIXES and f"*{suffix}" not in chosen.extension2reader:
        chosen.extension2reader = {**chosen.extension2reader, f"*{suffix}": PLUGIN}


def _folder_layers(folder: Path) -> list[data.LayerData]:
    """Return masks, heatmap and regions of a results folder."""
    masks = [folder / mask_file(kind) for kind in data.MASK_NAMES]
    layers = [_mask_layer(path) for path in masks if path.is_file()]
    if (folder / HEATMAP).is_file():
        layers.append(_heatmap_layer(folder / HEATMAP))
    elif (folder / STORE).is_dir():
        layers.append(_run_layers(folder / STORE)[0])
    if (folder / QUALITY).is_file():
        layers.append(_quality_layer(folder / QUALITY))
    if (folder / REGIONS).is_file():
        layers.append(_regions_layer(folder / REGIONS))
    return layers


def _run_layers(path: Path) -> list[data.LayerData]:
    """Return the layers of a finished run's folder, of a first run its heatmap so far.

    The files have priority over the store, which also keeps values of patches that were
    removed from the region of interest and are no longer part of the result.
    """
    store, text = read_store(path)
    record = parse_record(text)
    if store.notes:
        show_warning("\n".join(store.notes))
    folder = path.absolute().parent
    if record and (folder / HEATMAP).is_file():
        return _folder_layers(folder)
    heatmap, about = (
        reading.heatmap_of_store(store, record),
        _about(record, folder.name),
    )
    layers = [_coloured(heatmap, about, folder)]
    if record is not None and record.threshold is not None:
        rule = record.rule
        regions = lesions_of(find_candidates(heatmap, rule), rule)
        layers.append(data.regions_layer_data(regions, heatmap.mpp, **about))
    return layers


def _heatmap_layer(path: Path) -> data.LayerData:
    heatmap, record = reading.read_heatmap_ome_tiff(path)
    folder = path.absolute().parent
    return _coloured(heatmap, _about(record, folder.name), folder)


def _coloured(heatmap: Heatmap, about: dict[str, Any], folder: Path) -> data.LayerData:
    colours = read_settings().colours
    return data.heatmap_layer_data(heatmap, **about, colours=colours, folder=folder)


def _mask_layer(path: Path) -> data.LayerData:
    exported = reading.read_mask_export(path)
    kind = path.stem.removeprefix("tissue_")
    if kind not in data.MASK_NAMES:  # renamed: a mask is what to look at
        kind = "roi"
    about = _about(exported.record, path.stem)
    return data.mask_layer_data(
        cast(MaskKind, kind), exported.mask, exported.mpp, **about
    )


def _quality_layer(path: Path) -> data.LayerData:
    flags, record = reading.read_flags_export(path)
    about = _about(record, path.absolute().parent.name)
    assert record.grid is not None
    return data.quality_layer_data(
        flags, record.grid, reading.recorded_mpp(path, record), **about
    )


def _regions_layer(path: Path) -> data.LayerData:
    lesions, record = reading.read_regions_geojson(path)
    statuses = [lesion.status for lesion in lesions]
    about = _about(record, path.absolute().parent.name)
    return data.regions_layer_data(
        [lesion.region for lesion in lesions],
        reading.recorded_mpp(path, record),
        statuses=statuses if any(lesion.decision for lesion in lesions) else (),
        **about,
    )


def _about(record: RunRecord | None, name: str) -> dict[str, Any]:
    """Return name and fingerprint of a layer's slide, from its record."""
    return {
        "slide_name": name if record is None else recorded_path(record.slide.path).stem,
        "fingerprint": "" if record is None else record.slide.fingerprint,
        "record": record,
    }
