"""Replay a grid of policies and settings, and keep every outcome; a sweep that was stopped continues.

deepprune-bench sweep configs/sweeps/frontier.yaml --replay aime24.json --out sweeps/aime
"""

import argparse
import json
from pathlib import Path

from bench.cli.options import add_half_argument, add_ray_argument

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    parser.add_argument("grid", type=Path, help="YAML: policies, and other flags of run")
    parser.add_argument(
        "--replay",
        type=Path,
        action="append",
        required=True,
        metavar="FILE",
        help="recorded traces, as for run; may be repeated",
    )
    add_half_argument(parser)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of the outcomes, where the sweep can be continued",
    )
    add_ray_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Replays what the folder does not hold yet; prints one JSON line per policy and file."""
    from bench.programs.sweep import run_sweep
    from bench.specs.grid import read_grid

    lines = run_sweep(
        read_grid(arguments.grid),
        arguments.replay,
        half=arguments.half,
        out=arguments.out,
        ray=arguments.ray,
    )
    for line in lines:
        print(json.dumps(line), flush=True)
