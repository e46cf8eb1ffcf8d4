"""Results as a project of QuPath, or as one more image of a project that is there.

Whatever a project has stays: its images, their objects, its classes and its settings. The
objects of an image are replaced only where they are those of an earlier export, byte by
byte; where a person has saved in QuPath since, the slide becomes one more image.
"""

from __future__ import annotations

import io
import json
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from napari_fastnet.annotations.qupath.object_writing import (
    QUPATH_VERSION,
    packed_rgb,
    write_qpdata,
)
from napari_fastnet.annotations.qupath.project import (
    DATA,
    OPENSLIDE,
    OURS,
    Entry,
    Project,
    entries_of,
    file_uri,
    read_project,
)
from napari_fastnet.core.display import in_a_line, written
from napari_fastnet.errors import FastNetError, OutputError
from napari_fastnet.machine.files import output_errors, write_bytes
from napari_fastnet.machine.json_text import parse_json
from napari_fastnet.results.record import RESEARCH_USE, RunRecord
from napari_fastnet.results.regions import (
    PROJECT_CLASSES,
    lesion_feature,
    write_regions_geojson,
)
from napari_fastnet.store.lock import hold_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from napari_fastnet.core.arrays import Bytes
    from napari_fastnet.core.geometry import Pair
    from napari_fastnet.results.reviewed import Reviewed

BIO_FORMATS = "qupath.lib.images.servers.bioformats.BioFormatsServerBuilder"
#: Files in the folder of an image, besides its objects and ours.
LESIONS, SUMMARY = "lesions.geojson", "summary.json"
SERVER, THUMBNAIL = "server.json", "thumbnail.jpg"
CLASSES = "classifiers/classes.json"
_COLOURS = {one["name"]: one["color"] for one in PROJECT_CLASSES.values()}
#: Class of QuPath for what counts for nothing; its scripts ask for it by that name.
_IGNORE = {"Ignore*": [180, 180, 180]}
_JPEG_QUALITY = 90


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProjectImage:
    """The lesions of a slide, for a project.

    Parameters
    ----------
    record : RunRecord
        Of the run.
    lesions : sequence of Reviewed
        Those of tables and files.
    slide : str
        Path of the slide now.
    corner : callable
        Returns the corner of its scanned part, (y, x) level-0 px.
    picture : callable
        Returns the slide, (height, width, 3) uint8; may fail with a FastNetError, and
        then QuPath draws its own.
    """

    record: RunRecord
    lesions: Sequence[Reviewed]
    slide: str
    corner: Callable[[], Pair]
    picture: Callable[[], Bytes]

    @property
    def name(self) -> str:
        """Name of the slide's file."""
        return self.record.slide.name

    @property
    def server(self) -> dict[str, Any]:
        """The builder of a server that shows the slide in QuPath."""
        ome = self.record.slide.vendor == "ome-tiff"
        return {
            "builderType": "uri",
            "providerClassName": BIO_FORMATS if ome else OPENSLIDE,
            "uri": file_uri(self.slide),
            "args": ["--series", "0"] if ome else [],
        }


def write_qupath_project(path: Path, image: ProjectImage) -> None:
    """Write lesions as annotations of an image in a project of QuPath.

    Parameters
    ----------
    path : Path
        Usually ``project.qpproj``; where it exists, the image is added to it.
    image : ProjectImage
        The slide and its lesions.

    Raises
    ------
    OutputError
        It cannot be written, or a name is not in UTF-8.
    AnnotationError
        There is a file of that name that is no project.
    """
    for name in (str(path.absolute()), image.slide, image.name):
        if written(name) != name:
            raise OutputError(
                f"{in_a_line(name)}: its name is not in UTF-8, and a project of QuPath "
                "cannot hold it; rename it"
            )
    with output_errors(f"write {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
    with hold_file(path):
        project = read_project(path) if path.exists() else _new_project(path)
        _add_classes(path.parent / CLASSES, new=not path.exists())
        entry = next(filter(_may_replace, entries_of(project, image.slide)), None)
        if entry is not None:
            _write_objects(entry, image)
            return
        entry = _new_entry(project, image)
        _write_objects(entry, image)
        # the last, so that a project never lists what is not there
        _write_json(path, _with_entry(project, entry, image))


def _new_project(path: Path) -> Project:
    now = int(time.time() * 1000)
    content = {
        "version": QUPATH_VERSION,
        "createTimestamp": now,
        "modifyTimestamp": now,
        "uri": file_uri(str(path.absolute())),
        "lastID": 0,
        "images": [],
    }
    return Project(path, content, ())


def _may_replace(entry: Entry) -> bool:
    """Return whether an image has no objects, or those of an earlier export, unchanged."""
    if "uri" not in entry.server:  # turned, or cropped
        return False
    try:
        content = entry.objects.read_bytes()
        said = parse_json((entry.folder / OURS).read_bytes())
        return bool(said["data_sha256"] == sha256(content).hexdigest())
    except FileNotFoundError:
        return not entry.objects.exists()
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _new_entry(project: Project, image: ProjectImage) -> Entry:
    """Return an image with a number and a name that the project does not have."""
    known = project.content.get("lastID")
    number = 1 + max(
        (known if type(known) is int else 0, *(one.number for one in project.entries))
    )
    while (folder := project.path.parent / DATA / str(number)).exists():
        number += 1  # of an image that was removed, or of a project that was lost
    names = {one.name for one in project.entries}
    more = (f"{image.name} ({again})" for again in range(2, len(names) + 3))
    name = next(one for one in (image.name, *more) if one not in names)
    server = image.server
    return Entry(number, name, (server["uri"],), server, folder)


def _with_entry(project: Project, entry: Entry, image: ProjectImage) -> dict[str, Any]:
    """Return the JSON of a project with one more image, and all else as it was."""
    model = image.record.model
    listed = {
        "serverBuilder": entry.server,
        "entryID": entry.number,
        "randomizedName": str(uuid4()),
        "imageName": entry.name,
        "metadata": {"napari-fastnet": RESEARCH_USE}
        | ({} if model is None else {"model": f"{model.name} {model.version}"}),
    }
    content = dict(project.content)
    content["images"] = [*content["images"], listed]
    content["modifyTimestamp"] = int(time.time() * 1000)
    content["lastID"] = entry.number
    return content


def _write_objects(entry: Entry, image: ProjectImage) -> None:
    """Write the files of an image; those that QuPath made of it stay."""
    corner = image.corner() if entry.from_scanned_part else (0.0, 0.0)
    source = image.record.slide.fingerprint
    features = [
        lesion_feature(one, corner, source, project=True) for one in image.lesions
    ]
    content = write_qpdata(features, entry.server, _COLOURS)
    about = {
        "notice": RESEARCH_USE,
        "slide_fingerprint": source,
        "slide_name": written(image.name),
        "data_sha256": sha256(content).hexdigest(),
    }
    write_bytes(entry.objects, content)
    _write_json(entry.folder / OURS, about)
    write_regions_geojson(
        entry.folder / LESIONS,
        image.lesions,
        bounds_offset=corner,
        record=image.record,
        project=True,
    )
    _write_json(entry.folder / SUMMARY, _summary(entry, image, features))
    if not (entry.folder / SERVER).exists():
        _write_json(entry.folder / SERVER, entry.server)
    if not (entry.folder / THUMBNAIL).exists():
        with suppress(FastNetError):  # the slide is not here
            write_bytes(entry.folder / THUMBNAIL, _jpeg(image.picture()))


def _summary(
    entry: Entry, image: ProjectImage, features: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the facts that QuPath notes of an image, so as not to read its objects."""
    slide = image.record.slide
    classes = Counter(one["properties"]["classification"]["name"] for one in features)
    size = {"width": slide.width, "height": slide.height}
    return {
        "timestamp": int(entry.objects.stat().st_mtime * 1000),
        "imageType": "BRIGHTFIELD_H_E",
        "server": {**size, "sizeC": 3, "sizeZ": 1, "sizeT": 1},
        "hierarchy": {
            "nObjects": len(features),
            "objectTypeCounts": {"Annotation": len(features)} if features else {},
            "annotationClassificationCounts": dict(classes),
            "detectionClassificationCounts": {},
        },
    }


def _jpeg(picture: Bytes) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(picture).save(content, "JPEG", quality=_JPEG_QUALITY)
    return content.getvalue()


def _add_classes(path: Path, *, new: bool) -> None:
    """Add the classes that a project lacks; where it has no list, QuPath's own holds."""
    if not (new or path.exists()):
        return
    try:
        content: Any = {"pathClasses": []}
        if path.exists():
            content = parse_json(path.read_bytes())
        listed = content["pathClasses"]
        names = {one["name"] for one in listed}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"{path}: no list of classes that can be read ({error!r}); open the project in "
            "QuPath and save it anew"
        ) from error
    wanted = _COLOURS | ({} if listed else _IGNORE)
    added = [
        {"name": name, "color": packed_rgb(colour)}
        for name, colour in wanted.items()
        if name not in names
    ]
    if added:
        _write_json(path, {**content, "pathClasses": [*listed, *added]})


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    # as QuPath writes it, which also has NaN; half a character only escapes can hold
    text = json.dumps(content, indent=2, ensure_ascii=False)
    if written(text) != text:
        text = json.dumps(content, indent=2)
    write_bytes(path, text.encode())
