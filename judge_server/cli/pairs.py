"""Make labelled pairs of unfinished traces, to train and measure a judge; prints one JSON line.

deepprune-judge pairs --traces runs/2026-11-22T05-02-57-a527b9 traces.jsonl.gz --out pairs --oversample 2 --both-orders
"""

import argparse
import json
from pathlib import Path
from typing import Any

from orchestrator.cli.argtypes import fraction, positive

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    parser.add_argument(
        "--traces",
        type=Path,
        nargs="+",
        action="extend",
        required=True,
        metavar="PATH",
        help="JSON lines (also .gz), Parquet, or folders of runs; as many as you like",
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="new folder for the pairs and their card"
    )
    parser.add_argument(
        "--judge", default="nano", metavar="NAME|FILE", help="one of configs/judges, or a YAML file"
    )
    _add_cutting(
        parser.add_argument_group("where traces are cut (default: as the judge's YAML says)")
    )
    _add_labels(parser.add_argument_group("labels"))
    _add_splits(parser.add_argument_group("splits, by question"))
    _add_numbers(parser.add_argument_group("how many"))


def _add_cutting(group: Any) -> None:
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
        help="keep the last N of a longer segment",
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
        help="also pairs in which a segment already shows an answer",
    )


def _add_labels(group: Any) -> None:
    group.add_argument(
        "--answer-regex",
        metavar="REGEX",
        help="finds the answer in traces that come without one; tried first",
    )
    group.add_argument(
        "--trust-answer-class",
        action="store_true",
        help="same answer_class means same answer, with no check",
    )
    group.add_argument(
        "--workers",
        type=positive,
        default=1,
        metavar="N",
        help="processes that compare answers (default: 1)",
    )


def _add_splits(group: Any) -> None:
    for name, share in (("validation", 0.07), ("test", 0.18)):
        group.add_argument(
            f"--{name}-share",
            type=fraction,
            default=share,
            metavar="SHARE",
            help=f"of the questions (default: {share})",
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
        "--both-orders", action="store_true", help="training pairs also the other way round"
    )
    group.add_argument(
        "--oversample",
        type=positive,
        default=1,
        metavar="TIMES",
        help="how often the rarer class is in the training file (default: 1; the paper: 2)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Writes the folder, and prints its counts."""
    from judge_server.data.build import write_dataset
    from judge_server.data.build_options import DatasetSettings

    values = {name: value for name, value in vars(arguments).items() if name != "command"}
    card = write_dataset(DatasetSettings(**values))
    counts = {
        split: {name: part[name] for name in ("questions", "pairs", "same_share", "records")}
        for split, part in card["splits"].items()
    }
    print(json.dumps({"out": str(arguments.out), **counts, "total": card["total"]}))
