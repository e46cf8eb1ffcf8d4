"""The command line as a whole: exit codes, one-line errors, help."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from types import SimpleNamespace

import pytest
import typer

from napari_fastnet import __version__
from napari_fastnet.cli import app as app_module
from napari_fastnet.cli.app import main
from napari_fastnet.errors import OutputError, SlideNotFoundError


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch):
    """Return a function that adds a command ``fail`` raising what it is given."""

    def add(error: BaseException) -> None:
        def fail() -> None:
            raise error

        module = SimpleNamespace(fail=fail)
        monkeypatch.setitem(sys.modules, "napari_fastnet.cli.fails", module)
        monkeypatch.setitem(app_module.COMMANDS, "fail", ("fails", "Fail."))

    return add


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for command in app_module.COMMANDS:
        assert f"\n  {command} " in out


@pytest.mark.parametrize("name", app_module.COMMANDS)
def test_the_list_of_commands_says_what_the_help_of_each_says(name):
    module, text = app_module.COMMANDS[name]
    command = getattr(import_module(f"napari_fastnet.cli.{module}"), name)
    is_group = isinstance(command, typer.Typer)
    assert (
        text
        == (command.info.help if is_group else inspect.getdoc(command)).split("\n")[0]
    )


def test_a_command_that_does_not_exist_is_wrong_usage(capsys):
    assert main(["detekt"]) == app_module.WRONG_USAGE
    assert "'detekt'" in capsys.readouterr().err


def test_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"napari-fastnet {__version__}\n"


def test_error_of_ours_is_one_line_on_stderr_and_code_1(failing, capsys):
    failing(SlideNotFoundError("there is no file at a.svs;\n  check\tthe path"))
    assert main(["fail"]) == 1
    captured = capsys.readouterr()
    assert captured.err == "error: there is no file at a.svs; check the path\n"
    assert captured.out == ""


def test_long_error_is_not_wrapped(failing, capsys):
    failing(OutputError("word " * 100))
    assert main(["fail"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_markup_in_an_error_stays_text(failing, capsys):
    failing(OutputError("cannot write [bold]/tmp/x[/bold]"))
    main(["fail"])
    assert "[bold]/tmp/x[/bold]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["info"], "Missing argument 'SLIDE'"),
        (["nonsense"], "No such command 'nonsense'"),
        (["info", "a.svs", "--jsn"], "No such option"),
        (["info", "a.svs", "--mpp", "wide"], "Invalid value for '--mpp'"),
    ],
)
def test_wrong_usage_is_code_2(argv, said, capsys):
    assert main(argv) == 2
    assert said in capsys.readouterr().err


def test_interrupt_is_code_130_and_said(failing, capsys):
    failing(KeyboardInterrupt())
    assert main(["fail"]) == 130
    assert capsys.readouterr().err.strip() == "interrupted"


def test_an_error_nobody_expected_is_a_traceback(failing):
    failing(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        main(["fail"])
