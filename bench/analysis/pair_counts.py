"""How many pairs the exhaustive rule would have asked, from recorded runs: `python -m bench.analysis.pair_counts RUN`.

The assignment is the same with and without bounds, so the exhaustive bill follows from the journal: every trace
that was assigned would have been compared with min(K1, |c|) members of every cluster c of that moment.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.data.readers.journals import journals_of
from orchestrator.core.events import ClusterOpened, PairsJudged, RunStarted, TraceJoined
from orchestrator.errors import DeepPruneError
from orchestrator.journal.journal import read_journal

__all__ = ["PairCount", "count_pairs"]


class PairCount(NamedTuple):
    """Pairs of one question: those that were asked, and those that the exhaustive rule asks."""

    asked: int
    exhaustive: int


def count_pairs(journal: Path) -> PairCount:
    """The pairs of one recorded question."""
    sample_members = 0
    asked = exhaustive = 0
    sizes: list[int] = []
    for entry in read_journal(journal):
        match entry:
            case RunStarted(settings=settings):
                sample_members = settings["policy"]["sample_members"]
            case PairsJudged(members=members):
                asked += len(members)
            case ClusterOpened():
                exhaustive += sum(min(sample_members, size) for size in sizes)
                sizes.append(1)
            case TraceJoined(cluster=cluster):
                exhaustive += sum(min(sample_members, size) for size in sizes)
                sizes[cluster] += 1
            case _:
                pass
    return PairCount(asked, exhaustive)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; prints one line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.analysis.pair_counts", description=__doc__
    )
    parser.add_argument("run", type=Path, help="folder of a deepprune run")
    arguments = parser.parse_args(argv)
    try:
        counts = [count_pairs(journal) for journal in journals_of(arguments.run)]
    except DeepPruneError as error:
        print(f"pairs: {error}", file=sys.stderr)
        return error.exit_code
    asked = sum(count.asked for count in counts)
    exhaustive = sum(count.exhaustive for count in counts)
    print(f"{len(counts)} questions: {asked:,} pairs asked, {exhaustive:,} by the exhaustive rule")
    return 0


if __name__ == "__main__":
    sys.exit(main())
