"""What the package says of itself agrees with what it is."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import pytest
import yaml

import napari_fastnet

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
# modules that are not called as what they come in
PROVIDERS = {
    "PIL": "pillow",
    "google": "google-auth",
    "google_crc32c": "google-crc32c",
    "lazy_loader": "lazy-loader",
    "openslide": "openslide-python",
    "skimage": "scikit-image",
}


def distribution(requirement: str) -> str:
    """Return the normalised name of a requirement."""
    name = re.match(r"[\w.-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name.group()).lower()


def imported_by(path: Path) -> set[str]:
    """Return the top-level modules that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


def test_whatever_is_imported_is_required():
    extras = chain.from_iterable(PROJECT["optional-dependencies"].values())
    required = {distribution(r) for r in (*PROJECT["dependencies"], *extras)}
    known = set(sys.stdlib_module_names) | {"napari_fastnet"}
    imported = set().union(*map(imported_by, SOURCES)) - known
    names = {PROVIDERS.get(module, module) for module in imported}
    assert names <= required


def test_requirements_have_no_upper_bounds():
    for requirement in PROJECT["dependencies"]:
        assert "<" not in requirement
        assert "==" not in requirement


def test_all_is_made_of_extras_that_exist_and_none_that_only_trains():
    extras = PROJECT["optional-dependencies"]
    own = {
        found.group(1)
        for requirement in extras["all"]
        if (found := re.match(r"napari-fastnet\[(\w+)\]", requirement))
    }
    assert own == {"openslide", "openvino"} <= set(extras)
    assert extras["all"][0] == "napari[all]"


def test_the_conda_recipe_asks_for_the_same():
    recipe = yaml.safe_load((ROOT / "recipe/recipe.yaml").read_text("utf-8"))
    assert recipe["context"]["version"] == napari_fastnet.__version__
    names = {"pytorch": "torch", "dask-core": "dask", "matplotlib-base": "matplotlib"}
    names["napari-base"] = "napari"
    asked = {}
    for line in recipe["requirements"]["run"]:
        name, _, bound = line.partition(" ")
        asked[names.get(name, name)] = bound
    assert asked.pop("python") == PROJECT["requires-python"]
    wanted = {
        distribution(requirement): re.sub(r"^[\w.-]+(\[\w+\])?", "", requirement)
        for requirement in PROJECT["dependencies"]
    }
    assert asked == wanted


def test_napari_hub_finds_what_it_shows():
    manifest = yaml.safe_load((ROOT / "napari.yaml").read_text("utf-8"))
    assert 3 <= len(manifest["display_name"]) <= 90
    assert manifest["categories"]
    assert "Framework :: napari" in PROJECT["classifiers"]
    assert PROJECT["license"] == "BSD-3-Clause"
    assert PROJECT["readme"] == "README.md"


#: Files that a release's addresses are written into.
ADDRESSED = (
    *("README.md", "CONTRIBUTING.md", "CITATION.cff", "mkdocs.yml", "pyproject.toml"),
    "recipe/recipe.yaml",
)
NAMES = ["Homepage", "Documentation", "Source", "Issues", "Changelog", "Paper"]


def write_addresses(folder: Path, *words: str) -> None:
    script = [sys.executable, str(ROOT / "scripts/addresses.py")]
    subprocess.run([*script, *words, "--folder", str(folder)], check=True)


def test_a_release_names_its_addresses_wherever_they_are_shown(tmp_path):
    for name in ADDRESSED:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    before = (tmp_path / "README.md").read_text("utf-8")

    write_addresses(tmp_path, "https://a.example/x", "--docs", "https://docs.example")
    write_addresses(tmp_path, "https://b.example/y/z.git")  # moved, and without a site

    texts = {name: (tmp_path / name).read_text("utf-8") for name in ADDRESSED}
    urls = tomllib.loads(texts["pyproject.toml"])["project"]["urls"]
    assert list(urls) == NAMES
    assert urls["Source"] == urls["Homepage"] == "https://b.example/y/z"
    assert not re.search(r"[ax]\.example|docs\.example", "".join(texts.values()))
    links = re.findall(r"\]\(([^)]+)\)", texts["README.md"])
    assert len(links) == len(re.findall(r"\]\(([^)]+)\)", before))
    for link in links:
        assert link.startswith("https://"), link
        kind, _, place = link.removeprefix("https://b.example/y/z/").partition("/HEAD/")
        if place:
            assert (ROOT / place).exists(), link
            assert (kind == "raw") == (Path(place).suffix in {".png", ".gif"}), link
    about = yaml.safe_load(
        texts["recipe/recipe.yaml"].replace("${{", "").replace("}}", "")
    )
    assert about["about"]["repository"] == "https://b.example/y/z"
    assert "documentation" not in about["about"]


def test_addresses_are_all_there_or_none_is_made_up():
    assert list(PROJECT["urls"]) in (NAMES, ["Paper"])


def test_the_console_script_is_the_command_line():
    (script,) = entry_points(group="console_scripts", name="napari-fastnet")
    from napari_fastnet.cli.app import main

    assert script.load() is main


def test_the_citation_is_of_this_version():
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {napari_fastnet.__version__}\n" in citation
    assert "doi: 10.1109/JIOT.2023.3235651" in citation


@pytest.mark.parametrize("name", ["py.typed", "__init__.pyi"])
def test_the_package_ships_its_types_and_the_stub_it_loads_from(name):
    assert (Path(napari_fastnet.__file__).parent / name).is_file()


def test_pages_that_docstrings_name_exist():
    for path in SOURCES:
        for page in re.findall(r"docs/[\w/-]+\.md", path.read_text("utf-8")):
            assert (ROOT / page).is_file(), f"{path.name} names {page}"


@pytest.mark.parametrize("page", sorted((ROOT / "docs/reference").glob("*.md")))
def test_reference_pages_name_what_exists(page):
    for name in re.findall(r"^::: napari_fastnet\.([\w.]+)$", page.read_text(), re.M):
        home, _, last = f"napari_fastnet.{name}".rpartition(".")
        module = import_module(home)
        known = hasattr(module, last) or find_spec(f"{home}.{last}") is not None
        assert known, f"{page.name} names {name}"


def test_the_api_page_has_every_public_name():
    page = (ROOT / "docs/reference/api.md").read_text("utf-8")
    named = {name.rpartition(".")[2] for name in re.findall(r"^::: (\S+)$", page, re.M)}
    assert named >= set(napari_fastnet.__all__) - {"__version__"}
