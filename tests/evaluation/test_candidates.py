from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_fastnet.core.metrics.candidates import Candidates
from napari_fastnet.errors import DataError
from napari_fastnet.evaluation.sources import read_candidates, write_candidates


def test_a_line_is_probability_x_y(tmp_path):
    path = tmp_path / "test_001.csv"
    points = np.array([(200.0, 100.0), (7.0, 197870.0)])
    write_candidates(path, Candidates(np.array([0.5, 0.25]), points))
    assert path.read_bytes() == b"0.5,100,200\n0.25,197870,7\n"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.floats(2**-30, 1) | st.floats(2**-30, 1, width=32),
            st.integers(0, 10**6),
            st.integers(0, 10**6),
        )
    )
)
def test_what_was_written_is_read_to_the_last_bit(tmp_path, rows):
    table = np.array(rows, np.float64).reshape(-1, 3)
    write_candidates(tmp_path / "a.csv", Candidates(table[:, 0], table[:, 1:]))
    found = read_candidates(tmp_path / "a.csv")
    assert np.array_equal(found.scores, table[:, 0])
    assert np.array_equal(found.points, table[:, 1:])


def test_files_of_others_are_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbf0.9, 10, 20\r\n\r\n1,3.0,4\r\n0,5,6\r\n1e-3,7,8")
    found = read_candidates(path)
    assert found.scores.tolist() == [0.9, 1, 0.001]  # 0 says that nothing is there
    assert found.points.tolist() == [[20, 10], [4, 3], [8, 7]]


def test_an_empty_file_has_no_candidates(tmp_path):
    (tmp_path / "a.csv").touch()
    assert read_candidates(tmp_path / "a.csv").points.shape == (0, 2)


@pytest.mark.parametrize(
    "line",
    [
        "p,x,y",
        "0.5,1",
        "0.5,1,2,3",
        "1.1,1,2",
        "-0.1,1,2",
        "nan,1,2",
        "0.5,-1,2",
        "0.5,1,inf",
        "0.5;1;2",
    ],
)
def test_a_line_that_is_none_names_file_line_and_form(tmp_path, line):
    path = tmp_path / "test_007.csv"
    path.write_text(f"0.5,1,2\n{line}\n")
    with pytest.raises(DataError, match=r"test_007\.csv, line 2.*p,x,y"):
        read_candidates(path)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "test_007.csv"
    if content:
        path.write_bytes(content)
    with pytest.raises(DataError, match="test_007"):
        read_candidates(path)
