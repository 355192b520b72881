"""Make labelled pairs of unfinished traces, to train and measure a judge; prints one JSON line.

deepprune-judge pairs --traces runs/2026-11-22T05-02-57-a527b9 traces.jsonl.gz --out pairs --oversample 2 --both-orders
"""

import argparse
import json
from pathlib import Path
from typing import Any

from judge_server.cli.arguments import add_traces
from orchestrator.cli.argtypes import fraction, positive

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    add_traces(parser, kind="")
    parser.add_argument(
        "--out", type=Path, required=True, help="new folder for the pairs and their card"
    )
    parser.add_argument(
        "--judge", default="nano", metavar="NAME|FILE", help="one of configs/judges, or a YAML file"
    )
    _add_truncation(
        parser.add_argument_group("where traces are cut (default: as in the judge's YAML)")
    )
    _add_labels(parser.add_argument_group("labels"))
    _add_splits(parser.add_argument_group("splits, by question"))
    _add_numbers(parser.add_argument_group("how many"))


def _add_truncation(group: Any) -> None:
    group.add_argument("--words", type=positive, metavar="K", help="after K reasoning words")
    group.add_argument(
        "--word-list",
        metavar="NAME|FILE",
        help="one of configs/words, or a YAML file with checkpoint.word_list",
    )
    group.add_argument("--tokens", type=positive, metavar="K", help="after K tokens")
    group.add_argument("--tokenizer", type=Path, metavar="DIR", help="the reasoner's model folder")
    group.add_argument(
        "--max-segment-chars",
        type=positive,
        metavar="N",
        help="keep the last N characters of a longer segment",
    )
    group.add_argument(
        "--short",
        choices=("keep", "drop"),
        default="keep",
        help="traces that end before the cut (default: keep)",
    )
    group.add_argument(
        "--keep-trivial",
        action="store_true",
        help="keep pairs in which a segment already shows an answer",
    )


def _add_labels(group: Any) -> None:
    group.add_argument(
        "--answer-regex",
        metavar="REGEX",
        help="finds the answer in traces without a field answer; tried first",
    )
    group.add_argument(
        "--trust-answer-class",
        action="store_true",
        help="take equal answer_class for equal answers, without a check",
    )
    group.add_argument(
        "--workers",
        type=positive,
        default=1,
        metavar="N",
        help="processes that compare answers (default: 1)",
    )


def _add_splits(group: Any) -> None:
    for name, default in (("validation", 0.07), ("test", 0.18)):
        group.add_argument(
            f"--{name}-share",
            type=fraction,
            default=default,
            metavar="FRACTION",
            help=f"of the questions (default: {default})",
        )
    group.add_argument(
        "--test-model",
        action="append",
        default=[],
        metavar="NAME",
        help="a model whose traces are for testing only; may be repeated",
    )
    group.add_argument(
        "--seed", type=int, default=0, metavar="N", help="for splits and draws (default: 0)"
    )


def _add_numbers(group: Any) -> None:
    group.add_argument(
        "--pairs-per-question",
        type=positive,
        default=300,
        metavar="N",
        help="cap for each question and model (default: 300)",
    )
    group.add_argument(
        "--both-orders", action="store_true", help="write training pairs in both orders"
    )
    group.add_argument(
        "--oversample",
        type=positive,
        default=1,
        metavar="TIMES",
        help="how often to write pairs of the rarer class in the training file (default: 1; the paper: 2)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Writes the folder, and prints its counts."""
    from judge_server.data.build import write_dataset
    from judge_server.data.build_options import DatasetSettings

    values = {name: value for name, value in vars(arguments).items() if name != "command"}
    card = write_dataset(DatasetSettings(**values))
    counts = {
        split: {name: of_split[name] for name in ("questions", "pairs", "same_share", "records")}
        for split, of_split in card["splits"].items()
    }
    print(json.dumps({"out": str(arguments.out), **counts, "total": card["total"]}))
