"""The same lesions everywhere: Python, command line, tables, reports, and FROC.

The panel shows them as well, see ``plugin/panel/test_same_lesions_shown.py``.
"""

from __future__ import annotations

import csv
import json
import os
import re
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import shapely
import tifffile
from defusedxml import ElementTree

from napari_fastnet import Options, detect, load
from napari_fastnet.annotations.asap_xml import write_asap_xml
from napari_fastnet.annotations.truth_files import find_truths
from napari_fastnet.case.gather import read_cases
from napari_fastnet.cli.app import main
from napari_fastnet.core.lesions.evidence import confidence, lesions_of
from napari_fastnet.core.polygons import Annotations
from napari_fastnet.evaluation.slides import evaluate_slides
from napari_fastnet.evaluation.sources import find_sources
from napari_fastnet.patches.mosaics import PatchPool, compose, lay_out, true_lesions
from napari_fastnet.patches.reading import iterate_patches

#: It has more than two candidates on the drawn slide.
MODEL = "fastnet-pcam-1.0"


def numbers(region):
    """Return what tables say of a lesion, as in regions.csv."""
    return (
        region.label,
        region.size_class,
        round(region.evidence, 3),
        round(region.area_mm2, 6),
        round(region.longest_axis_mm, 4),
        region.piece,
    )


def shape(region):
    return shapely.MultiPolygon([(p[0], list(p[1:])) for p in region.polygons])


def rows(path):
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def of_row(row):
    measures = ("evidence", "area_mm2", "longest_axis_mm")
    return (
        int(row["label"]),
        row["size_class"],
        *(float(row[name]) for name in measures),
        int(row["piece"]),
    )


def assert_the_same_everywhere(found, folder, tmp_path, capsys):
    """Compare a result with all that the command line left of it in a folder."""
    labels = [region.label for region in found.lesions]
    assert labels == list(range(1, len(labels) + 1))
    assert lesions_of(found.candidates, found.record.rule) == found.lesions
    run = folder / found.record.slide.name.rsplit(".", 1)[0]
    assert_files_have_them(found, run)
    assert_totals_count_them(found, run, folder)
    assert_the_report_shows_them(found, run, tmp_path / "report.html", capsys)
    assert_exports_have_them(found, run, tmp_path)


def assert_files_have_them(found, run):
    loaded = load(run)
    lesions = list(map(numbers, found.lesions))
    assert list(map(numbers, loaded.lesions)) == lesions
    assert list(map(numbers, loaded.candidates)) == list(map(numbers, found.candidates))
    assert list(map(of_row, rows(run / "regions.csv"))) == lesions
    features = json.loads((run / "regions.geojson").read_text())["features"]
    assert len(features) == len(lesions)
    for feature, region in zip(features, found.lesions, strict=True):
        said = feature["properties"]["measurements"]
        assert feature["properties"]["name"].startswith(f"Region {region.label} (")
        assert said["evidence"] == pytest.approx(region.evidence)
        assert said["area mm^2"] == pytest.approx(region.area_mm2)
        outline = shapely.geometry.shape(feature["geometry"])
        y, x = found.mpp
        assert outline.area * y * x / 1e6 == pytest.approx(region.area_mm2, rel=1e-4)
        mirrored = shapely.transform(outline, lambda xy: xy[:, ::-1])
        assert mirrored.symmetric_difference(shape(region)).area < 1e-3 * outline.area


def assert_totals_count_them(found, run, folder):
    totals = json.loads((run / "run.json").read_text())["regions"]
    kinds = [region.size_class for region in found.lesions]
    counts = {kind.lower(): kinds.count(kind) for kind in ("macro", "micro", "ITC")}
    counts["regions"] = len(kinds)
    area = sum(region.area_mm2 for region in found.lesions)
    top = found.candidates[0].evidence
    assert {name: totals[name] for name in counts} == counts
    assert totals["candidates"] == len(found.candidates)
    assert totals["area_mm2"] == pytest.approx(area)
    assert totals["top_evidence"] == pytest.approx(top)

    # of the cohort
    (row,) = rows(folder / "summary.csv")
    assert {name: int(row[name]) for name in counts} == counts
    assert float(row["tumour_mm2"]) == pytest.approx(area, abs=1e-6)
    assert float(row["top_evidence"]) == pytest.approx(top, abs=1e-4)
    assert list(map(of_row, rows(folder / "regions.csv"))) == list(
        map(numbers, found.lesions)
    )


def assert_the_report_shows_them(found, run, page, capsys):
    capsys.readouterr()
    assert main(["report", str(run), "-o", str(page), "--json"]) == 0
    (case,) = json.loads(capsys.readouterr().out)["cases"]
    assert case["lesions"] == len(found.lesions)
    assert case["candidates"] == len(found.candidates)
    (read,) = read_cases([run])
    for findings in (read.findings.machine, read.findings.lesions()):
        assert [numbers(one.region) for one in findings] == list(
            map(numbers, found.lesions)
        )
    shown = re.findall(
        r'<figure class="lesion">.*?<b>(\d+)</b>', page.read_text(), re.DOTALL
    )
    assert list(map(int, shown)) == [region.label for region in found.lesions]


def assert_exports_have_them(found, run, folder):
    assert main(["export", str(run), "-o", str(folder), "-f", "asap,csv"]) == 0
    assert list(map(of_row, rows(folder / "regions.csv"))) == list(
        map(numbers, found.lesions)
    )
    asap = ElementTree.parse(folder / "regions.xml").getroot()
    tumor = [a for a in asap.iter("Annotation") if a.get("PartOfGroup") == "Tumor"]
    assert len(tumor) == sum(len(region.polygons) for region in found.lesions)


def judged(folder, truth):
    (slide,) = evaluate_slides(find_sources([folder]), find_truths([truth]))
    return slide


def assert_froc_takes_them(found, slide):
    """Its candidates from the lesion threshold on are the lesions, in their order."""
    expected = [confidence(region.evidence) for region in found.candidates]
    assert slide.candidates.scores.tolist() == pytest.approx(expected)
    least = confidence(found.record.lesion_threshold)
    places = slide.candidates.points[slide.candidates.scores >= least]
    assert len(places) == len(found.lesions)
    for place, region in zip(places + 0.5, found.lesions, strict=True):
        assert shape(region).intersects(shapely.Point(place))


@pytest.fixture(scope="module")
def drawn(drawn_slide):
    """Return the result on a drawn slide, nothing written."""
    return detect(drawn_slide[0], model=MODEL)


@pytest.fixture(scope="module")
def folder(drawn_slide, tmp_path_factory):
    """Return the folder of a cohort, the drawn slide."""
    folder = tmp_path_factory.mktemp("cohort")
    words = ["detect", str(drawn_slide[0].parent), "-o", str(folder)]
    assert main([*words, "--model", MODEL]) == 0
    return folder


@pytest.mark.parametrize("kept", [None, 1, 2])
def test_the_lesions_of_a_drawn_slide_are_the_same_everywhere(
    drawn, drawn_slide, folder, tmp_path, capsys, kept
):
    """By the model's threshold, and by one that only the first candidates reach."""
    path, layout = drawn_slide
    found = drawn
    if kept is not None:
        assert len(drawn.candidates) > kept
        high, low = (
            region.evidence for region in drawn.candidates[kept - 1 : kept + 1]
        )
        least = round((high + low) / 2, 2)
        options = Options(lesion_threshold=least)
        found = detect(path, model=MODEL, options=options)
        assert len(found.lesions) == kept
        words = ["--lesion-threshold", str(least), "--model", MODEL]
        assert main(["detect", str(path), "-o", str(folder), *words]) == 0
    assert list(map(numbers, found.candidates)) == list(map(numbers, drawn.candidates))
    assert_the_same_everywhere(found, folder, tmp_path, capsys)

    truth = tmp_path / "drawn.xml"
    write_asap_xml(truth, Annotations(layout.lesions, ()))
    slide = judged(folder / "drawn", truth)
    assert_froc_takes_them(found, slide)
    assert slide.hits.false_positives.size == 0


def test_another_lesion_threshold_says_the_same_afterwards(drawn, tmp_path):
    """Of files that were written at another one."""
    folder = drawn.save(tmp_path)
    least = drawn.candidates[0].evidence
    again = load(folder, lesion_threshold=least)
    assert list(map(numbers, again.lesions)) == [numbers(drawn.candidates[0])]
    assert list(map(numbers, again.candidates)) == list(map(numbers, drawn.candidates))
    words = ["export", str(folder), "-o", str(tmp_path / "files"), "-f", "csv"]
    assert main([*words, "--lesion-threshold", repr(least)]) == 0
    assert [of_row(row) for row in rows(tmp_path / "files" / "regions.csv")] == [
        numbers(drawn.candidates[0])
    ]


@pytest.mark.real
def test_the_lesions_of_real_tissue_are_the_same_everywhere(tmp_path, capsys):
    data = os.environ.get("NAPARI_FASTNET_PATCHES")
    if data is None:
        pytest.skip("no $NAPARI_FASTNET_PATCHES: the validation patches")
    images, tumor = [], []
    wanted = {False: 700, True: 150}
    for patch in islice(iterate_patches(Path(data)), 40_000):
        label = patch.label == 1
        if wanted[label] > 0:
            wanted[label] -= 1
            images.append(patch.image)
            tumor.append(label)
    pool = PatchPool(np.stack(images), np.array(tumor))
    rng = np.random.default_rng(0)
    labels = lay_out(pool.side, 8, rng)
    path = tmp_path / "slides" / "mosaic.tif"
    path.parent.mkdir()
    um = 0.972
    tifffile.imwrite(
        path,
        compose(labels, pool.images, pool.tumor, rng),
        photometric="rgb",
        tile=(256, 256),
        resolution=(1e4 / um, 1e4 / um),
        resolutionunit="centimeter",
    )
    found = detect(path)
    assert len(found.lesions) >= 5
    folder = tmp_path / "runs"
    assert main(["detect", str(path.parent), "-o", str(folder)]) == 0
    assert_the_same_everywhere(found, folder, tmp_path, capsys)

    rings = [
        shapely.get_coordinates(lesion.exterior)[:-1]
        for lesion in true_lesions(labels, 96.0)
    ]
    truth = tmp_path / "mosaic.xml"
    write_asap_xml(truth, Annotations(tuple(rings), ()))
    slide = judged(folder / "mosaic", truth)
    assert_froc_takes_them(found, slide)
    assert (slide.hits.lesion_scores > 0).mean() >= 0.7
