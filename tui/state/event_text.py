"""Facts as sentences: what the event log says, and why a trace ended as it did.

The rule: plain words, one line each; what a model or a server wrote is made inert here.
"""

from orchestrator.core.events import (
    CheckpointReached,
    ClusterOpened,
    Fact,
    JudgeFailed,
    RewardFailed,
    RunFinished,
    RunInterrupted,
    RunResumed,
    RunStarted,
    TraceFailed,
    TraceFinished,
    TraceJoined,
    TraceResumed,
    TraceRewarded,
    TraceStopped,
    TraceUnjudged,
    UserActed,
    VoteCast,
)
from orchestrator.report.view import RunView, TraceView
from tui.drawing.cells import inert
from tui.drawing.states import Shown

__all__ = ["fate", "is_told", "sentence", "tone"]

_TOLD: dict[type, Shown | None] = {
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
    JudgeFailed: "failed",
    TraceRewarded: "finished",
    RewardFailed: "failed",
    RunInterrupted: None,
    UserActed: None,
    VoteCast: None,
    RunFinished: None,
}


def is_told(fact: Fact) -> bool:
    """Whether the log has a sentence for this fact."""
    return type(fact) in _TOLD


def tone(fact: Fact) -> Shown | None:
    """The state whose glyph and colour go with the sentence; None for what concerns the whole run."""
    if isinstance(fact, TraceStopped) and fact.reason != "pruned":
        return "stopped"
    return _TOLD[type(fact)]


def sentence(fact: Fact) -> str:
    """The fact in one line; empty for facts that are not told."""
    match fact:
        case RunStarted():
            return f"{fact.planned} traces planned"
        case RunResumed():
            return "the run goes on after it broke off"
        case CheckpointReached():
            end = "ended" if fact.complete else "at its checkpoint"
            return f"trace {fact.trace} {end} after {fact.words} reasoning words, {fact.tokens:,} tokens"
        case ClusterOpened(similarity=None):
            return f"trace {fact.trace} opened cluster {fact.cluster}"
        case ClusterOpened():
            return f"trace {fact.trace} opened cluster {fact.cluster}: at most {_p(fact.similarity)} like any other"
        case TraceJoined(similarity=None):
            return f"trace {fact.trace} joined cluster {fact.cluster}: there is no other"
        case TraceJoined():
            return f"trace {fact.trace} joined cluster {fact.cluster}, similarity {_p(fact.similarity)}"
        case TraceUnjudged():
            return f"trace {fact.trace} got no verdict and runs on"
        case TraceResumed():
            again = f" after a fault, try {fact.attempt + 1}" if fact.attempt else ""
            return f"trace {fact.trace} goes on{again}"
        case _:
            return _ending(fact)


def _ending(fact: Fact) -> str:
    match fact:
        case TraceFinished(answer=None):
            return f"trace {fact.trace} finished without an answer, {fact.tokens:,} tokens"
        case TraceFinished():
            return f"trace {fact.trace} answers {inert(fact.answer or '', limit=60)}, {fact.tokens:,} tokens"
        case TraceStopped():
            why = "pruned" if fact.reason == "pruned" else f"stopped ({inert(fact.reason)})"
            return f"trace {fact.trace} {why} at {fact.tokens:,} tokens"
        case TraceFailed():
            return f"trace {fact.trace} failed: {inert(fact.message)}"
        case JudgeFailed():
            return f"no verdict on trace {fact.trace}: {inert(fact.message)}"
        case TraceRewarded():
            return f"trace {fact.trace} has reward {fact.reward:.3f}"
        case RewardFailed():
            return f"no reward for trace {fact.trace}: {inert(fact.message)}"
        case RunInterrupted():
            return "you interrupted the run"
        case UserActed():
            return _act(fact)
        case VoteCast(answer=None):
            return "the vote gives no answer"
        case VoteCast():
            return f"the vote: {inert(fact.answer or '', limit=60)}, margin {fact.margin:.0%}"
        case RunFinished():
            return "the run is over"
        case _:
            return ""


def _act(fact: UserActed) -> str:
    match fact.act:
        case "tau":
            return f"you set tau to {_p(fact.tau)}"
        case "pin":
            return f"you pinned trace {fact.trace}: it will not be pruned"
        case "unpin":
            return f"you unpinned trace {fact.trace}"
        case "finish":
            return f"you let trace {fact.trace} finish"
        case "stop":
            return f"you stopped trace {fact.trace}"
        case "vote":
            return "you ended the run with a vote"
        case "hold":
            return "you paused launching: no further trace starts"
        case "release":
            return "you let traces start again"


def fate(view: RunView, trace: TraceView) -> str:
    """Why the trace is where it is, in one sentence."""
    match trace.state:
        case "pruned":
            return f"Pruned: {_why_pruned(view, trace)}"
        case "stopped":
            return f"Stopped ({inert(trace.reason or '')}) after {trace.tokens:,} tokens."
        case "failed":
            return f"Failed: {inert(trace.reason or '')}"
        case "finished":
            return _finished(trace)
        case "checkpoint":
            return "At its checkpoint, waiting for the judge."
        case "paused":
            return f"Paused until the clusters are known; {_place(view, trace)}."
        case "running":
            return "Running to its end." if trace.checkpoint is not None else "Running."
        case "queued":
            return "Waiting for a free stream."


def _finished(trace: TraceView) -> str:
    cut = " It was cut off at its token limit." if trace.finish_reason == "length" else ""
    if trace.answer is None:
        return f"Finished without an answer.{cut}"
    spelling = ""
    if trace.raw_answer != trace.answer:
        spelling = f", written {inert(trace.raw_answer or '', limit=60)}"
    return f"Finished with the answer {inert(trace.answer, limit=60)}{spelling}.{cut}"


def _why_pruned(view: RunView, trace: TraceView) -> str:
    if trace.cluster is None:
        return "no cluster was similar, and there was no room for another."
    if _founder(view, trace) == trace.trace:
        return f"it stands for cluster {trace.cluster}, and another is larger."
    return f"{_place(view, trace)}."


def _place(view: RunView, trace: TraceView) -> str:
    if trace.cluster is None:
        return "it has no cluster"
    founder = _founder(view, trace)
    if founder == trace.trace:
        return f"it represents cluster {trace.cluster}"
    likeness = f", similarity {_p(trace.similarity)}" if trace.similarity is not None else ""
    return f"judged to end as trace {founder} does, in cluster {trace.cluster}{likeness}"


def _founder(view: RunView, trace: TraceView) -> int | None:
    return None if trace.cluster is None else view.clusters[trace.cluster].representative


def _p(p: float | None) -> str:
    return "–" if p is None else f"{p:.2f}"
