"""Programs with subcommands: how the commands are listed, and which exit code each end has.

A foreseen error is one sentence on stderr and an exit code, never a traceback.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from types import ModuleType

from orchestrator import __version__
from orchestrator.errors import DeepPruneError

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
    """Runs the chosen command (`run` of its module); the program's exit code."""
    try:
        commands[arguments.command].run(arguments)
    except DeepPruneError as error:
        print(f"{program} {arguments.command}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0
