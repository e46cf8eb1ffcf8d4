"""The command ``napari-fastnet``: its subcommands, errors and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Annotated

import typer

from napari_fastnet import __version__
from napari_fastnet.cli.cache import cache
from napari_fastnet.cli.clock import restart
from napari_fastnet.cli.detect import detect
from napari_fastnet.cli.evaluate import evaluate
from napari_fastnet.cli.export import export, replay
from napari_fastnet.cli.machine import bench, doctor
from napari_fastnet.cli.models import models
from napari_fastnet.cli.options import with_options
from napari_fastnet.cli.patches import patches
from napari_fastnet.cli.slide import demo, info, tissue
from napari_fastnet.cli.train import train
from napari_fastnet.errors import FastNetError

DONE = 0
INPUT_AT_FAULT = 1
WRONG_USAGE = 2  # typer's own
INTERRUPTED = 130

# Plain text instead of rich's boxes: the same on a terminal, in a pipe and in a log.
app = typer.Typer(
    name="napari-fastnet",
    help="Find tumors in whole-slide images. Research use only, not for diagnosis.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (
    info,
    tissue,
    detect,
    export,
    replay,
    patches,
    train,
    bench,
    demo,
    doctor,
):
    app.command()(with_options(command))
app.add_typer(evaluate, name="evaluate")
app.add_typer(models, name="models")
app.add_typer(cache, name="cache")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"napari-fastnet {__version__}")
        raise typer.Exit


@app.callback()
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
        mend), 2 wrong usage, 130 interrupted.
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
        app(args=words, prog_name="napari-fastnet", obj=words)
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
