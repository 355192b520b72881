"""A stop, a pause or a further stream comes only if it was commanded: of whatever a trace's runner can do, nothing raises."""

from collections import deque
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.commands import Command, PauseTrace, ResumeTrace, StartTrace, StopTrace
from orchestrator.core.events import (
    Event,
    RunResumed,
    TokensArrived,
    TraceFinished,
    TracePaused,
    TraceResumed,
    TraceStopped,
)
from orchestrator.core.transitions import Transitions
from orchestrator.errors import EventOutOfTurn
from orchestrator.settings import Settings
from tests.support.capabilities import capabilities
from tests.support.world import opened, run_started

PAUSE, RESUME = PauseTrace(trace=0), ResumeTrace(trace=0)
STOP = StopTrace(trace=0, reason="pruned")
PAUSED = TracePaused(at=1.0, trace=0, tokens=1)
STOPPED = TraceStopped(at=1.0, trace=0, reason="pruned", tokens=1)
TAKEN_UP = RunResumed(at=1.0, capabilities=capabilities())


def resumed(attempt: int = 0) -> TraceResumed:
    return TraceResumed(
        at=1.0,
        trace=0,
        endpoint="here",
        prompt_tokens=7,
        cached_prompt_tokens=0,
        attempt=attempt,
    )


def after(*entries: Event | Command) -> Transitions:
    """The transitions of a run whose trace 0 was started, behind these entries."""
    made = Transitions()
    made.note_event(run_started(Settings()))
    made.note_command(StartTrace(trace=0))
    for entry in entries:
        if isinstance(entry, Command):
            made.note_command(entry)
        else:
            made.note_event(entry)
    return made


@pytest.mark.parametrize(
    ("before", "event"),
    [
        ((), STOPPED),
        ((opened(0),), STOPPED),
        ((opened(0), StopTrace(trace=0, reason="user")), STOPPED),
        ((), PAUSED),
        ((opened(0),), PAUSED),
        ((opened(0), STOP, PAUSE), PAUSED),
        ((opened(0), PAUSE, PAUSED, RESUME, resumed()), PAUSED),
        ((opened(0), PAUSE, PAUSE, PAUSED, RESUME, resumed()), PAUSED),
        ((PAUSE, PAUSED), opened(0)),
        ((opened(0),), resumed()),
        ((opened(0), RESUME), resumed()),
        ((opened(0), PAUSE, PAUSED), resumed()),
        ((opened(0), PAUSE, PAUSED), resumed(attempt=1)),
        ((opened(0), PAUSE, PAUSED, STOP, RESUME), resumed()),
        ((opened(0), PAUSE, PAUSED, TAKEN_UP), resumed()),
    ],
)
def test_what_was_not_commanded_is_refused(
    before: tuple[Event | Command, ...], event: Event
) -> None:
    transitions = after(*before)
    with pytest.raises(EventOutOfTurn, match="trace 0 came out of turn: it was not commanded"):
        transitions.note_event(event)


@pytest.mark.parametrize(
    "entries",
    [
        (STOP, STOPPED),
        (opened(0), StopTrace(trace=0, reason="user"), STOP, STOPPED),
        (PAUSE, PAUSED, RESUME, opened(0)),
        (PAUSE, RESUME, opened(0)),
        (opened(0), PAUSE, PAUSED, RESUME, resumed(), PAUSE, PAUSED),
        (opened(0), PAUSE, RESUME, resumed()),
        (opened(0), resumed(attempt=1), resumed(attempt=1)),
        (opened(0), PAUSE, PAUSED, RESUME, resumed(attempt=2)),
        (opened(0), TAKEN_UP, resumed()),
    ],
)
def test_what_was_commanded_comes(entries: tuple[Event | Command, ...]) -> None:
    after(*entries)


Wanted = Literal["run", "pause", "stop"]
WANTED: dict[type[Command], Wanted] = {PauseTrace: "pause", ResumeTrace: "run", StopTrace: "stop"}


class Runner:
    """The states of `orchestrator.runtime.trace.TraceRunner`; `emitted` are events that no one has taken yet."""

    def __init__(self) -> None:
        self.wanted: Wanted = "run"
        self.reason = ""
        self.opened = self.open = self.closing = False
        self.paused = self.complete = self.ended = False
        self.attempt = 0
        self.emitted: deque[Event] = deque()

    def command(self, command: PauseTrace | ResumeTrace | StopTrace) -> None:
        if isinstance(command, StopTrace):
            self.reason = command.reason
        wanted = WANTED[type(command)]
        if self.wanted != "stop" and wanted != self.wanted:
            self.wanted, self.attempt = wanted, 0
            self.closing = self.closing or (self.open and wanted != "run")

    def step(self, *, breaks: bool, ends: bool) -> None:
        """Does the next thing: a stream that was told to close may write on first, or break."""
        if self.ended:
            return
        if self.open:
            self._stream(breaks=breaks, ends=ends)
        elif self.complete:
            self._end(
                TraceFinished(
                    at=1.0, trace=0, answer="4", raw_answer="4", finish_reason="stop", tokens=1
                )
            )
        elif self.wanted == "stop":
            self._end(TraceStopped(at=1.0, trace=0, reason=self.reason, tokens=1))
        elif self.wanted == "pause":
            if not self.paused:
                self.emitted.append(PAUSED)
            self.paused = True
        elif breaks:
            self.attempt += 1  # a stream without a first event
        else:
            self.emitted.append(resumed(self.attempt) if self.opened else opened(0))
            self.opened = self.open = True
            self.paused = False

    def _stream(self, *, breaks: bool, ends: bool) -> None:
        if breaks:
            self.attempt = 0 if self.closing else self.attempt + 1
            self.open = self.closing = False
            return
        self.complete = ends
        self.open = not ends
        reason = "stop" if ends else None
        self.emitted.append(
            TokensArrived(at=1.0, trace=0, text="x", tokens=1, finish_reason=reason)
        )

    def _end(self, event: Event) -> None:
        self.ended = True
        self.emitted.append(event)


MOVES = st.sampled_from(["pause", "resume", "stop", "step", "step", "break", "end", "deliver"])


@given(st.lists(MOVES, max_size=60))
def test_whatever_a_runner_does_and_however_late_its_events_come_nothing_raises(
    moves: list[str],
) -> None:
    runner, transitions = Runner(), after()
    commands: dict[str, PauseTrace | ResumeTrace | StopTrace] = {
        "pause": PAUSE,
        "resume": RESUME,
        "stop": STOP,
    }
    for move in moves:
        if move in commands:
            transitions.note_command(commands[move])
            runner.command(commands[move])
        elif move == "deliver":
            if runner.emitted:
                transitions.note_event(runner.emitted.popleft())
        else:
            runner.step(breaks=move == "break", ends=move == "end")
    while runner.emitted:
        transitions.note_event(runner.emitted.popleft())
