"""Events that the core decides from the others: checkpoints, clusters and votes."""

from typing import Literal

import msgspec

from orchestrator.core.events.base import RecordedEvent, Tokens

__all__ = [
    "CheckpointReached",
    "ClusterOpened",
    "LikelyAnswer",
    "TraceJoined",
    "TraceUnjudged",
    "VoteCast",
    "VoteCount",
    "VoteWeighed",
]


class CheckpointReached(RecordedEvent, frozen=True, kw_only=True):
    """The segment that the judge reads is fixed: the first `chars` characters of the trace.

    `complete` says that the trace had ended before the checkpoint, so the segment is all of it.
    """

    trace: int
    chars: int
    words: int
    tokens: Tokens
    complete: bool


class ClusterOpened(RecordedEvent, frozen=True, kw_only=True):
    """No cluster was similar enough; `similarity` is the best upper bound seen, None for the first one.

    By the first match it is the best mean of what was judged.
    """

    trace: int
    cluster: int
    similarity: float | None


class TraceJoined(RecordedEvent, frozen=True, kw_only=True):
    """The trace joined the most similar cluster, or the first match; `similarity` is the mean over the members asked so far.

    It is None when there was no other choice (K = 1) and nobody had to be asked.
    """

    trace: int
    cluster: int
    similarity: float | None


class TraceUnjudged(RecordedEvent, frozen=True, kw_only=True):
    """The judge gave no verdict for this trace: it belongs to no cluster and runs on to its end."""

    trace: int


class VoteCount(msgspec.Struct, frozen=True, kw_only=True):
    """Votes for one class of equal answers; `weight` is what the ballots weigh together, by the voting rule."""

    answer: str
    count: int
    weight: float


class VoteCast(RecordedEvent, frozen=True, kw_only=True):
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


class VoteWeighed(RecordedEvent, frozen=True, kw_only=True):
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
