"""Plays server, judge and user around an engine: any event that can happen next may, and the test picks which."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from orchestrator.capabilities import Capabilities
from orchestrator.core.commands import (
    AskJudge,
    Command,
    FinishRun,
    HoldLaunches,
    PauseTrace,
    ProbeTrace,
    ReleaseLaunches,
    ResumeTrace,
    StartTrace,
    StopTrace,
)
from orchestrator.core.engine import Engine, Outcome
from orchestrator.core.events import (
    Event,
    JudgeFailed,
    PairsJudged,
    ProbeFailed,
    RunInterrupted,
    RunStarted,
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TracePaused,
    TraceProbed,
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


@dataclass(frozen=True)
class Script:
    """What one trace writes: chunks of text, then its answer (None: no answer can be read)."""

    chunks: Sequence[str]
    answer: str | None = "1"
    fails_after: int | None = None


class After(NamedTuple):
    """The moment after the first event or command of a kind, of one trace or of any."""

    kind: type[Event | Command]
    trace: int | None = None

    def matches(self, entry: Event | Command) -> bool:
        return isinstance(entry, self.kind) and self.trace in (None, getattr(entry, "trace", None))


@dataclass
class _Trace:
    number: int
    script: Script
    state: Literal["idle", "queued", "running", "paused", "over"] = "idle"
    wanted: Literal["run", "pause", "stop"] = "run"
    stop_reason: str = ""
    written: int = 0
    """Chunks so far; each is one token."""


def opened(trace: int) -> TraceStarted:
    """The first stream of a trace has given its first event."""
    return TraceStarted(
        at=0.5, trace=trace, endpoint="here", prompt_tokens=7, cached_prompt_tokens=0
    )


@dataclass
class World:
    """Runs an engine to its end; every pending event is possible next, and `choose` picks one.

    A command takes time to arrive: a trace that shall pause or stop may also write on meanwhile.
    """

    settings: Settings
    scripts: Sequence[Script]
    judge: Callable[[int, int], float | None] | None
    choose: Chooser
    resumable: bool = True
    interrupt_after: int | None = None
    user_commands: Sequence[tuple[int | After, UserCommandReceived]] = ()
    """Each with the number of the step before which it comes, or the moment after which.

    Launches that are held are released when nothing else can happen.
    """
    servers: Capabilities | None = None
    probe: Callable[[int, int], str | None] | None = None
    """What a trace says when it is asked after so many tokens; no answer is a probe that failed."""
    events: list[Event] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._at = 0.0
        self._traces = [_Trace(number, script) for number, script in enumerate(self.scripts)]
        self._judge_calls: list[AskJudge] = []
        self._probes: list[tuple[int, int]] = []  # trace, and tokens when it was asked
        self._pending_user_commands = list(self.user_commands)
        self._held = False
        self.over = False

    def play(self) -> "World":
        started = run_started(self.settings, resumable=self.resumable, servers=self.servers)
        self.engine = Engine(started)
        self._feed(started)
        for step in range(10_000):
            for command in self._due_user_commands(step):
                if not self.over:
                    self._feed(msgspec.structs.replace(command, at=self._now()))
            if self.over:
                return self
            self._next_event(step)
        raise AssertionError("the run does not end")

    def terminal_events(self, trace: int) -> list[Event]:
        ends = (TraceFinished, TraceStopped, TraceFailed)
        return [event for event in self.events if isinstance(event, ends) and event.trace == trace]

    def of(self, kind: type[_Kind]) -> list[_Kind]:
        """The events or commands of a kind, in order."""
        return [entry for entry in self._entries() if isinstance(entry, kind)]

    def _entries(self) -> Iterator[Event | Command]:
        yield from self.events
        yield from self.commands

    def _due_user_commands(self, step: int) -> list[UserCommandReceived]:
        due = [
            each
            for each in self._pending_user_commands
            if (
                any(map(each[0].matches, self._entries()))
                if isinstance(each[0], After)
                else each[0] == step
            )
        ]
        for each in due:
            self._pending_user_commands.remove(each)
        return [command for _moment, command in due]

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
                self._traces[trace].state = "queued"
            case PauseTrace(trace=trace):
                self._want(trace, "pause")
            case ResumeTrace(trace=trace):
                self._want(trace, "run")
            case StopTrace(trace=trace, reason=reason):
                self._want(trace, "stop", reason)
            case AskJudge():
                self._judge_calls.append(command)
            case ProbeTrace(trace=trace):
                assert self._traces[trace].state == "running", "a trace is asked that does not run"
                self._probes.append((trace, self._traces[trace].written))
            case HoldLaunches() | ReleaseLaunches():
                self._held = isinstance(command, HoldLaunches)
            case FinishRun():
                self.over = True

    def _want(self, number: int, wanted: Literal["run", "pause", "stop"], reason: str = "") -> None:
        trace = self._traces[number]
        if trace.wanted != "stop":  # a stop is final
            trace.wanted, trace.stop_reason = wanted, reason

    def _possible(self) -> list[partial[None]]:
        events = [partial(self._answer, call) for call in self._judge_calls]
        events.extend(partial(self._answer_probe, *probe) for probe in self._probes)
        for trace in self._traces:
            events.extend(self._possible_of(trace))
        return events

    def _possible_of(self, trace: _Trace) -> Iterator[partial[None]]:
        if trace.state in ("idle", "over"):
            return
        if trace.wanted == "stop":
            yield partial(self._end, trace, TraceStopped, reason=trace.stop_reason)
        if trace.state == "paused":
            if trace.wanted == "run":
                yield partial(self._open, trace, TraceResumed)
        elif trace.state == "running":
            if trace.wanted == "pause":
                yield partial(self._pause, trace)
            yield partial(self._advance, trace)
        elif not self._held:
            yield partial(self._open, trace, TraceStarted)

    def _open(self, trace: _Trace, kind: type[TraceStarted | TraceResumed]) -> None:
        trace.state = "running"
        at, number = self._now(), trace.number
        self._feed(kind(at=at, trace=number, endpoint="e", prompt_tokens=1, cached_prompt_tokens=0))

    def _advance(self, trace: _Trace) -> None:
        script, written = trace.script, trace.written
        if script.fails_after is not None and written >= script.fails_after:
            self._end(trace, TraceFailed, boundary="server", message="reset")
        elif written == len(script.chunks):
            answer = script.answer
            self._end(trace, TraceFinished, answer=answer, raw_answer=answer, finish_reason="stop")
        else:
            trace.written += 1
            text = script.chunks[written]
            self._feed(
                TokensArrived(at=self._now(), trace=trace.number, text=text, tokens=trace.written)
            )

    def _pause(self, trace: _Trace) -> None:
        trace.state = "paused"
        self._feed(TracePaused(at=self._now(), trace=trace.number, tokens=trace.written))

    def _end(
        self,
        trace: _Trace,
        kind: type[TraceFinished | TraceStopped | TraceFailed],
        **fields: Any,
    ) -> None:
        trace.state = "over"
        self._feed(kind(at=self._now(), trace=trace.number, tokens=trace.written, **fields))

    def _answer(self, call: AskJudge) -> None:
        self._judge_calls.remove(call)
        assert self.judge is not None, "the policy asks a judge that this run does not have"
        verdicts = [self.judge(call.trace, member) for member in call.members]
        known = tuple(verdict for verdict in verdicts if verdict is not None)
        if len(known) < len(verdicts):
            self._feed(
                JudgeFailed(at=self._now(), trace=call.trace, members=call.members, message="down")
            )
            return
        self._feed(
            PairsJudged(
                at=self._now(),
                trace=call.trace,
                members=call.members,
                probabilities=known,
                prompt_tokens=1,
                cached_prompt_tokens=0,
                completion_tokens=0,
                seconds=0.0,
            )
        )

    def _answer_probe(self, trace: int, asked_at: int) -> None:
        self._probes.remove((trace, asked_at))
        assert self.probe is not None, "the policy asks traces that cannot be asked"
        answer = self.probe(trace, asked_at)
        if answer is None:
            self._feed(ProbeFailed(at=self._now(), trace=trace, message="down"))
            return
        self._feed(
            TraceProbed(
                at=self._now(),
                trace=trace,
                answer=answer,
                raw_answer=answer,
                asked_at=asked_at,
                tokens=1,
                prompt_tokens=asked_at,
                cached_prompt_tokens=asked_at,
                seconds=0.0,
            )
        )
