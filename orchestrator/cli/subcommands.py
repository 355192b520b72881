"""Programs with subcommands: how the commands are listed, and which module does the work of each.

The streams, Ctrl-C and the errors that end a program are the business of `orchestrator.cli.program`.
"""

import argparse
import sys
from collections.abc import Mapping
from types import ModuleType

from orchestrator import __version__
from orchestrator.errors import DeepPruneError
from orchestrator.terminal.safe_stream import error_text

__all__ = ["carry_out", "subcommand_parser"]


def subcommand_parser(
    program: str, commands: Mapping[str, ModuleType], *, description: str, epilog: str
) -> argparse.ArgumentParser:
    """A parser in which each module adds its own flags (`add_arguments`) and is described by its docstring."""
    parser = argparse.ArgumentParser(
        prog=program,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in commands.items():
        text = command.__doc__ or ""
        command.add_arguments(
            subparsers.add_parser(
                name,
                help=text.partition("\n")[0],
                description=text,
                formatter_class=argparse.RawDescriptionHelpFormatter,
                allow_abbrev=False,
            )
        )
    return parser


def carry_out(
    program: str, commands: Mapping[str, ModuleType], arguments: argparse.Namespace
) -> int:
    """Runs the chosen command (`run` of its module); the exit code. An error names the command."""
    try:
        commands[arguments.command].run(arguments)
    except DeepPruneError as error:
        print(error_text(f"{program} {arguments.command}", error), file=sys.stderr)
        return error.exit_code
    return 0
