"""`deepprune-bench run | sweep | compare | record | serve`: subcommands, and errors as one sentence with an exit code."""

import argparse
import os
import sys
from collections.abc import Sequence

from bench.commands import compare, record, run, serve, sweep
from orchestrator import __version__
from orchestrator.errors import DeepPruneError

__all__ = ["main"]

_COMMANDS = {
    "run": run,
    "sweep": sweep,
    "compare": compare,
    "record": record,
    "serve": serve,
}

_EPILOG = """\
keys:    OPENAI_API_KEY for the reasoner, DEEPPRUNE_JUDGE_API_KEY for the judge, DEEPPRUNE_REWARD_API_KEY for rewards
stdout:  results only; progress goes to stderr
exit:    0 done, 1 the command failed, 2 wrong input, 130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the subcommand; returns the exit code and never shows a traceback for a foreseen error."""
    arguments = _parser().parse_args(argv)
    try:
        _COMMANDS[arguments.command].run(arguments)
    except DeepPruneError as error:
        print(f"deepprune-bench {arguments.command}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deepprune-bench",
        description="Measure what a policy costs and loses against a plain vote.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in _COMMANDS.items():
        summary = (command.__doc__ or "").splitlines()[0]
        command.add_arguments(
            commands.add_parser(
                name,
                help=summary,
                description=command.__doc__,
                formatter_class=argparse.RawDescriptionHelpFormatter,
                allow_abbrev=False,
            )
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
