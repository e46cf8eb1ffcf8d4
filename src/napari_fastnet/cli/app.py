"""The command ``napari-fastnet``: its subcommands, errors and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated

import typer

from napari_fastnet import __version__
from napari_fastnet.cli.clock import restart
from napari_fastnet.errors import FastNetError

DONE = 0
INPUT_AT_FAULT = 1
WRONG_USAGE = 2  # typer's own
INTERRUPTED = 130

#: The commands in the order of the help: their module in this folder, and a line of help.
COMMANDS = {
    "info": ("slide", "Show a slide's size, levels, µm/px and its source."),
    "tissue": ("slide", "Write a slide's tissue masks."),
    "detect": (
        "detect",
        "Find tumors: heatmap, masks, regions, overview and record of each slide.",
    ),
    "export": ("export", "Write the results of a run in other formats."),
    "decide": (
        "decide",
        "Take verdicts from a QuPath project or GeoJSON into the decisions of runs.",
    ),
    "report": (
        "report",
        "Write the report of one or more cases: nodes, largest deposits, suggested pN.",
    ),
    "replay": (
        "export",
        "Repeat a run from its record and print what differs; 1 if the results do.",
    ),
    "patches": (
        "patches",
        "Cut CAMELYON16's slides into labelled patches to train on.",
    ),
    "train": ("train", "Train FastNet on labelled patches and write a model bundle."),
    "adapt": (
        "adapt",
        "Adapt a model to a laboratory by corrections, and write a model bundle.",
    ),
    "bench": (
        "machine",
        "Measure reading, inference, both, memory, and other networks beside.",
    ),
    "demo": ("slide", "Draw a slide, find its lesions, and print what was found."),
    "doctor": (
        "machine",
        "List what is installed and what is missing, and how to get it.",
    ),
    "evaluate": ("evaluate", "Measure how good a model is where the truth is known."),
    "models": ("models", "List, show, check, add and remove models."),
    "cache": (
        "cache",
        "List or delete runs without an output folder, and kept parts of remote slides.",
    ),
}


def make_app(words: Sequence[str] | None = None) -> typer.Typer:
    """Make the program, with only the command that the words name.

    Where they name none, as in ``--help``, commands are listed without their options: to
    make all 200 of them takes longer than anything else on the way to the help.

    Parameters
    ----------
    words : sequence of str, optional
        The command line; without it the program has all commands.

    Returns
    -------
    typer.Typer
        The program, to be called with the same words.
    """
    # Plain text instead of rich's boxes: the same on a terminal, in a pipe and in a log.
    app = typer.Typer(
        name="napari-fastnet",
        help="Find tumors in whole-slide images. Research use only, not for diagnosis.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    named = next((word for word in words or () if not word.startswith("-")), None)
    for name, (module, text) in COMMANDS.items():
        if words is None or name == named:
            command = getattr(import_module(f"napari_fastnet.cli.{module}"), name)
            if isinstance(command, typer.Typer):
                app.add_typer(command, name=name)
            else:
                from napari_fastnet.cli.options import with_options

                app.command(name)(with_options(command))
        elif named not in COMMANDS:
            app.command(name, help=text)(_listed)
    return app


def _listed() -> None:
    """Stand in the list of commands."""


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"napari-fastnet {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Print the version and stop.",
        ),
    ] = False,
) -> None:
    """Options in front of a command; their help is the app's."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Words after the program's name; those of the process by default.

    Returns
    -------
    int
        0 done, 1 the input is at fault (one line on stderr says what, why and the
        remedy), 2 wrong usage, 130 interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # characters that a terminal cannot show must not end in a traceback
            stream.reconfigure(errors="backslashreplace")
    if argv is not None:
        restart()
    try:
        # `train` records the words
        words = sys.argv[1:] if argv is None else list(argv)
        make_app(words)(args=words, prog_name="napari-fastnet", obj=words)
    except FastNetError as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        return INPUT_AT_FAULT
    except KeyboardInterrupt:
        code = INTERRUPTED
    except SystemExit as end:  # of typer: help, wrong usage, interrupted
        code = end.code if isinstance(end.code, int) else DONE
    else:
        code = DONE
    if code == INTERRUPTED:
        print("interrupted", file=sys.stderr)
    return code
