"""The result of a run, and the formats it is written in.

One class holds what `detect` returns, what `load` reads from a folder, and what the panel
exports. The meaning of each file's numbers is in ``docs/explain/coordinates.md``; the
programs that open the files are in ``docs/howto/take-results-elsewhere.md``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_fastnet import errors
from napari_fastnet.annotations.asap_xml import write_asap_xml
from napari_fastnet.annotations.qupath.project import PROJECT
from napari_fastnet.core import display
from napari_fastnet.core.geometry import Box
from napari_fastnet.core.lesions.evidence import no_lesion_words
from napari_fastnet.machine.files import (
    clear_leftovers,
    output_errors,
    remove,
    write_bytes,
)
from napari_fastnet.machine.remote.url import SlidePath, is_url
from napari_fastnet.results import record as names
from napari_fastnet.results.corrections import Corrections
from napari_fastnet.results.formats import (
    asap,
    ome_tiff,
    ome_zarr,
    qupath_project,
    spatial_data,
    tables,
)
from napari_fastnet.results.record import (
    CALIBRATED,
    RESEARCH_USE,
    RunRecord,
)
from napari_fastnet.results.recorded_slide import recorded_corner, recorded_picture
from napari_fastnet.results.regions import (
    region_table,
    write_regions_csv,
    write_regions_geojson,
)
from napari_fastnet.results.reviewed import (
    TUMOR_OR_NOT_DECIDED,
    Reviewed,
    decided_words,
    decision_facts,
    in_nodes,
    listed,
)
from napari_fastnet.store.kept_file import place_beside

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from napari_fastnet.core.arrays import Bools, Bytes
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.core.heatmap import Heatmap
    from napari_fastnet.core.lesions.regions import Region
    from napari_fastnet.results.decisions import Decisions

#: Names of files, each with the function that writes it to a path.
Files = Iterator[tuple[str, Callable[[Path], object]]]
Part = Literal["masks", "heatmap", "regions"]
PARTS: tuple[Part, ...] = ("masks", "heatmap", "regions")

OVERVIEW_WIDTH_PX = 900
#: Files that are written at the same time, where no mask has more px: each takes memory
#: several times that of what it shows, and of a large slide they take as long one by one.
_WRITERS, _SMALL_PX = 4, 2_000_000


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Result:
    """The result of a run on one slide.

    Parameters
    ----------
    record : RunRecord
        The run record, as in ``run.json``; every file carries it where its format allows.
    heatmap : Heatmap or None
        Probabilities; None where only tissue was computed.
    regions : list of Region or None
        The lesions, by evidence, highest first; None where they are not known.
    candidates : list of Region or None
        The lesions and, below the lesion threshold, what may be one; None where that is
        not known, as of outlines from a file.
    masks : mapping of str to (height, width) ndarray of bool
        Tissue masks by name, each of the whole slide.
    mask_mpp : tuple of float
        (y, x) µm per px of the masks.
    decisions : Decisions or None
        What a person decided about the slide; `with_decisions` sets it.
    reviewed : list of Reviewed or None
        The candidates with those decisions, and what the person drew; None without
        ``decisions``.
    flags : (rows, columns) ndarray of uint8 or None
        Bits of `core.appearance.flags.Flag` of the heatmap's cells.
    notes : tuple of str
        Messages for the user, such as damage in an earlier run that was set aside.
    files : tuple of Path
        The files of exactly this result, the store included; empty where it was not
        written, or was loaded with another threshold, other colours or other outlines.
    all_earlier : bool
        Every probability was computed by an earlier run.
    picture : callable or None
        Returns the slide, (height, width, 3) uint8, for the overview; by default the
        recorded file is opened.
    bounds_offset : tuple of float
        (y, x) level-0 px that GeoJSON takes off; see `write_regions_geojson`.
    slide_path : Path, Url or None
        Where the slide is now; None is as recorded.
    """

    record: RunRecord
    heatmap: Heatmap | None = None
    regions: list[Region] | None = None
    candidates: list[Region] | None = None
    decisions: Decisions | None = None
    reviewed: list[Reviewed] | None = None
    masks: Mapping[str, Bools] = field(default_factory=dict)
    mask_mpp: Pair = (1.0, 1.0)
    flags: Bytes | None = None
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    all_earlier: bool = False
    picture: Callable[[], Bytes] | None = None
    bounds_offset: Pair = (0.0, 0.0)
    slide_path: SlidePath | None = None

    @property
    def lesions(self) -> list[Region]:
        """The lesions, by evidence; empty also where only tissue was computed."""
        return self.regions or []

    @property
    def listed(self) -> list[Reviewed]:
        """The lesions of tables and files: as found, and whatever a person decided on."""
        if self.reviewed is None:
            return [Reviewed(region) for region in self.lesions]
        classes = self.record.regions.size_classes
        return listed(self.reviewed, self.lesions, classes)

    def with_decisions(self, decisions: Decisions) -> Result:
        """Return the result with a person's decisions about the slide.

        Parameters
        ----------
        decisions : Decisions
            As they are now; later ones are not in the result.

        Returns
        -------
        Result
            The lesions as found stay as they are. The record counts both.
        """
        result = replace(
            self, decisions=decisions, notes=(*self.notes, *decisions.notes)
        )
        if self.heatmap is None or self.regions is None:
            return result
        candidates = self.lesions if self.candidates is None else self.candidates
        whole = Box.of_shape(self.slide_shape)
        reviewed = decisions.reviewed(candidates, self.heatmap, whole)
        roi = self.masks.get("roi")
        if roi is not None:
            reviewed = in_nodes(
                reviewed, decisions.pieces, roi, self.slide_shape, self.heatmap.mpp
            )
        result = replace(result, reviewed=reviewed)
        facts = decision_facts(
            result.listed,
            decisions.decisions,
            decisions.reading,
            self.record.tissue.area_mm2,
        )
        facts = replace(facts, events=decisions.events_count)
        return replace(result, record=replace(self.record, decisions=facts))

    @property
    def corrections(self) -> Corrections | None:
        """The cells that a person painted on the slide; None without any."""
        if self.decisions is None:
            return None
        path = place_beside(self.decisions.path, names.DECISIONS, names.CORRECTIONS)
        if not path.exists():
            return None
        slide = self.record.slide
        found = Corrections.open(
            path,
            slide.fingerprint,
            self.slide_shape,
            self.mpp,
            slide.name,
            change=False,
        )
        return found if found.cells.any() else None

    @property
    def threshold(self) -> float | None:
        """Probability from which a cell is inside a lesion; None: only tissue was computed."""
        return self.record.threshold

    @property
    def folder(self) -> Path | None:
        """The folder of the files; None where there are none."""
        return self.files[0].parent if self.files else None

    @property
    def mpp(self) -> Pair:
        """(y, x) µm per level-0 px."""
        return self.record.slide.mpp

    @property
    def slide_shape(self) -> tuple[int, int]:
        """(height, width) of the slide, level-0 px."""
        return self.record.slide.height, self.record.slide.width

    def table(self) -> list[dict[str, Any]]:
        """Return the lesions as a table.

        Returns
        -------
        list of dict
            A dict for each of `listed`, by the columns of ``regions.csv``, not rounded.
        """
        columns = self.columns(notice=RESEARCH_USE)
        return [
            dict(zip(columns, row, strict=True))
            for row in zip(*columns.values(), strict=True)
        ]

    def to_pandas(self) -> Any:
        """Return the lesions as a data frame with the columns of `table`.

        Returns
        -------
        pandas.DataFrame
            A row for each lesion; without any, the columns alone.

        Raises
        ------
        DependencyError
            pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise errors.DependencyError(
                "to_pandas needs pandas; install it: pip install pandas, or use table()"
            ) from error
        return pd.DataFrame(self.columns(notice=RESEARCH_USE))

    def columns(self, **same: str) -> dict[str, list[Any]]:
        """Return the lesions as columns by name, the last the name of the slide.

        Parameters
        ----------
        **same : str
            Columns before that one, with the same text in each row.

        Returns
        -------
        dict of str to list
            A value for each of `listed`.
        """
        same["slide"] = display.written(self.record.slide.name)
        return region_table(self.listed, mpp=self.mpp, **same)

    def export(
        self,
        folder: str | Path,
        formats: Collection[str],
        parts: Collection[Part] = PARTS,
    ) -> list[Path]:
        """Write the result in formats of other programs.

        Parameters
        ----------
        folder : str or Path
            Made where it is missing; files of the same names are replaced, each whole.
        formats : collection of str
            Keys of `FORMATS`, such as "geojson" or "ome-tiff".
        parts : collection of {"masks", "heatmap", "regions"}, optional
            Parts to write; all by default. The overview always shows all of them.

        Returns
        -------
        list of Path
            The files and zarr folders, in the order of the formats.

        Raises
        ------
        OptionError
            There is no such format.
        OutputError
            A file cannot be written, or there is nothing to write in these formats.
        DependencyError
            A format needs a package that is not installed.
        """
        folder = Path(folder)
        if isinstance(formats, str):
            formats = [formats]
        if unknown := [name for name in formats if name not in FORMATS]:
            raise errors.OptionError(
                f"format is {unknown[0]!r}; use {', '.join(FORMATS)}"
            )
        clear_leftovers(folder)
        chosen = replace(
            self,
            heatmap=self.heatmap if "heatmap" in parts else None,
            regions=self.regions if "regions" in parts else None,
            masks=self.masks if "masks" in parts else {},
        )
        writers = {
            folder / file: write
            for name in formats
            for file, write in FORMATS[name].files(self if name == "png" else chosen)
        }
        if not writers:
            raise errors.OutputError(
                f"nothing to export as {', '.join(formats) or 'no format'}; ask for what "
                "is there, or compute masks or detect tumors first"
            )
        # Drawing, compressing and waiting for the disk at the same time; the drawing takes
        # the longest, so it begins.
        paths = sorted(writers, key=lambda path: path.name != names.OVERVIEW)
        small = all(mask.size <= _SMALL_PX for mask in self.masks.values())
        with ThreadPoolExecutor(_WRITERS if small else 1, "fastnet-write") as pool:
            written = [pool.submit(writers[path], path) for path in paths]
        for one in written:
            one.result()
        return list(writers)

    def save(self, folder: str | Path) -> Path:
        """Write the files that ``detect`` with an output folder leaves.

        Parameters
        ----------
        folder : str or Path
            The files go to ``folder/<name of the slide>/``, and replace an earlier result
            of the same slide. The store goes with them where the run has one, the
            overview where it was drawn or the slide is there.

        Returns
        -------
        Path
            The folder of the files; `load` reads it.

        Raises
        ------
        OutputError
            A file cannot be written, or the place is taken by another slide.
        """
        place = Path(folder) / names.results_name(Path(self.record.slide.name))
        with suppress(errors.StoreError):  # none, or damaged: it is replaced
            other = names.read_record(place / names.RECORD).slide
            if other.fingerprint != self.record.slide.fingerprint:
                raise errors.OutputError(
                    f"{place}: holds the results of {other.path}; choose another folder"
                )
        if self.folder is not None and place.resolve() == self.folder.resolve():
            return place
        # removed first and written last: a record is only beside files of its own run
        remove(place / names.RECORD)
        self.export(place, [name for name in DETECT_FORMATS if name != "png"])
        if (overview := self._repr_png_()) is not None:
            write_bytes(place / names.OVERVIEW, overview)
        for store in self.files:
            if store.name == names.STORE:
                copy = place / names.STORE
                with output_errors(f"write {copy}"):
                    shutil.rmtree(copy, ignore_errors=True)
                    shutil.copytree(store, copy, ignore=shutil.ignore_patterns(".*"))
        if self.decisions is not None:
            self.decisions.copy_to(place / names.DECISIONS)
        names.write_record(place / names.RECORD, self.record)
        return place

    def rows(self, seconds: float | None = None) -> list[tuple[str, str]]:
        """Describe the result in rows of (name, text).

        Parameters
        ----------
        seconds : float, optional
            Time in all, where that is more than the run's: loading programs, writing
            files.
        """
        record, tissue = self.record, self.record.tissue
        damaged = tissue.damaged_tiles
        none = "none found in what could be read" if damaged else "none found"
        rows = [
            ("slide", record.slide.path),
            ("tissue", _area(tissue.area_mm2) if tissue.area_mm2 else none),
        ]
        if damaged:
            rows.append(
                ("", f"{display.counted(damaged, 'damaged tile')}, taken as glass")
            )
        if words := display.never_scanned_words(tissue.never_scanned):
            rows.append(("", words))
        if (counts := record.counts) is not None:
            idle = self.all_earlier and counts.computed
            when = ", all by an earlier run" if idle else ""
            rows.append(("patches", f"{counts.computed:,} computed{when}"))
            if counts.failed:
                words = display.unreadable_words(counts.failed, counts.kept)
                rows.append(("", f"{words}, and are left out of the heatmap"))
        if self.regions is not None:
            rows += self._lesion_rows()
        if words := decided_words(record.decisions):
            rows.append(("decided", words))
        spent = record.seconds
        last = spent.total - spent.earlier if seconds is None else seconds
        before = f", and {spent.earlier:.1f} s before" if spent.earlier else ""
        return [
            *rows,
            ("quality", record.quality.verdict or "not judged"),
            ("time", f"{last:.1f} s{before}"),
        ]

    def _lesion_rows(self) -> Iterator[tuple[str, str]]:
        """Yield the rows on lesions, and on cells that reach the threshold."""
        totals, rule = self.record.regions, self.record.rule
        found = (
            f"{totals.regions}, by size {totals.macro} macro, {totals.micro} micro, "
            f"{totals.itc} ITC"
        )
        yield "lesions", found if totals.regions else no_lesion_words(rule)
        if self.candidates is not None:
            more = len(self.candidates) - totals.regions
            least = f"evidence from {rule.lesion_threshold:g} log odds on"
            yield "", f"{least}; {display.counted(more, 'candidate')} below"
        share = totals.tissue_fraction
        of_tissue = "" if share is None else f" ({share:.1%} of the tissue)"
        yield "tumor", f"{_area(totals.area_mm2)} in lesions{of_tissue}"
        if totals.cell_share is not None:
            yield (
                "",
                f"{totals.cell_share:.1%} of all cells are at {rule.threshold:g} or above",
            )

    def __repr__(self) -> str:
        return (
            f"<Result {display.counted(len(self.lesions), 'lesion')}, {self.heatmap!r}>"
        )

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> dict[str, str | bytes]:
        """Return all that a notebook shows, from one drawing of the overview."""
        png = self._repr_png_()
        shown: dict[str, str | bytes] = {"text/html": self._html(png)}
        return shown if png is None else shown | {"image/png": png}

    def _repr_html_(self) -> str:
        """Return the overview and a summary as HTML, for notebooks."""
        return self._html(self._repr_png_())

    def _html(self, png: bytes | None) -> str:
        rows = self.rows()
        if self.folder is not None:
            rows.append(("files", str(self.folder)))
        rows.append(("", f"{CALIBRATED} {RESEARCH_USE}"))
        return display.notebook_card(rows, png=png, width_px=OVERVIEW_WIDTH_PX)

    def _repr_png_(self) -> bytes | None:
        """Return the overview as it was written, or drawn now; None without a slide."""
        with suppress(OSError):
            if self.folder is not None:
                return (self.folder / names.OVERVIEW).read_bytes()
        with suppress(errors.FastNetError):  # the slide is elsewhere
            return None if self.heatmap is None else _drawn(self, self.heatmap)
        return None


def _area(area_mm2: float) -> str:
    return f"{display.number_words(area_mm2)} mm²"


def _ome_tiff(result: Result) -> Files:
    record, heatmap = result.record, result.heatmap
    for name, mask in result.masks.items():
        write = partial(ome_tiff.write_mask_tiff, mask=mask, mpp=result.mask_mpp)
        yield names.mask_file(name), partial(write, record=record)
    if heatmap is not None:
        write = partial(ome_tiff.write_heatmap_ome_tiff, heatmap=heatmap)
        yield names.HEATMAP, partial(write, record=record)
        if result.flags is not None:
            write = partial(ome_tiff.write_flags_tiff, flags=result.flags)
            yield names.QUALITY, partial(write, heatmap=heatmap, record=record)


def _ome_zarr(result: Result) -> Files:
    if result.heatmap is not None:
        write = partial(ome_zarr.write_ome_zarr, heatmap=result.heatmap)
        masks = {"masks": result.masks, "mask_mpp": result.mask_mpp}
        yield "heatmap.ome.zarr", partial(write, record=result.record, **masks)


def _geojson(result: Result) -> Files:
    if result.regions is not None:
        write = partial(write_regions_geojson, bounds_offset=result.bounds_offset)
        yield (
            names.REGIONS,
            partial(write, regions=result.listed, record=result.record),
        )
        # where they are painted already, that file stays and takes them in
        if (corrections := result.corrections) is not None:
            yield names.CORRECTIONS, corrections.copy_to


def _qupath_project(result: Result) -> Files:
    if result.regions is not None:
        record, place = result.record, result.slide_path
        slide = record.slide.path if place is None else str(place.absolute())
        if is_url(slide):
            raise errors.OptionError(
                f"{slide}: QuPath reads slides from disks; copy the slide, and say where it "
                "is with --slide"
            )

        def corner() -> Pair:
            if any(result.bounds_offset):
                return result.bounds_offset
            return recorded_corner(result.folder or Path(slide), record)

        image = qupath_project.ProjectImage(
            record=record,
            lesions=result.listed,
            slide=slide,
            corner=corner,
            picture=result.picture or partial(recorded_picture, record),
        )
        write = partial(qupath_project.write_qupath_project, image=image)
        yield PROJECT, write


def _asap(result: Result) -> Files:
    if result.heatmap is not None:
        write = partial(asap.write_asap_heatmap, slide_shape=result.slide_shape)
        yield (
            "heatmap_asap.tif",
            partial(write, heatmap=result.heatmap, record=result.record),
        )
    if result.regions is not None:
        # a file of outlines that are tumor: it has no place for a doubt
        kept = [
            one.region for one in result.listed if one.status in TUMOR_OR_NOT_DECIDED
        ]
        found = asap.asap_annotations(kept)
        yield (
            "regions.xml",
            partial(write_asap_xml, annotations=found, comment=RESEARCH_USE),
        )


def _csv(result: Result) -> Files:
    if result.regions is not None:
        write = partial(
            write_regions_csv, mpp=result.mpp, slide=result.record.slide.name
        )
        yield names.REGIONS_CSV, partial(write, regions=result.listed)


def _xlsx(result: Result) -> Files:
    if result.regions is not None:
        table = result.columns()
        rows = zip(*table.values(), strict=True)
        yield (
            "regions.xlsx",
            partial(tables.write_xlsx, header=list(table), rows=rows, title="regions"),
        )


def _patches_csv(result: Result) -> Files:
    if result.heatmap is not None:
        yield "patches.csv", partial(tables.write_patches_csv, heatmap=result.heatmap)


def _parquet(result: Result) -> Files:
    write = partial(tables.write_parquet, record=result.record)
    if result.regions is not None:
        yield "regions.parquet", partial(write, table=result.columns())
    if result.heatmap is not None:
        yield (
            "patches.parquet",
            partial(write, table=tables.patch_table(result.heatmap)),
        )


def _spatialdata(result: Result) -> Files:
    if result.heatmap is not None:
        write = partial(spatial_data.write_spatialdata, heatmap=result.heatmap)
        masks = {"masks": result.masks, "mask_mpp": result.mask_mpp}
        found = {"regions": result.listed, "record": result.record}
        yield "spatialdata.zarr", partial(write, **found, **masks)


def _png(result: Result) -> Files:
    if (heatmap := result.heatmap) is not None:
        yield names.OVERVIEW, lambda path: write_bytes(path, _drawn(result, heatmap))


def _drawn(result: Result, heatmap: Heatmap) -> bytes:
    """Draw the overview."""
    # its drawing is loaded where there is something to draw
    from napari_fastnet.results.overview import overview_png

    record, picture = result.record, result.picture
    thumbnail = recorded_picture(record) if picture is None else picture()
    return overview_png(
        thumbnail,
        heatmap,
        result.lesions,
        record,
        result.flags,
        listed=result.listed,
    )


@dataclass(frozen=True, slots=True)
class Format:
    """A format: its description and its files.

    Parameters
    ----------
    about : str
        Its files and the programs that read them, in a line.
    files : callable
        Yields a name and a writer for each file of what there is of a result.
    """

    about: str
    files: Callable[[Result], Files]


#: Every format, by its name on the command line and in the panel.
FORMATS: dict[str, Format] = {
    "ome-tiff": Format("masks and heatmap: QuPath, Fiji, napari, Python", _ome_tiff),
    "ome-zarr": Format("heatmap with the masks as labels: napari, Python", _ome_zarr),
    "geojson": Format("regions and painted labels: QuPath, Python", _geojson),
    "qupath-project": Format(
        "regions in a project, which is made or added to: QuPath", _qupath_project
    ),
    "asap": Format("heatmap and regions: ASAP", _asap),
    "csv": Format("regions as a table: spreadsheets", _csv),
    "xlsx": Format("regions as a table: Excel, with any names, in any language", _xlsx),
    "patches-csv": Format("patches as a table: spreadsheets", _patches_csv),
    "parquet": Format("regions and patches as tables: pandas, R", _parquet),
    "spatialdata": Format("heatmap, masks and regions: scverse", _spatialdata),
    "png": Format("overview of slide, heatmap and regions", _png),
}
#: Formats that ``detect`` writes.
DETECT_FORMATS = ("ome-tiff", "geojson", "csv", "png")
