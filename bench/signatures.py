"""What tends to be wrong when a policy disappoints: the known signatures, each with advice.

The rule: a finding is about one policy on one file, and says which figure gave it away.
"""

from collections.abc import Sequence

from bench.comparison import PolicyRow

__all__ = ["findings"]

_LOST_POINTS = 0.03
_SMALL_SAVING = 0.5
_ALL_ALIKE = 0.9
_ALL_ALONE = 0.95


def findings(rows: Sequence[PolicyRow]) -> list[str]:
    """One sentence per finding, in the order of the rows."""
    found: list[str] = []
    for row in rows:
        found.extend(f"{row.policy}: {text}" for text in _of(row, _best_vote(row, rows)))
    return found


def _of(row: PolicyRow, vote: PolicyRow | None) -> list[str]:
    found: list[str] = []
    if vote is not None and vote.accuracy - row.accuracy > _LOST_POINTS:
        lost = 100 * (vote.accuracy - row.accuracy)
        found.append(f"{lost:.1f} points below {vote.policy}; {_more_ballots(row)}.")
    if row.clusters is None or row.largest_cluster is None:
        return found
    if row.saved is not None and row.saved < _SMALL_SAVING:
        found.append(
            f"saves {row.saved:.0%}, the judge's tokens counted; the judge is too cautious or too dear, or answers "
            "are many: lower tau, take fewer survivors or a smaller judge."
        )
    if row.clusters >= _ALL_ALONE * row.traces and row.traces > 1:
        found.append(
            "almost every trace is alone in its cluster; the judge does not know this kind of text."
        )
    if row.largest_cluster > _ALL_ALIKE:
        found.append(
            f"{row.largest_cluster:.0%} of the traces fall into one cluster; if answers differ, raise tau."
        )
    return found


def _more_ballots(row: PolicyRow) -> str:
    """How this policy is made to hear more traces."""
    if row.clusters is not None:
        return "raise tau, calibrate the judge, or take more survivors"
    if row.policy.partition(":")[0].partition("@")[0] == "auto":
        return "raise --effort"
    return "allow more traces, or let auto decide how many"


def _best_vote(row: PolicyRow, rows: Sequence[PolicyRow]) -> PolicyRow | None:
    """The dearest plain vote on the same file."""
    votes = [r for r in rows if r.file == row.file and r.policy.startswith("cons@")]
    return max(votes, key=lambda vote: vote.cost, default=None)
