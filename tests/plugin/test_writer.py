"""What the writer wrote, the reader opens as the same layers."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from napari_fastnet.core.lesions.regions import find_regions
from napari_fastnet.errors import OutputError
from napari_fastnet.plugin.layers.data import (
    heatmap_layer_data,
    mask_layer_data,
    regions_layer_data,
    slide_layer_data,
)
from napari_fastnet.plugin.layers.info import info_of
from napari_fastnet.plugin.reader import read_layers
from napari_fastnet.plugin.writer import (
    write_folder,
    write_heatmap,
    write_mask,
    write_regions,
)
from napari_fastnet.results.record import RunRecord, SlideFacts

RECORD = RunRecord(slide=SlideFacts("/s/tumor_026.svs", "f"), threshold=0.4)


@pytest.fixture
def napari_plugin():
    """Let napari's own writers be found, as they are when napari runs."""
    from npe2 import PluginManager

    PluginManager.instance().discover()


@pytest.fixture
def results(heatmap, add):
    """Return a function that shows results of a slide and returns their layers."""

    def show(record=None, **options):
        heat = heatmap()
        about = {"fingerprint": "f", "record": record, **options}
        name = "tumor_026"
        mask = np.random.default_rng(5).random((12, 17)) > 0.5
        return [
            add(mask_layer_data("hsv", mask, (8.1, 7.9), name, **about)),
            add(mask_layer_data("roi", ~mask, (8.1, 7.9), name, **about)),
            add(heatmap_layer_data(heat, name, **about)),
            add(regions_layer_data(find_regions(heat, 0.4), heat.mpp, name, **about)),
        ]

    return show


def tuples(layers):
    return [layer.as_layer_data_tuple() for layer in layers]


@pytest.mark.parametrize("record", [None, RECORD], ids=["no record", "record"])
def test_results_come_back_as_the_same_layers(tmp_path, results, add, record):
    layers = results(record)
    folder = tmp_path / "out" / "tumor_026"

    files = write_folder(str(folder), tuples(layers))

    assert sorted(files) == sorted(map(str, folder.iterdir()))
    assert {path.name for path in folder.iterdir()} == {
        "tissue_hsv.tif",
        "tissue_roi.tif",
        "heatmap.ome.tif",
        "regions.geojson",
        "regions.csv",
    }
    back = [add(data) for data in read_layers(folder)]
    for before, after in zip(layers, back, strict=True):
        assert after.name.removesuffix(" [1]") == before.name
        assert info_of(after).kind == info_of(before).kind
        assert info_of(after).fingerprint == "f"
        assert info_of(after).slide_name == "tumor_026"
        np.testing.assert_allclose(after.scale, before.scale)
        np.testing.assert_allclose(after.translate, before.translate)
    for before, after in zip(layers[:3], back[:3], strict=True):
        assert after.data.tobytes() == before.data.tobytes()
    for before, after in zip(layers[3].data, back[3].data, strict=True):
        np.testing.assert_allclose(after, before, atol=1e-3)
    if record:
        assert info_of(back[2]).record.threshold == 0.4


def test_what_was_painted_is_what_is_written(tmp_path, results, add):
    mask_layer = results()[1]
    mask_layer.data_setitem((np.array([0, 0]), np.array([0, 1])), 3)  # another label
    path = str(tmp_path / "tissue_roi.tif")
    assert write_mask(path, *mask_layer.as_layer_data_tuple()[:2]) == [path]
    (data,) = read_layers(path)
    np.testing.assert_array_equal(data[0], mask_layer.data > 0)


def test_a_heatmap_without_cells_is_written(tmp_path, heatmap, add):
    layer = add(heatmap_layer_data(heatmap(shape=(0, 0)), "a"))
    path = str(tmp_path / "heatmap.ome.tif")
    write_heatmap(path, *layer.as_layer_data_tuple()[:2])
    (data,) = read_layers(path)
    assert data[1]["metadata"]["napari_fastnet"].grid.shape == (0, 0)


def test_regions_become_a_table(tmp_path, results):
    layer = results()[3]
    path = str(tmp_path / "r.CSV")
    assert write_regions(path, *layer.as_layer_data_tuple()[:2]) == [path]
    with Path(path).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["label"]) for row in rows] == sorted(set(layer.features["region"]))
    assert {row["slide"] for row in rows} == {"tumor_026"}


def test_a_slide_is_not_written_again(tmp_path, slide, results, add):
    slide_layer = add(slide_layer_data(slide))
    layers = [slide_layer, results()[0]]
    files = write_folder(str(tmp_path / "out"), tuples(layers))
    assert files == [str(tmp_path / "out" / "tissue_hsv.tif")]

    for write in (
        lambda: write_folder(str(tmp_path / "a"), tuples([slide_layer])),
        lambda: write_heatmap("a.ome.tif", *slide_layer.as_layer_data_tuple()[:2]),
    ):
        with pytest.raises(OutputError, match="a slide is a file already"):
            write()


def test_results_of_two_slides_do_not_replace_each_other(tmp_path, results):
    layers = [*results(), *results(fingerprint="other")]
    with pytest.raises(OutputError, match="one slide at a time"):
        write_folder(str(tmp_path), tuples(layers))


def test_layers_of_others_are_written_as_napari_does(
    tmp_path, results, viewer_model, napari_plugin
):
    image = viewer_model.add_image(np.full((8, 9), 7, np.uint8), name="other")
    shapes = viewer_model.add_shapes([np.array([[0, 0], [1, 1]])], name="mine")
    layers = [results()[0], image, shapes]
    files = write_folder(str(tmp_path / "out"), tuples(layers))
    names = ("tissue_hsv.tif", "other.tif", "mine.csv")
    assert files == [str(tmp_path / "out" / name) for name in names]
    assert all(path.is_file() for path in map(Path, files))


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif"])
def test_an_image_of_others_is_written_as_napari_does(
    tmp_path, viewer_model, napari_plugin, suffix
):
    import tifffile

    image = viewer_model.add_image(np.full((8, 9), 7, np.uint8))
    path = str(tmp_path / f"a{suffix}")
    assert write_heatmap(path, *image.as_layer_data_tuple()[:2]) == [path]
    assert (tifffile.imread(path) == 7).all()


def test_shapes_of_others_are_no_geojson(tmp_path, viewer_model, napari_plugin):
    shapes = viewer_model.add_shapes([np.array([[0, 0], [1, 1]])])
    with pytest.raises(OutputError, match="choose another suffix"):
        write_regions(str(tmp_path / "a.geojson"), *shapes.as_layer_data_tuple()[:2])


def test_a_folder_that_is_a_file_is_said_to_be_one(tmp_path, results):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="choose another output folder"):
        write_folder(str(tmp_path / "out"), tuples(results()))
