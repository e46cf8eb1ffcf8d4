from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_fastnet.errors import OptionError
from napari_fastnet.patches import sampling
from napari_fastnet.patches.camelyon import CamelyonSlide
from napari_fastnet.patches.options import SamplingOptions
from napari_fastnet.patches.sampling import (
    TEST,
    TRAIN,
    VALID,
    Candidates,
)


def slide(name, normal, tumour, *, is_test=False):
    labels = np.array([1] * tumour + [0] * normal, np.uint8)
    path = Path(f"{name}.tif")
    return Candidates(
        CamelyonSlide(name, path, tumour > 0, is_test, None, False), labels
    )


def draw_patches(slides, options):
    """Return (indices, parts) of each slide by name."""
    draws = sampling.draw_patches(slides, options)
    return {draw.slide.name: (draw.indices, draw.parts) for draw in draws}


def split_patches(slides, options):
    """Return the parts of each slide by name."""
    parts = sampling.split_patches(slides, options)
    names = [one.slide.name for one in slides]
    return dict(zip(names, parts, strict=True))


def cohort(tumour_slides=5, normal_slides=10):
    return [
        *(slide(f"tumor_{n:03}", 30, 20 + n) for n in range(tumour_slides)),
        *(slide(f"normal_{n:03}", 50, 0) for n in range(normal_slides)),
    ]


def counts(slides, chosen, part):
    """Return how many (normal, tumour) patches of a part were drawn."""
    labels = [
        slide.labels[chosen[slide.slide.name][0][chosen[slide.slide.name][1] == part]]
        for slide in slides
    ]
    return tuple(np.bincount(np.concatenate(labels), minlength=2).tolist())


def test_everything_is_drawn_when_asked():
    slides = cohort()
    chosen = draw_patches(slides, SamplingOptions(sampling="full"))
    for one in slides:
        np.testing.assert_array_equal(
            chosen[one.slide.name][0], np.arange(len(one.labels))
        )


def test_balanced_is_balanced_in_each_part_and_drops_no_more():
    slides = cohort()
    options = SamplingOptions()
    full = draw_patches(slides, SamplingOptions(sampling="full"))
    chosen = draw_patches(slides, options)
    for part in (TRAIN, VALID):
        normal, tumour = counts(slides, chosen, part)
        assert normal == tumour == min(counts(slides, full, part)) > 0


def test_the_larger_class_is_drawn_from_all_slides():
    slides = [slide("tumor_001", 0, 40), *(slide(f"n{i}", 100, 0) for i in range(4))]
    chosen = draw_patches(slides, SamplingOptions(valid_share=0))
    drawn = [len(chosen[f"n{i}"][0]) for i in range(4)]
    assert sum(drawn) == 40
    assert min(drawn) >= 3  # 10 expected


def test_a_cap_holds_for_each_class_of_each_slide():
    slides = cohort()
    chosen = draw_patches(slides, SamplingOptions(sampling="full", per_slide=7))
    for one in slides:
        found = np.bincount(one.labels[chosen[one.slide.name][0]], minlength=2)
        assert found.tolist() == [7, 7 if one.slide.is_tumor else 0]


def test_a_slide_is_in_one_part_only():
    parts = split_patches(cohort(), SamplingOptions())
    assert all(len(np.unique(part)) == 1 for part in parts.values())
    valid = {name for name, part in parts.items() if part[0] == VALID}
    assert sum(name.startswith("tumor") for name in valid) == 1  # of 5
    assert sum(name.startswith("normal") for name in valid) == 2  # of 10


@pytest.mark.parametrize(
    ("count", "share", "valid"),
    [(1, 0.2, 0), (2, 0.2, 1), (2, 0.0, 0), (3, 0.99, 2), (10, 0.24, 2), (0, 0.2, 0)],
)
def test_each_kind_keeps_a_slide_to_train_on(count, share, valid):
    slides = [slide(f"tumor_{n:03}", 0, 4) for n in range(count)]
    parts = split_patches(slides, SamplingOptions(valid_share=share))
    assert sum(part[0] == VALID for part in parts.values()) == valid


def test_patches_at_random_share_slides_between_parts():
    slides = [slide("tumor_001", 2000, 2000)]
    options = SamplingOptions(split="patches", valid_share=0.25)
    parts = split_patches(slides, options)["tumor_001"]
    assert 850 < (parts == VALID).sum() < 1150
    assert set(parts.tolist()) == {TRAIN, VALID}


@pytest.mark.parametrize("split", ["slides", "patches"])
def test_the_test_set_is_left_alone(split):
    slides = [*cohort(), slide("test_001", 9, 9, is_test=True)]
    parts = split_patches(slides, SamplingOptions(split=split))
    assert (parts["test_001"] == TEST).all()
    assert all((parts[one.slide.name] != TEST).all() for one in slides[:-1])


def test_the_test_set_does_not_change_the_split():
    more = [*cohort(), *(slide(f"test_{n:03}", 9, 9, is_test=True) for n in range(9))]
    before = split_patches(cohort(), SamplingOptions())
    after = split_patches(more, SamplingOptions())
    for name, part in before.items():
        np.testing.assert_array_equal(part, after[name])


def test_seeds_decide_and_order_does_not():
    options = SamplingOptions(seed=3)
    first = draw_patches(cohort(), options)
    again = draw_patches(cohort()[::-1], options)
    other = draw_patches(cohort(), SamplingOptions(seed=4))
    for name, (indices, parts) in first.items():
        np.testing.assert_array_equal(indices, again[name][0])
        np.testing.assert_array_equal(parts, again[name][1])
    assert any(not np.array_equal(first[name][0], other[name][0]) for name in first)


def test_one_class_alone_is_balanced_to_nothing():
    chosen = draw_patches([slide("normal_001", 9, 0)], SamplingOptions())
    assert len(chosen["normal_001"][0]) == 0


def test_no_slides_give_nothing():
    for kind in ("full", "balanced"):
        assert draw_patches([], SamplingOptions(kind)) == {}


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=6),
    st.integers(0, 9),
    st.none() | st.integers(1, 20),
)
def test_drawn_patches_are_different_and_exist(sizes, seed, limit):
    slides = [slide(f"s{n}", *size) for n, size in enumerate(sizes)]
    chosen = draw_patches(slides, SamplingOptions(seed=seed, per_slide=limit))
    for one in slides:
        indices, parts = chosen[one.slide.name]
        assert (np.diff(indices) > 0).all()
        assert ((indices >= 0) & (indices < len(one.labels))).all()
        assert len(parts) == len(indices)


@pytest.mark.parametrize(
    "fault", [{"valid_share": 1}, {"valid_share": -0.1}, {"per_slide": 0}, {"seed": -1}]
)
def test_options_out_of_range_are_refused(fault):
    with pytest.raises(OptionError, match=next(iter(fault))):
        SamplingOptions(**fault)
