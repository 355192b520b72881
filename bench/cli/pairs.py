"""Judge pairs that a run asked, and that comparing every trace with every cluster would have asked.

deepprune-bench pairs runs/20250101-120000-ab12
"""

import argparse
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    parser.add_argument("run", type=Path, help="the folder of a run with a judge")


def run(arguments: argparse.Namespace) -> None:
    """Prints one line over all questions of the run."""
    from bench.analysis.pair_counts import count_pairs
    from bench.data.readers.journals import journals_of

    counts = [count_pairs(journal) for journal in journals_of(arguments.run)]
    asked = sum(count.asked for count in counts)
    exhaustive = sum(count.exhaustive for count in counts)
    print(f"{len(counts)} questions: {asked:,} pairs asked, {exhaustive:,} by the exhaustive rule")
