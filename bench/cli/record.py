"""Record whole traces of a set of questions, for replay; a recording that was stopped continues.

deepprune-bench record --endpoint http://gpu:8000/v1 --questions aime.jsonl --traces 64 --out recordings/aime
"""

import argparse
import os
from pathlib import Path

from bench.cli.options import add_live_arguments, add_ray_argument, live_options
from orchestrator.cli.argtypes import positive

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    parser.add_argument(
        "--traces", type=positive, default=64, metavar="N", help="traces of every question"
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of the recording, where it can be continued",
    )
    add_ray_argument(parser)
    add_live_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Records, and prints the folder that `run --replay` takes."""
    from bench.programs.live import run_live_benchmark

    run_live_benchmark(
        live_options(arguments),
        ["consensus"],
        traces=arguments.traces,
        out=arguments.out,
        environ=os.environ,
    )
    print(arguments.out / "consensus")
