"""Examples: the patches around labelled cells, drawn evenly, always in the same order."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from napari_fastnet.core.geometry import Box
from napari_fastnet.errors import DataError
from napari_fastnet.model.bundle import load_bundle
from napari_fastnet.slide.slide import open_slide
from napari_fastnet.training.adapt import examples
from napari_fastnet.training.adapt.examples import GatherProgress, gather

MODEL = load_bundle("fastnet-pcam")


def gathered(slides, **options):
    *progress, last = gather(slides, MODEL, **options)
    assert progress[-1] == GatherProgress(len(progress), len(progress))
    return last


def test_each_patch_is_that_around_its_cell(pale_slide, labelled) -> None:
    path, strokes = pale_slide
    found = gathered([labelled(path, strokes)])
    assert (found.labels_tumor, found.labels_normal, found.slides) == (36, 48, 1)
    assert found.images.shape == (84, 96, 96, 3)
    assert len(set(found.places)) == 7
    assert found.notes == ()
    with open_slide(path) as slide:
        for number, (row, column) in enumerate(np.argwhere(strokes > 0)):
            corner = (row * 16 + 8 - 48, column * 16 + 8 - 48)
            patch = slide.read(Box.of_shape((96, 96), corner), 0.972)
            np.testing.assert_array_equal(found.images[number], patch)
            assert found.tumor[number] == (strokes[row, column] == 1)


def test_slides_and_labels_come_in_any_order(
    pale_slide, labelled, tmp_path, write_svs
) -> None:
    path, strokes = pale_slide
    with open_slide(path) as slide:
        image = slide.read(Box.of_shape(slide.shape), 0.972)
    other = write_svs(tmp_path / "other.svs", image[::-1], mpp=0.972)
    parts = [
        labelled(path, np.where(strokes == 1, strokes, 0)),
        labelled(other, strokes[::-1]),
        labelled(path, np.where(strokes == 2, strokes, 0)),
    ]
    first, second = gathered(parts), gathered(parts[::-1])
    assert first.digest == second.digest
    assert first.slides == 2
    alone = [gathered([one]) for one in (labelled(path, strokes), parts[1])]
    assert len(set(first.places)) == sum(len(set(one.places)) for one in alone)
    np.testing.assert_array_equal(first.images, second.images)
    np.testing.assert_array_equal(first.places, second.places)
    whole = gathered([labelled(path, strokes), labelled(other, strokes[::-1])])
    assert whole.digest == first.digest
    assert gathered([labelled(path, strokes)]).digest != first.digest


def test_an_open_slide_stays_open(pale_slide, labelled) -> None:
    path, strokes = pale_slide
    with open_slide(path) as slide:
        gathered([replace(labelled(path, strokes), slide=slide)])
        assert slide.thumbnail(10).shape == (8, 10, 3)


def test_places_take_turns_where_there_are_too_many_cells(
    pale_slide, labelled, monkeypatch
) -> None:
    monkeypatch.setattr(examples, "MOST_OF_CLASS", 10)
    path, strokes = pale_slide
    found = gathered([labelled(path, strokes)], seed=3)
    assert found.tumor.sum() == 10
    assert (~found.tumor).sum() == 10
    assert sorted(np.unique(found.places[found.tumor], return_counts=True)[1]) == [
        3,
        3,
        4,
    ]
    assert (found.labels_tumor, found.labels_normal) == (36, 48)
    again = gathered([labelled(path, strokes)], seed=3)
    np.testing.assert_array_equal(found.images, again.images)
    other = gathered([labelled(path, strokes)], seed=4)
    assert (found.images != other.images).any()


def test_nothing_comes_after_a_stop(pale_slide, labelled) -> None:
    path, strokes = pale_slide
    steps = gather([labelled(path, strokes)], MODEL, stopped=lambda: True)
    assert list(steps) == [GatherProgress(1, 84)]


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ((), "labelled are 0 tumor and 0 normal cells; label at least 5 of each"),
        ((1,), "labelled are 36 tumor and 0 normal cells; label at least 5 of each"),
        ((2,), "labelled are 0 tumor and 48 normal cells; label at least 5 of each"),
    ],
)
def test_too_few_labels_or_one_class_are_one_line(
    pale_slide, labelled, kept, words
) -> None:
    path, strokes = pale_slide
    slide = labelled(path, np.where(np.isin(strokes, kept), strokes, 0))
    with pytest.raises(DataError, match=words) as error:
        gathered([slide])
    assert "\n" not in str(error.value)


def test_contradicting_labels_are_left_out_and_said(pale_slide, labelled) -> None:
    path, strokes = pale_slide
    opposite = np.where(strokes == 1, 2, 0)
    opposite[26:] = 0  # of the first lesion alone
    found = gathered([labelled(path, strokes), labelled(path, opposite)])
    assert found.labels_tumor == 24
    (note,) = found.notes
    assert note.startswith(
        "pale.svs: 12 cells labelled tumor and normal at once, left out"
    )


def test_labels_on_glass_are_left_out_and_said(pale_slide, labelled) -> None:
    path, strokes = pale_slide
    glass = strokes.copy()
    glass[1:3, 2:10] = 2
    found = gathered([labelled(path, glass)])
    assert found.notes == ("16 labelled cells of pale.svs on glass, left out",)
    assert len(found.tumor) == 84
    only = np.where(strokes == 2, 2, 0)
    only[1:3, 2:10] = 1
    words = (
        r"labelled are 0 tumor and 48 normal cells \(16 labelled cells of pale.svs on"
    )
    with pytest.raises(DataError, match=words):
        gathered([labelled(path, only)])


def test_a_slide_that_is_gone_is_named(pale_slide, labelled, tmp_path) -> None:
    path, strokes = pale_slide
    gone = replace(labelled(path, strokes), slide=tmp_path / "gone.svs")
    with pytest.raises(
        DataError, match=r"the labels of gone.svs cannot be used: .*gone.svs"
    ):
        gathered([gone])
    found = gathered([labelled(path, strokes), gone])
    assert found.slides == 1
    (note,) = found.notes
    assert note.startswith("the labels of gone.svs cannot be used: ")


def test_labels_of_another_slide_are_not_taught(pale_slide, labelled, tmp_path) -> None:
    path, strokes = pale_slide
    other = tmp_path / "pale.svs"
    shutil.copy(path, other)
    with other.open("ab") as file:
        file.write(b"\0")
    swapped = replace(labelled(path, strokes), slide=other)
    with pytest.raises(DataError, match=r"pale.svs is another slide now"):
        gathered([swapped])


def test_without_a_known_spacing_it_says_how_to_give_it(
    pale_slide, labelled, tmp_path, write_svs
) -> None:
    path, strokes = pale_slide
    with open_slide(path) as slide:
        image = slide.read(Box.of_shape(slide.shape), 0.972)
    bare = write_svs(tmp_path / "bare.svs", image, mpp=None)
    with open_slide(bare) as slide:
        labels = replace(labelled(path, strokes).labels, fingerprint=slide.fingerprint)
    slide = replace(labelled(path, strokes), slide=bare, labels=labels)
    with pytest.raises(DataError, match=r"µm/px"):
        gathered([slide])
    found = gathered([replace(slide, mpp=(0.972, 0.972))])
    assert len(found.tumor) == 84


def test_patches_in_damaged_tiles_are_left_out_and_said(
    pale_slide, labelled, tmp_path, tile_place, overwrite
) -> None:
    path, strokes = pale_slide
    damaged = tmp_path / "pale.svs"
    shutil.copy(path, damaged)
    # 64 px tiles: that with the first stroke of tumor
    offset, length = tile_place(damaged, (24 * 16 // 64) * 20 + 20 * 16 // 64)
    overwrite(damaged, offset, b"\xff" * length)
    found = gathered([labelled(damaged, strokes)])
    (note,) = found.notes
    assert note == "12 labelled cells of pale.svs in damaged tiles, left out"
    assert found.tumor.sum() == 24
