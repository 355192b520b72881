"""Events of one trace: its streams, its end, and what judge, reward model and probes found about it."""

from typing import Literal

from orchestrator.core.events.base import RecordedEvent, Seconds, TokenId, Tokens

__all__ = [
    "Boundary",
    "JudgeFailed",
    "MoveReason",
    "PairsJudged",
    "ProbeFailed",
    "RewardFailed",
    "TokensArrived",
    "TraceFailed",
    "TraceFinished",
    "TracePaused",
    "TraceProbed",
    "TraceResumed",
    "TraceRewarded",
    "TraceStarted",
    "TraceStopped",
    "TraceWarned",
    "WarningKind",
]

Boundary = Literal["server", "decode", "judge", "answer"]
"""Where a failure crossed into our program."""

MoveReason = Literal["down", "busy", "load"]
"""Why a trace left the replica that has its cache: it is out, it refuses streams or has no room for another, it has too
many."""

WarningKind = Literal["wait", "usage", "token_ids", "limit", "answers"]
"""What is odd. About a server: it is away or asks to wait, its counts contradict what it sent, it leaves out token ids, it
generates beyond the limit. About the `answers`: some could not be compared."""


class TraceStarted(RecordedEvent, frozen=True, kw_only=True):
    """The first event of a trace's first stream has come; the server has read `prompt_tokens`."""

    trace: int
    endpoint: str
    prompt_tokens: Tokens
    cached_prompt_tokens: Tokens


class TokensArrived(RecordedEvent, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """New text of a trace. `tokens` is its exact total of generated tokens so far, over all its streams.

    `confidences` has one entry for each new token where the run asks for them (`orchestrator/core/confidence.py`).
    `finish_reason` comes with the last of them, so that a trace is known to be complete before its answer is.
    `discarded` of the new tokens are on the bill and not in the trace: they came behind something that could not be read.
    `prompt_tokens` and `cached_prompt_tokens` come where the server tells them later than with the first event of the
    stream; they take the place of what that said.
    """

    trace: int
    text: str
    tokens: Tokens
    token_ids: tuple[TokenId, ...] = ()
    confidences: tuple[float, ...] = ()
    finish_reason: str | None = None
    discarded: int = 0
    prompt_tokens: int | None = None
    cached_prompt_tokens: int | None = None


class TracePaused(RecordedEvent, frozen=True, kw_only=True):
    """The stream was closed at `tokens` generated tokens; it can be resumed exactly from there."""

    trace: int
    tokens: Tokens


class TraceResumed(RecordedEvent, frozen=True, kw_only=True):
    """A further stream of the trace gave its first event.

    It was opened after a pause, after the run was resumed or, `attempt` > 0, after a fault. `moved` says why it is on
    another server than the stream before, which has its cache.
    """

    trace: int
    endpoint: str
    prompt_tokens: Tokens
    cached_prompt_tokens: Tokens
    attempt: int = 0
    moved: MoveReason | None = None


class TraceWarned(RecordedEvent, frozen=True, kw_only=True):
    """Something is odd about this trace, which goes on; `message` is a sentence for the user."""

    trace: int
    warning: WarningKind
    message: str


class TraceFinished(RecordedEvent, frozen=True, kw_only=True):
    """Terminal: the model ended the trace or reached its token limit (`finish_reason` "length").

    `answer` names the class of equal answers within this question (the first member's spelling) and is
    None when no answer could be read; `raw_answer` is this trace's own spelling. `undecided` comparisons of answers
    gave no verdict since the last trace finished, and count as different.
    """

    trace: int
    answer: str | None
    raw_answer: str | None
    finish_reason: str
    tokens: Tokens
    undecided: int = 0


class TraceStopped(RecordedEvent, frozen=True, kw_only=True):
    """Terminal: stopped by order, before its end. `reason` "pruned" counts as pruned, others as stopped."""

    trace: int
    reason: str
    tokens: Tokens


class TraceFailed(RecordedEvent, frozen=True, kw_only=True):
    """Terminal: given up after the last retry; its siblings live on."""

    trace: int
    boundary: Boundary
    message: str
    tokens: Tokens


class PairsJudged(RecordedEvent, frozen=True, kw_only=True):
    """One judge call: p(identical) of `trace` with each of `members`, and what the call cost.

    `members` and `probabilities` have the same length. `requests` counts HTTP requests behind the call.
    """

    trace: int
    members: tuple[int, ...]
    probabilities: tuple[float, ...]
    prompt_tokens: Tokens
    cached_prompt_tokens: Tokens
    completion_tokens: Tokens
    seconds: Seconds
    requests: int = 1


class JudgeFailed(RecordedEvent, frozen=True, kw_only=True):
    """The judge gave no verdict for these pairs: unknown, never a reason to prune."""

    trace: int
    members: tuple[int, ...]
    message: str


class TraceRewarded(RecordedEvent, frozen=True, kw_only=True):
    """The reward model read a finished trace: `reward` in 0..1, and what reading it cost."""

    trace: int
    reward: float
    prompt_tokens: Tokens
    seconds: Seconds


class RewardFailed(RecordedEvent, frozen=True, kw_only=True):
    """The reward model gave none for this trace: its ballot weighs what the others weigh on average."""

    trace: int
    message: str


class TraceProbed(RecordedEvent, frozen=True, kw_only=True):
    """A running trace was asked for its answer: what it would say if it had to answer after `asked_at` tokens.

    `answer` names the class of equal answers as in `TraceFinished`, in the same book, so that a probe and a finished
    trace with equal answers name the same class; None when no answer could be read. `tokens` were generated for the
    probe; they belong to no trace. `prompt_tokens` of the request, the cached ones included, are the trace's own tokens
    and the forced ending. `logprob` is the sum over the answer's tokens, in nats, None where the run asks for
    no log-probabilities.
    """

    trace: int
    answer: str | None
    raw_answer: str | None
    asked_at: int
    tokens: int
    prompt_tokens: int
    cached_prompt_tokens: int
    seconds: float
    logprob: float | None = None


class ProbeFailed(RecordedEvent, frozen=True, kw_only=True):
    """A running trace gave no answer to a probe (server, time-out, or it ended meanwhile): nothing is known from it."""

    trace: int
    message: str
