"""Measure how well a judge tells same-answer pairs from the others; prints one JSON line.

deepprune-judge evaluate --config configs/judges/nano.yaml --traces traces.jsonl --judge nano/weights/judge
"""

import argparse
import json
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    parser.add_argument("--config", type=Path, required=True, help="the judge's YAML")
    parser.add_argument("--traces", type=Path, required=True, help="JSON lines of finished traces")
    parser.add_argument("--judge", type=Path, required=True, help="the judge's model folder")
    parser.add_argument("--split", choices=("validation", "test", "all"), default="test")
    parser.add_argument(
        "--words", type=int, help="reasoning words before the cut (default: the judge's)"
    )
    parser.add_argument("--pairs-per-question", type=int, default=300)
    parser.add_argument(
        "--seed", type=int, default=0, help="for the order of pairs and the bootstrap"
    )
    parser.add_argument(
        "--keep-trivial", action="store_true", help="also pairs that both show the answer"
    )


def run(arguments: argparse.Namespace) -> None:
    """Evaluates and prints."""
    from judge_server.evaluate import Arguments, evaluate

    values = {name: value for name, value in vars(arguments).items() if name != "command"}
    print(json.dumps(evaluate(Arguments(**values))))
