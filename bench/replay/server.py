"""A server in simulated time: it streams recorded traces and tells what happened as events.

Time runs in two measures. Seconds pass as `ServerModel` says. Steps count decoding: in one step every running
stream writes one token, however long the step takes. So a milestone of a stream (its checkpoint, its end) lies
at a fixed step while the stream runs, and starting or stopping its neighbours moves no entry of the heap.

The rule: events come out in lumps, one per milestone, never one per token.

A server as a replay sees it: how long a first token, a decoding step and a verdict take.
"""

import functools
import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from bench.data.recorded import RecordedTrace
from bench.replay.prefixes import Prefix
from orchestrator.core.events import (
    Event,
    TokensArrived,
    TraceFinished,
    TracePaused,
    TraceResumed,
    TraceStarted,
    TraceStopped,
)

__all__ = [
    "ServerModel",
    "SimulatedServer",
]


Seconds = Annotated[float, msgspec.Meta(ge=0.0)]


class ServerModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Continuous batching in its simplest form: every running stream gets one token per step.

    A step takes `step_seconds` and for each running stream `step_seconds_per_stream` more. At most `capacity`
    streams run at once (None: all of them); others wait, first come first served. The defaults are of the
    order of an 8 B model on one large GPU; tokens and accuracy hardly depend on them, seconds do.
    """

    first_token_seconds: Seconds = 0.2
    step_seconds: Annotated[float, msgspec.Meta(gt=0.0)] = 0.01
    step_seconds_per_stream: Seconds = 0.0001
    capacity: Annotated[int, msgspec.Meta(ge=1)] | None = None
    judge_seconds: Seconds = 0.05

    def step(self, running: int) -> float:
        """Seconds of one step with so many running streams."""
        return self.step_seconds + self.step_seconds_per_stream * running


_ROUNDING = 1e-6  # steps; times are sums of floating point numbers


@dataclass(slots=True)
class _Stream:
    """A trace on the server; `tokens` is exact as of step `since`."""

    recorded: RecordedTrace
    checkpoint: Prefix | None
    report_every: int | None
    state: Literal["idle", "waiting", "opening", "running", "paused", "over"] = "idle"
    opened: bool = False
    tokens: int = 0
    since: float = 0.0
    epoch: int = 0
    """What was planned for it before the last change of its state is void."""
    reported: int = 0
    """Tokens whose confidences were told."""

    @property
    def milestone(self) -> int:
        """The token count at which something happens next."""
        ahead = self.recorded.tokens
        if self.checkpoint is not None and self.tokens < self.checkpoint.tokens:
            ahead = min(ahead, self.checkpoint.tokens)
        if self.report_every is not None:
            ahead = min(ahead, (self.tokens // self.report_every + 1) * self.report_every)
        return ahead

    @property
    def text(self) -> str:
        """What it is known to have written since the last milestone: all that leads to the checkpoint, or nothing."""
        prefix = self.checkpoint
        return prefix.text if prefix is not None and self.tokens == prefix.tokens else ""

    def report(self) -> tuple[float, ...]:
        """The confidences not told yet, which counts as telling them; none where nobody asks."""
        if self.report_every is None or self.recorded.confidences is None:
            return ()
        first, self.reported = self.reported, self.tokens
        return self.recorded.confidences[first : self.tokens]

    def catch_up(self, step: float) -> None:
        """Counts what it has written by `step`."""
        if self.state == "running":
            written = int(step - self.since + _ROUNDING)
            self.tokens = min(self.recorded.tokens, self.tokens + written)
            self.since = step


class SimulatedServer:
    """Performs what the shell would order of a server; `events` are those not yet taken, in order.

    Every `report_every` tokens it tells a stream's confidences; with None it tells none.
    """

    def __init__(
        self,
        model: ServerModel,
        traces: Sequence[RecordedTrace],
        checkpoints: Sequence[Prefix | None],
        *,
        report_every: int | None = None,
    ) -> None:
        self.events: deque[Event] = deque()
        self.now = 0.0
        """Seconds since the start."""
        self.step = 0.0
        """Decoding steps since the start: the tokens in sequence."""
        self._model = model
        self._streams = [
            _Stream(trace, checkpoint, report_every)
            for trace, checkpoint in zip(traces, checkpoints, strict=True)
        ]
        self._running = 0
        self._opening = 0
        self._waiting: deque[int] = deque()
        self._milestones: list[tuple[float, int, int, int]] = []  # step, order, trace, epoch
        self._timers: list[tuple[float, int, Callable[[], None]]] = []  # second, order, action
        self._pushed = 0

    @property
    def generated_tokens(self) -> int:
        """Tokens of all traces so far."""
        for stream in self._streams:
            stream.catch_up(self.step)
        return sum(stream.tokens for stream in self._streams)

    @property
    def started(self) -> int:
        """How many traces have been opened."""
        return sum(stream.opened for stream in self._streams)

    def start(self, trace: int) -> None:
        """Opens the trace's first stream as soon as there is room."""
        self._streams[trace].state = "waiting"
        self._waiting.append(trace)
        self._admit()

    def resume(self, trace: int) -> None:
        """Goes on with a paused trace; nothing else is changed by it."""
        if self._streams[trace].state == "paused":
            self.start(trace)

    def pause(self, trace: int) -> None:
        """Closes the stream; the trace keeps its tokens."""
        if self._streams[trace].state not in ("over", "paused"):
            tokens = self._leave(trace, "paused")
            self.events.append(TracePaused(at=self.now, trace=trace, tokens=tokens))

    def stop(self, trace: int, reason: str) -> None:
        """Ends the trace for good."""
        if self._streams[trace].state != "over":
            tokens = self._leave(trace, "over")
            self.events.append(TraceStopped(at=self.now, trace=trace, reason=reason, tokens=tokens))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Lets `action` happen so much later."""
        self._pushed += 1
        heapq.heappush(self._timers, (self.now + seconds, self._pushed, action))

    def advance(self) -> None:
        """Lets time pass up to the next event, and lets it happen."""
        while self._milestones and self._is_void(self._milestones[0]):
            heapq.heappop(self._milestones)
        step_seconds = self._model.step(self._running)
        due = None
        if self._milestones:
            due = self.now + (self._milestones[0][0] - self.step) * step_seconds
        if self._timers and (due is None or self._timers[0][0] <= due):
            at, _, action = heapq.heappop(self._timers)
            if self._running:
                self.step += (at - self.now) / step_seconds
            self.now = at
            action()
        elif due is not None:
            self.now = due
            self.step, _, trace, _ = heapq.heappop(self._milestones)
            self._reach_milestone(trace)
        else:
            raise RuntimeError("the replay hangs: nothing can happen, and the run is not over")

    def _is_void(self, milestone: tuple[float, int, int, int]) -> bool:
        _, _, trace, epoch = milestone
        return self._streams[trace].epoch != epoch

    def _admit(self) -> None:
        """Opens the streams that wait, as far as there is room."""
        capacity = self._model.capacity or len(self._streams)
        while self._waiting and self._running + self._opening < capacity:
            trace = self._waiting.popleft()
            stream = self._streams[trace]
            stream.state = "opening"
            self._opening += 1
            self.after(
                self._model.first_token_seconds,
                functools.partial(self._open, trace, stream.epoch),
            )

    def _open(self, trace: int, epoch: int) -> None:
        stream = self._streams[trace]
        if stream.epoch != epoch:
            return
        self._opening -= 1
        self._running += 1
        kind = TraceResumed if stream.opened else TraceStarted
        stream.state, stream.opened, stream.since = "running", True, self.step
        self.events.append(
            kind(
                at=self.now,
                trace=trace,
                endpoint="replay",
                prompt_tokens=0,
                cached_prompt_tokens=0,
            )
        )
        self._plan(trace)

    def _plan(self, trace: int) -> None:
        stream = self._streams[trace]
        self._pushed += 1
        step = stream.since + stream.milestone - stream.tokens
        heapq.heappush(self._milestones, (step, self._pushed, trace, stream.epoch))

    def _reach_milestone(self, trace: int) -> None:
        stream = self._streams[trace]
        if stream.milestone == stream.recorded.tokens:
            self._finish(trace)
            return
        stream.tokens, stream.since = stream.milestone, self.step
        self._tell_tokens(trace)
        self._plan(trace)

    def _tell_tokens(self, trace: int) -> None:
        stream = self._streams[trace]
        self.events.append(
            TokensArrived(
                at=self.now,
                trace=trace,
                text=stream.text,
                tokens=stream.tokens,
                confidences=stream.report(),
            )
        )

    def _finish(self, trace: int) -> None:
        self._leave(trace, "over")
        stream = self._streams[trace]
        stream.tokens = stream.recorded.tokens
        if stream.report_every is not None:
            self._tell_tokens(trace)
        self.events.append(
            TraceFinished(
                at=self.now,
                trace=trace,
                answer=stream.recorded.answer,
                raw_answer=stream.recorded.answer,
                finish_reason="stop",
                tokens=stream.tokens,
            )
        )

    def _leave(self, trace: int, state: Literal["paused", "over"]) -> int:
        """Takes a stream off the server; its tokens."""
        stream = self._streams[trace]
        stream.catch_up(self.step)
        stream.epoch += 1
        if stream.state == "running":
            self._running -= 1
        elif stream.state == "opening":
            self._opening -= 1
        elif stream.state == "waiting":
            self._waiting.remove(trace)
        stream.state = state
        self._admit()
        return stream.tokens
