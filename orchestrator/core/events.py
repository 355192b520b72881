"""Events: what happened, past tense, as frozen structs; `orchestrator.core.commands` has what to do.

Events are logged, commands are performed and produce events. Both serialise to one JSON line with
a `type` field, so the journal, the report, a display and the tests all read the same thing.

Times (`at`) are seconds since the run started, without those in which a resumed run stood still. Token counts are the server's own where it gives them.
Traces are numbered 0 to planned-1; clusters in the order in which they opened.
"""

from typing import Annotated, Literal

import msgspec

from orchestrator.capabilities import Capabilities
from orchestrator.core.prompting import Message
from orchestrator.settings import Settings

__all__ = [
    "CheckpointReached",
    "ClusterOpened",
    "DerivedEvent",
    "Event",
    "JudgeFailed",
    "LikelyAnswer",
    "MoveReason",
    "PairsJudged",
    "ProbeFailed",
    "ReplicaDown",
    "ReplicaUp",
    "RewardFailed",
    "RunFinished",
    "RunInterrupted",
    "RunResumed",
    "RunStarted",
    "TokensArrived",
    "TraceFailed",
    "TraceFinished",
    "TraceJoined",
    "TracePaused",
    "TraceProbed",
    "TraceResumed",
    "TraceRewarded",
    "TraceStarted",
    "TraceStopped",
    "TraceUnjudged",
    "TraceWarned",
    "UserCommand",
    "UserCommandReceived",
    "VoteCast",
    "VoteCount",
    "VoteWeighed",
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

UserCommand = Literal["tau", "pin", "unpin", "finish", "stop", "vote", "hold", "release"]
"""What a user can do to a run while it goes on.

`tau` sets the similarity above which traces join. `pin` keeps a trace from being pruned, `unpin` takes that
back, `finish` also lets it run on at once, without waiting for the judge; what is kept so has a ballot. `stop`
ends a trace, `vote` ends all and counts. `hold` opens no further traces until `release`.
"""


# what a file may hold: folding such a run takes seconds, and some hundred megabytes at most
_Seconds = Annotated[float, msgspec.Meta(ge=0.0, le=100 * 86400.0)]
_Traces = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
_Tokens = Annotated[int, msgspec.Meta(ge=-(10**15), le=10**15)]


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    at: _Seconds


# --- events that come from outside: the shell feeds them to the core -------------------------------


class RunStarted(_Event, frozen=True, kw_only=True):
    """The run of a question began. Everything that the core's decisions depend on is in here.

    `settings` hold no keys or secrets; `capabilities` is what the probes of the servers found. `messages` are the chat
    that was sent, with template and system message; empty in journals of before. With a `refusal`, which says why the
    question cannot be sent, no trace is started.
    """

    question_id: str
    question: str
    gold: str | None
    planned: _Traces
    settings: Settings
    capabilities: Capabilities
    messages: tuple[Message, ...] = ()
    refusal: str | None = None


class RunResumed(_Event, frozen=True, kw_only=True):
    """Another process took up an interrupted run from its journal; it changes no decision.

    `capabilities` is what the probes found now; the servers may have moved.
    """

    capabilities: Capabilities


class TraceStarted(_Event, frozen=True, kw_only=True):
    """The first event of a trace's first stream has come; the server has read `prompt_tokens`."""

    trace: int
    endpoint: str
    prompt_tokens: _Tokens
    cached_prompt_tokens: _Tokens


class TokensArrived(_Event, frozen=True, kw_only=True, omit_defaults=True):
    """New text of a trace. `tokens` is its exact total of generated tokens so far, over all its streams.

    `confidences` has one entry for each new token where the run asks for them (`orchestrator/core/confidence.py`).
    `finish_reason` comes with the last of them, so that a trace is known to be complete before its answer is.
    `discarded` of the new tokens are on the bill and not in the trace: they came behind something that could not be read.
    `prompt_tokens` and `cached_prompt_tokens` come where the server tells them later than with the first event of the
    stream; they take the place of what that said.
    """

    trace: int
    text: str
    tokens: _Tokens
    token_ids: tuple[int, ...] = ()
    confidences: tuple[float, ...] = ()
    finish_reason: str | None = None
    discarded: int = 0
    prompt_tokens: int | None = None
    cached_prompt_tokens: int | None = None


class TracePaused(_Event, frozen=True, kw_only=True):
    """The stream was closed at `tokens` generated tokens; it can be resumed exactly from there."""

    trace: int
    tokens: _Tokens


class TraceResumed(_Event, frozen=True, kw_only=True):
    """A further stream of the trace gave its first event.

    It was opened after a pause, after the run was resumed or, `attempt` > 0, after a fault. `moved` says why it is on
    another server than the stream before, which has its cache.
    """

    trace: int
    endpoint: str
    prompt_tokens: _Tokens
    cached_prompt_tokens: _Tokens
    attempt: int = 0
    moved: MoveReason | None = None


class TraceWarned(_Event, frozen=True, kw_only=True):
    """Something is odd about this trace, which goes on; `message` is a sentence for the user."""

    trace: int
    warning: WarningKind
    message: str


class TraceFinished(_Event, frozen=True, kw_only=True):
    """Terminal: the model ended the trace or reached its token limit (`finish_reason` "length").

    `answer` names the class of equal answers within this question (the first member's spelling) and is
    None when no answer could be read; `raw_answer` is this trace's own spelling. `undecided` comparisons of answers
    gave no verdict since the last trace finished, and count as different.
    """

    trace: int
    answer: str | None
    raw_answer: str | None
    finish_reason: str
    tokens: _Tokens
    undecided: int = 0


class TraceStopped(_Event, frozen=True, kw_only=True):
    """Terminal: stopped by order, before its end. `reason` "pruned" counts as pruned, others as stopped."""

    trace: int
    reason: str
    tokens: _Tokens


class TraceFailed(_Event, frozen=True, kw_only=True):
    """Terminal: given up after the last retry; its siblings live on."""

    trace: int
    boundary: Boundary
    message: str
    tokens: _Tokens


class PairsJudged(_Event, frozen=True, kw_only=True):
    """One judge call: p(identical) of `trace` with each of `members`, and what the call cost.

    `members` and `probabilities` have the same length. `requests` counts HTTP requests behind the call.
    """

    trace: int
    members: tuple[int, ...]
    probabilities: tuple[float, ...]
    prompt_tokens: _Tokens
    cached_prompt_tokens: _Tokens
    completion_tokens: _Tokens
    seconds: _Seconds
    requests: int = 1


class JudgeFailed(_Event, frozen=True, kw_only=True):
    """The judge gave no verdict for these pairs: unknown, never a reason to prune."""

    trace: int
    members: tuple[int, ...]
    message: str


class TraceRewarded(_Event, frozen=True, kw_only=True):
    """The reward model read a finished trace: `reward` in 0..1, and what reading it cost."""

    trace: int
    reward: float
    prompt_tokens: _Tokens
    seconds: _Seconds


class RewardFailed(_Event, frozen=True, kw_only=True):
    """The reward model gave none for this trace: its ballot weighs what the others weigh on average."""

    trace: int
    message: str


class ReplicaDown(_Event, frozen=True, kw_only=True):
    """One of several servers of the reasoner takes no streams from now on; `reason` is what it failed with."""

    endpoint: str
    reason: str


class ReplicaUp(_Event, frozen=True, kw_only=True):
    """A server of the reasoner that was out has answered again."""

    endpoint: str


class TraceProbed(_Event, frozen=True, kw_only=True):
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


class ProbeFailed(_Event, frozen=True, kw_only=True):
    """A running trace gave no answer to a probe (server, time-out, or it ended meanwhile): nothing is known from it."""

    trace: int
    message: str


class RunInterrupted(_Event, frozen=True, kw_only=True):
    """The user asked the run to end now."""


class UserCommandReceived(_Event, frozen=True, kw_only=True):
    """The user steered the run. `trace` goes with pin, unpin, finish and stop; `tau` (0..1) with tau alone."""

    command: UserCommand
    trace: int | None = None
    tau: float | None = None


class RunFinished(_Event, frozen=True, kw_only=True):
    """The last event. `correct_answers` are the answer classes equal to the gold answer.

    The other counts are the changes of the servers' own counters since the run was started or, last, resumed;
    None where a server has none: generated tokens, and prompt tokens found in the prefix caches of reasoner and
    judge. `undecided` comparisons with the gold answer gave no verdict.
    """

    correct_answers: tuple[str, ...]
    server_generated_tokens: _Tokens | None
    cached_prompt_tokens: _Tokens | None = None
    judge_cached_prompt_tokens: _Tokens | None = None
    interrupted: bool
    undecided: int = 0


# --- events that the core decides ------------------------------------------------------------------


class CheckpointReached(_Event, frozen=True, kw_only=True):
    """The segment that the judge reads is fixed: the first `chars` characters of the trace.

    `complete` says that the trace had ended before the checkpoint, so the segment is all of it.
    """

    trace: int
    chars: int
    words: int
    tokens: _Tokens
    complete: bool


class ClusterOpened(_Event, frozen=True, kw_only=True):
    """No cluster was similar enough; `similarity` is the best upper bound seen, None for the first one."""

    trace: int
    cluster: int
    similarity: float | None


class TraceJoined(_Event, frozen=True, kw_only=True):
    """The trace joined the most similar cluster; `similarity` is the mean over the members asked so far.

    It is None when there was no other choice (K = 1) and nobody had to be asked.
    """

    trace: int
    cluster: int
    similarity: float | None


class TraceUnjudged(_Event, frozen=True, kw_only=True):
    """The judge gave no verdict for this trace: it belongs to no cluster and runs on to its end."""

    trace: int


class VoteCount(msgspec.Struct, frozen=True, kw_only=True):
    """Votes for one class of equal answers; `weight` is what the ballots weigh together, by the voting rule."""

    answer: str
    count: int
    weight: float


class VoteCast(_Event, frozen=True, kw_only=True):
    """The tally, heaviest first. `answer` is None when there were fewer ballots than the floor.

    `margin` is (first - second) / all, by weight, in 0..1.
    """

    answer: str | None
    votes: tuple[VoteCount, ...]
    margin: float


class LikelyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer that a running trace will most probably give, of those seen so far, and how probable it is (0..1)."""

    trace: int
    answer: str
    probability: float


class VoteWeighed(_Event, frozen=True, kw_only=True):
    """What `auto` made of the votes and the evidence, and what it does next.

    `leader` is the answer ahead, None before the first vote. `lead_share` is the chance that one more trace would give it.
    `worth` is by how much `traces` further votes are expected to raise that share, and `price` what they must bring for
    it: the pair that is best of those that were compared. `action` says what follows: "wait" for running traces, "launch"
    more, or "stop" all because nothing is worth its price; the pair is then the one that came nearest. All of them are
    fractions in 0..1. Where fewer than `min_ballots` traces have an answer, more is launched or waited for though it is not
    worth its price.
    """

    leader: str | None
    lead_share: float
    worth: float
    price: float
    traces: int
    action: Literal["wait", "launch", "stop"]
    likely: tuple[LikelyAnswer, ...] = ()


DerivedEvent = (
    CheckpointReached | ClusterOpened | TraceJoined | TraceUnjudged | VoteWeighed | VoteCast
)
"""Recorded like what comes from outside, but never fed to a core."""

Event = (
    RunStarted
    | RunResumed
    | TraceStarted
    | TokensArrived
    | TracePaused
    | TraceResumed
    | TraceWarned
    | TraceFinished
    | TraceStopped
    | TraceFailed
    | PairsJudged
    | JudgeFailed
    | TraceRewarded
    | RewardFailed
    | ReplicaDown
    | ReplicaUp
    | TraceProbed
    | ProbeFailed
    | RunInterrupted
    | UserCommandReceived
    | RunFinished
    | DerivedEvent
)
