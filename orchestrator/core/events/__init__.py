"""Events: what happened, past tense, as frozen structs; `orchestrator.core.commands` has what to do.

Events are logged, commands are performed and produce events. Both serialise to one JSON line with
a `type` field, so the journal, the report, a display and the tests all read the same thing.

Times (`at`) are seconds since the run started, without those in which a resumed run stood still. Token counts are the server's own where it gives them.
Traces are numbered 0 to planned-1; clusters in the order in which they opened.

The events of `run` and `trace` come from outside, and the shell feeds them to the core; it decides those of `derived`.
"""

from orchestrator.core.events.derived import (
    CheckpointReached,
    ClusterOpened,
    LikelyAnswer,
    TraceJoined,
    TraceUnjudged,
    VoteCast,
    VoteCount,
    VoteWeighed,
)
from orchestrator.core.events.run import (
    ReplicaDown,
    ReplicaUp,
    RunFinished,
    RunInterrupted,
    RunResumed,
    RunStarted,
    UserCommand,
    UserCommandReceived,
)
from orchestrator.core.events.trace import (
    Boundary,
    JudgeFailed,
    MoveReason,
    PairsJudged,
    ProbeFailed,
    RewardFailed,
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TracePaused,
    TraceProbed,
    TraceResumed,
    TraceRewarded,
    TraceStarted,
    TraceStopped,
    TraceWarned,
    WarningKind,
)

__all__ = [
    "Boundary",
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
