"""`deepprune-bench COMMAND`: measure policies, compare the outcomes, record traces and serve them."""

import sys
from collections.abc import Callable, Sequence

from orchestrator.cli.program import run_program

__all__ = ["main"]

_PROGRAM = "deepprune-bench"

_EPILOG = """\
keys:    OPENAI_API_KEY for the reasoner, DEEPPRUNE_JUDGE_API_KEY for the judge, DEEPPRUNE_REWARD_API_KEY for rewards
stdout:  results only; progress goes to stderr
exit:    0 done, 1 the command failed, 2 wrong input, 130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the subcommand; returns the exit code."""
    return run_program(_PROGRAM, argv, _prepare)


def _prepare(words: list[str]) -> Callable[[], int]:
    from bench.cli import (
        compare,
        judge_scale,
        judges,
        pairs,
        probes,
        record,
        run,
        serve,
        sweep,
        table,
    )
    from orchestrator.cli.subcommands import carry_out, subcommand_parser

    commands = {
        "run": run,
        "sweep": sweep,
        "compare": compare,
        "record": record,
        "serve": serve,
        "table": table,
        "pairs": pairs,
        "probes": probes,
        "judges": judges,
        "judge-scale": judge_scale,
    }
    parser = subcommand_parser(
        _PROGRAM,
        commands,
        description="Measure what a policy costs and loses against a plain vote.",
        epilog=_EPILOG,
    )
    arguments = parser.parse_args(words)
    return lambda: carry_out(_PROGRAM, commands, arguments)


if __name__ == "__main__":
    sys.exit(main())
