"""How many pairs the judge was asked in a recorded run, and how many the exhaustive rule would have asked.

The assignment of traces to clusters is the same with and without bounds, so the exhaustive count follows from the
journal: every trace that was assigned would have been compared with min(K1, |c|) members of every cluster c that
existed at that moment.
"""

from pathlib import Path
from typing import NamedTuple

from orchestrator.core.events import ClusterOpened, PairsJudged, RunStarted, TraceJoined
from orchestrator.journal.journal import read_journal
from orchestrator.settings import DeepPruneSettings, Settings

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
            case RunStarted(settings=Settings(policy=DeepPruneSettings() as policy)):
                sample_members = policy.sample_members
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
