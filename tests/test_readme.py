"""The README says what is so: its Python runs, its commands and files exist."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from napari_fastnet.cli.app import main
from napari_fastnet.io.synthetic import write_slide

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


@pytest.fixture(scope="module")
def synthetic_slide(tmp_path_factory):
    path = tmp_path_factory.mktemp("readme") / "slide.svs"
    write_slide(path, shape=(2048, 3072), seed=0)
    return path


@pytest.fixture
def beside_a_slide(synthetic_slide, tmp_path, monkeypatch):
    """Work in a folder that has what the README's examples name: ``slide.svs``."""
    shutil.copy(synthetic_slide, tmp_path / "slide.svs")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("beside_a_slide")
def test_python_examples_run_one_after_the_other(capsys):
    examples = blocks("python")
    assert examples
    names: dict[str, object] = {}
    for example in examples:
        exec(compile(example, "README.md", "exec"), names)
    assert "lesions, written to out/slide" in capsys.readouterr().out
    assert Path("out/slide/overview.png").is_file()


@pytest.mark.usefixtures("beside_a_slide")
@pytest.mark.parametrize("argv", commands("napari-fastnet"), ids=" ".join)
def test_command_examples_run(argv, capsys):
    assert main(argv) == 0
    assert capsys.readouterr().out


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
