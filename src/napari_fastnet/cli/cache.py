"""``napari-fastnet cache``: runs of the panel without an output folder."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_fastnet.cli.options import with_options
from napari_fastnet.cli.output import print_columns, print_json
from napari_fastnet.errors import OptionError

if TYPE_CHECKING:
    from napari_fastnet.store.cache import CachedRun

#: Each is 1000 times the one before.
PREFIXES = ("", "k", "M", "G", "T")

cache = typer.Typer(
    help="List or delete runs of the panel without an output folder.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@cache.command(name="list")
@with_options
def list_runs(folder: Path | None = None, as_json: bool = False) -> None:
    """List the runs, least recently used first.

    Parameters
    ----------
    folder : Path or None
        Cache folder, if napari's preferences name another than the usual.
    as_json : bool
        Print JSON.
    """
    from napari_fastnet.store.cache import cached_runs

    place = _folder(folder)
    runs = cached_runs(place)
    if as_json:
        print_json([_facts(run) for run in runs])
        return
    if runs:
        header = ("slide", "model", "size", "last used", "folder")
        print_columns([header, *map(_row, runs)])
    print(f"{_count(runs)} in {place}")


@cache.command()
@with_options
def clear(
    older_than: Annotated[float | None, typer.Option(metavar="DAYS", min=0)] = None,
    down_to: Annotated[str | None, typer.Option(metavar="SIZE")] = None,
    folder: Path | None = None,
    as_json: bool = False,
) -> None:
    """Delete all runs, or some; runs in progress stay.

    Parameters
    ----------
    older_than : float or None
        Keep runs used since then.
    down_to : str or None
        Size to keep, such as 500MB; least recently used runs go first.
    folder : Path or None
        Cache folder, if napari's preferences name another than the usual.
    as_json : bool
        Print JSON.
    """
    from napari_fastnet.store.cache import cached_runs, clear_cache

    place = _folder(folder)
    since = None
    if older_than is not None:
        since = datetime.now(UTC) - timedelta(days=older_than)
    deleted = clear_cache(
        place,
        unused_since=since,
        down_to_bytes=None if down_to is None else size_bytes(down_to),
    )
    if as_json:
        print_json([_facts(run) for run in deleted])
        return
    left = cached_runs(place)
    busy = sum(run.in_use for run in left)
    print(f"deleted {_count(deleted)}")
    print(f"left {_count(left)} in {place}" + (f"; in use: {busy}" if busy else ""))


def size_bytes(text: str) -> int:
    """Parse a size such as ``500MB`` into bytes; k is 1000."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgt]?)b?", text.strip(), re.IGNORECASE)
    if found is None:
        raise OptionError(
            f"size is {text!r}; use a number with kB, MB or GB, such as 500MB"
        )
    number, unit = found.groups()
    power = [prefix.lower() for prefix in PREFIXES].index(unit.lower())
    return int(float(number) * 1000**power)


def size_text(size: float) -> str:
    """Format a number of bytes, for example ``1.5 MB``; k is 1000."""
    power = 0
    while size >= 999.5 and power < len(PREFIXES) - 1:
        size, power = size / 1000, power + 1
    return f"{size:.3g} {PREFIXES[power]}B"


def _folder(chosen: Path | None) -> Path:
    from napari_fastnet.store.cache import default_cache_folder

    return default_cache_folder() if chosen is None else chosen


def _count(runs: list[CachedRun]) -> str:
    from napari_fastnet.core.display import counted

    size = size_text(sum(run.size_bytes for run in runs))
    return f"{counted(len(runs), 'run')}, {size}"


def _facts(run: CachedRun) -> dict[str, Any]:
    """Return the facts of a run that ``--json`` prints."""
    return {**asdict(run), "used": run.used.isoformat(timespec="seconds")}


def _row(run: CachedRun) -> tuple[str, ...]:
    used = run.used.astimezone().strftime("%Y-%m-%d %H:%M")
    return (
        run.slide,
        run.model or "not finished",
        size_text(run.size_bytes),
        "in use" if run.in_use else used,
        str(run.folder),
    )
