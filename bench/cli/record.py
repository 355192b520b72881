"""Record whole traces of a set of questions, for replay; goes on where it was stopped.

deepprune-bench record --endpoint http://gpu:8000/v1 --questions aime.jsonl --traces 64 --out recordings/aime
"""

import argparse
from pathlib import Path

from bench.cli.options import add_live_arguments, play_live
from bench.cli.run import add_ray_argument
from orchestrator.cli.argtypes import positive

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    parser.add_argument(
        "--traces", type=positive, default=64, metavar="N", help="for every question"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    add_ray_argument(parser)
    add_live_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Records, and prints the folder that `run --replay` takes."""
    play_live(arguments, ["consensus"], traces=arguments.traces, out=arguments.out)
    print(arguments.out / "consensus")
