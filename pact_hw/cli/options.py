"""The options that commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

F = TypeVar("F", bound=Callable[..., Any])

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


def command(name: str, *, example: str) -> Callable[[F], click.Command]:
    """A command with ``--json`` and an example below its help."""

    def decorate(function: F) -> click.Command:
        option = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
        return click.command(name, epilog=f"\b\nExample:\n  pact-hw {example}")(option(function))

    return decorate


def out(default: str | None = None) -> Callable[[F], F]:
    """``--out DIR``."""
    return click.option(
        "--out",
        type=FOLDER,
        required=default is None,
        default=default,
        show_default=default is not None,
        help="Folder for the results.",
    )


def seed() -> Callable[[F], F]:
    """``--seed N``."""
    return click.option(
        "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Where chance plays."
    )


def given(*names: str) -> list[str]:
    """Which of the running command's parameters ``names`` were given, as one writes them (``--bus-bits``)."""
    context = click.get_current_context()
    return [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in names
        and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    ]
