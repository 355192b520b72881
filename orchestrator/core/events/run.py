"""Events of a whole run: its start and end, its servers, and what the user did."""

from typing import Literal

from orchestrator.capabilities import Capabilities
from orchestrator.core.events.base import RecordedEvent, Tokens, Traces
from orchestrator.core.prompting import Message
from orchestrator.settings import Settings

__all__ = [
    "ReplicaDown",
    "ReplicaUp",
    "RunFinished",
    "RunInterrupted",
    "RunResumed",
    "RunStarted",
    "UserCommand",
    "UserCommandReceived",
]

UserCommand = Literal["tau", "pin", "unpin", "finish", "stop", "vote", "hold", "release"]
"""What a user can do to a run while it goes on.

`tau` sets the similarity above which traces join. `pin` keeps a trace from being pruned, `unpin` takes that
back, `finish` also lets it run on at once, without waiting for the judge; what is kept so has a ballot. `stop`
ends a trace, `vote` ends all and counts. `hold` opens no further traces until `release`.
"""


class RunStarted(RecordedEvent, frozen=True, kw_only=True):
    """The run of a question began. Everything that the core's decisions depend on is in here.

    `settings` hold no keys or secrets; `capabilities` is what the probes of the servers found. `messages` are the chat
    that was sent, with template and system message; empty in journals of before. With a `refusal`, which says why the
    question cannot be sent, no trace is started.
    """

    question_id: str
    question: str
    gold: str | None
    planned: Traces
    settings: Settings
    capabilities: Capabilities
    messages: tuple[Message, ...] = ()
    refusal: str | None = None


class RunResumed(RecordedEvent, frozen=True, kw_only=True):
    """Another process took up an interrupted run from its journal; it changes no decision.

    `capabilities` is what the probes found now; the servers may have moved.
    """

    capabilities: Capabilities


class RunInterrupted(RecordedEvent, frozen=True, kw_only=True):
    """The user asked the run to end now."""


class UserCommandReceived(RecordedEvent, frozen=True, kw_only=True):
    """The user steered the run. `trace` goes with pin, unpin, finish and stop; `tau` (0..1) with tau alone."""

    command: UserCommand
    trace: int | None = None
    tau: float | None = None


class ReplicaDown(RecordedEvent, frozen=True, kw_only=True):
    """One of several servers of the reasoner takes no streams from now on; `reason` is what it failed with."""

    endpoint: str
    reason: str


class ReplicaUp(RecordedEvent, frozen=True, kw_only=True):
    """A server of the reasoner that was out has answered again."""

    endpoint: str


class RunFinished(RecordedEvent, frozen=True, kw_only=True):
    """The last event. `correct_answers` are the answer classes equal to the gold answer.

    The other counts are the changes of the servers' own counters since the run was started or, last, resumed;
    None where a server has none: generated tokens, and prompt tokens found in the prefix caches of reasoner and
    judge. `undecided` comparisons with the gold answer gave no verdict.
    """

    correct_answers: tuple[str, ...]
    server_generated_tokens: Tokens | None
    cached_prompt_tokens: Tokens | None = None
    judge_cached_prompt_tokens: Tokens | None = None
    interrupted: bool
    undecided: int = 0
