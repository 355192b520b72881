"""`deepprune-judge pairs | train | evaluate | serve`: subcommands, and errors as one sentence with an exit code."""

import argparse
import os
import sys
from collections.abc import Sequence

from judge_server.commands import evaluate, pairs, serve, train
from orchestrator import __version__
from orchestrator.errors import DeepPruneError

__all__ = ["main"]

_COMMANDS = {
    "pairs": pairs,
    "train": train,
    "evaluate": evaluate,
    "serve": serve,
}

_EPILOG = """\
keys:    DEEPPRUNE_JUDGE_API_KEY for a judge that is asked at an address; `serve` demands it
stdout:  results only; progress goes to stderr
exit:    0 done, 1 the command failed, 2 wrong input, 130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the subcommand; returns the exit code and never shows a traceback for a foreseen error."""
    arguments = _parse(sys.argv[1:] if argv is None else argv)
    try:
        _COMMANDS[arguments.command].run(arguments)
    except DeepPruneError as error:
        print(f"deepprune-judge {arguments.command}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _parse(words: Sequence[str]) -> argparse.Namespace:
    """The arguments; what stands after "--" is vLLM's, for the one command that passes it on."""
    parser = _parser()
    cut = words.index("--") if "--" in words else len(words)
    arguments = parser.parse_args(words[:cut])
    if "vllm_flags" in arguments:
        arguments.vllm_flags = list(words[cut + 1 :])
    elif cut < len(words):
        parser.error(f"{arguments.command} takes no flags after --")
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deepprune-judge",
        description="Make, train, measure and serve a judge that tells from two unfinished traces "
        "whether their answers will be identical.",
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
            )
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
