"""Write what assistants read: `llms.txt`, the tables of the skill, and its reference.

    python scripts/assistants.py

Commands and options come from the program, tables from `docs/`, links from the pages that
`mkdocs.yml` lists. `tests/docs/test_assistants.py` says when to run it again.
"""

# ruff: noqa: INP001, T201  a script on its own, no package

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LLMS = ROOT / "llms.txt"
SKILL = ROOT / "skills" / "napari-fastnet" / "SKILL.md"
REFERENCE = SKILL.with_name("reference.md")

sys.path[:0] = [str(ROOT / "docs"), str(ROOT / "src")]

import hooks  # noqa: E402  # the pages made from the code

HEAD = """\
# napari-fastnet

> Finds breast-cancer metastases in whole-slide images of lymph nodes: tissue masks, the FastNet
> network, a heatmap, and a list of lesions by evidence on which a person decides. One engine for
> napari, the command line and Python. Research use only, not for diagnosis.

- µm/px is never guessed: give `--mpp` where a file does not say, and only what a person knows.
- Cells and lesions of different sections, slides and nodes are never added up.
- `napari-fastnet detect SLIDES -o DIR --json` runs slides and prints their numbers; the same command
  goes on where it was stopped. Exit codes: 0 done, 1 the input is at fault or a slide failed, 2 wrong
  usage, 130 interrupted.
- Decisions of people (`decisions.json`, `corrections.geojson`) are theirs: never edit or delete them.
"""

#: What is on the pages that an assistant needs; all others are optional.
NOTES = {
    "which-tool.md": "where QuPath, WSInfer, TIAToolbox and others are the better choice",
    "howto/cases.md": "the report of a patient's slides, and which slide is which node",
    "howto/cluster.md": "`--scheduler`, workers on several machines",
    "howto/cohort.md": "a folder of slides, its tables, and what happens when one fails",
    "howto/command-line.md": "commands, files of a slide, exit codes, `--json`",
    "howto/evaluate.md": "FROC, slide AUC, Dice and IoU against outlines or masks",
    "howto/gpu.md": "`--device cuda`, and when it pays",
    "howto/install.md": "pip, extras, `doctor`, and what is kept from the network",
    "howto/models.md": "those that are here, your own, and those made for WSInfer",
    "howto/python.md": "`detect`, `detect_many`, results as arrays and data frames",
    "howto/slurm.md": "a folder shared out to the tasks of an array",
    "howto/take-results-elsewhere.md": "QuPath, ASAP, Fiji, scverse, spreadsheets, and back",
    "howto/train.md": "from labelled patches or annotated slides",
    "reference/api.md": "the public names, with their parameters",
    "reference/cli.md": "what `--help` prints, command by command",
    "reference/file-formats.md": "keys, columns and units of every file and of `--json`",
    "reference/glossary.md": "each with its one meaning here",
    "explain/coordinates.md": "(y, x), level-0 px, µm: in code, options and files",
    "explain/lesions.md": "evidence, its thresholds, and how many lesions are found",
    "explain/limits.md": "flags of colour, pen and blur, and what is not noticed",
    "explain/model.md": "what it was trained on, its figures, where it fails",
    "explain/nodes.md": "why sections are not added up",
    "explain/probability.md": "calibrated on what",
    "explain/spacing.md": "where it is read, and who goes first",
}
#: Pages of the skill's tables, with the heading that each stands under.
TABLES = {
    "codes": ("howto/command-line.md", "## Exit codes"),
    "files": ("howto/command-line.md", "## A slide"),
    "summary": ("reference/file-formats.md", "## `summary.csv`"),
    "lesions": ("reference/file-formats.md", "## `regions.csv`"),
}
#: Of what a command takes, in its usage.
BRACES = str.maketrans("", "", "{}")
#: Sections of the page on files that the reference repeats.
SECTIONS = (
    "Keys of JSON output",
    "`run.json`",
    "`regions.geojson`",
    "`quality.tif`",
    "`decisions.json`",
    "A table of cases",
)


def main() -> None:
    """Write the files that differ, and say which."""
    for path, text in files().items():
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(path.relative_to(ROOT))


def files() -> dict[Path, str]:
    """Return the text of each file."""
    skill = SKILL.read_text("utf-8")
    parts = {name: table(*place) for name, place in TABLES.items()}
    for mark, text in {**parts, "commands": command_list()}.items():
        skill = between(skill, mark, text)
    return {LLMS: llms_txt(), SKILL: skill, REFERENCE: reference()}


def llms_txt() -> str:
    """Return the pages as llmstxt.org has them: sections of links, the optional last."""
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"]
    skill = "- [Skill](skills/napari-fastnet/SKILL.md): run slides, read results"
    sections, optional = {"Start": [skill]}, []
    for part in nav:
        named = {"Start": [part]} if isinstance(part, str) else part
        for title, pages in named.items():
            for page in filter(is_written, pages):
                if page in NOTES:
                    line = f"{link(page)}: {NOTES[page]}"
                    sections.setdefault(title, []).append(line)
                else:
                    optional.append(link(page))
    texts = [HEAD]
    for title, links in {**sections, "Optional": optional}.items():
        texts.append("\n".join([f"## {title}", "", *links, ""]))
    return "\n".join(texts)


def is_written(page: Any) -> bool:
    """Tell a page that stands in the repository, other than the first."""
    return isinstance(page, str) and page != "index.md" and (DOCS / page).exists()


def link(page: str) -> str:
    """Return a page's title, as a line that leads to it."""
    found = re.search(r"^# (.+)$", (DOCS / page).read_text("utf-8"), re.M)
    return f"- [{found.group(1) if found else page}](docs/{page})"


def reference() -> str:
    """Return every command with its options, and the files that an assistant reads."""
    parts = [
        "# Reference of napari-fastnet",
        "Every command with its options, as the program has them, and the keys of its files. "
        "Lengths are in the unit that a name ends with; pairs are (y, x) in level-0 px.",
    ]
    for name, command, context in hooks.commands():
        usage = " ".join([name, *command.collect_usage_pieces(context)])
        records = (
            part.get_help_record(context) for part in command.get_params(context)
        )
        options = [f"- `{names}`: {text}" for names, text in filter(None, records)]
        options = [line for line in options if not line.startswith("- `--help`")]
        parts += [f"## `{usage}`", command.help.strip(), "\n".join(options)]
    for title in SECTIONS:
        body = section("reference/file-formats.md", f"## {title}")
        parts += [f"## {title}", plain(body)]
    return "\n\n".join(part for part in parts if part) + "\n"


def command_list() -> str:
    """Return a line a command: what it must be given, and what it does."""
    lines = []
    for name, command, context in hooks.commands():
        if not getattr(command, "commands", {}):
            taken = command.collect_usage_pieces(context)[1:]
            needed = [
                f"{part.opts[-1]} {part.get_help_record(context)[0].split()[-1]}"
                for part in command.get_params(context)
                if part.required and part.param_type_name == "option"
            ]
            words = " ".join([name, *taken, *needed]).translate(BRACES)
            line = command.help.strip().partition("\n\n")[0].replace("\n", " ")
            lines.append(f"- `{words}`: {line}")
    return "\n".join(lines)


def table(page: str, heading: str) -> str:
    """Return the first table under a heading of a page, without its links."""
    rows = re.search(r"(?:^\|.*\n?)+", section(page, heading), re.M)
    if rows is None:
        raise SystemExit(f"{page}: no table under {heading}")
    return plain(rows.group().strip())


def section(page: str, heading: str) -> str:
    """Return what stands under a heading, up to the next of its rank."""
    text = (DOCS / page).read_text("utf-8")
    _, found, rest = text.partition(f"\n{heading}\n")
    if not found:
        raise SystemExit(f"{page}: no heading {heading}")
    return re.split(r"^## ", rest, maxsplit=1, flags=re.M)[0].strip()


def plain(text: str) -> str:
    """Return Markdown with the words of its links in place of them."""
    return re.sub(r"\[([^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*)\]\([^)]*\)", r"\1", text)


def between(text: str, mark: str, part: str) -> str:
    """Put a part between its two marks."""
    begin, end = (f"<!-- {mark}: {where} -->" for where in ("begin", "end"))
    before, rest = text.split(begin)
    return f"{before}{begin}\n\n{part}\n\n{end}{rest.split(end)[1]}"


if __name__ == "__main__":
    main()
