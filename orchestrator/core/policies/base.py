"""What the engine expects of a policy.

Traces launched, running and ended, and their ballots so far: what policies that need no judge decide on.

A trace counts once, when it ends. One that ended without an answer, or failed, is a blank.
"""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable

from orchestrator.core.commands import Command, StartTrace, StopTrace
from orchestrator.core.events import Event, TraceFailed, TraceFinished, TraceStopped

__all__ = [
    "EstimatesVotes",
    "Policy",
    "Step",
    "Tally",
]


class Step(NamedTuple):
    """A policy's answer to one event: events that it decided, and commands, each in order."""

    events: list[Event]
    commands: list[Command]


class Policy(Protocol):
    """A state machine; the engine calls `start` once and then `on` for every event.

    `TokensArrived` comes only to a policy that watches tokens, once their confidences are measured.
    """

    @property
    def uses_checkpoints(self) -> bool:
        """Whether the engine shall look for checkpoints."""

    @property
    def watches_tokens(self) -> bool:
        """Whether the policy decides on tokens as they arrive."""

    @property
    def at_rest(self) -> bool:
        """Whether the run is over once no trace is open; False while verdicts are still awaited."""

    def start(self) -> Step:
        """The first commands of a run."""

    def on(self, event: Event) -> Step:
        """What follows from an event."""

    def voters(self, finished: tuple[int, ...]) -> list[int]:
        """The traces whose answers are counted, a part of `finished` (in order of finishing)."""


@runtime_checkable
class EstimatesVotes(Protocol):
    """A policy that counts what traces without an end are believed to say."""

    def estimated_votes(self) -> Mapping[str, float]:
        """For each answer with votes, the further ones that unfinished traces are believed to give it."""


class Tally:
    """The count of one question with at most `planned` traces."""

    def __init__(self, planned: int) -> None:
        self.planned = planned
        self.launched = 0
        self.answers: list[str | None] = []
        """Of the traces that ended, in order; None for a blank."""
        self._open: set[int] = set()

    @property
    def running(self) -> int:
        """Traces launched that have not ended."""
        return len(self._open)

    @property
    def open(self) -> tuple[int, ...]:
        """The numbers of the running traces, in order."""
        return tuple(sorted(self._open))

    @property
    def left(self) -> int:
        """Traces that may still be launched."""
        return self.planned - self.launched

    @property
    def votes(self) -> Counter[str]:
        """The number of votes for each answer, in the order in which they were first given."""
        return Counter(answer for answer in self.answers if answer is not None)

    @property
    def vote_counts(self) -> tuple[int, ...]:
        """The number of votes for each answer, largest first."""
        return tuple(sorted(self.votes.values(), reverse=True))

    @property
    def blanks(self) -> int:
        """Traces that ended without a ballot."""
        return self.answers.count(None)

    def launch(self, traces: int) -> list[Command]:
        """The commands that start so many more traces, or as many as are left."""
        first = self.launched
        self.launched += max(0, min(traces, self.left))
        started = range(first, self.launched)
        self._open.update(started)
        return [StartTrace(trace=trace) for trace in started]

    def ended(self, event: Event) -> bool:
        """Takes an event in; whether it ended a trace. A trace that was stopped by order is no blank."""
        match event:
            case TraceFinished(trace=trace, answer=answer):
                self.answers.append(answer)
            case TraceFailed(trace=trace):
                self.answers.append(None)
            case TraceStopped(trace=trace):
                pass
            case _:
                return False
        self._open.discard(trace)
        return True

    def stop_all(self, reason: str) -> list[Command]:
        """The commands that end every running trace."""
        return [StopTrace(trace=trace, reason=reason) for trace in sorted(self._open)]
