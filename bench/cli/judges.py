"""Which policy is best, for how good a judge is and what one of its tokens costs, on recorded traces.

deepprune-bench judges --replay aime24.json --price 0 --price 0.05 --price 0.2 --judge-correlation 0.5
"""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.options import add_half_argument
from orchestrator.cli.argtypes import fraction, non_negative, positive

if TYPE_CHECKING:
    from bench.analysis.judge_grid import GridCell

__all__ = ["add_arguments", "run"]

_VOTES = tuple(f"cons@{n}" for n in (1, 2, 3, 4, 6, 8, 12, 16, 24))
_WITHOUT = ("auto", "auto:probes=false")
_WITH_JUDGE = ("auto:probes=false,use_judge=true", "deepprune@8")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    parser.add_argument(
        "--replay",
        type=Path,
        action="append",
        required=True,
        metavar="FILE",
        help="recorded traces: .jsonl, .parquet, a probe matrix .json, or a run's folder; may be repeated",
    )
    parser.add_argument(
        "--auroc",
        action="append",
        metavar="P|perfect",
        help="of a simulated judge; may be repeated; default: 0.6, 0.71, 0.8, 0.87, 0.95, perfect",
    )
    parser.add_argument(
        "--price",
        type=non_negative,
        action="append",
        metavar="P",
        help="of a token that the judge reads, in generated reasoner tokens; may be repeated; default: 0, 0.02, 0.2",
    )
    parser.add_argument(
        "--policy",
        action="append",
        metavar="NAME[@N][:KEY=VALUE,...]",
        help=f"with the judge; may be repeated; default: {' and '.join(_WITH_JUDGE)}",
    )
    parser.add_argument(
        "--judge-correlation",
        type=fraction,
        default=0.5,
        metavar="R",
        help="fraction of the judge's errors that go with a trace and not with a pair; default 0.5",
    )
    parser.add_argument("--resamples", type=positive, default=20, metavar="N", help="as for run")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="as for run")
    add_half_argument(parser)
    parser.add_argument("--json", action="store_true", help="one JSON line per cell")


def run(arguments: argparse.Namespace) -> None:
    """Replays and prints the table."""
    import msgspec

    from bench.analysis.judge_grid import JudgeGrid, judge_grid
    from bench.programs.replay import read_files, run_replay
    from bench.replay.replay import ReplayPlan

    grid = JudgeGrid(
        without=[*_VOTES, *_WITHOUT],
        with_judge=arguments.policy or _WITH_JUDGE,
        aurocs=arguments.auroc or ("0.6", "0.71", "0.8", "0.87", "0.95", "perfect"),
        prices=arguments.price or (0.0, 0.02, 0.2),
    )
    plan = ReplayPlan(
        max_traces=64,
        resamples=arguments.resamples,
        seed=arguments.seed,
        judge_correlation=arguments.judge_correlation,
    )
    files = read_files(arguments.replay, arguments.half)
    cells = judge_grid(grid, lambda specs: run_replay(specs, files, plan))
    if arguments.json:
        for cell in cells:
            print(json.dumps(msgspec.to_builtins(cell)))
        return
    _print_tables(cells)


def _print_tables(cells: "list[GridCell]") -> None:
    from rich.console import Console

    from bench.reports.judge_grid import grid_table
    from orchestrator.terminal.safe_stream import trusting

    console = Console(file=trusting(sys.stdout))
    for file in dict.fromkeys(cell.file for cell in cells):
        console.print(grid_table([cell for cell in cells if cell.file == file]))
