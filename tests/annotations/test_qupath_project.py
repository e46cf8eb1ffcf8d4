"""Projects of QuPath: addresses of images, and the image that is a slide."""

import json

import pytest

from napari_fastnet.annotations.qupath.project import (
    OPENSLIDE,
    entry_of,
    file_uri,
    local_path,
    objects_of,
    project_file,
    read_project,
)
from napari_fastnet.errors import AnnotationError

BIO_FORMATS = "qupath.lib.images.servers.bioformats.BioFormatsServerBuilder"


def image(number, uri, name="a.svs", provider=OPENSLIDE, **server):
    """Return an image as QuPath 0.3 to 0.7 list one, with what it says of the picture."""
    size = {"width": 176501, "height": 85037, "sizeZ": 1, "sizeT": 1, "isRGB": True}
    channels = [{"name": "Red", "color": -65536}]
    metadata = {"name": name, "pixelType": "UINT8", **size, "channels": channels}
    builder = {
        "builderType": "uri",
        "providerClassName": provider,
        "uri": uri,
        "args": [],
        "metadata": metadata,
    }
    return {
        "serverBuilder": {**builder, **server},
        "entryID": number,
        "randomizedName": "fb9e5ec0-129a-4600-b769-01eed21b5036",
        "imageName": name,
        "metadata": {},
    }


def project(folder, *images, uri=None, name="project.qpproj"):
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "version": "0.6.0",
        "createTimestamp": 1670157988049,
        "modifyTimestamp": 1670157988049,
        "uri": uri or file_uri(str(folder / name)),
        "lastID": 285,
        "images": list(images),
    }
    path = folder / name
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False), "utf-8")
    return read_project(path)


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:/home/a%20b/%C3%BC.svs", "/home/a b/\u00fc.svs"),
        ("file:///home/\u00fc/a+b.svs", "/home/\u00fc/a+b.svs"),
        ("file:/I:/COAD/x%23y.svs", "I:/COAD/x#y.svs"),
        ("file:///C:/my%20slides/a.svs", "C:/my slides/a.svs"),
        ("file:////server/share/a.svs", "//server/share/a.svs"),
        ("file://server/share/a.svs", "//server/share/a.svs"),
        ("file://localhost/a.svs", "/a.svs"),
        ("https://example.org/a.svs", None),
        ("omero:iid=3", None),
        ("file:", None),
        ("http://[", None),
    ],
)
def test_the_path_of_an_address(uri, path):
    assert local_path(uri) == path


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("/a b/\u00fc#1%?.svs", "file:/a%20b/%C3%BC%231%25%3F.svs"),
        ("C:\\my slides\\a.svs", "file:/C:/my%20slides/a.svs"),
        ("\\\\server\\share x\\a.svs", "file:////server/share%20x/a.svs"),
    ],
)
def test_the_address_of_a_path_as_java_writes_it_leads_back(path, uri):
    assert file_uri(path) == uri
    back = local_path(uri)
    assert back == (path if path.startswith("/") else path.replace("\\", "/"))


@pytest.mark.parametrize(
    ("uri", "slide"),
    [
        ("file:/data/my%20slides/a.svs", "/data/my slides/a.svs"),
        ("file:/C:/Slides/A.svs", "c:\\slides\\a.svs"),
        ("file://Server/Share/a.svs", "\\\\server\\share\\a.svs"),
    ],
)
def test_a_slide_is_found_by_its_address(tmp_path, uri, slide):
    others = image(1, "file:/elsewhere/a.svs"), image(3, "file:/data/b.svs", "b.svs")
    found = project(tmp_path, others[0], image(2, uri, "renamed"), others[1])
    entry, note = entry_of(found, slide)
    assert (entry.number, note) == (2, "")
    assert entry.objects == tmp_path / "data" / "2" / "data.qpdata"


def test_so_it_is_through_a_link_and_in_a_project_that_was_moved_with_it(tmp_path):
    slide = tmp_path / "slides" / "a.svs"
    slide.parent.mkdir()
    slide.touch()
    (tmp_path / "link").symlink_to(slide.parent)
    linked = project(tmp_path / "one", image(1, file_uri(str(tmp_path / "link/a.svs"))))
    assert entry_of(linked, str(slide))[0].number == 1
    moved = project(
        tmp_path / "two",
        image(4, "file:/old%20place/slides/a.svs"),
        image(5, "file:/other/slides/a.svs"),
        uri="file:/old%20place/two/project.qpproj",
    )
    assert entry_of(moved, str(slide))[0].number == 4


def test_by_its_name_alone_only_where_one_image_has_it_and_that_is_said(tmp_path):
    one = project(
        tmp_path, image(7, "https://example.org/a.svs"), image(8, "file:/b", "b")
    )
    entry, note = entry_of(one, "/data/a.svs")
    assert entry.number == 7
    assert "a.svs is found by its name alone, as image 7 a.svs (https:" in note
    two = project(
        tmp_path, image(7, "file:/x/a.svs"), image(8, "file:/y/a.svs", "mine")
    )
    with pytest.raises(AnnotationError) as caught:
        entry_of(two, "/data/a.svs")
    said = str(caught.value)
    assert "7 a.svs (file:/x/a.svs) and 8 mine (file:/y/a.svs)" in said
    assert "\n" not in said


def test_two_images_of_the_same_address_are_an_error_that_names_both(tmp_path):
    found = project(tmp_path, image(1, "file:/a.svs"), image(2, "file:/a.svs", "again"))
    with pytest.raises(AnnotationError, match=r"1 a\.svs .* and 2 again .*data/1/"):
        entry_of(found, "/a.svs")


def test_a_turned_image_is_refused_since_its_coordinates_are_others(tmp_path):
    turned = image(1, "")
    inner = turned["serverBuilder"]
    inner["uri"] = "file:/a.svs"
    builder = {"builderType": "rotated", "builder": inner, "rotation": "ROTATE_90"}
    turned["serverBuilder"] = builder
    with pytest.raises(AnnotationError, match="turned, cropped or otherwise made"):
        entry_of(project(tmp_path, turned), "/a.svs")


def test_coordinates_begin_at_the_scanned_part_where_openslide_reads(tmp_path):
    found = project(
        tmp_path,
        image(1, "file:/a.svs"),
        image(2, "file:/b.ome.tif", "b", provider=BIO_FORMATS),
    )
    for entry in found.entries:
        entry.folder.mkdir(parents=True)
        entry.objects.touch()

    def corner():
        return 100.0, 200.0

    for place in (tmp_path, found.path):
        path, offset, notes = objects_of(place, "/a.svs", corner, (0.0, 0.0))
        assert (path, offset, notes) == (found.entries[0].objects, (100.0, 200.0), ())
    assert objects_of(tmp_path, "/b.ome.tif", corner, (0.0, 0.0))[1] == (0.0, 0.0)
    assert objects_of(tmp_path, "/a.svs", corner, (7.0, 8.0))[1] == (7.0, 8.0)


def test_other_files_are_taken_as_they_are(tmp_path):
    path = tmp_path / "a.geojson"
    assert objects_of(path, "/a.svs", tuple, (1.0, 2.0)) == (path, (1.0, 2.0), ())
    assert project_file(tmp_path) is None


def test_an_image_without_objects_and_a_slide_that_is_not_there_are_told(tmp_path):
    found = project(tmp_path, image(1, "file:/a.svs"))
    with pytest.raises(
        AnnotationError, match="has no objects yet; draw them in QuPath"
    ):
        objects_of(found.path, "/a.svs", tuple, (0.0, 0.0))
    words = (
        r"none of its images is /b\.svs, but 1 a\.svs \(file:/a\.svs\); add the slide"
    )
    with pytest.raises(AnnotationError, match=words):
        objects_of(found.path, "/b.svs", tuple, (0.0, 0.0))
    assert entry_of(found, "/b.svs") == (None, "")


def test_a_folder_with_two_projects_is_ambiguous(tmp_path):
    project(tmp_path)
    project(tmp_path, name="second.qpproj")
    with pytest.raises(AnnotationError, match="holds 2 projects; give one: project"):
        project_file(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"images": [{}]}',
        '{"images": [{"entryID": "../x"}]}',
        '{"images": 3}',
    ],
)
def test_what_is_no_project_is_refused_in_a_line(tmp_path, content):
    path = tmp_path / "project.qpproj"
    path.write_text(content)
    with pytest.raises(AnnotationError, match="no project of QuPath") as caught:
        read_project(path)
    assert "\n" not in str(caught.value)
