"""The suggested pN of cases worked out by hand."""

from __future__ import annotations

import pytest

from napari_fastnet.case.stage import STAGES, suggest_stage

ITC, MICRO, MACRO = "ITC", "micro", "macro"


@pytest.mark.parametrize(
    ("nodes", "stage"),
    [
        ([None, None, None, None, None], "pN0"),
        ([ITC, None, None, None, None], "pN0(i+)"),
        ([ITC, ITC, ITC, ITC, ITC], "pN0(i+)"),
        ([MICRO, None, None, None, None], "pN1mi"),
        ([MICRO, MICRO, MICRO, MICRO, MICRO], "pN1mi"),  # micro alone never is more
        ([MACRO, None, None, None, None], "pN1"),
        ([MACRO, MICRO, MICRO, None, ITC], "pN1"),  # three positive
        ([MACRO, ITC, ITC, ITC, ITC], "pN1"),  # nodes with ITC are not positive
        ([MACRO, MICRO, MICRO, MICRO, None], "pN2"),  # four positive
        ([MACRO, MACRO, MACRO, MACRO, MACRO], "pN2"),
        ([MACRO] * 9, "pN2"),
        ([MACRO] + [MICRO] * 9, "pN3"),
        ([], "pN0"),
    ],
)
def test_a_case_worked_by_hand(nodes, stage):
    assert suggest_stage(nodes) == stage
    assert suggest_stage(nodes[::-1]) == stage


def test_stages_are_in_the_order_of_the_disease():
    assert STAGES == ("pN0", "pN0(i+)", "pN1mi", "pN1", "pN2", "pN3")
