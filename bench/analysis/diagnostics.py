"""What tends to be wrong when a policy disappoints: the known signatures, each with advice.

The rule: a finding is about one file, names every policy that it befalls, and says which figure gave each away. Plain
votes are what the others are measured by, so nothing is found about them.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from bench.analysis.comparison import PolicyRow

__all__ = ["findings"]

_LOST_POINTS = 0.03
_SMALL_SAVING = 0.5
_ALL_ALIKE = 0.9
_ALL_ALONE = 0.95


class _Diagnostic(NamedTuple):
    """A sign and what to do about it; `figure` gives a row away, or is None where the row does not show the sign.

    It is told the dearest plain vote on the same file, if one was measured.
    """

    sign: str
    figure: Callable[[PolicyRow, PolicyRow | None], str | None]
    advice: str


def findings(rows: Sequence[PolicyRow]) -> list[str]:
    """A text for every file and signature that some policy shows."""
    files = list(dict.fromkeys(row.file for row in rows))
    return [
        f"{file}: {text}" if len(files) > 1 else text
        for file in files
        for text in _of_file([row for row in rows if row.file == file])
    ]


def _of_file(rows: Sequence[PolicyRow]) -> Iterator[str]:
    vote = max((row for row in rows if row.is_vote), key=lambda row: row.cost, default=None)
    for sign, figure, advice in _DIAGNOSTICS:
        figures = [(row.policy, figure(row, vote)) for row in rows if not row.is_vote]
        shown = [f"{policy} ({text})" for policy, text in figures if text is not None]
        if shown:
            yield f"{sign}: {', '.join(shown)}. {advice}"


def _lost(row: PolicyRow, vote: PolicyRow | None) -> str | None:
    if vote is None or vote.accuracy - row.accuracy <= _LOST_POINTS:
        return None
    return f"{100 * (vote.accuracy - row.accuracy):.1f} below {vote.policy}"


def _lost_with_a_judge(row: PolicyRow, vote: PolicyRow | None) -> str | None:
    return None if row.clusters is None else _lost(row, vote)


def _lost_by_auto(row: PolicyRow, vote: PolicyRow | None) -> str | None:
    return _lost(row, vote) if _is_auto(row) else None


def _lost_by_another(row: PolicyRow, vote: PolicyRow | None) -> str | None:
    return _lost(row, vote) if row.clusters is None and not _is_auto(row) else None


def _is_auto(row: PolicyRow) -> bool:
    return row.policy.partition(":")[0].partition("@")[0] == "auto"


def _saves_little(row: PolicyRow, _: PolicyRow | None) -> str | None:
    if row.clusters is None or row.saved is None or row.saved >= _SMALL_SAVING:
        return None
    return f"{row.saved:.0%}"


def _all_alone(row: PolicyRow, _: PolicyRow | None) -> str | None:
    if row.clusters is None or row.traces <= 1 or row.clusters < _ALL_ALONE * row.traces:
        return None
    return f"{row.clusters:.0f} clusters of {row.traces:.0f} traces"


def _all_alike(row: PolicyRow, _: PolicyRow | None) -> str | None:
    if row.largest_cluster is None or row.largest_cluster <= _ALL_ALIKE:
        return None
    return f"{row.largest_cluster:.0%}"


_POINTS = "Points of accuracy lost"

_DIAGNOSTICS = (
    _Diagnostic(
        _POINTS, _lost_with_a_judge, "Raise tau, calibrate the judge, or take more survivors."
    ),
    _Diagnostic(_POINTS, _lost_by_auto, "Raise --effort."),
    _Diagnostic(_POINTS, _lost_by_another, "Allow more traces, or let auto decide how many."),
    _Diagnostic(
        "Little saved, the judge's tokens counted",
        _saves_little,
        "The judge is too cautious or too dear, or answers are many: lower tau, or take fewer survivors or a smaller judge.",
    ),
    _Diagnostic(
        "Almost every trace alone in its cluster",
        _all_alone,
        "The judge does not know this kind of text.",
    ),
    _Diagnostic("Nearly all traces in one cluster", _all_alike, "If answers differ, raise tau."),
)
