"""Options are those of the dataclasses: name, default, help and value."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Literal

import pytest
import typer

from napari_fastnet.cli.app import make_app
from napari_fastnet.cli.options import parameter_texts, with_options
from napari_fastnet.core.options import TissueParameters
from napari_fastnet.detection.options import RunOptions


@dataclass(frozen=True)
class Inner:
    """An inner part.

    Parameters
    ----------
    seed : int
        Seed of all
        draws.
    words : tuple of str
        Word; may be repeated.
    """

    seed: int = 3
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    """A whole.

    Parameters
    ----------
    share : float or None
        Share of the whole; None is as before.
    kind : {"a", "b"}
        Kind of the whole.
    inner : Inner
        The inner part.
    quick : bool
        Be quick.
    mirrored : bool or None
        Look at mirror images; None is as the model says.
    """

    share: float | None = None
    kind: Literal["a", "b"] = "a"
    inner: Inner = Inner()
    quick: bool = False
    mirrored: bool | None = None


@pytest.fixture
def call():
    """Return a function from words to what a command with such options is given."""
    given: list[object] = []

    def command(
        name: str,
        outer: Outer,
        last: Annotated[int, typer.Option(help="The last.")] = 7,
    ) -> None:
        given.append((name, outer, last))

    own = typer.Typer(rich_markup_mode=None)
    own.command()(with_options(command))

    def run(*words: str):
        own(args=list(words), standalone_mode=False)
        return given.pop()

    return run


def test_what_is_not_given_is_as_the_dataclass_says(call):
    assert call("a") == ("a", Outer(), 7)


def test_each_field_is_an_option(call):
    words = "a --share 0.5 --kind b --seed 4 --words x --words y --quick --no-mirrored"
    expected = Outer(0.5, "b", Inner(4, ("x", "y")), True, False)
    assert call(*words.split(), "--last", "8") == ("a", expected, 8)


def test_a_flag_has_no_opposite_where_off_is_the_default(call):
    with pytest.raises(Exception, match="--no-quick"):
        call("a", "--no-quick")


def test_help_has_the_texts_of_the_docstring_and_the_defaults(call, capsys):
    with pytest.raises(IndexError):
        call("--help")
    said = " ".join(capsys.readouterr().out.split())
    assert "Seed of all draws [3]." in said
    assert "Share of the whole [as before]." in said
    assert "Kind of the whole [a]." in said
    assert "Be quick. " in said
    assert (
        "--mirrored / --no-mirrored Look at mirror images [as the model says]." in said
    )


@pytest.mark.parametrize("kind", [RunOptions, TissueParameters])
def test_every_field_is_described(kind):
    assert set(parameter_texts(kind)) == {field.name for field in fields(kind)}


def commands() -> dict[str, typer.core.TyperCommand]:
    group = typer.main.get_command(make_app())
    found = {}
    for name, command in group.commands.items():
        found |= getattr(command, "commands", {name: command})
    return found


@pytest.mark.parametrize("command", commands().values(), ids=commands())
def test_every_option_of_every_command_has_help(command):
    for parameter in command.params:
        if parameter.name != "help":
            assert parameter.help, parameter.name
            assert "None" not in parameter.help.replace("`None`", "")
