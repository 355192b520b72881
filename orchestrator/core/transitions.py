"""Which event may come when: a table of transitions per trace, and what has been asked and not been answered yet.

An event out of turn (a second end, a stop that was not commanded, an answer of a trace that was never started, tokens
after the end) raises, so that no such event can ever reach a policy or the vote.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Any, ClassVar, get_args

from orchestrator.core.commanded import Commanded
from orchestrator.core.commands import (
    AskJudge,
    Command,
    FinishRun,
    ProbeTrace,
    RewardTrace,
    StartTrace,
)
from orchestrator.core.events import (
    DerivedEvent,
    Event,
    JudgeFailed,
    PairsJudged,
    ProbeFailed,
    RewardFailed,
    RunFinished,
    RunResumed,
    RunStarted,
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
)
from orchestrator.errors import EventOutOfTurn

__all__ = ["TRANSITIONS", "TraceState", "Transitions"]


class TraceState(Enum):
    """Where a trace is between its `StartTrace` and its end."""

    PLANNED = auto()
    """It was not started."""
    QUEUED = auto()
    """It was started; no stream of it has given an event."""
    HELD = auto()
    """It was paused before its first stream gave an event."""
    STREAMING = auto()
    PAUSED = auto()
    COMPLETE = auto()
    """The model has ended it, and its answer is being read."""
    ENDED = auto()


_TraceEvent = (
    TraceStarted
    | TokensArrived
    | TracePaused
    | TraceResumed
    | TraceFinished
    | TraceStopped
    | TraceFailed
    | TraceWarned
)

_STOPPED: Mapping[type, TraceState] = {
    TraceStopped: TraceState.ENDED,
    TraceFailed: TraceState.ENDED,
}

TRANSITIONS: Mapping[TraceState, Mapping[type, TraceState]] = {
    TraceState.PLANNED: {},
    TraceState.QUEUED: {
        TraceWarned: TraceState.QUEUED,
        TraceStarted: TraceState.STREAMING,
        TracePaused: TraceState.HELD,
        **_STOPPED,
    },
    TraceState.HELD: {
        TraceWarned: TraceState.HELD,
        TraceStarted: TraceState.STREAMING,
        **_STOPPED,
    },
    TraceState.STREAMING: {
        TraceWarned: TraceState.STREAMING,
        TokensArrived: TraceState.STREAMING,  # COMPLETE with a finish reason
        TraceFinished: TraceState.ENDED,  # of simulated servers, whose last tokens need no finish reason
        TracePaused: TraceState.PAUSED,
        TraceResumed: TraceState.STREAMING,  # a further stream after a fault, or after a pause that was taken back
        **_STOPPED,
    },
    TraceState.PAUSED: {
        TraceWarned: TraceState.PAUSED,
        TraceResumed: TraceState.STREAMING,
        **_STOPPED,
    },
    TraceState.COMPLETE: {
        TraceWarned: TraceState.COMPLETE,
        TraceFinished: TraceState.ENDED,
        TraceFailed: TraceState.ENDED,  # its answer could not be placed
    },
    TraceState.ENDED: {},
}
"""The state that follows from an event in a state; what is not here is out of turn."""


class Transitions:
    """The states of a run's traces, advanced by events and by the commands that the core gives."""

    def __init__(self) -> None:
        self._started = False
        self._decided = False  # nothing is left to do, and the vote is cast
        self._finished = False
        self._commanded = Commanded()
        self._states: dict[int, TraceState] = {}
        self._asked: list[tuple[int, tuple[int, ...]]] = []
        self._unrewarded: set[int] = set()
        self._probing: Counter[int] = Counter()  # probes of each trace that have not been answered

    @property
    def probing(self) -> int:
        """Probes that have neither been answered nor failed."""
        return self._probing.total()

    def note_command(self, command: Command) -> None:
        """Takes in a command that goes out: what it asks for may be answered from now on."""
        if isinstance(command, AskJudge):
            self._asked.append((command.trace, command.members))
        elif isinstance(command, StartTrace):
            self._states[command.trace] = TraceState.QUEUED
        elif isinstance(command, RewardTrace):
            self._unrewarded.add(command.trace)
        elif isinstance(command, ProbeTrace):
            self._probing[command.trace] += 1
        elif isinstance(command, FinishRun):
            self._decided = True
        else:
            self._commanded.note(command)

    def note_event(self, event: Event) -> None:
        """Takes in an event from outside.

        Raises:
            EventOutOfTurn: it cannot come now.
        """
        check = self._CHECKS.get(type(event))
        if check is None:
            self._check_run(event)
        else:
            check(self, event)

    def _advance(self, event: _TraceEvent) -> None:
        state = self._states.get(event.trace, TraceState.PLANNED)
        following = TRANSITIONS[state].get(type(event))
        if following is None or self._finished:
            raise EventOutOfTurn(
                f"{type(event).__name__} of trace {event.trace} came out of turn: the trace is {state.name.lower()}."
            )
        if isinstance(event, TokensArrived):
            if event.finish_reason is not None:
                following = TraceState.COMPLETE
        elif isinstance(event, TraceStarted | TracePaused | TraceResumed | TraceStopped):
            self._check_command(event, state)
        self._states[event.trace] = following

    def _check_command(
        self, event: TraceStarted | TracePaused | TraceResumed | TraceStopped, state: TraceState
    ) -> None:
        waiting = state in (TraceState.HELD, TraceState.PAUSED)
        if not self._commanded.permits(event, waiting=waiting):
            raise EventOutOfTurn(
                f"{type(event).__name__} of trace {event.trace} came out of turn: it was not commanded."
            )

    def _answer(self, event: PairsJudged | JudgeFailed) -> None:
        asked = (event.trace, event.members)
        if asked not in self._asked or self._finished:
            raise EventOutOfTurn(
                f"{type(event).__name__} of trace {event.trace} came out of turn: the judge was not asked this."
            )
        self._asked.remove(asked)

    def _reward(self, event: TraceRewarded | RewardFailed) -> None:
        if event.trace not in self._unrewarded or self._finished:
            raise EventOutOfTurn(
                f"{type(event).__name__} of trace {event.trace} came out of turn: no reward was asked for."
            )
        self._unrewarded.discard(event.trace)

    def _probe(self, event: TraceProbed | ProbeFailed) -> None:
        if not self._probing[event.trace] or self._finished:
            raise EventOutOfTurn(
                f"{type(event).__name__} of trace {event.trace} came out of turn: no probe was asked for."
            )
        self._probing[event.trace] -= 1

    def _check_run(self, event: Event) -> None:
        """Events of the whole run: one start, at the head; the end after the vote; no event of the core's own."""
        is_start, is_end = isinstance(event, RunStarted), isinstance(event, RunFinished)
        if (
            self._finished
            or is_start == self._started
            or (is_end and not self._decided)
            or isinstance(event, DerivedEvent)
        ):
            raise EventOutOfTurn(f"{type(event).__name__} came out of turn.")
        self._started, self._finished = True, is_end
        if isinstance(event, RunResumed):
            for trace, state in self._states.items():
                if state is TraceState.STREAMING:
                    self._commanded.reopen(trace)

    _CHECKS: ClassVar[Mapping[type, Callable[[Any, Any], None]]] = {
        **dict.fromkeys(get_args(_TraceEvent), _advance),
        PairsJudged: _answer,
        JudgeFailed: _answer,
        TraceRewarded: _reward,
        RewardFailed: _reward,
        TraceProbed: _probe,
        ProbeFailed: _probe,
    }
    """By the type of an event, because a chain of comparisons costs more than the check itself; others concern the run."""
