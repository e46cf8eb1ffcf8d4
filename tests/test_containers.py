"""The recipes of containers install the same, and what pyproject.toml asks for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCK = (ROOT / "containers/requirements.lock").read_text("utf-8")
CONTAINERFILE = (ROOT / "containers/Containerfile").read_text("utf-8")
APPTAINER = (ROOT / "containers/apptainer.def").read_text("utf-8")
ADDRESS = re.compile(r"https?:|file:|--(extra-)?index|--find-links|@ ")

#: Extras and Python of the lock, as its first line says.
EXTRAS, PYTHON = re.match(
    r"# napari-fastnet\[([\w,]+)\] and what builds it, on Python ([\d.]+) ", LOCK
).groups()
PINS = {
    canonicalize_name(name): version
    for name, version in re.findall(r"^([\w.-]+)==(\S+) \\$", LOCK, re.M)
}


def section(name):
    """Return the lines of a section of Apptainer's recipe."""
    body = APPTAINER.split(f"\n%{name}\n")[1].split("\n%")[0]
    lines = (line.strip() for line in body.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def instructions(word):
    """Return what follows a word at the beginning of the Containerfile's lines."""
    return re.findall(rf"^{word} (.*)$", CONTAINERFILE, re.M)


def asked():
    """Return the requirements of the package, with the extras of the lock."""
    project = PYPROJECT["project"]
    texts = [*project["dependencies"], *PYPROJECT["build-system"]["requires"]]
    for extra in EXTRAS.split(","):
        texts += project["optional-dependencies"][extra]
    linux = {"sys_platform": "linux", "platform_machine": "x86_64"}
    linux["python_version"] = PYTHON
    found = map(Requirement, texts)
    return [r for r in found if r.marker is None or r.marker.evaluate(linux)]


@pytest.mark.parametrize("requirement", asked(), ids=str)
def test_the_lock_has_what_is_asked_for(requirement):
    pinned = PINS.get(canonicalize_name(requirement.name))
    assert pinned is not None, f"run `make lock`: {requirement} is not in it"
    assert requirement.specifier.contains(pinned), f"run `make lock`: {requirement}"


def test_every_version_has_hashes_and_no_address():
    blocks = re.split(r"^(?=[\w.-]+==)", LOCK, flags=re.M)[1:]
    assert len(blocks) == len(PINS) > 100
    for block in blocks:
        first, *hashes = block.rstrip().replace(" \\", "").splitlines()
        assert hashes, first
        for line in hashes:
            assert re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}", line), first
    assert ADDRESS.search(LOCK) is None


def test_both_recipes_run_the_same_commands_on_the_same_image():
    assert instructions("RUN") == [
        line for line in section("post") if line.startswith("python")
    ]
    (image,) = instructions("FROM")
    assert re.findall(r"^From: (.*)$", APPTAINER, re.M) == [image]
    assert image == f"python:{PYTHON}-slim"
    for text in (CONTAINERFILE, APPTAINER):
        assert ADDRESS.search(text) is None


def test_both_recipes_take_the_lock_by_its_hashes_and_nothing_else():
    lock, package, check = instructions("RUN")
    assert lock.endswith("--no-deps --require-hashes -r containers/requirements.lock")
    assert package.endswith("--no-deps --no-build-isolation .")
    assert check == "python -m pip check && napari-fastnet doctor"


def test_both_recipes_copy_the_same_files_which_exist():
    copied = [word for line in instructions("COPY") for word in line.split()[:-1]]
    brought = [line.split()[0] for line in section("files")]
    assert copied == brought
    assert all((ROOT / path).exists() for path in copied)


def test_both_recipes_have_the_same_environment_and_command():
    (environment,) = instructions("ENV")
    exported = [line.removeprefix("export ") for line in section("environment")]
    assert environment.split() == exported
    assert instructions("ENTRYPOINT") == ['["napari-fastnet"]']
    assert section("runscript") == ['exec napari-fastnet "$@"']
