"""Every code block of README and docs runs, one after the other, page by page.

A block that cannot run here says so in its title, which readers see, too.
"""

from __future__ import annotations

import re
import runpy
import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from napari_fastnet.cli.app import main

ROOT = Path(__file__).parents[2]


PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "skills").rglob("*.md")),
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
#: What a block may not be run for.
REASONS = (
    *("GPU", "cluster", "window", "data of yours", "minutes", "screen", "bucket"),
    "it crashes",
    "an environment of its own",
)
LANGUAGES = {"sh", "python", "json", "text", "toml", "yaml"}


#: How a block that is not run begins to say why; its title is shown on the page.
NOT_RUN = "not run in tests: "
FENCE = re.compile(
    r'^(?P<indent> *)```(?P<language>\w+)(?: title="(?P<title>[^"]*)")?\n'
    r"(?P<code>.*?)^(?P=indent)```$",
    re.M | re.S,
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, the title on the page, and its code."""

    language: str
    title: str
    code: str
    line: int

    @property
    def is_run(self) -> bool:
        return not self.title.startswith(NOT_RUN)

    @property
    def commands(self) -> list[list[str]]:
        """The command lines, as words; a line may go on after a backslash."""
        lines = self.code.replace("\\\n", " ").splitlines()
        words = [shlex.split(line, comments=True) for line in lines]
        return [line for line in words if line]


def blocks(page: Path) -> list[Block]:
    """Return a page's blocks that have a language, in order."""
    text = page.read_text("utf-8")
    found = []
    for match in FENCE.finditer(text):
        indent = len(match["indent"])
        code = "".join(line[indent:] for line in match["code"].splitlines(True))
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(match["language"], match["title"] or "", code, line))
    return found


def name_of(page):
    return str(page.relative_to(ROOT))


def run_command(words):
    """Run a command line, or see that what it names exists."""
    program, *rest = words
    if program == "napari-fastnet":
        assert main(rest) == 0, " ".join(words)
    elif program == "pip":
        for extra in re.findall(r"napari-fastnet\[([\w,]+)\]", " ".join(rest)):
            assert set(extra.split(",")) <= set(PROJECT["optional-dependencies"])
    elif program == "make":
        assert re.search(rf"^{rest[0]}:", MAKEFILE, re.M), " ".join(words)
    else:
        pytest.fail(f"do not know how to run {' '.join(words)!r}")


def has_code(page):
    return any(
        block.is_run and block.language in ("sh", "python") for block in blocks(page)
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Matplotlib is currently using agg")
@pytest.mark.parametrize(
    "page", [page for page in PAGES if has_code(page)], ids=name_of
)
def test_the_blocks_of_a_page_run_in_order(page, scene, capsys):
    names = {"__name__": "__main__"}
    for block in blocks(page):
        if not block.is_run:
            continue
        if block.language == "python":
            place = f"{name_of(page)}:{block.line}"
            exec(compile(block.code, place, "exec"), names)
        elif block.language == "sh":
            for words in block.commands:
                run_command(words)
    capsys.readouterr()


@pytest.mark.slow
def test_the_example_without_a_window_runs(scene, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["detect_a_slide.py", "slide.svs", "lesions"])
    runpy.run_path(str(ROOT / "examples" / "detect_a_slide.py"), run_name="__main__")
    assert "'label': 1" in capsys.readouterr().out
    assert {path.name for path in (scene / "lesions").iterdir()} == {
        "regions.csv",
        "regions.geojson",
    }


def test_blocks_say_their_language_and_why_they_are_not_run():
    for page in PAGES:
        for block in blocks(page):
            assert block.language in LANGUAGES, (page, block)
            if not block.is_run:
                assert any(reason in block.title for reason in REASONS), (page, block)


def test_blocks_are_told_from_text(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```sh\na 'b c' # d\ne \\\n  f\n```\ntext\n"
        '1. item\n\n    ```python title="not run in tests: GPU"\n    x = 1\n    ```\n'
    )
    first, second = blocks(page)
    assert first.commands == [["a", "b c"], ["e", "f"]]
    assert first.is_run
    assert (second.language, second.code, second.line) == ("python", "x = 1\n", 9)
    assert not second.is_run


LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)")
ELSEWHERE = re.compile(r"[a-z]+:")
TITLE = re.compile(r"^#+ +(.+?) *$", re.M)


def anchors(page):
    """Return what a page's headings are called in links, as readers of Markdown do."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)
    titles = [
        re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title) for title in TITLE.findall(text)
    ]
    words = [re.sub(r"[^\w\- ]", "", title.lower()) for title in titles]
    return {re.sub(r"[ -]+", "-", word).strip("-") for word in words}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=name_of)
def test_links_lead_somewhere_in_a_clone(page):
    """Also to pages that are made when the docs are built: a clone has their place."""
    for link in LINK.findall(page.read_text("utf-8")):
        if ELSEWHERE.match(link):
            continue
        place, _, part = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), f"{name_of(page)}: {link} leads nowhere"
        if part and target.suffix == ".md" and target.parent.name != "reference":
            assert part in anchors(target), f"{name_of(page)}: no heading {link}"
