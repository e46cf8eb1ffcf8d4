"""The slides of a cohort, and the names of their folders of results."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from glob import glob, has_magic
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from napari_fastnet.errors import OptionError, SlideNotFoundError
from napari_fastnet.machine.remote.url import Url, path_of, whole_text
from napari_fastnet.results.recognise import SCANNER_SUFFIXES, TIFF_SUFFIXES, content_of
from napari_fastnet.results.record import results_name
from napari_fastnet.slide.openslide_reader import dicom_file, one_of_each_series

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from napari_fastnet.machine.remote.url import SlidePath

_Item = TypeVar("_Item")

#: Suffixes by which slides are recognised that only OpenSlide reads.
OPENSLIDE_SUFFIXES = (".mrxs", ".svslide", ".vms", ".vmu")


@dataclass(frozen=True, slots=True)
class Share:
    """One of several equal shares of the slides, for tasks of a cluster.

    Parameters
    ----------
    number : int
        Its number, from 1.
    count : int
        Number of shares.

    Raises
    ------
    OptionError
        There is no share of this number.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise OptionError(
                f"share is {self.number}/{self.count}; use I/N with I from 1 to N, the "
                "same N for all tasks, and number an array of tasks from 1"
            )

    @classmethod
    def parse(cls, text: str) -> Share:
        """Parse ``I/N``."""
        number, _, count = text.partition("/")
        if not (number.isdecimal() and count.isdecimal()):
            raise OptionError(
                f"share is {text!r}; use I/N, as 3/8 for the third of eight"
            )
        return cls(int(number), int(count))

    def of(self, items: Sequence[_Item]) -> Sequence[_Item]:
        """Return every n-th item; of items by size, all shares get large ones."""
        return items[self.number - 1 :: self.count]


def find_slides(
    places: Iterable[str | SlidePath],
    left_out: Callable[[SlidePath], None] | None = None,
    twice: Callable[[SlidePath, SlidePath], None] | None = None,
) -> list[SlidePath]:
    """Find the slides of files, folders, patterns and addresses.

    Parameters
    ----------
    places : iterable of str, Path or Url
        A file is a slide, whether it can be read or not. A folder gives all slides in
        it and its subfolders, linked ones included; other images, our own results and
        hidden files are left out. A possible slide that cannot be opened, a broken link
        or a folder that may not be entered, is kept: the reader will report it. A path
        that does not exist may be a pattern of `glob`, ``**`` included. Of buckets,
        addresses that end with ``/`` are folders, and those with ``*`` patterns.
    left_out : callable, optional
        Called with each TIFF or DICOM file of a folder that is neither a slide nor one
        of our results: small, grey, no microscopy, or too damaged to tell; not with one
        that is named as well.
    twice : callable, optional
        Called with each slide that is found again through a link, and with the path
        that is kept.

    Returns
    -------
    list of Path or Url
        In the order given, a folder's by name; each slide once, even one of several
        DICOM files.

    Raises
    ------
    SlideNotFoundError
        A folder has no slide, or a pattern fits nothing.
    """
    found: dict[str, SlidePath] = {}
    others: dict[str, SlidePath] = {}

    def leave_out(path: SlidePath) -> None:
        others.setdefault(_identity(path), path)

    try:
        for place in map(path_of, places):
            for slide in _slides_at(place, leave_out):
                first = found.setdefault(_identity(slide), slide)
                names = {_name(path) for path in (first, slide)}
                if twice is not None and len(names) > 1:
                    twice(slide, first)
    finally:
        if left_out is not None:
            for key, path in others.items():
                if key not in found:
                    left_out(path)
    return one_of_each_series(found.values())


def _identity(path: SlidePath) -> str:
    """Return an identity of a file, the same through every link to it."""
    return path.full if isinstance(path, Url) else os.path.realpath(path)


def _name(path: SlidePath) -> str:
    """Return a file as it is named, whatever it links to."""
    return path.full if isinstance(path, Url) else os.path.abspath(path)  # noqa: PTH100


def _slides_at(
    place: SlidePath, left_out: Callable[[SlidePath], object]
) -> Sequence[SlidePath]:
    if isinstance(place, Url):
        return _remote_slides(place, left_out)
    if place.is_dir():
        slides = sorted(_slides_under(place, left_out))
        if not slides:
            raise SlideNotFoundError(
                f"{place}: no slide in this folder; give a folder with SVS, NDPI, SCN, "
                "BIF, DICOM or tiled TIFF files, or name the file"
            )
        return slides
    if has_magic(str(place)) and not place.exists():
        matches = map(Path, sorted(glob(str(place), recursive=True)))  # noqa: PTH207
        files = [path for path in matches if path.is_file() or _leads_nowhere(path)]
        if not files:
            raise SlideNotFoundError(f"{place}: no file fits this; check the pattern")
        return files
    return [place]


def _remote_slides(
    place: Url, left_out: Callable[[SlidePath], object]
) -> Sequence[Url]:
    """Return the slides of a folder or a pattern of a bucket, or the address itself."""
    from napari_fastnet.machine.remote.transport import files_below

    if "*" in place.text:
        folder = Url(place.text.partition("*")[0].rpartition("/")[0] + "/")
        parts = re.split(r"(\*\*/|\*)", place.text)
        kinds = {"**/": "(.*/)?", "*": "[^/]*"}
        pattern = re.compile("".join(kinds.get(p) or re.escape(p) for p in parts))
        files = [url for url in files_below(folder) if pattern.fullmatch(url.text)]
        if not files:
            raise SlideNotFoundError(f"{place}: no file fits this; check the pattern")
        return files
    if not place.is_folder:
        return [place]
    slides = []
    for url in files_below(place):
        if content_of(url) == "slide":
            slides.append(url)
        elif url.suffix.lower() in TIFF_SUFFIXES:
            left_out(url)
    if not slides:
        raise SlideNotFoundError(
            f"{place}: no slide in this folder; give a folder with SVS, NDPI, SCN or "
            "tiled TIFF files, or name the file"
        )
    return slides


def _slides_under(
    folder: Path, left_out: Callable[[SlidePath], object]
) -> Iterator[Path]:
    """Yield the slides of a folder and its subfolders."""
    for path in _files_under(folder):
        suffix, content = path.suffix.lower(), content_of(path)
        known = content == "slide" or suffix in OPENSLIDE_SUFFIXES
        if known or _is_hidden_from_us(path):
            yield path
        elif content is None and suffix in TIFF_SUFFIXES:
            if content_of(path.parent) != "results":  # not an export of ours
                left_out(path)
        elif content is None and (found := dicom_file(path)) is not None:
            if found.is_slide:
                yield path
            else:
                left_out(path)


def _files_under(top: Path) -> Iterator[Path]:
    """Yield the files under a folder, and the folders that cannot be entered.

    Linked folders come last, so that files in the folder itself keep their own path; no
    folder comes twice, even if links form a circle.
    """
    seen, folders = set(), [top]
    while folders:
        refused: list[OSError] = []
        for parent, inside, files in os.walk(folders.pop(0), onerror=refused.append):
            real = os.path.realpath(parent)
            # a store has thousands of files and no slide
            inside[:] = [f for f in inside if f[0] != "." and f[-5:] != ".zarr"]
            if real in seen:
                inside.clear()
                continue
            seen.add(real)
            folders += [
                path for f in sorted(inside) if (path := Path(parent, f)).is_symlink()
            ]
            yield from (Path(parent, file) for file in sorted(files) if file[0] != ".")
        yield from (Path(error.filename) for error in refused)


def _is_hidden_from_us(path: Path) -> bool:
    """Return whether a path may be a slide, or hold some, and cannot be opened."""
    may_be = path.suffix.lower() in (*SCANNER_SUFFIXES, *TIFF_SUFFIXES)
    if _leads_nowhere(path):
        return may_be or not path.suffix
    if path.is_dir():
        return True
    return may_be and not os.access(path, os.R_OK)


def _leads_nowhere(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def result_names(slides: Sequence[SlidePath]) -> list[str]:
    """Return a different name for each slide's folder of results.

    The name is that of the file without its suffix. If two would be the same, in upper
    or lower case, slides of one folder get the suffix (``a_svs``, ``a_tif``), and slides
    of several get as many parent folders in front as make them different
    (``monday_a``, ``tuesday_a``).

    Parameters
    ----------
    slides : sequence of Path or Url
        Different files.

    Returns
    -------
    list of str
        In the order of the slides.
    """
    paths = [slide.absolute() for slide in slides]
    beside = Counter((path.parent, path.stem.casefold()) for path in paths)
    own = [
        results_name(path)
        if beside[path.parent, path.stem.casefold()] == 1
        else path.name.replace(".", "_")
        for path in paths
    ]
    depth = [0] * len(paths)
    while True:
        names = [
            "_".join((*path.parts[len(path.parts) - 1 - above : -1], name))
            for path, name, above in zip(paths, own, depth, strict=True)
        ]
        counts = Counter(name.casefold() for name in names)
        equal = [i for i, name in enumerate(names) if counts[name.casefold()] > 1]
        deeper = [i for i in equal if depth[i] < len(paths[i].parts) - 2]
        if not deeper:
            break
        for i in deeper:
            depth[i] += 1
    for i in equal:  # a_b/c and a/b_c
        # or two addresses that differ behind their "?"
        names[i] += "-" + sha256(whole_text(paths[i]).encode()).hexdigest()[:8]
    return names
