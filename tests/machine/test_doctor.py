"""The examination of the installation."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from napari_fastnet.machine import doctor
from napari_fastnet.machine.doctor import (
    PROBES,
    TESTED_NAPARI,
    Probe,
    examine,
    napari_found,
)
from napari_fastnet.machine.window import LOOK

ROOT = Path(__file__).parents[2]


def one(code: str):
    (finding,) = examine((Probe("part", code, "get it", needed=True),))
    return finding


def test_a_part_that_works_reports_its_last_line_and_no_mend():
    finding = one("print('remark'); print('1.2 with JPEG')")
    assert (finding.ok, finding.text, finding.mend) == (True, "1.2 with JPEG", "")


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("import no_such_module", "No module named 'no_such_module'"),
        ("assert False, 'without LZW'", "AssertionError: without LZW"),
        ("import sys; print('libEGL lost', file=sys.stderr); sys.exit(3)", "libEGL"),
        ("import os; os._exit(3)", "ended with code 3"),
        ("import os; os.abort()", "ended with code -6"),
    ],
)
def test_a_part_that_fails_says_why_and_how_to_mend_it(code, text):
    finding = one(code)
    assert not finding.ok
    assert text in finding.text
    assert finding.mend == "get it"


def test_a_part_that_hangs_is_a_finding(monkeypatch):
    monkeypatch.setattr(doctor, "TIMEOUT_S", 0.2)
    finding = one("import time; time.sleep(60)")
    assert finding.text == "no answer within 0.2 s"


def test_findings_come_in_the_order_of_the_probes():
    probes = tuple(Probe(f"{n}", f"print({n})", "") for n in range(6))
    assert [finding.text for finding in examine(probes)] == list("012345")


@pytest.mark.slow
def test_the_needed_parts_are_found_where_the_tests_run():
    findings = list(examine(tuple(probe for probe in PROBES if probe.needed)))
    assert [finding for finding in findings if not finding.ok] == []
    codecs = {finding.name: finding.text for finding in findings}["tile codecs"]
    assert "JPEG8 JPEG2K" in codecs


def test_the_code_of_every_probe_can_be_parsed():
    """A slip in it would be taken for a missing part."""
    for probe in PROBES:
        compile(probe.code, probe.name, "exec")
    compile(LOOK, "window", "exec")


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("0.7.1", "0.7.1"),
        ("0.8.0", "0.8.0"),
        ("0.10.0rc1", "0.10.0rc1"),
        ("0.10.7", "0.10.7"),
        ("0.11.0a1", "0.11.0a1, newer than 0.10, the newest that was tested"),
        ("1.0.0", "1.0.0, newer than 0.10, the newest that was tested"),
    ],
)
def test_a_napari_that_was_not_tested_is_told(version, words):
    assert napari_found(version) == words


def test_a_napari_too_old_for_the_panel_is_a_finding_with_a_remedy():
    with pytest.raises(SystemExit, match=r"older than 0\.7\.1, the oldest that works"):
        napari_found("0.7.0")
    code = (
        "from napari_fastnet.machine.doctor import napari_found; napari_found('0.6.6')"
    )
    assert one(code).text == "0.6.6 is older than 0.7.1, the oldest that works"


def test_the_oldest_napari_is_that_of_the_requirements():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (bound,) = (r for r in project["dependencies"] if r.startswith("napari>="))
    oldest = ".".join(map(str, TESTED_NAPARI[0]))
    assert bound.removeprefix("napari>=") == oldest
