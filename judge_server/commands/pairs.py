"""Make labelled pairs of unfinished traces, to train and measure a judge; prints one JSON line.

deepprune-judge pairs --traces runs/2026-11-22T05-02-57-a527b9 traces.jsonl.gz --out pairs --oversample 2 --both-orders
"""

import argparse
import json
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    add = parser.add_argument
    add(
        "--traces",
        type=Path,
        nargs="+",
        action="extend",
        required=True,
        metavar="PATH",
        help="JSON lines (also .gz), Parquet, or folders of runs; as many as you like",
    )
    add("--out", type=Path, required=True, help="new folder for the pairs and their card")
    add("--judge", default="nano", help="a name in configs/judges, or a YAML file")

    cut = parser.add_argument_group("where traces are cut (default: where the judge's YAML says)")
    cut.add_argument("--words", type=_count, metavar="K", help="after K reasoning words")
    cut.add_argument(
        "--word-list",
        metavar="NAME|FILE",
        help="a name in configs/words, or a YAML file with checkpoint.word_list",
    )
    cut.add_argument("--tokens", type=_count, metavar="K", help="after K tokens")
    cut.add_argument("--tokenizer", type=Path, metavar="DIR", help="the reasoner's model folder")
    cut.add_argument(
        "--max-segment-chars", type=_count, metavar="N", help="keep the last N of a longer segment"
    )
    cut.add_argument(
        "--short",
        choices=("keep", "drop"),
        default="keep",
        help="traces that end before the cut (default: keep those that show no answer)",
    )
    cut.add_argument(
        "--keep-trivial",
        action="store_true",
        help="also pairs in which a segment already shows an answer",
    )

    label = parser.add_argument_group("labels")
    label.add_argument(
        "--answer-regex", help="finds the answer in traces that come without one; tried first"
    )
    label.add_argument(
        "--trust-answer-class",
        action="store_true",
        help="same answer_class means same answer, with no check",
    )
    label.add_argument(
        "--workers", type=_count, default=1, help="processes that compare answers (default: 1)"
    )

    split = parser.add_argument_group("splits, by question")
    split.add_argument("--validation-share", type=_share, default=0.07, help="(default: 0.07)")
    split.add_argument("--test-share", type=_share, default=0.18, help="(default: 0.18)")
    split.add_argument(
        "--test-model",
        action="append",
        default=[],
        metavar="NAME",
        help="a model whose traces are for testing only; may be repeated",
    )
    split.add_argument("--seed", type=int, default=0, help="for splits and draws (default: 0)")

    number = parser.add_argument_group("how many")
    number.add_argument(
        "--pairs-per-question",
        type=_count,
        default=300,
        metavar="N",
        help="cap for each question and model (default: 300)",
    )
    number.add_argument(
        "--both-orders", action="store_true", help="training pairs also the other way round"
    )
    number.add_argument(
        "--oversample",
        type=_count,
        default=1,
        metavar="TIMES",
        help="how often the rarer class is in the training file (default: 1; the paper: 2)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Writes the folder, and prints its counts."""
    from judge_server.dataset import write_dataset
    from judge_server.dataset_settings import DatasetSettings

    values = {name: value for name, value in vars(arguments).items() if name != "command"}
    card = write_dataset(DatasetSettings(**values))
    counts = {
        split: {name: part[name] for name in ("questions", "pairs", "same_share", "records")}
        for split, part in card["splits"].items()
    }
    print(json.dumps({"out": str(arguments.out), **counts, "total": card["total"]}))


def _count(text: str) -> int:
    """A whole number above zero."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number above 0")
    return int(text)


def _share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 to 1")
    return share
