"""OME-Zarr: valid by the validator of others, and in its place in their readers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import zarr

from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.errors import MaskError, OutputError
from napari_fastnet.results.formats.ome_zarr import write_ome_zarr
from napari_fastnet.results.record import RunRecord, SlideFacts

GRID = Grid((-31.0, -20.5), (64.08, 32.0), (300, 701))
MPP = (0.25, 0.5)
MASK_MPP = (8.002, 7.998)
HOT = (123, 457)
HOT_UM = tuple(v * m for v, m in zip(GRID.cell_centre(*HOT), MPP, strict=True))
RECORD = RunRecord(slide=SlideFacts("a.svs", "f", mpp=MPP, mpp_source="vendor"))


@pytest.fixture(scope="module")
def heatmap():
    values = np.random.default_rng(0).random(GRID.shape, np.float32) * np.float32(0.9)
    values[:5] = np.nan
    values[HOT] = 1.0
    return Heatmap(values, GRID, MPP)


@pytest.fixture(scope="module")
def masks():
    mask = np.zeros((600, 1200), bool)
    mask[200:300, 500:700] = True
    return {"roi": mask, "rgb": ~mask}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, heatmap, masks):
    path = tmp_path_factory.mktemp("zarr") / "heatmap.ome.zarr"
    write_ome_zarr(path, heatmap, masks, mask_mpp=MASK_MPP, record=RECORD)
    return path


def test_yaozarrs_finds_no_fault(folder):
    yaozarrs = pytest.importorskip("yaozarrs")
    yaozarrs.validate_zarr_store(str(folder))
    image = yaozarrs.open_group(str(folder)).ome_metadata()
    assert [(s.version, len(s.datasets)) for s in image.multiscales] == [("0.4", 2)]


def test_values_and_record_come_back(folder, heatmap, masks):
    group = zarr.open_group(folder, mode="r")
    np.testing.assert_array_equal(group["0"][:], heatmap.probabilities, strict=True)
    np.testing.assert_array_equal(group["labels/roi/0"][:], masks["roi"])
    assert group["labels"].attrs["labels"] == ["roi", "rgb"]
    assert group.attrs["napari_fastnet"]["slide"]["mpp"] == list(MPP)
    assert "Not for diagnosis" in group.attrs["napari_fastnet"]["notice"]
    assert (folder / "0" / "0" / "0").is_file()  # nested chunks


def test_all_levels_show_a_point_in_the_same_place(folder):
    (scales,) = zarr.open_group(folder, mode="r").attrs["multiscales"]
    corners = []
    for dataset in scales["datasets"]:
        scale, translation = dataset["coordinateTransformations"]
        pairs = zip(translation["translation"], scale["scale"], strict=True)
        corners.append([centre - size / 2 for centre, size in pairs])
    wanted = [at * mpp for at, mpp in zip(GRID.origin, MPP, strict=True)]
    np.testing.assert_allclose(corners, [wanted, wanted])


PLACEMENT = ("scale", "translate", "affine")


def shown_at_um(attributes, index):
    """Return where napari shows the middle of an element."""
    from napari.layers import Image

    placed = {name: attributes[name] for name in PLACEMENT if name in attributes}
    return np.array(Image(np.zeros((2, 2)), **placed).data_to_world(index))


@pytest.mark.filterwarnings("ignore")
def test_napari_ome_zarr_shows_all_of_it_on_the_slide(folder):
    """Our slide's layer begins at 0 µm; napari-ome-zarr from 0.9 on drops translations.

    Then all is shown half a cell, or half a px of a mask, too far up and to the left.
    """
    package = pytest.importorskip("napari_ome_zarr")
    exact = package.__version__.startswith("0.8.")
    image, *labels = package.napari_get_reader(str(folder))(str(folder))
    data, attributes, kind = image
    hot = np.unravel_index(np.nanargmax(np.asarray(data[0])), data[0].shape)
    assert (kind, attributes["contrast_limits"]) == ("image", [0, 1])
    error = np.abs(shown_at_um(attributes, hot) - HOT_UM)
    assert (error <= (1e-6 if exact else np.array([64.08, 32.0]) * MPP / 2)).all()
    assert [kind for *_, kind in labels] == ["labels", "labels"]
    data, attributes, _ = labels[0]
    middle = [index.mean() for index in np.nonzero(np.asarray(data[0]))]
    error = np.abs(shown_at_um(attributes, middle) - (250 * 8.002, 600 * 7.998))
    assert (error <= (1e-6 if exact else 4.002)).all()


@pytest.mark.filterwarnings("ignore")
def test_ome_zarr_py_finds_image_and_labels(folder, heatmap):
    reader = pytest.importorskip("ome_zarr.reader")
    from ome_zarr.io import parse_url

    nodes = list(reader.Reader(parse_url(folder))())
    names = [node.zarr.basename() for node in nodes]
    assert "heatmap.ome.zarr" in names
    assert {"roi", "rgb"} <= set(names)
    image = nodes[names.index("heatmap.ome.zarr")]
    np.testing.assert_array_equal(np.asarray(image.data[0]), heatmap.probabilities)
    scale, translation = image.metadata["coordinateTransformations"][0]
    found = [
        t + s * i
        for t, s, i in zip(translation["translation"], scale["scale"], HOT, strict=True)
    ]
    assert found == pytest.approx(HOT_UM, abs=1e-6)


def test_it_replaces_its_own_and_nothing_else(tmp_path, heatmap):
    path = tmp_path / "heatmap.ome.zarr"
    write_ome_zarr(path, heatmap, {"roi": np.ones((3, 3), bool)})
    write_ome_zarr(path, heatmap)
    assert not (path / "labels").exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["heatmap.ome.zarr"]
    (path / ".zattrs").write_text(json.dumps({"multiscales": []}))
    with pytest.raises(OutputError, match="not written by this"):
        write_ome_zarr(path, heatmap)
    assert (path / "0").is_dir()


def test_a_heatmap_without_cells_is_a_single_nan(tmp_path):
    empty = Heatmap(np.empty((0, 0), np.float32), Grid((0, 0), (8, 8), (0, 0)), (1, 1))
    write_ome_zarr(tmp_path / "h.ome.zarr", empty)
    values = zarr.open_group(tmp_path / "h.ome.zarr", mode="r")["0"][:]
    assert np.isnan(values).tolist() == [[True]]


def test_a_mask_without_px_is_refused(tmp_path, heatmap):
    with pytest.raises(MaskError, match="mask roi"):
        write_ome_zarr(tmp_path / "h.ome.zarr", heatmap, {"roi": np.ones((0, 3), bool)})
    assert list(tmp_path.iterdir()) == []
