"""Finished runs side by side as a Markdown table: accuracy, tokens, the judge's bill and what was saved.

deepprune-bench table deepprune=runs/20250101-120000-ab12 consensus=runs/20250101-130000-cd34
"""

import argparse
from pathlib import Path
from typing import NamedTuple

__all__ = ["add_arguments", "run"]


class _NamedRun(NamedTuple):
    name: str
    folder: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    parser.add_argument(
        "runs",
        type=_named_run,
        nargs="+",
        metavar="NAME=RUN",
        help="a name for the row, and the folder of a run over questions with answers",
    )


def run(arguments: argparse.Namespace) -> None:
    """Prints the table."""
    from bench.reports.tables import run_table

    print(run_table(arguments.runs))


def _named_run(text: str) -> _NamedRun:
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise argparse.ArgumentTypeError(f"{text} is not of the form NAME=RUN")
    return _NamedRun(name, Path(folder))
