"""Sentences: one for each event of the log, and one for the state of each trace. Untrusted text is sanitized here."""

from orchestrator.core.events import (
    CheckpointReached,
    ClusterOpened,
    Event,
    JudgeFailed,
    ProbeFailed,
    ReplicaDown,
    ReplicaUp,
    RewardFailed,
    RunFinished,
    RunInterrupted,
    RunResumed,
    RunStarted,
    TraceFailed,
    TraceFinished,
    TraceJoined,
    TraceProbed,
    TraceResumed,
    TraceRewarded,
    TraceStopped,
    TraceUnjudged,
    TraceWarned,
    UserCommandReceived,
    VoteCast,
    VoteWeighed,
)
from orchestrator.report.display_state import DisplayState
from orchestrator.report.trace_view import TraceView
from orchestrator.report.view import RunView
from orchestrator.terminal.sanitize import sanitize

__all__ = [
    "describe_decision",
    "describe_event",
    "describe_trace",
    "event_state",
    "is_logged",
    "server_name",
]

_LOGGED: dict[type, DisplayState | None] = {
    RunStarted: None,
    RunResumed: None,
    CheckpointReached: "checkpoint",
    ClusterOpened: "representative",
    TraceJoined: "paused",
    TraceUnjudged: "running",
    TraceResumed: "finishing",
    TraceFinished: "finished",
    TraceStopped: "pruned",
    TraceFailed: "failed",
    TraceWarned: "running",
    TraceProbed: "running",
    ProbeFailed: "failed",
    VoteWeighed: None,
    JudgeFailed: "failed",
    TraceRewarded: "finished",
    RewardFailed: "failed",
    ReplicaDown: "failed",
    ReplicaUp: "finished",
    RunInterrupted: None,
    UserCommandReceived: None,
    VoteCast: None,
    RunFinished: None,
}


def is_logged(event: Event) -> bool:
    """Whether the log shows this event."""
    return type(event) in _LOGGED


def event_state(event: Event) -> DisplayState | None:
    """The state whose glyph and colour the log shows; None for events of the whole run."""
    if isinstance(event, TraceStopped) and event.reason != "pruned":
        return "stopped"
    return _LOGGED[type(event)]


def describe_event(event: Event) -> str:
    """The event as one line of text; empty for events that are not logged."""
    match event:
        case RunStarted():
            return f"{event.planned} traces planned"
        case RunResumed():
            return "the run was resumed"
        case CheckpointReached():
            end = "ended" if event.complete else "at its checkpoint"
            return f"trace {event.trace} {end} after {event.words} reasoning words, {event.tokens:,} tokens"
        case ClusterOpened(similarity=None):
            return f"trace {event.trace} opened cluster {event.cluster}"
        case ClusterOpened():
            return f"trace {event.trace} opened cluster {event.cluster}, highest similarity {_p(event.similarity)}"
        case TraceJoined(similarity=None):
            return f"trace {event.trace} joined cluster {event.cluster}, the only one"
        case TraceJoined():
            return f"trace {event.trace} joined cluster {event.cluster}, similarity {_p(event.similarity)}"
        case TraceUnjudged():
            return f"trace {event.trace} got no verdict and continues"
        case TraceResumed():
            again = f" after an error, attempt {event.attempt + 1}" if event.attempt else ""
            return f"trace {event.trace} resumed{_where(event)}{again}"
        case _:
            return _describe_outcome(event)


def _describe_outcome(event: Event) -> str:
    match event:
        case TraceFinished(answer=None):
            return f"trace {event.trace} finished without an answer, {event.tokens:,} tokens"
        case TraceFinished():
            return f"trace {event.trace} answered {_line(event.answer or '', limit=60)}, {event.tokens:,} tokens"
        case TraceStopped():
            why = "pruned" if event.reason == "pruned" else f"stopped ({_line(event.reason)})"
            return f"trace {event.trace} {why} at {event.tokens:,} tokens"
        case TraceWarned():
            return f"trace {event.trace}: {_line(event.message)}"
        case TraceFailed():
            return f"trace {event.trace} failed: {_line(event.message)}"
        case JudgeFailed():
            return f"no verdict on trace {event.trace}: {_line(event.message)}"
        case TraceRewarded():
            return f"trace {event.trace} has reward {event.reward:.3f}"
        case RewardFailed():
            return f"no reward for trace {event.trace}: {_line(event.message)}"
        case ReplicaDown():
            why = _line(event.reason.removeprefix(event.endpoint).strip())
            return f"{server_name(event.endpoint)} is left out: {why}"
        case ReplicaUp():
            return f"{server_name(event.endpoint)} is back"
        case TraceProbed(answer=None):
            return f"trace {event.trace} has no answer yet at {event.asked_at:,} tokens"
        case TraceProbed():
            return f"trace {event.trace} would answer {_line(event.answer or '', limit=60)} at {event.asked_at:,} tokens"
        case ProbeFailed():
            return f"trace {event.trace} could not be asked: {_line(event.message)}"
        case VoteWeighed():
            return describe_decision(event)
        case RunInterrupted():
            return "you interrupted the run"
        case UserCommandReceived():
            return _describe_command(event)
        case VoteCast(answer=None):
            return "the vote gives no answer"
        case VoteCast():
            return f"the vote: {_line(event.answer or '', limit=60)}, margin {event.margin:.0%}"
        case RunFinished():
            return "the run is over"
        case _:
            return ""


def describe_decision(event: VoteWeighed) -> str:
    """What was decided and why: what the next votes are worth, and their price."""
    does = {"wait": "waits", "launch": "launches more", "stop": "stops"}[event.action]
    if not event.traces:
        return does
    return (
        f"{does}: {event.traces} more would bring {100 * event.worth:.2f} points, "
        f"price {100 * event.price:.2f}"
    )


def _where(event: TraceResumed) -> str:
    """The server that a trace has moved to, and why; empty where it has not moved."""
    if event.moved is None:
        return ""
    why = {"down": "its server is out", "busy": "its server is busy", "load": "to spread the load"}
    return f" on {server_name(event.endpoint)} ({why[event.moved]})"


def server_name(endpoint: str) -> str:
    """What tells an address from others: without its scheme and the /v1 that all have."""
    return _line(endpoint.partition("://")[2].removesuffix("/v1"), limit=60)


def _describe_command(event: UserCommandReceived) -> str:
    match event.command:
        case "tau":
            return f"you set tau to {_p(event.tau)}"
        case "pin":
            return f"you pinned trace {event.trace}: it will not be pruned"
        case "unpin":
            return f"you unpinned trace {event.trace}"
        case "finish":
            return f"you let trace {event.trace} finish"
        case "stop":
            return f"you stopped trace {event.trace}"
        case "vote":
            return "you ended the run with a vote"
        case "hold":
            return "you paused launching: no further trace starts"
        case "release":
            return "you resumed launching"


def describe_trace(view: RunView, trace: TraceView) -> str:
    """The state of the trace and the reason for it, in one sentence."""
    match trace.state:
        case "pruned":
            return f"Pruned: {_why_pruned(view, trace)}"
        case "stopped":
            return f"Stopped ({_line(trace.reason or '')}) after {trace.tokens:,} tokens."
        case "failed":
            return f"Failed: {_line(trace.reason or '')}"
        case "finished":
            return _finished(trace)
        case "checkpoint":
            return "At its checkpoint, waiting for the judge."
        case "paused":
            return f"Paused until the clusters are known; {_membership(view, trace)}."
        case "running":
            return "Running to its end." if trace.checkpoint is not None else "Running."
        case "unstarted":
            return "Never started."
        case "queued":
            return "Waiting for a free stream."


def _finished(trace: TraceView) -> str:
    cut = " It was cut off at its token limit." if trace.finish_reason == "length" else ""
    if trace.answer is None:
        return f"Finished without an answer.{cut}"
    spelling = ""
    if trace.raw_answer != trace.answer:
        spelling = f", written {_line(trace.raw_answer or '', limit=60)}"
    return f"Finished with the answer {_line(trace.answer, limit=60)}{spelling}.{cut}"


def _why_pruned(view: RunView, trace: TraceView) -> str:
    if trace.cluster is None:
        return "no cluster was similar, and no further cluster was allowed."
    if _representative(view, trace) == trace.trace:
        return f"it represents cluster {trace.cluster}, and another cluster is larger."
    return f"{_membership(view, trace)}."


def _membership(view: RunView, trace: TraceView) -> str:
    if trace.cluster is None:
        return "it has no cluster"
    representative = _representative(view, trace)
    if representative == trace.trace:
        return f"it represents cluster {trace.cluster}"
    similarity = f", similarity {_p(trace.similarity)}" if trace.similarity is not None else ""
    return f"in cluster {trace.cluster}, represented by trace {representative}{similarity}"


def _representative(view: RunView, trace: TraceView) -> int | None:
    return None if trace.cluster is None else view.clusters[trace.cluster].representative


def _line(text: str, *, limit: int = 400) -> str:
    """Untrusted text as one line of at most `limit` characters."""
    return sanitize(text, limit=limit)


def _p(p: float | None) -> str:
    return "–" if p is None else f"{p:.2f}"
