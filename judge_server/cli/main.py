"""`deepprune-judge pairs | train | evaluate | serve | throughput`: the subcommands, one module each."""

import argparse
import sys
from collections.abc import Sequence

from judge_server.cli import evaluate, pairs, serve, throughput, train
from orchestrator.cli.subcommands import carry_out, subcommand_parser
from orchestrator.local_vllm.hardware import hide_unfit_torch_companions

__all__ = ["main"]

_PROGRAM = "deepprune-judge"

_COMMANDS = {
    "pairs": pairs,
    "train": train,
    "evaluate": evaluate,
    "serve": serve,
    "throughput": throughput,
}

_EPILOG = """\
keys:    DEEPPRUNE_JUDGE_API_KEY for a judge at an address; `serve` demands it
stdout:  results only; progress goes to stderr
exit:    0 done, 1 the command failed, 2 wrong input, 130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the subcommand; returns the exit code."""
    hide_unfit_torch_companions()
    return carry_out(_PROGRAM, _COMMANDS, _parse(sys.argv[1:] if argv is None else argv))


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
    return subcommand_parser(
        _PROGRAM,
        _COMMANDS,
        description="Make, train, measure and serve a judge, which predicts from two unfinished traces "
        "whether their answers will be identical.",
        epilog=_EPILOG,
    )


if __name__ == "__main__":
    sys.exit(main())
