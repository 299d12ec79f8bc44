"""The ``pact-hw`` command: its options, its exit codes, and how it says what is wrong.

Exit codes: 0, all is well; 1, something that was checked does not hold; 2, the input is wrong (one
line says how); 3, a program that we call failed; 130, interrupted.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import click

from .. import __version__
from ..errors import InputError, ToolError
from .commands import COMMANDS
from .compile import compile_command
from .demo import demo
from .exchange import export_command, import_command
from .explore import explore
from .learning import accuracy, curves
from .report import report


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="pact-hw")
def cli() -> None:
    """From a PyTorch network with PACT activations to Verilog that computes exactly the same numbers."""


for _command in (
    *COMMANDS,
    compile_command,
    curves,
    accuracy,
    import_command,
    export_command,
    explore,
    report,
    demo,
):
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(_run(given))


def _run(arguments: list[str]) -> int:
    try:
        return int(cli.main(args=arguments, prog_name="pact-hw", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except (click.Abort, KeyboardInterrupt):
        return _refuse("interrupted", arguments, 130)
    except click.ClickException as error:
        return _refuse(error.format_message(), arguments, 2)
    except InputError as error:
        return _refuse(str(error), arguments, 2)
    except OSError as error:  # an unusable --out, a full disk
        return _refuse(f"{error.filename or 'file'}: {error.strerror or error}", arguments, 2)
    except ToolError as error:
        return _refuse(str(error), arguments, 3)


def _refuse(reason: str, arguments: Sequence[str], code: int) -> int:
    line = " ".join(reason.split())
    click.echo(f"pact-hw: {line}", err=True)
    if "--json" in arguments:
        click.echo(json.dumps({"error": line}))
    return code
