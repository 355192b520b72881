"""`deepprune-bench COMMAND`: measure policies, compare the outcomes, record traces and serve them."""

import sys
from collections.abc import Sequence

from bench.cli import compare, pairs, record, run, serve, sweep, table
from orchestrator.cli.subcommands import carry_out, subcommand_parser

__all__ = ["main"]

_PROGRAM = "deepprune-bench"

_COMMANDS = {
    "run": run,
    "sweep": sweep,
    "compare": compare,
    "record": record,
    "serve": serve,
    "table": table,
    "pairs": pairs,
}

_EPILOG = """\
keys:    OPENAI_API_KEY for the reasoner, DEEPPRUNE_JUDGE_API_KEY for the judge, DEEPPRUNE_REWARD_API_KEY for rewards
stdout:  results only; progress goes to stderr
exit:    0 done, 1 the command failed, 2 wrong input, 130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the subcommand; returns the exit code."""
    parser = subcommand_parser(
        _PROGRAM,
        _COMMANDS,
        description="Measure what a policy costs and loses against a plain vote.",
        epilog=_EPILOG,
    )
    return carry_out(_PROGRAM, _COMMANDS, parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
