"""The formats of results: one table for the command line, the panel and the runs.

What each file's numbers mean is in ``docs/explain/coordinates.md``, what opens it in
``docs/howto/take-results-elsewhere.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any, Literal

from napari_fastnet.annotations.asap_xml import write_asap_xml
from napari_fastnet.core.display import unreadable_words
from napari_fastnet.core.options import DEFAULT_COLOURS
from napari_fastnet.errors import OptionError, OutputError
from napari_fastnet.machine.files import clear_leftovers
from napari_fastnet.results.asap import asap_annotations, write_asap_heatmap
from napari_fastnet.results.ome_tiff import (
    write_flags_tiff,
    write_heatmap_ome_tiff,
    write_mask_tiff,
)
from napari_fastnet.results.ome_zarr import write_ome_zarr
from napari_fastnet.results.record import (
    HEATMAP,
    OVERVIEW,
    QUALITY,
    REGIONS,
    REGIONS_CSV,
    RESEARCH_USE,
    mask_file,
    written,
)
from napari_fastnet.results.regions import (
    region_table,
    write_regions_csv,
    write_regions_geojson,
)
from napari_fastnet.results.spatial_data import write_spatialdata
from napari_fastnet.results.tables import (
    patch_table,
    write_parquet,
    write_patches_csv,
    write_xlsx,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.regions import Region

Part = Literal["masks", "heatmap", "regions"]
PARTS: tuple[Part, ...] = ("masks", "heatmap", "regions")


#: Side of the slide's picture, px: about as large as overview.png shows it.
THUMBNAIL_PX = 1000


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Results:
    """What there is of a slide to write.

    Parameters
    ----------
    record : mapping
        The run record; every file carries it where its format allows.
    mpp : tuple of float
        (y, x) µm per level-0 px.
    slide_shape : tuple of int
        (height, width) of the slide, level-0 px.
    heatmap : Heatmap, optional
        Probabilities.
    regions : sequence of Region, optional
        Perhaps none; None where they are not known.
    masks : mapping of str to (height, width) ndarray of bool
        By name, of the whole slide.
    mask_mpp : tuple of float
        (y, x) µm per px of the masks.
    picture : callable, optional
        Returns the slide, (height, width, 3) uint8, for the overview.
    bounds_offset : tuple of float
        (y, x) level-0 px that GeoJSON takes off; see `write_regions_geojson`.
    flags : (rows, columns) ndarray of uint8, optional
        Bits of `core.appearance.flags.Flag` of the heatmap's cells; go with it.
    notes : tuple of str
        What the user should be told of where the results come from.
    """

    record: Mapping[str, Any]
    mpp: Pair
    slide_shape: tuple[int, int]
    heatmap: Heatmap | None = None
    regions: Sequence[Region] | None = None
    masks: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    mask_mpp: Pair = (1.0, 1.0)
    picture: Callable[[], NDArray[np.uint8]] | None = None
    bounds_offset: Pair = (0.0, 0.0)
    flags: NDArray[np.uint8] | None = None
    notes: tuple[str, ...] = ()

    def only(self, parts: Collection[Part]) -> Results:
        """Return the results without the parts that are not named."""
        return replace(
            self,
            heatmap=self.heatmap if "heatmap" in parts else None,
            regions=self.regions if "regions" in parts else None,
            masks=self.masks if "masks" in parts else {},
        )


@dataclass(frozen=True, slots=True)
class Format:
    """A format: what is in its files, and the function that writes them.

    Parameters
    ----------
    about : str
        Its files and who reads them, in a line.
    write : callable
        Takes results and a folder, writes what there is, and yields the files.
    """

    about: str
    write: Callable[[Results, Path], Iterator[Path]]


def write_formats(
    results: Results,
    folder: Path,
    formats: Collection[str],
    parts: Collection[Part] = PARTS,
) -> list[Path]:
    """Write results in some formats.

    Parameters
    ----------
    results : Results
        What there is; what there is not is left out.
    folder : Path
        Made where it is missing; files of the same names are replaced, each whole.
    formats : collection of str
        Keys of `FORMATS`.
    parts : collection of str
        What is written of the results. The overview shows all of it, whatever is asked
        for.

    Returns
    -------
    list of Path
        The files and zarr folders, in the order of the formats.

    Raises
    ------
    OptionError
        There is no such format.
    OutputError
        A file cannot be written, or nothing of the results has a place in the formats.
    DependencyError
        A format needs a package that is not installed.
    """
    if unknown := [name for name in formats if name not in FORMATS]:
        raise OptionError(f"format is {unknown[0]!r}; use {', '.join(FORMATS)}")
    clear_leftovers(folder)
    chosen = results.only(parts)
    written = [
        path
        for name in formats
        for path in FORMATS[name].write(results if name == "png" else chosen, folder)
    ]
    if not written:
        raise OutputError(
            f"nothing to export as {', '.join(formats) or 'no format'}; ask for what is "
            "there, or compute masks or detect tumors first"
        )
    return written


def _ome_tiff(results: Results, folder: Path) -> Iterator[Path]:
    for name, mask in results.masks.items():
        path = folder / mask_file(name)
        write_mask_tiff(path, mask, results.mask_mpp, record=results.record)
        yield path
    if results.heatmap is not None:
        path = folder / HEATMAP
        write_heatmap_ome_tiff(path, results.heatmap, record=results.record)
        yield path
        if results.flags is not None:
            path = folder / QUALITY
            write_flags_tiff(
                path, results.flags, results.heatmap, record=results.record
            )
            yield path


def _ome_zarr(results: Results, folder: Path) -> Iterator[Path]:
    if results.heatmap is not None:
        path = folder / "heatmap.ome.zarr"
        write_ome_zarr(
            path,
            results.heatmap,
            results.masks,
            mask_mpp=results.mask_mpp,
            record=results.record,
        )
        yield path


def _geojson(results: Results, folder: Path) -> Iterator[Path]:
    if results.regions is not None:
        path, offset = folder / REGIONS, results.bounds_offset
        write_regions_geojson(
            path, results.regions, bounds_offset=offset, record=results.record
        )
        yield path


def _asap(results: Results, folder: Path) -> Iterator[Path]:
    if results.heatmap is not None:
        path, shape = folder / "heatmap_asap.tif", results.slide_shape
        write_asap_heatmap(path, results.heatmap, shape, record=results.record)
        yield path
    if results.regions is not None:
        path, found = folder / "regions.xml", asap_annotations(results.regions)
        write_asap_xml(path, found, comment=RESEARCH_USE)
        yield path


def _csv(results: Results, folder: Path) -> Iterator[Path]:
    if results.regions is not None:
        write_regions_csv(
            folder / REGIONS_CSV,
            results.regions,
            mpp=results.mpp,
            slide=_slide_name(results.record),
        )
        yield folder / REGIONS_CSV


def _xlsx(results: Results, folder: Path) -> Iterator[Path]:
    if results.regions is not None:
        path, table = folder / "regions.xlsx", _region_table(results)
        write_xlsx(
            path, list(table), zip(*table.values(), strict=True), title="regions"
        )
        yield path


def _region_table(results: Results) -> dict[str, list[Any]]:
    """Return the regions as columns, the last the name of the slide."""
    table = region_table(results.regions or (), mpp=results.mpp)
    name = written(_slide_name(results.record))
    return {**table, "slide": [name] * len(table["label"])}


def _patches_csv(results: Results, folder: Path) -> Iterator[Path]:
    if results.heatmap is not None:
        write_patches_csv(folder / "patches.csv", results.heatmap)
        yield folder / "patches.csv"


def _parquet(results: Results, folder: Path) -> Iterator[Path]:
    if results.regions is not None:
        table = _region_table(results)
        write_parquet(folder / "regions.parquet", table, record=results.record)
        yield folder / "regions.parquet"
    if results.heatmap is not None:
        cells = patch_table(results.heatmap)
        write_parquet(folder / "patches.parquet", cells, record=results.record)
        yield folder / "patches.parquet"


def _spatialdata(results: Results, folder: Path) -> Iterator[Path]:
    if results.heatmap is not None:
        path = folder / "spatialdata.zarr"
        write_spatialdata(
            path,
            results.heatmap,
            results.regions or (),
            results.masks,
            mask_mpp=results.mask_mpp,
            record=results.record,
        )
        yield path


def _png(results: Results, folder: Path) -> Iterator[Path]:
    if results.heatmap is None or results.picture is None:
        return
    # With matplotlib, which takes as long to load as all the rest.
    from napari_fastnet.results.overview import Caption, write_overview

    record = results.record
    model = record.get("model") or {}
    regions = record.get("regions") or {}
    caption = Caption(
        title=_slide_name(record),
        model=f"{model.get('name', '')} {model.get('version', '')}".strip(),
        threshold=float(record.get("threshold") or 0),
        tissue_mm2=(record.get("tissue") or {}).get("area_mm2"),
        colours=(record.get("options") or {}).get("colours", DEFAULT_COLOURS),
        quality=_quality_words(record),
        flags=results.flags,
        outlines=PureWindowsPath(str(regions.get("outlines", ""))).name,
    )
    write_overview(
        folder / OVERVIEW,
        results.picture(),
        results.heatmap,
        results.regions or (),
        slide_shape=results.slide_shape,
        caption=caption,
        record=record,
    )
    yield folder / OVERVIEW


def _slide_name(record: Mapping[str, Any]) -> str:
    """Return the name of a slide's file; its path may have either kind of slash."""
    return PureWindowsPath(str((record.get("slide") or {}).get("path", ""))).name


def _quality_words(record: Mapping[str, Any]) -> str:
    """Return what is to be known of the slide's quality, and of what could not be read."""
    verdict = (record.get("quality") or {}).get("verdict", "Quality not judged.")
    counts = record.get("counts") or {}
    if not counts.get("failed"):
        return str(verdict)
    return f"{unreadable_words(counts['failed'], counts['kept'])}. {verdict}"


#: Every format, by the name that the command line and the panel know it by.
FORMATS: dict[str, Format] = {
    "ome-tiff": Format("masks and heatmap: QuPath, Fiji, napari, Python", _ome_tiff),
    "ome-zarr": Format("heatmap with the masks as labels: napari, Python", _ome_zarr),
    "geojson": Format("regions: QuPath, Python", _geojson),
    "asap": Format("heatmap and regions: ASAP", _asap),
    "csv": Format("regions as a table: spreadsheets", _csv),
    "xlsx": Format("regions as a table: Excel, with any names, in any language", _xlsx),
    "patches-csv": Format("patches as a table: spreadsheets", _patches_csv),
    "parquet": Format("regions and patches as tables: pandas, R", _parquet),
    "spatialdata": Format("heatmap, masks and regions: scverse", _spatialdata),
    "png": Format("overview of slide, heatmap and regions", _png),
}
#: What ``detect`` leaves.
DETECT_FORMATS = ("ome-tiff", "geojson", "csv", "png")
