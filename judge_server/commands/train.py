"""Train a judge from a model and traces."""

import argparse
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    parser.add_argument(
        "--config",
        type=Path,
        required=True,
        help="the judge's YAML; NAME-train.yaml lies beside it",
    )
    parser.add_argument(
        "--settings",
        type=Path,
        help="training settings; default: NAME-train.yaml beside the judge's",
    )
    parser.add_argument("--traces", type=Path, required=True, help="JSON lines of finished traces")
    parser.add_argument(
        "--init", type=Path, required=True, help="folder of the model to start from"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the judge")


def run(arguments: argparse.Namespace) -> None:
    """Trains the judge and writes a folder that transformers and vLLM load."""
    from judge_server.train import Arguments, train

    values = {name: value for name, value in vars(arguments).items() if name != "command"}
    train(Arguments(**values))
