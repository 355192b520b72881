"""What is known of a waiting trace's similarity with each cluster, kept up to date at the price of what has changed.

The similarity with a cluster is the mean of p(identical) over the members that stand for it: those with the smallest
keys. As long as verdicts are missing it has a lower and an upper bound (unknown p is 0 or 1). `math.fsum` rounds
correctly, hence monotonically and in any order, so the bounds hold in floating point as well.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Similarities", "Similarity"]


class Similarity:
    """One cluster seen from one trace; `low` and `high` bound the mean over `sample`."""

    __slots__ = ("cluster", "high", "known", "low", "missing", "sample", "total")

    def __init__(self, cluster: int, sample: list[int]) -> None:
        self.cluster = cluster
        self.sample = sample
        """The members that stand for the cluster, in order of their keys."""
        self.missing = sample
        """Those without a verdict, in the same order."""
        self.known = 0
        """How many have one."""
        self.total = 0.0
        """The sum of the verdicts."""
        self.low, self.high = 0.0, 1.0

    def settle(self, verdicts: Mapping[int, float]) -> None:
        """Takes in what has changed: the sample, or the verdicts, by member."""
        known: list[float] = []
        missing: list[int] = []
        for member in self.sample:
            verdict = verdicts.get(member)
            if verdict is None:
                missing.append(member)
            else:
                known.append(verdict)
        self.known, self.missing = len(known), missing
        size = len(self.sample)
        self.total = total = math.fsum(known)
        self.low = self.high = total / size
        if missing:
            known.append(float(len(missing)))
            self.high = math.fsum(known) / size

    @property
    def mean(self) -> float | None:
        """The mean of the verdicts; None where there are none."""
        return self.total / self.known if self.known else None


class Similarities:
    """One trace's similarity with every cluster, in the clusters' order.

    `keys` has the trace's key for each possible member, `limit` is the size of a sample. `version` moves with every
    change of a bound.
    """

    def __init__(self, keys: Sequence[float], limit: int) -> None:
        self.row: list[Similarity] = []
        self.version = 0
        self._keys = keys
        self._limit = limit
        self._verdicts: dict[int, float] = {}
        self.placed = 0
        """How many members of all clusters the row knows of."""
        self.judged: list[int] = []
        """Members whose verdicts the row does not know of."""

    def take(self, verdicts: Mapping[int, float]) -> None:
        """Keeps verdicts, by member; the row shows them after `update`."""
        self._verdicts.update(verdicts)
        self.judged.extend(verdicts)

    def sample(self, members: Sequence[int]) -> list[int]:
        """Those of a cluster's members that stand for it, in order of their keys."""
        return sorted(members, key=self._keys.__getitem__)[: self._limit]

    def verdicts(self, members: Sequence[int]) -> Iterator[float | None]:
        """The verdict on each of the members; None where there is none."""
        return map(self._verdicts.get, members)

    def update(
        self, clusters: Sequence[Sequence[int]], placed: Sequence[int], home: Mapping[int, int]
    ) -> None:
        """Takes in what has come since: members, of which `placed` has all in order and `home` the cluster, and verdicts."""
        changed = set(map(home.__getitem__, self.judged))
        self.judged.clear()
        if self.placed < len(placed):
            if self.placed:
                for member in placed[self.placed :]:
                    if self._grow(home[member], member):
                        changed.add(home[member])
            else:
                self._begin(clusters)
            self.placed = len(placed)
        if changed:
            row, verdicts = self.row, self._verdicts
            for cluster in changed:
                row[cluster].settle(verdicts)
            self.version += 1

    def _begin(self, clusters: Sequence[Sequence[int]]) -> None:
        self.row.extend(
            Similarity(cluster, self.sample(members)) for cluster, members in enumerate(clusters)
        )
        self.version += 1

    def _grow(self, cluster: int, member: int) -> bool:
        """Whether a member that joined a cluster, or founded the next one, stands for it."""
        if cluster == len(self.row):
            self.row.append(Similarity(cluster, [member]))
            return True
        keys, sample = self._keys, self.row[cluster].sample
        key = keys[member]
        if len(sample) == self._limit:
            if key >= keys[sample[-1]]:
                return False
            sample.pop()
        sample.insert(bisect_right(sample, key, key=keys.__getitem__), member)
        return True
