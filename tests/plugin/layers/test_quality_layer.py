import numpy as np
import pytest
from napari.components import ViewerModel

from napari_fastnet.core.appearance.flags import Flag
from napari_fastnet.core.geometry import Grid
from napari_fastnet.core.heatmap import Heatmap
from napari_fastnet.plugin.layers.data import quality_layer_data
from napari_fastnet.plugin.layers.info import SLIDE_KEY
from napari_fastnet.plugin.layers.shown import WorkLayers
from napari_fastnet.plugin.reader import get_reader, read_layers
from napari_fastnet.plugin.writer import write_mask
from napari_fastnet.results.formats.ome_tiff import write_flags_tiff
from napari_fastnet.results.record import RunRecord, SlideFacts

GRID = Grid((10.0, 20.0), (32.0, 32.0), (2, 3))
MPP = (0.5, 0.5)
FLAGS = np.array([[0, 1, 2], [4, 6, 0]], np.uint8)
RECORD = RunRecord(slide=SlideFacts("a.svs", "f", mpp=MPP), grid=GRID)


def test_flags_lie_on_the_cells_of_the_heatmap_in_um() -> None:
    _, keywords, kind = quality_layer_data(FLAGS, GRID, MPP, "a")
    assert kind == "labels"
    assert keywords["scale"] == (16.0, 16.0)
    assert keywords["translate"] == (5 + 8, 10 + 8)  # the centre of the first cell
    assert keywords["units"] == ("micrometer", "micrometer")


@pytest.mark.parametrize(("flags", "visible"), [(FLAGS, True), (FLAGS * 0, False)])
def test_the_layer_is_hidden_unless_something_is_flagged(flags, visible) -> None:
    _, keywords, _ = quality_layer_data(flags, GRID, MPP, "a")
    assert keywords["visible"] is visible


def test_the_layer_is_kept_and_given_other_flags() -> None:
    layers = WorkLayers(ViewerModel())
    first = layers.put("quality", quality_layer_data(FLAGS, GRID, MPP, "a"))
    again = layers.put("quality", quality_layer_data(FLAGS[:, ::-1], GRID, MPP, "a"))
    assert again is first
    np.testing.assert_array_equal(again.data, FLAGS[:, ::-1])


def test_saved_flags_open_and_are_written_as_they_were(tmp_path) -> None:
    heatmap = Heatmap(np.full((2, 3), np.nan, np.float32), GRID, MPP)
    path = tmp_path / "renamed.tif"
    write_flags_tiff(path, FLAGS, heatmap, record=RECORD)
    assert get_reader(path) is not None
    ((data, keywords, kind),) = read_layers(path)
    assert kind == "labels"
    np.testing.assert_array_equal(data, FLAGS)
    info = keywords["metadata"][SLIDE_KEY]
    assert (info.kind, info.grid, info.fingerprint) == ("quality", GRID, "f")
    write_mask(str(tmp_path / "again.tif"), data, keywords)
    ((again, _, _),) = read_layers(tmp_path / "again.tif")
    np.testing.assert_array_equal(again, FLAGS)


def test_every_combination_of_flags_has_a_colour() -> None:
    _, keywords, _ = quality_layer_data(FLAGS, GRID, MPP, "a")
    colours = keywords["colormap"].color_dict
    for value in range(1, 1 + int(Flag.COLOUR | Flag.PEN | Flag.BLUR)):
        assert colours[value][3] == 1
