"""Distributions behind the means: lengths of traces by their fate, and sizes of the judge's clusters.

Counts are over all questions and resamplings of one policy on one file.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from bench.results.outcomes import Outcome, by_policy
from bench.results.trace_stats import FATES

__all__ = ["Distribution", "distributions"]

_BINS = 24


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """The distributions of one policy on one file.

    `edges` are the bin edges in tokens, equally spaced on a log scale, the same for all policies of a file. `traces` has
    the number of traces per bin for each fate, `tokens` their mean tokens per question. `clusters` has the number of the
    judge's clusters of each size.
    """

    file: str
    policy: str
    edges: tuple[float, ...]
    traces: Mapping[str, tuple[int, ...]]
    tokens: Mapping[str, float]
    clusters: Mapping[int, int]


def distributions(outcomes: Sequence[Outcome]) -> list[Distribution]:
    """One for every file and policy whose outcomes have the lengths of their traces, in order of appearance."""
    groups = by_policy([outcome for outcome in outcomes if outcome.lengths])
    edges = {file: _edges(outcomes, file) for file, _ in groups}
    return [_distribution(group, edges[file]) for (file, _), group in groups.items()]


def _edges(outcomes: Sequence[Outcome], file: str) -> tuple[float, ...]:
    longest = max(
        (max(each) for o in outcomes if o.file == file for each in o.lengths.values() if each),
        default=1,
    )
    shortest = max(1.0, longest / 1000)
    top = max(longest, shortest + 1) + 1
    return tuple(np.geomspace(shortest, top, _BINS + 1).round(1).tolist())


def _distribution(group: Sequence[Outcome], edges: tuple[float, ...]) -> Distribution:
    lengths = {
        fate: np.array([n for outcome in group for n in outcome.lengths.get(fate, ()) if n])
        for fate in FATES
    }
    known = {fate: each for fate, each in lengths.items() if each.size}
    sizes = Counter(size for outcome in group for size in outcome.clusters)
    return Distribution(
        file=group[0].file,
        policy=group[0].policy,
        edges=edges,
        traces={
            fate: tuple(np.histogram(np.clip(each, edges[0], None), edges)[0].tolist())
            for fate, each in known.items()
        },
        tokens={fate: float(each.sum()) / len(group) for fate, each in known.items()},
        clusters=dict(sorted(sizes.items())),
    )
