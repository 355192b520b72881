"""What the page says of one question, from the view that the screen shows and the report that programs read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from orchestrator.core.events import CheckpointReached
from orchestrator.page.bill import BillRow, bill_rows
from orchestrator.page.timeline import TimeLine, time_line
from orchestrator.report.display_state import ORDER, DisplayState, count_states, display_state
from orchestrator.report.report import ReplicaLine, Report, notices
from orchestrator.report.trace_view import TraceView
from orchestrator.report.view import RunView
from orchestrator.terminal.event_text import describe_event, describe_trace, is_logged

__all__ = ["ClusterRow", "QuestionFacts", "TraceFacts", "VoteRow", "facts_of"]


class VoteRow(NamedTuple):
    """One class of equal answers; `fraction` is of the heaviest one's weight, `traces` have voted for it."""

    answer: str
    ballots: int
    weight: float
    fraction: float
    traces: list[int]


class ClusterRow(NamedTuple):
    """One cluster; `fraction` is of the largest one's size."""

    cluster: int
    representative: int
    size: int
    fraction: float
    answers: list[tuple[str, int]]


class TraceFacts(NamedTuple):
    """One trace with its text, in which `checkpoint` is a line between `before` and `after`."""

    number: int
    state: DisplayState
    sentence: str
    answer: str | None
    tokens: int
    cluster: int | None
    seconds: float | None
    checkpoint: CheckpointReached | None
    before: str
    after: str


class LogLine(NamedTuple):
    """An event, `at` seconds after the start."""

    at: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionFacts:
    """Everything that the page says of one question."""

    number: int
    report: Report
    question: str
    gold: str | None
    model: str
    tau: float | None
    margin: float | None
    weighted: bool
    """Whether a vote may weigh something else than 1."""
    votes: list[VoteRow]
    clusters: list[ClusterRow]
    states: list[tuple[DisplayState, int]]
    bill: list[BillRow]
    time_line: TimeLine
    traces: list[TraceFacts]
    servers: list[ReplicaLine]
    notices: list[str]
    log: list[LogLine]


def facts_of(view: RunView, report: Report, *, number: int, characters: int) -> QuestionFacts:
    """The facts of a question, finished or not.

    Args:
        view: folded with its texts.
        report: of the same events.
        number: which of the run's questions it is, from 1.
        characters: the most of a trace's text before, and after, its checkpoint.
    """
    counts = count_states(view)
    return QuestionFacts(
        number=number,
        report=report,
        question=view.question,
        gold=view.run.gold if view.run is not None else None,
        model=view.run.capabilities.reasoner.model if view.run is not None else "",
        tau=view.tau,
        margin=view.vote.margin if view.vote is not None else None,
        weighted=any(vote.weight != vote.ballots for vote in report.votes),
        votes=_votes(view, report),
        clusters=_clusters(view),
        states=[(state, counts[state]) for state in ORDER if counts[state]],
        bill=bill_rows(report),
        time_line=time_line(view),
        traces=[_trace(view, trace, characters) for trace in view.traces.values()],
        servers=report.replicas if len(report.replicas) > 1 else [],
        notices=[*([report.error] if report.error else []), *notices(report)],
        log=list(_log(view)),
    )


def _votes(view: RunView, report: Report) -> list[VoteRow]:
    heaviest = max((vote.weight for vote in report.votes), default=0.0) or 1.0
    return [
        VoteRow(
            vote.answer,
            vote.ballots,
            vote.weight,
            max(0.0, vote.weight / heaviest),
            [trace.trace for trace in view.traces.values() if trace.answer == vote.answer],
        )
        for vote in report.votes
    ]


def _clusters(view: RunView) -> list[ClusterRow]:
    ranked = sorted(view.clusters.values(), key=lambda each: (-len(each.members), each.cluster))
    return [
        ClusterRow(
            each.cluster,
            each.representative,
            len(each.members),
            len(each.members) / len(ranked[0].members),
            each.answers.most_common(),
        )
        for each in ranked
    ]


def _trace(view: RunView, trace: TraceView, characters: int) -> TraceFacts:
    ended = trace.started_at is not None and trace.ended_at is not None
    return TraceFacts(
        number=trace.trace,
        state=display_state(view, trace),
        sentence=describe_trace(view, trace),
        answer=trace.answer,
        tokens=trace.tokens,
        cluster=trace.cluster,
        seconds=(trace.ended_at or 0.0) - (trace.started_at or 0.0) if ended else None,
        checkpoint=trace.checkpoint,
        before=_bounded(trace.segment, characters),
        after=_bounded(trace.text[len(trace.segment) :], characters),
    )


def _bounded(text: str, characters: int) -> str:
    """The text; of a long one its two ends, and how much is missing between them."""
    if len(text) <= characters:
        return text
    half = characters // 2
    missing = len(text) - 2 * half
    return f"{text[:half]}\n[… {missing:,} characters are left out …]\n{text[len(text) - half :]}"


def _log(view: RunView) -> Iterator[LogLine]:
    for event in view.events:
        if is_logged(event):
            yield LogLine(event.at, describe_event(event))
