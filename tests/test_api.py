"""The Python door: its names, a slide's way through it, and what a notebook shows."""

from __future__ import annotations

import csv
import shutil
import sys
from dataclasses import replace
from io import BytesIO
from pkgutil import resolve_name

import numpy as np
import pytest
from PIL import Image

import napari_fastnet as nf
from napari_fastnet.errors import DependencyError, OutputError
from napari_fastnet.training.options import FitOptions

TWELVE = {
    "FastNetError", "Options", "detect", "detect_many", "evaluate", "find_tissue", "load",
    "load_model", "models", "open_slide", "sample", "train",
}  # fmt: skip


@pytest.fixture(scope="module")
def slide_file(write_svs, tmp_path_factory):
    """A dark square on pink tissue on glass, 2 µm/px."""
    image = np.full((384, 512, 3), 244, np.uint8)
    image[32:352, 32:400] = (170, 110, 150)
    image[96:224, 96:224] = (60, 40, 80)
    return write_svs(tmp_path_factory.mktemp("api") / "square.svs", image, mpp=2.0)


@pytest.fixture(scope="module")
def result(slide_file, dark_bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    return nf.detect(slide_file, folder, model=dark_bundle)


def picture(png):
    return np.asarray(Image.open(BytesIO(png)))


def test_an_open_slide_and_a_loaded_model_do_as_well(
    slide_file, dark_bundle, result, tmp_path
):
    with nf.open_slide(slide_file) as slide:
        again = nf.detect(slide, tmp_path, model=nf.load_model(dark_bundle))
        assert slide.thumbnail(8).shape == (6, 8, 3)  # it was left open
    np.testing.assert_array_equal(
        again.heatmap.probabilities, result.heatmap.probabilities
    )
    assert again.folder == tmp_path / "square"


def test_a_region_of_interest_that_was_painted_is_all_that_is_looked_at(
    slide_file, dark_bundle, tmp_path
):
    with nf.open_slide(slide_file) as slide:
        tissue = nf.find_tissue(slide)
        roi = tissue.masks.roi.copy()
        roi[:, roi.shape[1] // 2 :] = False
        painted = tissue.with_roi(roi)
        result = nf.detect(slide, tmp_path, model=dark_bundle, tissue=painted)
    rows, columns = np.nonzero(result.heatmap.computed)
    assert rows.size
    assert columns.max() < result.heatmap.grid.shape[1] // 2 + 1
    assert painted.edited_px == (tissue.masks.roi & ~roi).sum()
    assert result.record.tissue.edited_px == painted.edited_px


@pytest.mark.parametrize("wrong", [np.zeros((3, 3), bool), None])
def test_a_region_of_interest_of_another_kind_is_refused(slide_file, wrong):
    with nf.open_slide(slide_file) as slide:
        tissue = nf.find_tissue(slide)
    roi = tissue.masks.roi.astype(np.uint8) if wrong is None else wrong
    with pytest.raises(nf.FastNetError, match="give bool"):
        tissue.with_roi(roi)


def test_a_bar_is_shown_where_it_is_asked_for(
    slide_file, dark_bundle, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    options = nf.Options(stride=8)
    nf.detect(slide_file, tmp_path, model=dark_bundle, options=options)
    assert not capsys.readouterr().err
    fresh = nf.Options(stride=8, fresh=True)
    nf.detect(slide_file, tmp_path, model=dark_bundle, options=fresh, progress=True)
    shown = capsys.readouterr().err
    assert "square.svs" in shown
    assert "patches" in shown
    assert " patches/s" in shown


def test_a_slide_shows_its_thumbnail_and_where_its_um_px_come_from(slide_file):
    with nf.open_slide(slide_file) as slide:
        page = slide._repr_html_()
    assert "square.svs" in page
    assert "2 (vendor)" in page
    assert "data:image/png;base64," in page


def test_tissue_is_shown_as_it_is_and_the_rest_faded(slide_file):
    with nf.open_slide(slide_file) as slide:
        tissue = nf.find_tissue(slide)
    shown = picture(tissue._repr_png_())
    assert shown.shape[2] == 3
    inside, glass = shown[len(shown) // 2, shown.shape[1] // 4], shown[2, 2]
    assert inside.max() < 180
    assert glass.min() > 245
    assert repr(tissue).startswith("<SlideTissue 96 x 128 px of 8 µm")


def test_a_heatmap_is_red_on_the_dark_square_and_clear_on_glass(result):
    shown = picture(result.heatmap._repr_png_())
    height, width = shown.shape[:2]
    red, green, _, alpha = shown[height * 160 // 384, width * 160 // 512].astype(int)
    assert red > green
    assert alpha == 255
    assert shown[1, -1, 3] == 0
    assert "highest 0." in repr(result.heatmap)


def test_a_result_shows_its_overview_and_what_was_found(result, tmp_path):
    page = result._repr_html_()
    assert "data:image/png;base64," in page
    assert "Research use only. Not for diagnosis." in page
    assert "<Result 1 lesion, <Heatmap" in repr(result)
    assert repr(result.regions).startswith("[<Region 1: micro")
    assert result._repr_png_() == (result.folder / "overview.png").read_bytes()


def test_a_result_whose_overview_is_gone_is_still_shown(
    slide_file, dark_bundle, tmp_path
):
    slide = shutil.copy(slide_file, tmp_path / "slide.tif")
    gone = nf.detect(slide, tmp_path / "out", model=dark_bundle)
    overview = (gone.folder / "overview.png").read_bytes()
    shutil.rmtree(gone.folder)
    assert gone._repr_png_() == overview  # drawn again
    slide.unlink()
    assert "<img" not in gone._repr_html_()
    assert gone._repr_png_() is None


def test_a_loaded_result_is_the_same_and_is_shown(result):
    loaded = nf.load(result.folder)
    assert repr(loaded) == repr(result)
    assert loaded._repr_png_() == result._repr_png_()
    assert loaded.record == result.record
    assert loaded.record.to_dict() == result.record.to_dict()
    assert [one.area_mm2 for one in loaded.lesions] == [
        one.area_mm2 for one in result.lesions
    ]
    assert loaded.files == result.files
    other = nf.load(result.folder, threshold=0.99)
    assert (other.threshold, other.files) == (0.99, ())
    assert other._repr_png_() != result._repr_png_()  # with the mark of its threshold


def test_a_result_is_a_table(result):
    (row,) = result.table()
    with (result.folder / "regions.csv").open(newline="") as file:
        (line,) = csv.DictReader(file)
    assert list(row) == list(line)
    assert row["area_mm2"] == result.lesions[0].area_mm2
    assert row["slide"] == line["slide"]


def test_a_data_frame_has_the_tables_columns(result):
    pandas = pytest.importorskip("pandas")
    frame = result.to_pandas()
    pandas.testing.assert_frame_equal(frame, pandas.DataFrame(result.table()))


def test_without_pandas_the_table_is_named(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(DependencyError, match=r"pip install pandas, or use table\(\)"):
        result.to_pandas()


def test_a_saved_result_is_what_detect_leaves(result, tmp_path):
    place = result.save(tmp_path)
    assert place == tmp_path / result.folder.name
    same = nf.load(place)
    assert same.record.to_dict() == result.record.to_dict()
    names = {path.name for path in result.files}
    assert {path.name for path in place.iterdir()} == names
    assert (place / "overview.png").read_bytes() == result._repr_png_()
    assert result.save(result.folder.parent) == result.folder  # it is there already


def test_a_result_of_another_slide_is_not_replaced(result, tmp_path):
    slide = replace(result.record.slide, fingerprint="another")
    replace(result, record=replace(result.record, slide=slide)).save(tmp_path)
    with pytest.raises(OutputError, match="holds the results of"):
        result.save(tmp_path)


def test_a_model_shows_its_card(dark_bundle):
    assert nf.load_model(dark_bundle)._repr_markdown_() == "# Darkness\n"


def test_the_door_has_twelve_names_and_all_lead_somewhere():
    assert set(nf.__all__) == TWELVE | {"__version__"}
    assert set(dir(nf)) >= TWELVE
    for name in nf.__all__:
        assert getattr(nf, name) is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Box", "core.geometry.Box"),
        ("RunOptions", "Options"),
        ("load_bundle", "load_model"),
        ("run_cohort", "cohort.cohort.run_cohort"),
        ("write_formats", "results.result.Result.export"),
    ],
)
def test_an_old_name_warns_and_names_the_new_one(old, new):
    with pytest.warns(DeprecationWarning, match=f"use napari_fastnet.{new}$"):
        found = getattr(nf, old)
    assert found is resolve_name(f"napari_fastnet.{new}")


@pytest.mark.parametrize("name", sorted(nf._MOVED))
def test_every_old_name_leads_somewhere(name):
    with pytest.warns(DeprecationWarning, match=name):
        assert getattr(nf, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        _ = nf.nonsense


def test_models_lists_what_load_model_takes():
    rows = nf.models()
    assert "fastnet-pcam" in [row["name"] for row in rows]
    for row in rows:
        bundle = nf.load_model(row["name"])
        assert (row["version"], row["mpp"]) == (bundle.version, bundle.spacing_um_px)
        assert row["patch"] == bundle.patch_size_pixels


def test_a_damaged_model_is_listed_with_its_fault(dark_bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_FASTNET_MODELS", str(tmp_path))
    shutil.copytree(dark_bundle, tmp_path / "broken")
    (tmp_path / "broken" / "model.json").write_text("{}")
    row = nf.models()[-1]
    assert row["name"] == "broken"
    assert "model.json" in row["fault"]


def test_a_sample_is_drawn_once_and_another_seed_draws_another(tmp_path, monkeypatch):
    drawn = []

    def draw(path, **options):
        drawn.append(options)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    monkeypatch.setattr("napari_fastnet.synthetic.slide.write_slide", draw)
    monkeypatch.setattr(
        "napari_fastnet.machine.files.default_cache_folder", lambda: tmp_path / "cache"
    )
    first = nf.sample()
    assert nf.sample() == first
    assert len(drawn) == 1
    assert nf.sample(seed=3) != first != nf.sample(tumor=False)
    assert nf.sample(tmp_path / "mine.svs", seed=4) == tmp_path / "mine.svs"
    assert [options["seed"] for options in drawn] == [0, 3, 0, 4]


def test_many_slides_give_their_results_and_a_table(
    slide_file, dark_bundle, tmp_path, result
):
    (tmp_path / "slides").mkdir()
    shutil.copy(slide_file, tmp_path / "slides" / "a.svs")
    (tmp_path / "slides" / "b.svs").write_bytes(b"no slide")
    places = [tmp_path / "slides" / name for name in ("a.svs", "b.svs")]
    out = tmp_path / "out"
    with pytest.warns(UserWarning, match=r"b\.svs"):
        found = list(nf.detect_many(places, out, model=dark_bundle, workers=1))
    assert len(found) == 1
    np.testing.assert_array_equal(
        found[0].heatmap.probabilities, result.heatmap.probabilities
    )
    assert (out / "summary.csv").is_file()
    assert nf.load(out / "a").heatmap.grid == result.heatmap.grid


def test_patches_are_evaluated(dark_bundle, tmp_path):
    for label, grey in enumerate((250, 60)):
        (tmp_path / str(label)).mkdir()
        for number in range(3):
            image = np.full((32, 32, 3), grey - number, np.uint8)
            Image.fromarray(image).save(tmp_path / f"{label}/{number}.png")
    mpp = nf.load_model(dark_bundle).spacing_um_px
    found = nf.evaluate(tmp_path, model=dark_bundle, mpp=mpp, bootstrap=0)
    assert found.to_dict()["auc"] == 1
    with pytest.raises(nf.FastNetError, match="one tar, zip or folder"):
        nf.evaluate([tmp_path, tmp_path], model=dark_bundle, mpp=mpp)


def test_runs_are_evaluated_against_outlines(slide_file, result, tmp_path):
    outlines = result.folder / "regions.geojson"
    truth = tmp_path / "truth"
    truth.mkdir()
    shutil.copy(outlines, truth / "square.geojson")
    found = nf.evaluate(result.folder, truth, bootstrap=0)
    assert found.to_dict()["slides"] == 1
    assert found.to_dict()["pixels"]["dice"] > 0.9


def test_training_asks_for_what_it_cannot_know(tmp_path):
    with pytest.raises(nf.FastNetError, match="valid"):
        nf.train([tmp_path, tmp_path], tmp_path / "model")


def write_patches(folder, seed):
    """Write 24 patches; tumor is dark."""
    rng = np.random.default_rng(seed)
    for index in range(24):
        label = index % 2
        image = rng.integers(40, 120, (32, 32, 3)) + (0 if label else 100)
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        path = folder / str(label) / f"{index}.png"
        Image.fromarray(image.astype(np.uint8)).save(path)
    return folder


def test_training_gives_a_model_that_can_be_loaded(tmp_path):
    epochs = []
    with pytest.warns(UserWarning, match="12 patches of a class") as seen:
        model = nf.train(
            write_patches(tmp_path / "train", 0),
            tmp_path / "model",
            valid=write_patches(tmp_path / "valid", 1),
            mpp=2.0,
            name="mine",
            options=FitOptions(batch_size=4),
            epochs=1,
            device="cpu",
            progress=epochs.append,
        )
    assert {warning.filename for warning in seen} == {__file__}
    assert [result.epoch for result in epochs] == [1]
    assert (model.name, model.spacing_um_px) == ("mine", 2.0)
    assert nf.load_model(tmp_path / "model").sha256 == model.sha256
