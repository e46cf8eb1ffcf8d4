"""``napari-fastnet cache``: runs without an output folder, and parts of remote slides."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_fastnet.cli.options import with_options
from napari_fastnet.cli.output import print_columns, print_json
from napari_fastnet.machine.remote.kept import PREFIXES, CachedFile, size_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fastnet.store.cache import CachedRun

cache = typer.Typer(
    help="List or delete runs without an output folder, and kept parts of remote slides.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@cache.command(name="list")
@with_options
def list_runs(folder: Path | None = None, as_json: bool = False) -> None:
    """List runs, and kept parts of slides by address, each least recently used first.

    Parameters
    ----------
    folder : Path or None
        Cache folder, if napari's preferences name another than the usual.
    as_json : bool
        Print JSON.
    """
    from napari_fastnet.machine.remote.kept import kept_files
    from napari_fastnet.store.cache import cached_runs

    place = _folder(folder)
    found: list[CachedRun | CachedFile] = [*cached_runs(place), *kept_files(place)]
    if as_json:
        print_json([_facts(each) for each in found])
        return
    if found:
        header = ("slide", "model", "size", "last used", "folder")
        print_columns([header, *map(_row, found)])
    print(f"{_count(found)} in {place}")


@cache.command()
@with_options
def clear(
    older_than: Annotated[float | None, typer.Option(metavar="DAYS", min=0)] = None,
    down_to: Annotated[str | None, typer.Option(metavar="SIZE")] = None,
    folder: Path | None = None,
    as_json: bool = False,
) -> None:
    """Delete all runs and kept parts of slides, or some; runs in progress stay.

    Parameters
    ----------
    older_than : float or None
        Keep what was used since then.
    down_to : str or None
        Size to keep, such as 500MB; parts of slides go first, then runs, least recently
        used first.
    folder : Path or None
        Cache folder, if napari's preferences name another than the usual.
    as_json : bool
        Print JSON.
    """
    from napari_fastnet.machine.remote.kept import clear_kept, kept_files
    from napari_fastnet.store.cache import cached_runs, clear_cache

    place = _folder(folder)
    since = None
    if older_than is not None:
        since = datetime.now(UTC) - timedelta(days=older_than)
    size = None if down_to is None else size_bytes(down_to)
    of_runs = sum(run.size_bytes for run in cached_runs(place))
    kept = None if size is None else max(0, size - of_runs)
    deleted: list[CachedRun | CachedFile] = [
        *clear_kept(place, unused_since=since, down_to_bytes=kept),
        *clear_cache(place, unused_since=since, down_to_bytes=size),
    ]
    if as_json:
        print_json([_facts(each) for each in deleted])
        return
    runs = cached_runs(place)
    busy = sum(run.in_use for run in runs)
    print(f"deleted {_count(deleted)}")
    left = _count([*runs, *kept_files(place)])
    print(f"left {left} in {place}" + (f"; in use: {busy}" if busy else ""))


def size_text(size: float) -> str:
    """Format a number of bytes, for example ``1.5 MB``; k is 1000."""
    power = 0
    while size >= 999.5 and power < len(PREFIXES) - 1:
        size, power = size / 1000, power + 1
    return f"{size:.3g} {PREFIXES[power]}B"


def _folder(chosen: Path | None) -> Path:
    from napari_fastnet.machine.files import default_cache_folder

    return default_cache_folder() if chosen is None else chosen


def _count(found: Sequence[CachedRun | CachedFile]) -> str:
    from napari_fastnet.core.display import counted

    slides = sum(isinstance(each, CachedFile) for each in found)
    words = counted(len(found) - slides, "run")
    if slides:
        words += f" and parts of {counted(slides, 'slide')}"
    return f"{words}, {size_text(sum(each.size_bytes for each in found))}"


def _facts(found: CachedRun | CachedFile) -> dict[str, Any]:
    """Return the facts of a run, or of a slide's parts, that ``--json`` prints."""
    return {**asdict(found), "used": found.used.isoformat(timespec="seconds")}


def _row(found: CachedRun | CachedFile) -> tuple[str, ...]:
    from napari_fastnet.core.display import in_a_line

    used = found.used.astimezone().strftime("%Y-%m-%d %H:%M")
    size, folder = size_text(found.size_bytes), str(found.folder)
    if isinstance(found, CachedFile):
        return in_a_line(found.address), "parts of the slide", size, used, folder
    model = found.model or "not finished"
    return found.slide, model, size, "in use" if found.in_use else used, folder
