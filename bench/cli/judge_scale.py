"""Pairs that deepprune asks a judge at N = 512, beside the exhaustive rule and the least that can do, on recorded traces.

deepprune-bench judge-scale --replay aime24.json --auroc 0.71 --auroc perfect --questions 10
"""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli.argtypes import positive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.analysis.judge_scale import ScaleLine

__all__ = ["add_arguments", "run"]

_AUROCS = ("0.71", "0.87", "perfect")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    parser.add_argument(
        "--replay",
        type=Path,
        action="append",
        required=True,
        metavar="FILE",
        help="recorded traces, as for run --replay; may be repeated",
    )
    parser.add_argument(
        "--auroc",
        action="append",
        metavar="P|perfect",
        help=f"of the simulated judge; may be repeated; default: {', '.join(_AUROCS)}",
    )
    parser.add_argument(
        "--traces",
        type=positive,
        default=512,
        metavar="N",
        help="per question, drawn with replacement",
    )
    parser.add_argument(
        "--questions",
        type=positive,
        metavar="N",
        help="only so many of a file, evenly spread; default: all",
    )
    parser.add_argument(
        "--checkpoint-tokens",
        type=positive,
        default=500,
        metavar="N",
        help="checkpoint after so many tokens; default 500",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the draws and of the judge")
    parser.add_argument("--json", action="store_true", help="one JSON line per way to match")


def run(arguments: argparse.Namespace) -> None:
    """Measures and prints."""
    from bench.analysis.judge_scale import measure_scale
    from bench.data.readers import read_recorded
    from bench.specs.policy_spec import parse_auroc
    from orchestrator.terminal.progress import Progress

    aurocs = [parse_auroc(text) for text in arguments.auroc or _AUROCS]
    files = []
    for path in arguments.replay:
        questions = read_recorded(path)
        wanted = min(arguments.questions or len(questions), len(questions))
        files.append((path, [questions[n * len(questions) // wanted] for n in range(wanted)]))
    total = len(aurocs) * sum(len(questions) for _, questions in files)
    lines: list[ScaleLine] = []
    with Progress("questions", total) as progress:
        for path, questions in files:
            for auroc in aurocs:
                lines += measure_scale(
                    str(path),
                    questions,
                    auroc,
                    traces=arguments.traces,
                    seed=arguments.seed,
                    checkpoint_tokens=arguments.checkpoint_tokens,
                    advance=progress.advance,
                )
    _print_lines(lines, as_json=arguments.json)


def _print_lines(lines: "Sequence[ScaleLine]", *, as_json: bool) -> None:
    import msgspec

    if as_json:
        for line in lines:
            print(json.dumps(msgspec.to_builtins(line)))
        return
    from itertools import groupby

    from rich.console import Console

    from bench.reports.judge_scale import scale_table
    from orchestrator.terminal.safe_stream import trusting

    console = Console(file=trusting(sys.stdout))
    for _, group in groupby(lines, key=lambda line: (line.file, line.auroc)):
        console.print(scale_table(list(group)))
