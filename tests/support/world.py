"""A small world around the engine: plays server and judge, in any order of events that a test picks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import msgspec

from orchestrator.capabilities import Capabilities
from orchestrator.core.engine import Engine, Outcome
from orchestrator.core.events import (
    AskJudge,
    Command,
    Event,
    FinishRun,
    HoldLaunches,
    JudgeFailed,
    PairsJudged,
    PauseTrace,
    ReleaseLaunches,
    ResumeTrace,
    RunInterrupted,
    RunStarted,
    StartTrace,
    StopTrace,
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TracePaused,
    TraceResumed,
    TraceStarted,
    TraceStopped,
    UserCommandReceived,
)
from orchestrator.settings import Settings
from tests.support.capabilities import capabilities

_Kind = TypeVar("_Kind", bound=Event | Command)

Chooser = Callable[[int], int]
"""Picks one of n possible next events: `choose(n)` is in 0..n-1."""


def run_started(
    settings: Settings, *, resumable: bool = True, servers: Capabilities | None = None
) -> RunStarted:
    return RunStarted(
        at=0.0,
        question_id="q",
        question="What is 1+1?",
        gold=None,
        planned=settings.policy.traces,
        settings=settings,
        capabilities=servers or capabilities(resumable=resumable),
    )


@dataclass
class Script:
    """What one trace would write: chunks of text, then its answer (None: no answer can be read)."""

    chunks: Sequence[str]
    answer: str | None = "1"
    fails_after: int | None = None


@dataclass
class World:
    """Runs an engine to its end; every pending event is possible next, and `choose` picks one."""

    settings: Settings
    scripts: Sequence[Script]
    judge: Callable[[int, int], float | None] | None
    choose: Chooser
    resumable: bool = True
    interrupt_after: int | None = None
    user_commands: Sequence[tuple[int, UserCommandReceived]] = ()
    """What the user does before which step; launching that is held is released when nothing else can happen."""
    servers: Capabilities | None = None
    events: list[Event] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._at = 0.0
        self._position = dict.fromkeys(range(len(self.scripts)), 0)
        self._state = dict.fromkeys(range(len(self.scripts)), "idle")
        self._want = dict.fromkeys(range(len(self.scripts)), "")
        self._reason: dict[int, str] = {}
        self._questions: list[AskJudge] = []
        self._held = False
        self.over = False

    def play(self) -> "World":
        started = run_started(self.settings, resumable=self.resumable, servers=self.servers)
        self.engine = Engine(started)
        self._feed(started)
        for step in range(10_000):
            for before, command in self.user_commands:
                if before == step and not self.over:
                    self._feed(msgspec.structs.replace(command, at=self._now()))
            if self.over:
                return self
            self._next_event(step)
        raise AssertionError("the run does not end")

    def _next_event(self, step: int) -> None:
        possible = self._possible()
        if not possible and self._held:
            self._feed(UserCommandReceived(at=self._now(), command="release"))
            possible = self._possible()
        assert possible, "the run hangs: nothing can happen and it is not over"
        if step == self.interrupt_after:
            self._feed(RunInterrupted(at=self._now()))
        else:
            possible[self.choose(len(possible))]()

    def terminal_events(self, trace: int) -> list[Event]:
        ends = (TraceFinished, TraceStopped, TraceFailed)
        return [f for f in self.events if isinstance(f, ends) and f.trace == trace]

    def of(self, kind: type[_Kind]) -> list[_Kind]:
        return [f for f in [*self.events, *self.commands] if isinstance(f, kind)]

    def _now(self) -> float:
        self._at += 1.0
        return self._at

    def _feed(self, event: Event) -> None:
        self.events.append(event)
        outcome: Outcome = self.engine.feed(event)
        self.events.extend(outcome.events)
        for command in outcome.commands:
            self.commands.append(command)
            self._perform(command)

    def _perform(self, command: Command) -> None:
        match command:
            case StartTrace(trace=trace):
                self._state[trace] = "queued"
            case PauseTrace(trace=trace) | ResumeTrace(trace=trace):
                if self._want[trace] != "stop":
                    self._want[trace] = "pause" if isinstance(command, PauseTrace) else "run"
            case StopTrace(trace=trace, reason=reason):
                self._want[trace] = "stop"
                self._reason.setdefault(trace, reason)
            case AskJudge():
                self._questions.append(command)
            case HoldLaunches() | ReleaseLaunches():
                self._held = isinstance(command, HoldLaunches)
            case FinishRun():
                self.over = True

    def _possible(self) -> list[Callable[[], None]]:
        events: list[Callable[[], None]] = [
            partial(self._answer, question) for question in self._questions
        ]
        for trace, state in self._state.items():
            events.extend(self._trace_events(trace, state))
        return events

    def _trace_events(self, trace: int, state: str) -> list[Callable[[], None]]:
        want = self._want[trace]
        if state in ("idle", "over"):
            return []
        events: list[Callable[[], None]] = []
        if want == "stop":
            events.append(lambda: self._end(trace, self._stopped(trace)))
        if state == "paused":
            if want == "run":
                events.append(lambda: self._open(trace))
            return events
        if want == "pause" and state == "running":
            events.append(lambda: self._pause(trace))
        if state == "queued" and self._held:
            return events
        # an order takes time to arrive: the trace may also go on meanwhile
        events.append(lambda: self._advance(trace))
        return events

    def _open(self, trace: int) -> None:
        kind = TraceStarted if self._state[trace] == "queued" else TraceResumed
        self._state[trace] = "running"
        self._feed(
            kind(at=self._now(), trace=trace, endpoint="e", prompt_tokens=1, cached_prompt_tokens=0)
        )

    def _advance(self, trace: int) -> None:
        if self._state[trace] == "queued":
            self._open(trace)
            return
        script, position = self.scripts[trace], self._position[trace]
        if script.fails_after is not None and position >= script.fails_after:
            failed = TraceFailed(
                at=self._now(), trace=trace, boundary="server", message="reset", tokens=position
            )
            self._end(trace, failed)
        elif position == len(script.chunks):
            finished = TraceFinished(
                at=self._now(),
                trace=trace,
                answer=script.answer,
                raw_answer=script.answer,
                finish_reason="stop",
                tokens=position,
            )
            self._end(trace, finished)
        else:
            self._position[trace] = position + 1
            arrived = TokensArrived(
                at=self._now(), trace=trace, text=script.chunks[position], tokens=position + 1
            )
            self._feed(arrived)

    def _pause(self, trace: int) -> None:
        self._state[trace] = "paused"
        self._feed(TracePaused(at=self._now(), trace=trace, tokens=self._position[trace]))

    def _stopped(self, trace: int) -> TraceStopped:
        return TraceStopped(
            at=self._now(), trace=trace, reason=self._reason[trace], tokens=self._position[trace]
        )

    def _end(self, trace: int, event: Event) -> None:
        self._state[trace] = "over"
        self._feed(event)

    def _answer(self, question: AskJudge) -> None:
        self._questions.remove(question)
        assert self.judge is not None, "the policy asks a judge that this run does not have"
        verdicts = [self.judge(question.trace, member) for member in question.members]
        known = tuple(verdict for verdict in verdicts if verdict is not None)
        if len(known) < len(verdicts):
            event: Event = JudgeFailed(
                at=self._now(), trace=question.trace, members=question.members, message="down"
            )
        else:
            event = PairsJudged(
                at=self._now(),
                trace=question.trace,
                members=question.members,
                probabilities=known,
                prompt_tokens=1,
                cached_prompt_tokens=0,
                completion_tokens=0,
                seconds=0.0,
            )
        self._feed(event)
