"""Measure how the code is arranged: lines, imports, circles, names, first lines.

    python benchmarks/house.py [--src src/napari_fastnet] [--json FILE]
    python benchmarks/house.py --first-lines [WORD]    # list the clauses, of a room

Code lines are those without blank lines, comments and docstrings. A circle is a set of
modules that import each other, imports for types alone included. First lines that begin
with a clause ("what", "which", "where", ..., also after "Return") name no thing.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tokenize
from collections import Counter
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from page import tell

CLAUSE = re.compile(
    r"(?:Return )?(?:what|which|where|how|of|why|that)\b", re.IGNORECASE
)
PACKAGE = "napari_fastnet"
SOURCE = Path(__file__).parents[1] / "src" / PACKAGE


@dataclass(frozen=True, eq=False)
class Module:
    """A module of the package: its dotted name inside it, and what it says."""

    name: str
    text: str
    tree: ast.Module

    @property
    def docstrings(self) -> list[ast.Constant]:
        """Docstrings of the module, its classes and functions."""
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        first = [
            node.body[0]
            for node in ast.walk(self.tree)
            if isinstance(node, kinds) and node.body
        ]
        return [
            node.value
            for node in first
            if isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ]

    @property
    def code_lines(self) -> set[int]:
        """Numbers of the lines that hold code."""
        skipped = {
            line
            for node in self.docstrings
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
        }
        layout = (
            tokenize.COMMENT,
            tokenize.NL,
            tokenize.NEWLINE,
            tokenize.INDENT,
            tokenize.DEDENT,
            tokenize.ENDMARKER,
        )
        held = {
            line
            for token in tokenize.generate_tokens(io.StringIO(self.text).readline)
            if token.type not in layout
            for line in range(token.start[0], token.end[0] + 1)
        }
        return held - skipped

    @property
    def clauses(self) -> list[tuple[int, str]]:
        """First docstring lines that begin with a clause, with their line numbers."""
        firsts = (
            (node.lineno, node.value.strip().split("\n")[0]) for node in self.docstrings
        )
        return [(place, line) for place, line in firsts if CLAUSE.match(line)]

    @property
    def import_lines(self) -> set[int]:
        """Numbers of the lines of import statements."""
        return {
            line
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
        }

    def imported(self, known: set[str]) -> set[str]:
        """Return the modules of the package that this one imports, for types or not."""
        found = set()
        for node in ast.walk(self.tree):
            if not isinstance(node, ast.ImportFrom) or not node.module:
                continue
            if node.module.split(".")[0] != PACKAGE:
                continue
            inside = node.module[len(PACKAGE) + 1 :]
            for alias in node.names:
                whole = f"{inside}.{alias.name}".strip(".")
                found.add(whole if whole in known else inside)
        return found & known - {self.name}


def read(source: Path) -> list[Module]:
    """Return the package's modules, without ``__init__`` files."""
    return [
        Module(
            ".".join(path.relative_to(source).with_suffix("").parts),
            path.read_text("utf-8"),
            ast.parse(path.read_text("utf-8")),
        )
        for path in sorted(source.rglob("*.py"))
        if path.name != "__init__.py"
    ]


def circle(modules: list[Module]) -> list[str]:
    """Return modules that import each other; none where there is no circle."""
    known = {module.name for module in modules}
    graph = {module.name: module.imported(known) for module in modules}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def figures(source: Path) -> dict[str, object]:
    """Return the measures of a package."""
    modules = read(source)
    code = sum(len(module.code_lines) for module in modules)
    names = Counter(module.name.split(".")[-1] for module in modules)
    folders = Counter(module.name.rpartition(".")[0] for module in modules)
    importers = Counter(
        name
        for module in modules
        for name in module.imported({other.name for other in modules})
    )
    return {
        "modules": len(modules),
        "lines": sum(module.text.count("\n") for module in modules),
        "code_lines": code,
        "import_share": sum(len(m.import_lines & m.code_lines) for m in modules) / code,
        "one_importer_at_most": sum(importers[m.name] <= 1 for m in modules),
        "largest_folder": max(folders.values()),
        "names_twice": {name: n for name, n in sorted(names.items()) if n > 1},
        "clause_share": sum(len(module.clauses) for module in modules)
        / sum(len(module.docstrings) for module in modules),
        "circle": circle(modules),
    }


def main() -> None:
    """Print the measures, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--src", type=Path, default=SOURCE)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--first-lines", nargs="?", const="", metavar="WORD")
    arguments = parser.parse_args()
    if arguments.first_lines is not None:
        for module in read(arguments.src):
            if arguments.first_lines in module.name:
                for place, line in module.clauses:
                    sys.stdout.write(f"{module.name}:{place}: {line}\n")
        return
    tell(figures(arguments.src), arguments.json)


if __name__ == "__main__":
    main()
