"""Pages that are made from the code whenever the docs are built."""

# ruff: noqa: INP001  a script on its own, no package

from __future__ import annotations

import shutil
import sys
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))

#: Rooms of the package that have a page, from the floor up.
ROOMS = (
    "core",
    "machine",
    "nn",
    "slide",
    "store",
    "annotations",
    "model",
    "results",
    "synthetic",
    "detection",
    "cohort",
    "case",
    "patches",
    "evaluation",
    "training",
)

ENVIRONMENT = """
## Environment variables

| variable | does |
|---|---|
| `NAPARI_FASTNET_MODELS` | the folder of [added models](../howto/models.md#your-own), instead of the user's own |
| `NAPARI_FASTNET_SLIDES` | for developers: the folder of real slides that some tests read |
| `OMP_NUM_THREADS` | threads of torch and NumPy; `--threads` is the network's own |
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and what assistants read; mkdocs calls this."""
    from mkdocs.structure.files import File  # the tests read pages without mkdocs

    pages = {
        "reference/cli.md": command_page(),
        "reference/settings.md": settings_page(),
        **{f"reference/{room}.md": room_page(room) for room in ROOMS},
    }
    for place, content in pages.items():
        if (stands_in := files.get_file_from_path(place)) is not None:  # in a clone
            files.remove(stands_in)
        files.append(File.generated(config, place, content=content))
    text = (ROOT / "llms.txt").read_text("utf-8").replace("](docs/", "](")
    files.append(File.generated(config, "llms.txt", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> None:
    """Put the text of a page beside it, for `llms.txt` to name; mkdocs calls this."""
    copy = Path(config.site_dir, page.file.src_uri)
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(markdown, "utf-8")


def on_post_build(config: MkDocsConfig) -> None:
    """Put the skill at its place in the repository; mkdocs calls this."""
    shutil.copytree(
        ROOT / "skills", Path(config.site_dir, "skills"), dirs_exist_ok=True
    )


def commands() -> Iterator[tuple[str, Any, Any]]:
    """Yield each command's whole name, itself and its context, in the order of the help."""
    import typer.main

    from napari_fastnet.cli.app import make_app

    def walk(command: Any, name: str) -> Iterator[tuple[str, Any, Any]]:
        context = command.make_context(name, [], resilient_parsing=True)
        context.info_name = name
        yield name, command, context
        for key, part in getattr(command, "commands", {}).items():
            if not part.hidden:
                yield from walk(part, f"{name} {key}")

    yield from walk(typer.main.get_command(make_app()), "napari-fastnet")


def command_page() -> str:
    """Return every command with the help that it prints."""
    parts = [
        "# The command line",
        "What `--help` prints, command by command. "
        "[What they are for](../howto/command-line.md) comes with examples.",
    ]
    for name, command, context in commands():
        help_text = command.get_help(context).rstrip()
        parts += [f"## `{name}`", f"```text\n{help_text}\n```"]
    return "\n\n".join(parts) + "\n"


def room_page(room: str) -> str:
    """Return the modules of a room, each with what its docstrings say."""
    package = ROOT / "src" / "napari_fastnet"
    parts = [f"# `{room}`"]
    for path in sorted((package / room).rglob("*.py")):
        name = ".".join(path.relative_to(package.parent).with_suffix("").parts)
        if not name.endswith(".__init__"):
            parts.append(f"## `{name}`")
            parts.append(f"::: {name}\n    options:\n      heading_level: 3")
    return "\n\n".join(parts) + "\n"


def settings_page() -> str:
    """Return the plugin's settings as its manifest declares them."""
    manifest = yaml.safe_load((ROOT / "napari.yaml").read_text("utf-8"))
    page = StringIO()
    page.write(
        "# Settings\n\nOf the plugin: *File > Preferences > napari-fastnet* in napari.\n"
    )
    for section in manifest["contributions"]["configurations"].values():
        page.write(f"\n## {section['title']}\n\n")
        page.write("| setting | default | what |\n|---|---|---|\n")
        for setting in section["properties"].values():
            default = setting.get("default")
            shown = f"`{default}`" if default not in ("", None) else "empty"
            text = setting.get("description", "")
            if "enum" in setting:
                text += f". One of {', '.join(map(str, setting['enum']))}"
            page.write(f"| {setting['title']} | {shown} | {text} |\n")
    page.write(ENVIRONMENT)
    return page.getvalue()
