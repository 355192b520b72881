"""Known problems of policies, recognised from their rows, each with advice.

A finding is about one file; it names every policy that has the problem, with the figure that shows it. Plain votes are
the reference, so there are no findings about them.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from bench.analysis.comparison import PolicyRow

__all__ = ["findings"]

_LOST_POINTS = 0.03
_SMALL_SAVING = 0.5
_NEARLY_ONE_CLUSTER = 0.9
_NEARLY_ALL_SINGLE = 0.95


class _Diagnostic(NamedTuple):
    """A problem and what to do about it.

    `figure` takes a row and the most expensive plain vote on the same file, if one was measured; it returns the figure
    that shows the problem, None for a row without it.
    """

    problem: str
    figure: Callable[[PolicyRow, PolicyRow | None], str | None]
    advice: str


def findings(rows: Sequence[PolicyRow]) -> list[str]:
    """A text for every file and problem that some policy has."""
    files = list(dict.fromkeys(row.file for row in rows))
    return [
        f"{file}: {text}" if len(files) > 1 else text
        for file in files
        for text in _file_findings([row for row in rows if row.file == file])
    ]


def _file_findings(rows: Sequence[PolicyRow]) -> Iterator[str]:
    vote = max((row for row in rows if row.is_vote), key=lambda row: row.cost, default=None)
    for problem, figure, advice in _DIAGNOSTICS:
        figures = [(row.policy, figure(row, vote)) for row in rows if not row.is_vote]
        shown = [f"{policy} ({text})" for policy, text in figures if text is not None]
        if shown:
            yield f"{problem}: {', '.join(shown)}. {advice}"


def _lost(row: PolicyRow, vote: PolicyRow | None) -> str | None:
    if vote is None or vote.accuracy - row.accuracy <= _LOST_POINTS:
        return None
    return f"{100 * (vote.accuracy - row.accuracy):.1f} below {vote.policy}"


def _lost_with_judge(row: PolicyRow, vote: PolicyRow | None) -> str | None:
    return None if row.clusters is None else _lost(row, vote)


def _lost_by_auto(row: PolicyRow, vote: PolicyRow | None) -> str | None:
    return _lost(row, vote) if _is_auto(row) else None


def _lost_without_judge(row: PolicyRow, vote: PolicyRow | None) -> str | None:
    return _lost(row, vote) if row.clusters is None and not _is_auto(row) else None


def _is_auto(row: PolicyRow) -> bool:
    return row.policy.partition(":")[0].partition("@")[0] == "auto"


def _saves_little(row: PolicyRow, _: PolicyRow | None) -> str | None:
    if row.clusters is None or row.saved is None or row.saved >= _SMALL_SAVING:
        return None
    return f"{row.saved:.0%}"


def _all_single(row: PolicyRow, _: PolicyRow | None) -> str | None:
    if row.clusters is None or row.traces <= 1 or row.clusters < _NEARLY_ALL_SINGLE * row.traces:
        return None
    return f"{row.clusters:.0f} clusters of {row.traces:.0f} traces"


def _one_cluster(row: PolicyRow, _: PolicyRow | None) -> str | None:
    if row.largest_cluster is None or row.largest_cluster <= _NEARLY_ONE_CLUSTER:
        return None
    return f"{row.largest_cluster:.0%}"


_POINTS = "Points of accuracy lost"

_DIAGNOSTICS = (
    _Diagnostic(
        _POINTS, _lost_with_judge, "Raise tau, calibrate the judge, or take more survivors."
    ),
    _Diagnostic(_POINTS, _lost_by_auto, "Raise --effort."),
    _Diagnostic(_POINTS, _lost_without_judge, "Allow more traces, or let auto decide how many."),
    _Diagnostic(
        "Little saved, the judge's tokens counted",
        _saves_little,
        "The judge is too cautious or too expensive, or there are many answers: lower tau, or take fewer survivors or "
        "a smaller judge.",
    ),
    _Diagnostic(
        "Almost every trace alone in its cluster",
        _all_single,
        "The judge was not trained on this kind of text.",
    ),
    _Diagnostic("Nearly all traces in one cluster", _one_cluster, "If answers differ, raise tau."),
)
