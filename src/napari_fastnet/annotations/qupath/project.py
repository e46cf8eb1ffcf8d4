"""A project of QuPath, ``project.qpproj``, and the image in it that is a slide.

An entry has the address of its image, a URI, and a folder ``data/<number>`` with its
objects. A slide is found by that address, and by its name alone only where one entry bears
it. Of an entry that was exported from here, a file beside its objects states the slide.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from napari_fastnet.annotations.checks import check_size
from napari_fastnet.core.display import in_a_line
from napari_fastnet.errors import AnnotationError
from napari_fastnet.machine.files import write_bytes
from napari_fastnet.machine.json_text import parse_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_fastnet.core.geometry import Pair

SUFFIX = ".qpproj"
PROJECT, DATA, OBJECTS = "project.qpproj", "data", "data.qpdata"
#: File of ours beside the objects of an image.
OURS = "napari-fastnet.json"
#: Key in it: SHA-256 of objects of which all verdicts were taken.
TAKEN = "taken_sha256"
MAXIMUM_BYTES = 64 * 2**20
#: Name of QuPath's reader that shows only the scanned part of a slide, unless told.
OPENSLIDE = "qupath.lib.images.servers.openslide.OpenslideServerBuilder"
_WHOLE = "--no-crop"

_DRIVE = re.compile(r"/?[A-Za-z]:/")
_NAMED = 3  # entries that an error lists
_MOST_STATED_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Entry:
    """An image of a project.

    Parameters
    ----------
    number : int
        Its identifier in the project.
    name : str
        As QuPath lists it.
    uris : tuple of str
        Addresses of its image.
    server : mapping
        The builder of its server.
    folder : Path
        Of its data; need not exist.
    """

    number: int
    name: str
    uris: tuple[str, ...]
    server: dict[str, Any]
    folder: Path

    @property
    def objects(self) -> Path:
        """The file of its objects; need not exist."""
        return self.folder / OBJECTS

    @property
    def from_scanned_part(self) -> bool:
        """Whether its coordinates begin at the scanned part of the slide."""
        given = self.server.get("args")
        whole = isinstance(given, list) and _WHOLE in given
        return self.server.get("providerClassName") == OPENSLIDE and not whole

    @property
    def words(self) -> str:
        """The entry as errors name it."""
        return (
            f"{self.number} {in_a_line(self.name)} ({in_a_line(' '.join(self.uris))})"
        )


@dataclass(frozen=True, slots=True)
class Project:
    """A project: its file, the JSON in it, and its images in their order."""

    path: Path
    content: dict[str, Any]
    entries: tuple[Entry, ...]


def project_file(path: Path) -> Path | None:
    """Return the file of a project, given itself or its folder; None for anything else."""
    if path.suffix.lower() == SUFFIX:
        return path
    inside = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else []
    if len(inside) > 1:
        names = ", ".join(one.name for one in inside[:_NAMED])
        raise AnnotationError(
            f"{path}: holds {len(inside)} projects; give one: {names}"
        )
    return inside[0] if inside else None


def read_project(path: Path) -> Project:
    """Read a project.

    Parameters
    ----------
    path : Path
        Its file.

    Returns
    -------
    Project
        Entries without a number, which QuPath does not read either, are an error.

    Raises
    ------
    AnnotationError
        It is missing, damaged, or no project.
    """
    check_size(path, MAXIMUM_BYTES)
    try:
        content = parse_json(path.read_bytes())
        entries = tuple(_entry(one, path.parent) for one in content["images"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AnnotationError(
            f"{path}: no project of QuPath that can be read ({error!r}); open it in "
            "QuPath and save it anew"
        ) from error
    return Project(path, content, entries)


def _entry(image: dict[str, Any], folder: Path) -> Entry:
    number, server = image["entryID"], image["serverBuilder"]
    if type(number) is not int or not isinstance(server, dict):
        raise TypeError("an image has no number or no server")
    return Entry(
        number=number,
        name=str(image.get("imageName", "")),
        uris=tuple(_uris(server)),
        server=server,
        folder=folder / DATA / str(number),
    )


def _uris(server: Any) -> Iterator[str]:
    """Yield the addresses in a server's builder, those of servers in it among them."""
    waiting = [server]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if isinstance(uri := part.get("uri"), str):
                yield uri
            waiting += [v for name, v in part.items() if name != "metadata"]
        elif isinstance(part, list):
            waiting += part


def entry_of(
    project: Project, slide: str, fingerprint: str = ""
) -> tuple[Entry | None, str]:
    """Find the image of a project that is a slide.

    Parameters
    ----------
    project : Project
        As read.
    slide : str
        Path of the slide's file.
    fingerprint : str, optional
        Of the slide: an image that only has its name, and states another slide, is not it.

    Returns
    -------
    tuple of Entry or None, and str
        The entry, and a note where only its name tells, or where it is one of several, of
        which the others hold nothing new; None where there is none.

    Raises
    ------
    AnnotationError
        Several may be the slide; names them. Or it is turned or cropped there.
    """
    entries, note = entries_of(project, slide), ""
    name = in_a_line(PureWindowsPath(slide).name)
    if not entries:
        named = [one for one in project.entries if _is_named(one, slide)]
        stated = [stated_slide(one.objects)[0] for one in named]
        pairs = list(zip(named, stated, strict=True))
        entries = [one for one, known in pairs if known and known == fingerprint]
        entries = entries or [
            one for one, known in pairs if not (known and fingerprint)
        ]
        if len(entries) == 1:
            note = (
                f"{project.path.name}: {name} is found by its name alone, as image "
                f"{entries[0].words}; its address is another"
            )
    if not entries:
        return None, ""
    if len(entries) > 1 and len(new := [e for e in entries if not _is_known(e)]) < 2:
        (one,) = new or [max(entries, key=lambda entry: entry.number)]
        note = (
            f"{project.path.name}: of {len(entries)} images of {name}, {one.words} is "
            "read; the others are as they were exported, or were taken before"
        )
        entries = [one]
    if len(entries) > 1:
        both = " and ".join(one.words for one in entries[:_NAMED])
        raise AnnotationError(
            f"{project.path}: more than one image may be {name}: {both}; give the "
            f"{OBJECTS} of one, such as {entries[0].objects}"
        )
    return _upright(entries[0], project), note


def _upright(entry: Entry, project: Project) -> Entry:
    """Return an image; refuse one whose coordinates are not those of the slide."""
    if "uri" not in entry.server:
        raise AnnotationError(
            f"{project.path}: image {entry.words} is turned, cropped or otherwise made "
            "of the slide; give the objects of the slide itself"
        )
    return entry


def _is_known(entry: Entry) -> bool:
    """Return whether the objects of an image are as exported, or were all taken by decide."""
    said = _stated(entry.objects)
    digest = digest_of(entry.objects)
    return digest != "" and digest in (said.get("data_sha256"), said.get(TAKEN))


def digest_of(objects: Path) -> str:
    """Return the SHA-256 of a file; empty where it cannot be read."""
    with suppress(OSError):
        return sha256(objects.read_bytes()).hexdigest()
    return ""


def note_taken(objects: Path, digest: str) -> None:
    """Note beside the objects of an image that they were taken, by their SHA-256."""
    said = {**_stated(objects), TAKEN: digest}
    write_bytes(objects.with_name(OURS), json.dumps(said, indent=2).encode())


def _stated(objects: Path) -> dict[str, Any]:
    """Return the content of our file beside the objects of an image; perhaps nothing."""
    path = objects.with_name(OURS)
    with suppress(OSError, ValueError):
        if path.stat().st_size <= _MOST_STATED_BYTES:
            said = parse_json(path.read_bytes())
            return said if isinstance(said, dict) else {}
    return {}


def stated_slide(objects: Path) -> tuple[str, str]:
    """Return fingerprint and name of the slide of an exported image; or empty ones.

    Parameters
    ----------
    objects : Path
        The file of its objects, beside which that is stated.
    """
    said = _stated(objects)
    return str(said.get("slide_fingerprint", "")), str(said.get("slide_name", ""))


def entries_of(project: Project, slide: str) -> list[Entry]:
    """Return the images of a project whose address is that of a slide."""
    wanted = _places(slide)
    return [
        one
        for one in project.entries
        if any(wanted & place for place in _addresses(one, project))
    ]


def _addresses(entry: Entry, project: Project) -> Iterator[set[str]]:
    """Yield the places that an entry's addresses mean, also where the project was moved."""
    before = local_path(str(project.content.get("uri", "")))
    for uri in entry.uris:
        if (path := local_path(uri)) is None:
            continue
        yield _places(path)
        same = before is not None and _is_windows(before) == _is_windows(path)
        # Path.exists raises of a name that is too long
        gone = not os.path.exists(path)  # noqa: PTH110
        if before is not None and same and gone:
            # a project that was moved together with its slides
            relative = posixpath.relpath(path, posixpath.dirname(before))
            yield _places(str(project.path.absolute().parent / relative))


def _places(path: str) -> set[str]:
    """Return a path as it is, and without links; Windows knows no case."""
    if _is_windows(path):
        return {path.replace("\\", "/").lstrip("/").casefold()}
    plain = os.path.abspath(path)  # noqa: PTH100  # the file need not be here
    return {plain, os.path.realpath(plain)}


def _is_named(entry: Entry, slide: str) -> bool:
    name = PureWindowsPath(slide).name
    return entry.name == name or any(
        unquote(urlsplit(uri).path).rpartition("/")[2] == name for uri in entry.uris
    )


def local_path(uri: str) -> str | None:
    """Return the path of a ``file:`` URI, with slashes; None for another.

    Parameters
    ----------
    uri : str
        Such as ``file:/C:/my%20slides/a.svs``, as Java writes it, or ``file:///...``.

    Returns
    -------
    str or None
        ``C:/my slides/a.svs``; of a server of files ``//server/share/a.svs``.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:  # brackets that are none of an address
        return None
    if parts.scheme != "file" or not parts.path:
        return None
    # ? and # are quoted in an address; a program that did not, meant the name
    rest = (f"?{parts.query}" if parts.query else "") + (
        f"#{parts.fragment}" if parts.fragment else ""
    )
    path = unquote(parts.path + rest)
    if "\0" in path:
        return None
    if parts.netloc and parts.netloc != "localhost":
        return f"//{parts.netloc}{path}"
    return path[1:] if _DRIVE.match(path) else path


def file_uri(path: str) -> str:
    """Return the URI of a file as Java and so QuPath writes it."""
    if _is_windows(path):
        plain = path.replace("\\", "/")
        plain = "//" + plain if plain.startswith("//") else "/" + plain
    else:
        plain = os.path.abspath(path)  # noqa: PTH100  # the file need not be here
    return "file:" + quote(plain, safe="/:")


def _is_windows(path: str) -> bool:
    """Return whether a path has a drive, or is one of a server of files."""
    plain = path.replace("\\", "/")
    return plain.startswith("//") or _DRIVE.match(plain) is not None


def objects_of(
    path: Path,
    slide: str,
    corner: Callable[[], Pair],
    given: Pair,
    fingerprint: str = "",
    *,
    by_name: bool = True,
) -> tuple[Path, Pair, tuple[str, ...]]:
    """Find the file of a slide's outlines, in a project or by itself.

    Parameters
    ----------
    path : Path
        A project or its folder; any other file is taken as it is. Of the objects of an
        image the project is two folders above.
    slide : str
        Path of the slide.
    corner : callable
        Returns the corner of the scanned part of the slide, (y, x) level-0 px; called only
        if needed.
    given : tuple of float
        (y, x) level-0 px that the user wants added to outlines.
    fingerprint : str, optional
        Of the slide; an image that states another one is refused.
    by_name : bool, optional
        Whether an image may be the slide by its name alone.

    Returns
    -------
    tuple of Path, tuple of float and tuple of str
        The file, the (y, x) to add, and notes. QuPath counts from the scanned part where
        it reads a slide by OpenSlide; of a project that is known.

    Raises
    ------
    AnnotationError
        The project has no such image, or no objects of it; the image is another slide, or
        may be; or nothing tells where its coordinates begin.
    """
    if (file := project_file(path)) is None:
        own = path.suffix.lower() == ".qpdata"
        return path, _origin_of(path, corner, given) if own else given, ()
    project = read_project(file)
    entry, note = entry_of(project, slide, fingerprint)
    if entry is None:
        known = "; ".join(one.words for one in project.entries[:_NAMED]) or "none"
        raise AnnotationError(
            f"{file}: none of its images is {in_a_line(slide)}, but {known}; add the slide "
            "to the project"
        )
    if not entry.objects.is_file():
        raise AnnotationError(
            f"{file}: image {entry.words} has no objects yet; draw them in QuPath and "
            "save"
        )
    stated, name = stated_slide(entry.objects)
    if fingerprint and stated not in ("", fingerprint):
        raise AnnotationError(
            f"{file}: image {entry.words} was exported from another slide "
            f"({in_a_line(name or stated)}) than {in_a_line(slide)} is now; give the run of "
            "that"
        )
    if not (by_name or stated or entry in entries_of(project, slide)):
        raise AnnotationError(
            f"{file}: image {entry.words} has the name of {in_a_line(slide)} and another "
            f"address; if it is that slide, give {entry.objects}"
        )
    if not any(given) and entry.from_scanned_part:
        given = corner()
    return entry.objects, given, (note,) if note else ()


def _origin_of(path: Path, corner: Callable[[], Pair], given: Pair) -> Pair:
    """Return the (y, x), level-0 px, to add to the outlines of an image's objects."""
    if any(given):
        return given
    folder = path.absolute().parent
    file = folder.parent.parent / PROJECT
    if file.is_file():
        project = read_project(file)
        for entry in project.entries:
            if str(entry.number) == folder.name:
                scanned = _upright(entry, project).from_scanned_part
                return corner() if scanned else given
    if any(corner()):
        raise AnnotationError(
            f"{path}: nothing says whether its outlines begin at the corner of the slide "
            f"or of its scanned part; leave it in data/<number> beside {PROJECT}, or give "
            "--qupath-origin or --bounds-offset Y X"
        )
    return given
