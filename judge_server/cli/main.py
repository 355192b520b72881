"""`deepprune-judge analyze | pairs | train | cross-validate | learning-curve | evaluate | check | serve | throughput | convert`: the subcommands."""

import argparse
import sys
from collections.abc import Callable, Sequence
from types import ModuleType

from orchestrator.cli.program import run_program

__all__ = ["main"]

_PROGRAM = "deepprune-judge"

_EPILOG = """\
keys:    DEEPPRUNE_JUDGE_API_KEY for a judge at an address; `serve` demands it
stdout:  results only; progress goes to stderr
exit:    0 done, 1 the command failed, 2 wrong input, 130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the subcommand; returns the exit code."""
    return run_program(_PROGRAM, argv, _prepare)


def _prepare(words: list[str]) -> Callable[[], int]:
    from orchestrator.cli.subcommands import carry_out
    from orchestrator.local_vllm.hardware import hide_unfit_torch_companions

    hide_unfit_torch_companions()
    arguments = _parse(words)
    return lambda: carry_out(_PROGRAM, _commands(), arguments)


def _commands() -> dict[str, ModuleType]:
    from judge_server.cli import (
        analyze,
        check,
        convert,
        cross_validate,
        evaluate,
        learning_curve,
        pairs,
        serve,
        throughput,
        train,
    )

    return {
        "analyze": analyze,
        "pairs": pairs,
        "train": train,
        "cross-validate": cross_validate,
        "learning-curve": learning_curve,
        "evaluate": evaluate,
        "check": check,
        "serve": serve,
        "throughput": throughput,
        "convert": convert,
    }


def _parse(words: Sequence[str]) -> argparse.Namespace:
    """The arguments; those after "--" are for vLLM, in the one command that starts it."""
    parser = _parser()
    cut = words.index("--") if "--" in words else len(words)
    arguments = parser.parse_args(words[:cut])
    if "vllm_flags" in arguments:
        arguments.vllm_flags = list(words[cut + 1 :])
    elif cut < len(words):
        parser.error(f"{arguments.command} takes no flags after --")
    return arguments


def _parser() -> argparse.ArgumentParser:
    from orchestrator.cli.subcommands import subcommand_parser

    return subcommand_parser(
        _PROGRAM,
        _commands(),
        description="Analyse traces; make, train, measure and serve a judge, which predicts from two unfinished traces "
        "whether their answers will be identical.",
        epilog=_EPILOG,
    )


if __name__ == "__main__":
    sys.exit(main())
