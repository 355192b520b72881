"""The time line: a bar for each trace, thin where it was paused, below the rate at which tokens came.

Positions are in units of the drawing, whose width stands for the run's time.
"""

from typing import NamedTuple

from orchestrator.core.events import (
    TraceFailed,
    TraceFinished,
    TracePaused,
    TraceResumed,
    TraceStarted,
    TraceStopped,
)
from orchestrator.report.display_state import DisplayState, display_state
from orchestrator.report.trace_view import TraceView
from orchestrator.report.view import TICK_SECONDS, RunView
from orchestrator.terminal.event_text import describe_trace

__all__ = ["Bar", "Tick", "TimeLine", "time_line"]

_WIDTH = 1000.0
_RATE_HEIGHT = 60.0
_ROW = 10.0
_STEPS = (1, 2, 5)
_TICKS = 8  # on the axis at most, or one more


class Span(NamedTuple):
    """A stretch of time."""

    x: float
    width: float


class Bar(NamedTuple):
    """A trace from its first token to its end.

    `streams` are the times in which it had a stream. `checkpoint` is where it reached that, None if it did not. `title` is
    a sentence for a pointer.
    """

    trace: int
    state: DisplayState
    y: float
    whole: Span
    streams: list[Span]
    checkpoint: float | None
    title: str


class Tick(NamedTuple):
    """A moment on the axis."""

    x: float
    label: str


class TimeLine(NamedTuple):
    """The drawing; `rate` are the points of the token rate's outline, `peak` its highest value in tokens per second."""

    width: float
    height: float
    row: float
    top: float
    bars: list[Bar]
    ticks: list[Tick]
    rate: str
    peak: float


def time_line(view: RunView) -> TimeLine:
    """The drawing of a run, finished or not; traces without a stream have no bar."""
    scale = _WIDTH / (view.elapsed or 1.0)
    started = [trace for trace in view.traces.values() if trace.started_at is not None]
    streams = _streams(view)
    top = _RATE_HEIGHT + _ROW
    bars = [
        _bar(view, trace, streams[trace.trace], scale, top + _ROW * row)
        for row, trace in enumerate(sorted(started, key=_order))
    ]
    rates = [tokens / TICK_SECONDS for tokens in view.tokens_per_tick]
    peak = max(rates, default=0.0)
    return TimeLine(
        width=_WIDTH,
        height=top + _ROW * len(bars),
        row=_ROW,
        top=top,
        bars=bars,
        ticks=[Tick(round(at * scale, 1), f"{at:g} s") for at in _moments(view.elapsed)],
        rate=_outline(rates, peak, scale),
        peak=peak,
    )


def _order(trace: TraceView) -> tuple[float, int]:
    return trace.started_at or 0.0, trace.trace


def _streams(view: RunView) -> dict[int, list[tuple[float, float]]]:
    """For each trace the seconds from and to which it had a stream."""
    streams: dict[int, list[tuple[float, float]]] = {}
    since: dict[int, float] = {}
    for event in view.events:
        match event:
            case TraceStarted() | TraceResumed():
                since.setdefault(event.trace, event.at)
            case TracePaused() | TraceFinished() | TraceStopped() | TraceFailed():
                start = since.pop(event.trace, event.at)
                streams.setdefault(event.trace, []).append((start, event.at))
            case _:
                pass
    for trace, start in since.items():
        streams.setdefault(trace, []).append((start, view.elapsed))
    return streams


def _bar(
    view: RunView, trace: TraceView, streams: list[tuple[float, float]], scale: float, y: float
) -> Bar:
    start, end = streams[0][0], streams[-1][1]
    return Bar(
        trace.trace,
        display_state(view, trace),
        y,
        _span(start, end, scale),
        [_span(*each, scale) for each in streams if each[1] > each[0] or len(streams) == 1],
        None if trace.checkpoint is None else round(trace.checkpoint.at * scale, 1),
        f"trace {trace.trace}, {trace.tokens:,} tokens, {start:.1f} to {end:.1f} s: "
        f"{describe_trace(view, trace)}",
    )


def _span(start: float, end: float, scale: float) -> Span:
    return Span(round(start * scale, 1), round(max(1.0, (end - start) * scale), 1))


def _moments(seconds: float) -> list[float]:
    """Round moments from 0 to the end, at most eight or so."""
    if seconds <= 0:
        return [0.0]
    power = 10.0**-2
    while True:
        for step in _STEPS:
            if seconds / (step * power) <= _TICKS:
                return [
                    round(n * step * power, 6) for n in range(int(seconds / (step * power)) + 1)
                ]
        power *= 10


def _outline(rates: list[float], peak: float, scale: float) -> str:
    """The points of the token rate's area, for an SVG polygon."""
    if not peak:
        return ""
    step = TICK_SECONDS * scale
    points = [f"0,{_RATE_HEIGHT:g}"]
    for number, rate in enumerate(rates):
        y = round(_RATE_HEIGHT * (1 - rate / peak), 1)
        left, right = min(_WIDTH, number * step), min(_WIDTH, (number + 1) * step)
        points += [f"{left:.1f},{y:g}", f"{right:.1f},{y:g}"]
    return " ".join([*points, f"{min(_WIDTH, len(rates) * step):.1f},{_RATE_HEIGHT:g}"])
