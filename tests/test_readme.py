"""The README says what is so; that its examples run is in tests/docs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """Return the README's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)


def commands(program: str) -> list[list[str]]:
    """Return the words of the README's command lines that call a program."""
    lines = "".join(blocks("sh")).splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [line[1:] for line in words if line and line[0] == program]


def test_two_commands_set_everything_up_and_are_in_the_makefile():
    targets = commands("make")
    assert targets == [["demo"], ["test"]]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for (target,) in targets:
        assert re.search(rf"^{target}:", makefile, re.M)


def test_links_to_files_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", README)
    for link in links:
        if "://" not in link:
            assert (ROOT / link).exists(), link
