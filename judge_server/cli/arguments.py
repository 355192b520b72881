"""The flags that several commands share: where traces come from, and the judge and settings of a training."""

import argparse
from pathlib import Path

__all__ = ["add_init", "add_recipe", "add_source", "add_traces", "add_vectors"]


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """The judge that is trained, and the settings of its training."""
    parser.add_argument(
        "--config", required=True, metavar="SPEC", help="a name in configs/judges, or a YAML file"
    )
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", help="default: NAME-train.yaml beside the judge's"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="A=B", help="one setting; may be repeated"
    )


def add_init(parser: argparse.ArgumentParser) -> None:
    """The model that the judge is trained from."""
    parser.add_argument(
        "--init",
        required=True,
        metavar="MODEL",
        help="a model folder, or a model's name on the hub",
    )


def add_vectors(parser: argparse.ArgumentParser) -> None:
    """The file of vectors of an embedding-head."""
    parser.add_argument(
        "--vectors",
        type=Path,
        metavar="FILE",
        help="of an embedding-head: keeps the vectors of segments, so that the model reads each only once",
    )


def add_source(container: "argparse._ActionsContainer") -> None:
    """Traces, or a file of pairs; one of the two is required."""
    source = container.add_mutually_exclusive_group(required=True)
    add_traces(source, required=False)
    source.add_argument(
        "--pairs", type=Path, metavar="FILE", help="pairs as deepprune-judge pairs writes them"
    )


def add_traces(
    container: "argparse._ActionsContainer",
    *,
    required: bool = True,
    kind: str = "finished traces: ",
) -> None:
    """Files or folders of traces; `kind` begins the help text."""
    container.add_argument(
        "--traces",
        type=Path,
        nargs="+",
        action="extend",
        required=required,
        metavar="PATH",
        help=f"{kind}JSON lines (also .gz), Parquet, or folders of runs; one or more",
    )
