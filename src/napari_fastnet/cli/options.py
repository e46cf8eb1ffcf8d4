"""Options of commands, made from the functions and dataclasses that take them.

A parameter of a command is an argument or an option, and one that is a dataclass has an
option for each field: names, types and defaults are those in the code, and the help is
the text in the docstring (numpydoc). There ``; None is ...`` explains a default of None.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from napari_fastnet.core.geometry import Pair
from napari_fastnet.core.options import TissueParameters, preset_with
from napari_fastnet.detection.options import Stride
from napari_fastnet.errors import OptionError
from napari_fastnet.machine.remote.url import Url, path_of

#: Arguments and options whose names, metavars or limits are not those of the code.
_SPELLINGS = {
    "anchor": typer.Option(metavar="Y X"),
    "as_json": typer.Option("--json", help="Print JSON."),
    "base": typer.Option(metavar="NAME|DIR"),
    "bootstrap": typer.Option(min=0),
    "bounds_offset": typer.Option(metavar="Y X"),
    "compiled": typer.Option("--compile"),
    "exclude": typer.Option(metavar="SLIDE"),
    "formats": typer.Option("--format", "-f", metavar="FORMAT"),
    "labels": typer.Option(metavar="FILE"),
    "mask": typer.Option("--mask", "--roi", metavar="FILE"),
    "memory_mb": typer.Option("--memory", metavar="MB"),
    "model": typer.Option(metavar="NAME|DIR"),
    "mpp": typer.Option(metavar="UM_PER_PX"),
    "output": typer.Option("--output", "-o", metavar="DIR"),
    "override": typer.Option("--anyway"),
    "patch_px": typer.Option("--patch"),
    "share": typer.Option(metavar="I/N"),
    "slide_mpp": typer.Option(metavar="UM_PER_PX"),
    "slides": typer.Argument(metavar="SLIDE"),
    "spacing_um_px": typer.Option("--mpp", metavar="UM_PER_PX"),
    "start_from": typer.Option("--from", "--start-from", metavar="NAME|DIR"),
    "stride": typer.Option(metavar="dense|patch|N"),
    "threads": typer.Option(min=1),
    "tolerance": typer.Option(min=0),
    "truth": typer.Option(metavar="PATH"),
    "tumor_classes": typer.Option("--tumor-class", metavar="NAME"),
    "version": typer.Option("--model-version"),
    "workers": typer.Option(min=1, metavar="N"),
}
#: Types of options whose parameters take more than a command line gives.
_TYPES = {
    "augmentation": float,
    "bounds_offset": Pair,
    "model": str,
    "mpp": float,
    "stride": str,
}
# For programs alone.
_HIDDEN = {"normalise_depthwise", "readers"}


def stride_of(text: str) -> Stride:
    """Parse ``--stride``."""
    if text == "patch":
        return "patch"
    if text == "dense":
        return "dense"
    if text.isdecimal():
        return int(text)
    raise OptionError(f"stride is {text!r}; use dense, patch or a whole number of px")


def _augmentation(strength: float) -> Any:
    from napari_fastnet.training.options import Augmentation

    return Augmentation().scaled(strength)


_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "augmentation": _augmentation,
    "stride": stride_of,
}


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the arguments and options that its signature asks for."""
    group = _Group(command)

    @wraps(command)
    def run(**values: Any) -> None:
        group.build(values)

    # by keyword, because those with and without a default may alternate
    run.__signature__ = inspect.Signature(group.options)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in group.options}
    run.__doc__, *_ = (inspect.getdoc(command) or "").split("\n\nParameters\n")
    return run


def _of_slides(hint: Any) -> tuple[Any, Callable[[Any], Any] | None]:
    """Return type and conversion of slides: paths would change an address's slashes."""
    if get_origin(hint) is list and Url in get_args(get_args(hint)[0]):
        return list[str], lambda places: [path_of(place) for place in places]
    return (str, path_of) if Url in get_args(hint) else (hint, None)


class _Group:
    """The options of a command, or of a dataclass that a parameter of it is.

    Parameters
    ----------
    kind : callable
        The command or the dataclass.
    """

    def __init__(self, kind: Any) -> None:
        self._make = preset_with if kind is TissueParameters else kind
        self.options: list[inspect.Parameter] = []
        self._values: dict[str, Callable[[Mapping[str, Any]], Any]] = {}
        hints, texts = get_type_hints(kind, include_extras=True), parameter_texts(kind)
        if kind is TissueParameters:
            preset = typer.Option(
                help="Values of tissue options not given; `paper` closes no gaps."
            )
            self._add(
                "preset", Annotated[Literal["default", "paper"], preset], "default"
            )
        for name, parameter in inspect.signature(kind).parameters.items():
            hint = hints[name]
            if hint is typer.Context:
                self._add(name, hint, parameter.default)
            elif is_dataclass(hint) and name not in _TYPES:
                group = _Group(hint)
                self.options += group.options
                self._values[name] = group.build
            elif name not in _HIDDEN:
                self._add_option(parameter, hint, texts.get(name, ""))

    def build(self, values: Mapping[str, Any]) -> Any:
        """Call the command or dataclass with the options that were given, not None."""
        made = {name: value(values) for name, value in self._values.items()}
        return self._make(**{k: v for k, v in made.items() if v is not None})

    def _add(self, name: str, annotation: Any, default: Any) -> None:
        kind = inspect.Parameter.KEYWORD_ONLY
        self.options.append(
            inspect.Parameter(name, kind, annotation=annotation, default=default)
        )
        self._values[name] = lambda values: values[name]

    def _add_option(self, parameter: inspect.Parameter, hint: Any, text: str) -> None:
        name, default = parameter.name, parameter.default
        is_needed = default is parameter.empty
        info = typer.Argument(metavar=name.upper()) if is_needed else typer.Option()
        info = copy(_SPELLINGS.get(name, info))
        if get_origin(hint) is Annotated:
            hint, info = get_args(hint)[0], copy(get_args(hint)[1])
        hint, convert = _of_slides(hint)
        hint, convert = _TYPES.get(name, hint), _CONVERSIONS.get(name, convert)
        if get_origin(hint) is tuple and get_args(hint)[-1] is ...:
            hint, convert = list[get_args(hint)[0]], tuple  # type: ignore[misc]
        if default is False and info.default is ...:  # no --no-... of it
            info.default = "--" + name.replace("_", "-")
        info.help = info.help or _help(text, default)
        self._add(
            name,
            Annotated[hint if is_needed else hint | None, info],
            parameter.empty if is_needed else None,
        )
        if convert is not None:
            self._values[name] = lambda values: (
                None if values[name] is None else convert(values[name])
            )
        if name == "bounds_offset":
            self._add_qupath_origin()

    def _add_qupath_origin(self) -> None:
        flag = typer.Option(
            "--qupath-origin",
            help="Outlines start at the scanned area, as QuPath's do: each slide's own "
            "--bounds-offset.",
        )
        self._add("qupath_origin", Annotated[bool, flag], False)
        is_scanned = self._values.pop("qupath_origin")
        given = self._values["bounds_offset"]

        def offset(values: Mapping[str, Any]) -> Pair | Literal["scanned"] | None:
            if given(values) is not None and is_scanned(values):
                raise typer.BadParameter(
                    "give --bounds-offset or --qupath-origin, not both"
                )
            return "scanned" if is_scanned(values) else given(values)

        self._values["bounds_offset"] = offset


def parameter_texts(kind: Any) -> dict[str, str]:
    """Return the text of each parameter in a docstring (numpydoc)."""
    entries = re.findall(
        r"^(\w+) : .*\n((?:    .*(?:\n|$))+)", inspect.getdoc(kind) or "", re.MULTILINE
    )
    return {name: " ".join(text.split()) for name, text in entries}


def _help(text: str, default: Any) -> str:
    """Put the default into a text; of None, the meaning that the text gives."""
    text, _, none = text.removesuffix(".").partition("; None is ")
    shown = none if default is None else default
    is_plain = isinstance(shown, int | float | str | Path) and shown != ""
    if is_plain and not isinstance(shown, bool):
        text += f" [{shown}]"
    return f"{text}." if text else ""  # none with `python -OO`
