"""Write the addresses of the project into the files that PyPI and napari hub show.

    python scripts/addresses.py https://git.example/group/napari-fastnet \
        [--docs https://docs.example/napari-fastnet]

Once, when the repository has an address, and again when that changes: fills in
`[project.urls]`, makes the links and pictures of README.md absolute, since PyPI and napari hub
show that page without the files beside it, and names the repository in CITATION.cff,
mkdocs.yml, CONTRIBUTING.md and the conda recipe. Paths are those of GitHub and of GitLab.
"""

# ruff: noqa: INP001, T201  a script on its own, no package

from __future__ import annotations

import argparse
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
PICTURES = (".png", ".gif", ".jpg")


def main(folder: Path, repository: str, docs: str | None) -> None:
    """Rewrite the files of a folder that name an address."""
    project = folder / "pyproject.toml"
    urls = tomllib.loads(project.read_text("utf-8"))["project"]["urls"]
    old = urls.get("Source")
    edit(project, lambda text: with_urls(text, repository, docs, urls["Paper"]))
    edit(folder / "README.md", lambda text: absolute(text, repository, old))
    lines = {
        "CITATION.cff": {"repository-code": repository, "url": docs},
        "mkdocs.yml": {"site_url": docs, "repo_url": repository},
    }
    for name, fields in lines.items():
        edit(folder / name, lambda text, fields=fields: with_fields(text, fields))
    about = {"homepage": docs or repository, "repository": repository}
    recipe = {**about, "documentation": docs}
    edit(folder / "recipe/recipe.yaml", lambda text: with_about(text, recipe))
    edit(
        folder / "CONTRIBUTING.md",
        lambda text: re.sub(
            r"git clone \S+( repository>)? napari",
            f"git clone {repository} napari",
            text,
        ),
    )


def with_urls(text: str, repository: str, docs: str | None, paper: str) -> str:
    """Return pyproject.toml with the links that PyPI and napari hub know by these names."""
    urls = {
        "Homepage": docs or repository,
        "Documentation": docs or f"{repository}/blob/HEAD/docs/index.md",
        "Source": repository,
        "Issues": f"{repository}/issues",
        "Changelog": f"{repository}/blob/HEAD/CHANGELOG.md",
        "Paper": paper,
    }
    table = "".join(f'{name} = "{url}"\n' for name, url in urls.items())
    before, rest = text.split("[project.urls]\n")
    return f"{before}[project.urls]\n{table}\n{rest.split(chr(10) * 2, 1)[1]}"


def absolute(text: str, repository: str, old: str | None) -> str:
    """Return the page with links into the repository instead of relative ones."""
    if old:
        text = re.sub(rf"\]\({re.escape(old)}/(?:raw|blob)/HEAD/", "](", text)

    def link(match: re.Match[str]) -> str:
        kind = "raw" if match[1].endswith(PICTURES) else "blob"
        return f"]({repository}/{kind}/HEAD/{match[1]})"

    return re.sub(r"\]\((?!\w+:|#)([^)]+)\)", link, text)


def with_fields(text: str, fields: dict[str, str | None]) -> str:
    """Return YAML with top-level fields set, or taken out where they have no value."""
    for name, value in fields.items():
        text = re.sub(rf"^{name}: .*\n", "", text, flags=re.M)
        if value:
            first, rest = text.split("\n", 1)
            text = f"{first}\n{name}: {value}\n{rest}"
    return text


def with_about(text: str, fields: dict[str, str | None]) -> str:
    """Return the recipe with fields of its section `about` set."""
    before, rest = text.split("\nabout:\n")
    for name, value in reversed(fields.items()):
        rest = re.sub(rf"^  {name}: .*\n", "", rest, flags=re.M)
        rest = f"  {name}: {value}\n{rest}" if value else rest
    return f"{before}\nabout:\n{rest}"


def edit(path: Path, change: Callable[[str], str]) -> None:
    """Write a file anew where that changes it, and say so."""
    text = path.read_text("utf-8")
    if (changed := change(text)) != text:
        path.write_text(changed, "utf-8")
        print(path.name)


def address(text: str) -> str:
    """Return an address without its last slash and `.git`, if it is one."""
    if not re.fullmatch(r"https://[\w.-]+(/[\w.-]+)*/?", text):
        raise argparse.ArgumentTypeError(
            f"{text} is no address such as https://host/path"
        )
    return text.rstrip("/").removesuffix(".git")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("repository", type=address)
    parser.add_argument("--docs", type=address)
    parser.add_argument("--folder", type=Path, default=ROOT)
    asked = parser.parse_args()
    main(asked.folder, asked.repository, asked.docs)
