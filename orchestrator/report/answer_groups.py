"""The answers to a question with their traces: those that gave them, and those that would probably give them.

A trace that runs, or was stopped, belongs to the answer that it was last found to be likely for (`VoteWeighed`), or that it
named when it was asked (`TraceProbed`). Pure: folded from the view, so a replay shows what the live run showed.
"""

from dataclasses import dataclass
from typing import NamedTuple

from orchestrator.core.voting import leader_posterior
from orchestrator.report.trace_view import TraceView
from orchestrator.report.view import RunView

__all__ = ["AnswerGroup", "AnswerGroups", "LikelyTrace", "answer_groups"]


class LikelyTrace(NamedTuple):
    """A trace without an end; `probability` (0..1) that it gives the answer, None if it only named it when asked."""

    trace: int
    probability: float | None


@dataclass(frozen=True, slots=True)
class AnswerGroup:
    """One answer: the traces that finished with it, and those that probably would."""

    answer: str
    finished: tuple[int, ...]
    likely: tuple[LikelyTrace, ...]
    expected: float
    """The votes that traces without an end are believed to give it; after the vote, those that were counted."""

    @property
    def votes(self) -> float:
        """All votes, those included that are only believed."""
        return len(self.finished) + self.expected


@dataclass(frozen=True, slots=True)
class AnswerGroups:
    """The answers, most votes first, and the traces that belong to none.

    `silent` traces run and nothing is known of them; `blank` ones finished without an answer. `leader_stays` is the
    probability that the leading answer stays ahead of the second, None without a vote.
    """

    groups: tuple[AnswerGroup, ...]
    silent: tuple[int, ...]
    blank: tuple[int, ...]
    leader_stays: float | None


def answer_groups(view: RunView) -> AnswerGroups:
    """The answers of a run so far."""
    believed = {each.trace: each for each in view.weighed.likely} if view.weighed else {}
    finished: dict[str, list[int]] = {}
    likely: dict[str, list[LikelyTrace]] = {}
    silent, blank = [], []
    for trace in view.traces.values():
        if trace.ending == "finished":
            if trace.answer is None:
                blank.append(trace.trace)
            else:
                finished.setdefault(trace.answer, []).append(trace.trace)
        elif trace.started and trace.ending in (None, "stopped"):
            belief = believed.get(trace.trace)
            if belief is not None:
                seen = LikelyTrace(trace.trace, belief.probability)
                likely.setdefault(belief.answer, []).append(seen)
            elif (named := _named(trace)) is not None:
                likely.setdefault(named, []).append(LikelyTrace(trace.trace, None))
            elif trace.ending is None:
                silent.append(trace.trace)
    counted = _counted(view)
    groups = [
        _group(answer, finished.get(answer, []), likely.get(answer, []), counted)
        for answer in {**finished, **likely}
    ]
    groups.sort(key=lambda group: (-group.votes, -len(group.likely)))
    return AnswerGroups(tuple(groups), tuple(silent), tuple(blank), _leader_stays(groups))


def _group(
    answer: str, finished: list[int], likely: list[LikelyTrace], counted: dict[str, float]
) -> AnswerGroup:
    expected = sum(each.probability or 0.0 for each in likely)
    return AnswerGroup(answer, tuple(finished), tuple(likely), counted.get(answer, expected))


def _counted(view: RunView) -> dict[str, float]:
    """What the vote has counted beyond the finished traces; also probes that came after the last decision."""
    rule = view.run.settings.policy.vote if view.run is not None else None
    if view.weighed is None or rule not in (None, "majority"):
        return {}
    return {vote.answer: max(0.0, vote.weight - vote.count) for vote in view.votes}


def _named(trace: TraceView) -> str | None:
    return None if trace.probed is None else trace.probed.answer


def _leader_stays(groups: list[AnswerGroup]) -> float | None:
    """The chance that the leader stays, over how its likely traces and those of the second may end.

    A likely trace of the leader that ends otherwise is taken to vote for the second.
    """
    if not groups or not groups[0].finished:
        return None
    first, second = groups[0], groups[1] if len(groups) > 1 else None
    chances = {(len(first.finished), len(second.finished) if second else 0): 1.0}
    for each in first.likely:
        chances = _voted(chances, each.probability, (1, 0), (0, 1))
    for each in second.likely if second else ():
        chances = _voted(chances, each.probability, (0, 1), (0, 0))
    return sum(chance * _stays(*votes) for votes, chance in chances.items())


def _voted(
    chances: dict[tuple[int, int], float],
    probability: float | None,
    if_so: tuple[int, int],
    otherwise: tuple[int, int],
) -> dict[tuple[int, int], float]:
    if probability is None:
        return chances
    after: dict[tuple[int, int], float] = {}
    for (first, second), chance in chances.items():
        for (more, rival), part in ((if_so, probability), (otherwise, 1.0 - probability)):
            votes = (first + more, second + rival)
            after[votes] = after.get(votes, 0.0) + chance * part
    return after


def _stays(first: int, second: int) -> float:
    ahead = leader_posterior(sorted((first, second), reverse=True)) or 0.0
    return ahead if first >= second else 1.0 - ahead
