"""Find out whether a judge pays on your model and questions, before you deploy it.

deepprune-judge check --endpoint http://gpu:8000/v1 --judge-endpoint http://judge:8001/v1 --questions aime.jsonl --out check
deepprune-judge check --traces recording/consensus --judge runs/my-judge --out check

Records whole traces, measures and calibrates the judge on them, replays policies with its verdicts, and recommends tau,
calibration and policy. The same command continues where it was interrupted. Prints Markdown, or one JSON line.
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli.argtypes import fraction, non_negative, positive
from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from judge_server.check.request import CheckRequest

__all__ = ["add_arguments", "run"]

_TAUS = (0.25, 0.35, 0.45, 0.5, 0.55, 0.65, 0.75)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    _add_reasoner(parser.add_argument_group("traces"))
    _add_judge(parser.add_argument_group("judge"))
    _add_replay(parser.add_argument_group("replay and output"))


def _add_reasoner(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--endpoint", action="append", default=[], metavar="URL", help="reasoner; may be repeated"
    )
    group.add_argument(
        "--questions", type=Path, metavar="FILE", help="with id, question, answer: what is recorded"
    )
    group.add_argument(
        "--traces",
        type=Path,
        metavar="PATH",
        help="whole traces of one model instead: a recording's folder, or JSON lines (also .gz)",
    )
    group.add_argument(
        "--traces-per-question",
        type=positive,
        default=16,
        metavar="N",
        help="that are recorded and replayed (default: 16)",
    )
    group.add_argument(
        "--budget",
        type=positive,
        metavar="TOKENS",
        help="record only as many questions as so many tokens of the reasoner pay for",
    )
    group.add_argument(
        "--record-flag",
        action="append",
        default=[],
        metavar="FLAG",
        help="passed to deepprune-bench record, such as --record-flag=--preset=qwen3; may be repeated",
    )


def _add_judge(group: "argparse._ArgumentGroup") -> None:
    judge = group.add_mutually_exclusive_group(required=True)
    judge.add_argument("--judge-endpoint", metavar="URL", help="a judge's server")
    judge.add_argument("--judge", metavar="DIR|BASELINE", help="a judge's folder, or a baseline")
    group.add_argument(
        "--spec",
        metavar="NAME|FILE",
        help="how to ask it: a name in configs/judges, or a YAML file",
    )
    group.add_argument(
        "--words",
        type=positive,
        metavar="K",
        help="reasoning words before the cut (default: the judge's own, else 25)",
    )
    group.add_argument(
        "--concurrency",
        type=positive,
        default=8,
        metavar="N",
        help="requests at a time (default: 8)",
    )
    group.add_argument(
        "--calibrate",
        choices=("temperature", "isotonic"),
        default="isotonic",
        help="how its probabilities are fitted (default: isotonic)",
    )


def _add_replay(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--tau",
        type=fraction,
        action="append",
        metavar="P",
        help="replayed, may be repeated (default: seven from 0.25 to 0.75)",
    )
    group.add_argument(
        "--survivors",
        type=positive,
        metavar="N",
        help="traces of the largest cluster that deepprune finishes (default: a quarter of the traces)",
    )
    group.add_argument(
        "--resamples",
        type=positive,
        default=10,
        metavar="N",
        help="replays of every question (default: 10)",
    )
    group.add_argument(
        "--judge-price",
        type=non_negative,
        default=1.0,
        metavar="P",
        help="of a judge token in reasoner tokens: judge parameters / reasoner parameters (default: 1)",
    )
    group.add_argument("--seed", type=int, default=0, help="default: 0")
    group.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="for all files, where it continues"
    )
    group.add_argument("--json", action="store_true", help="one JSON line on stdout")


def run(arguments: argparse.Namespace) -> None:
    """Checks, writes the page, and prints the recommendation with its tables."""
    from judge_server.check.check import check

    found = check(_request(arguments))
    print(
        json.dumps(found.line) if arguments.json else found.text, end="\n" if arguments.json else ""
    )


def _request(arguments: argparse.Namespace) -> "CheckRequest":
    from judge_server.check.request import CheckRequest
    from judge_server.data.truncation import Truncation

    live = bool(arguments.endpoint or arguments.questions)
    if live == bool(arguments.traces) or (
        live and not (arguments.endpoint and arguments.questions)
    ):
        raise ConfigError("Give --endpoint URL and --questions FILE, or recorded --traces PATH.")
    traces = arguments.traces_per_question
    return CheckRequest(
        recorded=arguments.traces,
        endpoints=arguments.endpoint,
        questions=arguments.questions,
        record_flags=arguments.record_flag,
        traces=traces,
        budget=arguments.budget,
        judge=arguments.judge_endpoint or arguments.judge,
        spec=arguments.spec,
        concurrency=arguments.concurrency,
        cut=Truncation(arguments.words) if arguments.words else None,
        survivors=arguments.survivors or max(1, traces // 4),
        taus=arguments.tau or _TAUS,
        resamples=arguments.resamples,
        judge_price=arguments.judge_price,
        calibrate=arguments.calibrate,
        seed=arguments.seed,
        out=arguments.out,
    )
