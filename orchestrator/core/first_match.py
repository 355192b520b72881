"""The first cluster that is similar enough, largest first, instead of the most similar one of all.

A large cluster is asked before a small one, and once one is above tau no other is asked. That is no longer the rule of the
paper (arXiv 2510.08483), though its released code joins the first match too. With `certainty` a mean counts as above or below
tau as soon as it is so by that many standard errors, though further members could still turn it.

Verdicts count in the order of the sample and only up to the one that settles the cluster, so the assignment depends on the
order of arrival and on the verdicts alone, as with the exhaustive rule.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from orchestrator.core.similarity import Similarities

__all__ = ["Match", "first_match"]

_VARIANCE = 1.0 / 12.0
"""Of one verdict around its cluster's mean: that of a number in 0..1 of which nothing is known."""

_PRIOR = 0.5
"""What an unknown verdict is believed to be, as if one such verdict had come."""


class Match(NamedTuple):
    """How far the clusters, largest first, are settled."""

    cluster: int | None
    """The first one above tau, with every larger one below; None if there is none so far."""
    similarity: float | None
    """The mean of what counts of its verdicts; without a cluster, the best of all."""
    closest: int
    """The cluster with the best mean."""
    wanted: tuple[int, ...]
    """Whom to ask next; empty once a cluster matches or all are below tau."""


def first_match(
    similarities: Similarities,
    clusters: Sequence[Sequence[int]],
    tau: float,
    certainty: float | None,
) -> Match:
    """The first match among the clusters, of which there is at least one, or what must be asked to find it."""
    closest, best = 0, -1.0
    order = sorted(range(len(clusters)), key=lambda cluster: -len(clusters[cluster]))
    for cluster in order:
        sample = similarities.row[cluster].sample
        known: list[float] = []
        low, high = _bounds(known, len(sample), certainty)
        for verdict in similarities.verdicts(sample):
            if verdict is None or low > tau or high <= tau:
                break
            known.append(verdict)
            low, high = _bounds(known, len(sample), certainty)
        mean = math.fsum(known) / len(known) if known else 0.0
        if mean > best:
            closest, best = cluster, mean
        if low > tau:
            return Match(cluster, mean if known else None, closest, ())
        if high > tau:
            more = _settling(known, len(sample), tau, certainty)
            return Match(None, best, closest, tuple(sample[len(known) : len(known) + more]))
    return Match(None, best, closest, ())


def _bounds(known: list[float], size: int, certainty: float | None) -> tuple[float, float]:
    """The lowest and the highest mean over `size` members, by these verdicts."""
    left = size - len(known)
    low, high = math.fsum(known), math.fsum([*known, float(left)])
    if certainty is not None and known:
        weight = len(known) + 1
        believed = low + left * (low + _PRIOR) / weight
        error = certainty * math.sqrt(left * _VARIANCE * (1.0 + left / weight))
        low, high = max(low, believed - error), min(high, believed + error)
    return low / size, high / size


def _settling(known: list[float], size: int, tau: float, certainty: float | None) -> int:
    """How many more verdicts settle a cluster if they are like the known ones; one if none is known."""
    if not known:
        return 1
    typical = math.fsum(known) / len(known)
    for more in range(1, size - len(known)):
        low, high = _bounds([*known, *[typical] * more], size, certainty)
        if low > tau or high <= tau:
            return more
    return size - len(known)
